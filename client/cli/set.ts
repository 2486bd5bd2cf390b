/** `dtp set`: writes values, all of them or none. */
import type { Command } from 'commander';
import { withConnectionOptions, withDatabase } from './connection.ts';
import type { ConnectionOptions } from './connection.ts';
import { exitCodes, InputError } from './exit-codes.ts';
import { formatKey, parseKey } from './keys.ts';
import { machineReadable } from './terminal.ts';
import type { Terminal } from './terminal.ts';
import { parseTypedJson } from './typed-json.ts';

interface SetOptions extends ConnectionOptions {
  readonly string?: boolean;
}

const help = `
Examples:
  dtp set greeting '"hello"'
  dtp set --string greeting hello
  dtp set '["account","alice"]' '{"balance":{"$bigint":"100"},"opened":{"$date":"2025-01-31"}}'
  dtp set a 1 b 2                     both or none

What JSON lacks: {"$bigint":"100"} {"$date":"2025-01-31T12:00:00Z"} {"$bytes":"aGVsbG8="} {"$undefined":true}
  {"$map":[["key",1]]} {"$set":[1,2]} {"$number":"NaN"}, and {"$object":{...}} for an object that looks like one of these`;

export function registerSet(program: Command, terminal: Terminal, finish: (code: number) => void): void {
  const command = program
    .command('set')
    .summary('write keys')
    .description('Write one or more keys in one transaction. It is durable on a quorum when the command ends with 0.')
    .argument('<key>', 'what to write: a word, or a tuple in JSON')
    .argument('<value>', 'its value, as JSON')
    .argument('[more...]', 'further keys and values in turns')
    .option('--string', 'take the values as text, not as JSON')
    .addHelpText('after', help);
  withConnectionOptions(command).action(async (key: string, value: string, more: string[], options: SetOptions) => finish(await set([key, value, ...more], options, terminal)));
}

async function set(words: readonly string[], options: SetOptions, terminal: Terminal): Promise<number> {
  if (words.length % 2 !== 0) throw new InputError(`a value is missing for the key ${words.at(-1)}`, 'usage');
  const writes = words.flatMap((word, index) => (index % 2 === 0 ? [{ key: parseKey(word), value: valueOf(words[index + 1] ?? '', options.string === true) }] : []));
  const transaction = await withDatabase(options, async (db) => {
    const [first] = writes;
    if (writes.length === 1 && first !== undefined) return (await db.set(first.key, first.value)).transaction;
    const tx = await db.transaction((current) => {
      for (const { key, value } of writes) current.set(key, value);
      return current;
    });
    return tx.name;
  });
  for (const { key } of writes) terminal.out(options.json === true ? machineReadable({ key, written: true, transaction }) : `${formatKey(key)} is written`);
  return exitCodes.done;
}

function valueOf(word: string, isText: boolean): unknown {
  if (isText) return word;
  try {
    return parseTypedJson(word);
  } catch (error) {
    throw new InputError(`the value ${word}: ${(error as Error).message}\nText is written with --string, or in quotes: '${JSON.stringify(word)}'.`);
  }
}
