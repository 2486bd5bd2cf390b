/** `dtp get`: the values of keys, as people or programs want them. */
import type { Command } from 'commander';
import { withConnectionOptions, withDatabase } from './connection.ts';
import type { ConnectionOptions } from './connection.ts';
import { exitCodes, InputError } from './exit-codes.ts';
import { formatKey, parseKey } from './keys.ts';
import { machineReadable, readable } from './terminal.ts';
import type { Terminal } from './terminal.ts';

interface GetOptions extends ConnectionOptions {
  readonly string?: boolean;
}

const help = `
Examples:
  dtp get greeting
  dtp get '["account","alice"]'       the key is a tuple
  dtp get --string motd > motd.txt    the text itself, without quotes
  dtp get --json greeting             {"key":"greeting","found":true,"value":"hello","version":1}`;

export function registerGet(program: Command, terminal: Terminal, finish: (code: number) => void): void {
  const command = program
    .command('get')
    .summary('read keys')
    .description('Read one or more keys, each linearizably. A key is a word, or a tuple in JSON.')
    .argument('<key...>', 'what to read')
    .option('--string', 'print the text itself; the value must be a string')
    .addHelpText('after', help);
  withConnectionOptions(command).action(async (words: string[], options: GetOptions) => finish(await get(words, options, terminal)));
}

async function get(words: readonly string[], options: GetOptions, terminal: Terminal): Promise<number> {
  const keys = words.map(parseKey);
  const entries = await withDatabase(options, (db) => Promise.all(keys.map((key) => db.entry(key))));
  let code: number = exitCodes.done;
  keys.forEach((key, index) => {
    const entry = entries[index];
    if (entry === undefined) code = exitCodes.absent;
    if (options.json === true) return terminal.out(machineReadable(entry === undefined ? { key, found: false } : { key, found: true, value: entry.value, version: entry.version }));
    if (entry === undefined) return terminal.note(`${formatKey(key)} is absent`);
    const text = options.string === true ? textOf(entry.value, formatKey(key)) : readable(entry.value, terminal);
    terminal.out(keys.length === 1 ? text : `${terminal.paint('bold', formatKey(key))}  ${text}`);
  });
  return code;
}

function textOf(value: unknown, key: string): string {
  if (typeof value !== 'string') throw new InputError(`the value of ${key} is no string; leave out --string`);
  return value;
}
