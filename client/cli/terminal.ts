/** Where a command writes: results on standard output, what went wrong and what is going on beside it. */
import { inspect, styleText } from 'node:util';
import { formatTypedJson } from './typed-json.ts';

type Style = 'bold' | 'dim' | 'red' | 'yellow' | 'green' | 'cyan';

export interface Terminal {
  /** One line of the result. */
  out(line: string): void;
  /** One line that is not the result. */
  note(line: string): void;
  /** Colours, where a person looks on and wants them. */
  paint(style: Style, text: string): string;
  readonly colors: boolean;
}

export function processTerminal(): Terminal {
  const colors = process.stdout.isTTY === true && (process.env['NO_COLOR'] ?? '') === '' && process.env['TERM'] !== 'dumb';
  return {
    out: (line) => void process.stdout.write(`${line}\n`),
    note: (line) => void process.stderr.write(`${line}\n`),
    paint: (style, text) => (colors ? styleText(style, text) : text),
    colors,
  };
}

/** A value for people: bigints as 100n, dates, maps and bytes as what they are. */
export function readable(value: unknown, { colors }: Pick<Terminal, 'colors'>): string {
  return inspect(value, { colors, depth: null, maxArrayLength: null, maxStringLength: null, breakLength: 120, compact: 3 });
}

/** A value, or a result with a value in it, for programs. */
export const machineReadable = formatTypedJson;

const sizes: readonly (readonly [bytes: number, name: string])[] = [[1_024 ** 4, 'TiB'], [1_024 ** 3, 'GiB'], [1_024 ** 2, 'MiB'], [1_024, 'KiB']];

/** A number of bytes, in the largest unit of which there is at least one. */
export function size(bytes: number): string {
  const [unit, name] = sizes.find(([each]) => bytes >= each) ?? [1, 'bytes'];
  return `${name === 'bytes' ? bytes : (bytes / unit).toFixed(bytes < 10 * unit ? 1 : 0)} ${name}`;
}

const escapes = /\x1b\[[0-9;]*m/g;
const width = (text: string): number => text.replace(escapes, '').length;

/** Columns as wide as their widest cell, two spaces apart. Cells of numbers stand to the right. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[], paintHead: (text: string) => string): string[] {
  const columns = head.map((title, column) => Math.max(width(title), ...rows.map((row) => width(String(row[column] ?? '')))));
  const isNumeric = head.map((_title, column) => rows.length > 0 && rows.every((row) => typeof row[column] === 'number' || row[column] === ''));
  const line = (cells: readonly (string | number)[]): string =>
    cells
      .map((cell, column) => {
        const gap = ' '.repeat(Math.max(0, (columns[column] ?? 0) - width(String(cell))));
        return isNumeric[column] === true ? gap + String(cell) : String(cell) + gap;
      })
      .join('  ')
      .trimEnd();
  return [paintHead(line(head)), ...rows.map(line)];
}
