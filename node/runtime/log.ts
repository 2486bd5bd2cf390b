/**
 * The node's log: one JSON object a line, as collectors want it, or readable lines when a person looks on.
 *
 * Lines are written synchronously, the readable ones too (so pino-pretty serves as a function, not as the stream or
 * the worker thread that it can also be). They are few, one per event that an operator would want, and the last of
 * them, which says why the node stopped, must not be lost in a buffer.
 */
import { pino } from 'pino';
import type { DestinationStream } from 'pino';
import pretty from 'pino-pretty';
import type { Log } from './runtime.ts';

export const logLevels = ['debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export interface NodeLog extends Log {
  fatal(details: object, event: string): void;
}

export interface LogOptions {
  level: LogLevel;
  /** The node's id, on every line. */
  node: string;
  /** Readable lines instead of JSON; by default when standard output is a terminal. */
  readable?: boolean;
  /** Where the lines go; standard output by default. */
  output?: DestinationStream;
}

export function makeLog({ level, node, readable = process.stdout.isTTY === true, output = pino.destination({ dest: 1, sync: true }) }: LogOptions): NodeLog {
  const options = { level, base: { node }, timestamp: pino.stdTimeFunctions.isoTime };
  return pino(options, readable ? prettified(output) : output);
}

function prettified(output: DestinationStream): DestinationStream {
  const format = pretty.prettyFactory({
    colorize: pretty.isColorSupported,
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'node',
    messageFormat: '{node}: {msg}',
    singleLine: true,
  });
  return { write: (line) => output.write(format(line)) };
}
