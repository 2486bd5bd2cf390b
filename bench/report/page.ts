/** Pictures and tables as one HTML page that needs nothing else. */
import { svgOf, type Chart } from './chart.ts';

export interface Page {
  readonly title: string;
  /** Paragraphs. */
  readonly introduction: readonly string[];
  readonly sections: readonly Section[];
}

export interface Section {
  readonly title: string;
  readonly charts: readonly Chart[];
  /** Rows of cells; the first row is the head. */
  readonly rows?: readonly (readonly string[])[];
}

const style = 'body{font-family:sans-serif;margin:2em auto;max-width:1320px;color:#222}h1{font-size:1.5em}h2{font-size:1.2em;margin-top:2em}svg{max-width:100%;height:auto}'
  + '.charts{display:flex;flex-wrap:wrap;gap:12px}table{border-collapse:collapse;margin:1em 0;font-size:.85em}td,th{padding:.25em .7em;border-bottom:1px solid #ddd;text-align:right}td:first-child,th:first-child{text-align:left}';

export function htmlOf({ title, introduction, sections }: Page): string {
  const body = [
    `<h1>${escape(title)}</h1>`,
    ...introduction.map((paragraph) => `<p>${escape(paragraph)}</p>`),
    ...sections.flatMap((section) => [`<h2>${escape(section.title)}</h2>`, `<div class="charts">${section.charts.map(svgOf).join('')}</div>`, section.rows === undefined ? '' : tableOf(section.rows)]),
  ];
  return `<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>${escape(title)}</title>\n<style>${style}</style>\n${body.join('\n')}\n</html>\n`;
}

function tableOf([head = [], ...rows]: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[], tag: 'td' | 'th'): string => `<tr>${cells.map((cell) => `<${tag}>${escape(cell)}</${tag}>`).join('')}</tr>`;
  return `<table>${row(head, 'th')}${rows.map((cells) => row(cells, 'td')).join('')}</table>`;
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
