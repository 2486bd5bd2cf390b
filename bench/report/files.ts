/** What a run leaves behind: everything as JSON, and pictures of it as one page. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { htmlOf, type Page } from './page.ts';

/** The names of the files. */
export function writeFiles(directory: string, name: string, report: object, page: Page | null): string[] {
  mkdirSync(directory, { recursive: true });
  const contents: (readonly [suffix: string, text: string])[] = [['json', `${JSON.stringify(report, null, 2)}\n`]];
  if (page !== null) contents.push(['html', htmlOf(page)]);
  return contents.map(([suffix, text]) => {
    const file = path.join(directory, `${name}.${suffix}`);
    writeFileSync(file, text);
    return file;
  });
}
