/** `dtp delete`: removes keys, all of them or none. */
import type { Command } from 'commander';
import { withConnectionOptions, withDatabase } from './connection.ts';
import type { ConnectionOptions } from './connection.ts';
import { exitCodes } from './exit-codes.ts';
import { formatKey, parseKey } from './keys.ts';
import { machineReadable } from './terminal.ts';
import type { Terminal } from './terminal.ts';

export function registerDelete(program: Command, terminal: Terminal, finish: (code: number) => void): void {
  const command = program
    .command('delete')
    .summary('remove keys')
    .description('Remove one or more keys in one transaction; a key that is absent already is no fault. It is durable on a quorum when the command ends with 0.')
    .argument('<key...>', 'what to remove; a key is a word, or a tuple in JSON');
  withConnectionOptions(command).action(async (words: string[], options: ConnectionOptions) => {
    const keys = words.map(parseKey);
    const transaction = await withDatabase(options, async (db) => {
      const [first] = keys;
      if (keys.length === 1 && first !== undefined) return (await db.delete(first)).transaction;
      const tx = await db.transaction((current) => {
        for (const key of keys) current.delete(key);
        return current;
      });
      return tx.name;
    });
    for (const key of keys) terminal.out(options.json === true ? machineReadable({ key, deleted: true, transaction }) : `${formatKey(key)} is deleted`);
    finish(exitCodes.done);
  });
}
