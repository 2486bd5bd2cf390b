/**
 * The log of a node that runs under `dtp up`: every line goes to a file, bounded in size, and what an operator should
 * look at goes to the terminal too, in a readable form.
 */
import fs from 'node:fs';
import path from 'node:path';

/** With the previous file kept beside it, a log takes at most twice as much. */
const fileBytesMax = 16 * 1_024 * 1_024;

/** pino's numbers. */
const levels: Record<number, 'debug' | 'info' | 'warn' | 'error' | 'fatal'> = { 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' };

export interface LogLine {
  readonly level: (typeof levels)[number];
  /** HH:MM:SS of this machine's time zone. */
  readonly time: string;
  readonly event: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** A line of a node's JSON log; undefined for any other text. */
export function parseLogLine(line: string): LogLine | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const { level, time, msg, node: _node, ...details } = JSON.parse(line) as Record<string, unknown>;
    const date = new Date(String(time));
    return {
      level: levels[Number(level)] ?? 'error',
      time: Number.isNaN(date.getTime()) ? '' : date.toTimeString().slice(0, 8),
      event: String(msg ?? ''),
      details,
    };
  } catch {
    return undefined;
  }
}

/** `12:00:00 WARN peer down  peer=n2 silentMs=900`. */
export function formatLogLine({ level, time, event, details }: LogLine): string {
  const fields = Object.entries(details).map(([name, value]) => `${name}=${typeof value === 'string' && !/\s/.test(value) ? value : JSON.stringify(value)}`);
  return `${time} ${level.toUpperCase()} ${event}${fields.length === 0 ? '' : `  ${fields.join(' ')}`}`;
}

export function isForOperator({ level }: LogLine): boolean {
  return level === 'warn' || level === 'error' || level === 'fatal';
}

/** Appends lines to a file. When it is full it becomes `<file>.1`, in place of the one before. */
export class LogFile {
  readonly file: string;
  readonly #bytesMax: number;
  #handle: number;
  #bytes: number;

  constructor(file: string, bytesMax = fileBytesMax) {
    this.file = file;
    this.#bytesMax = bytesMax;
    fs.mkdirSync(path.dirname(file), { recursive: true });
    this.#handle = fs.openSync(file, 'a');
    this.#bytes = fs.fstatSync(this.#handle).size;
  }

  append(line: string): void {
    if (this.#bytes >= this.#bytesMax) this.#turnOver();
    this.#bytes += fs.writeSync(this.#handle, `${line}\n`);
  }

  close(): void {
    fs.closeSync(this.#handle);
  }

  #turnOver(): void {
    fs.closeSync(this.#handle);
    fs.renameSync(this.file, `${this.file}.1`);
    this.#handle = fs.openSync(this.file, 'a');
    this.#bytes = 0;
  }
}
