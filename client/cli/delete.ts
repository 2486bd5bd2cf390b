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
    await withDatabase(options, async (db) => {
      const [first] = keys;
      if (keys.length === 1 && first !== undefined) return db.delete(first);
      return db.transaction((tx) => {
        for (const key of keys) tx.delete(key);
      });
    });
    for (const key of keys) terminal.out(options.json === true ? machineReadable({ key, deleted: true }) : `${formatKey(key)} is deleted`);
    finish(exitCodes.done);
  });
}
