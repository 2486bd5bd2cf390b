/** `dtp resolve`: an operator decides what a lost coordinator did not. */
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { DtpError } from '../index.ts';
import { withConnectionOptions, withDatabase } from './connection.ts';
import type { ConnectionOptions } from './connection.ts';
import { exitCodes, InputError } from './exit-codes.ts';
import type { Terminal } from './terminal.ts';

interface ResolveOptions extends ConnectionOptions {
  readonly commit?: boolean;
  readonly abort?: boolean;
  readonly yes?: boolean;
}

const help = `
Under the protocols 2pc and o2pc a transaction is blocked while its coordinator's node is away, and so are the keys
that it locks; dtp status names such transactions. Start that node again if you can: then all is well within a
second. Decide for it only if it will never come back.

Examples:
  dtp resolve n1:3:1042 --abort
  dtp resolve n1:3:1042 --commit --yes      without a question, for scripts`;

export function risk(transaction: string, decision: 'commit' | 'abort'): string[] {
  const node = transaction.slice(0, transaction.indexOf(':'));
  return [
    `You are about to ${decision} transaction ${transaction} in place of its coordinator, ${node}. This can't be undone.`,
    `Nobody but ${node} knows whether it had decided already. If it had decided otherwise and told its client, that client was told a lie;`,
    `and when ${node} comes back it will find that out and stop: then it must be replaced by a new node with an empty directory.`,
    `If ${node} can be started again, start it instead: then the transaction is decided within a second, and rightly.`,
  ];
}

export function registerResolve(program: Command, terminal: Terminal, finish: (code: number) => void): void {
  const command = program
    .command('resolve')
    .summary('decide a blocked transaction whose coordinator never returns')
    .description('Commit or abort a transaction that is blocked because its coordinator is away. The decision is recorded on all nodes.')
    .argument('<transaction>', 'its name, as dtp status shows it')
    .option('--commit', 'commit it; possible if a majority of the replicas of its keys voted for it')
    .option('--abort', 'abort it')
    .option('--yes', 'you know the risk: ask no question')
    .addHelpText('after', help);
  withConnectionOptions(command).action(async (transaction: string, options: ResolveOptions) => finish(await resolve(transaction, options, terminal)));
}

async function resolve(transaction: string, options: ResolveOptions, terminal: Terminal): Promise<number> {
  if ((options.commit === true) === (options.abort === true)) throw new InputError('say either --commit or --abort', 'usage');
  const decision = options.commit === true ? 'commit' : 'abort';
  if (!/^.+:\d+:\d+$/.test(transaction)) throw new InputError(`${transaction} is no transaction’s name; dtp status shows those that are blocked, as node:life:number`, 'usage');
  const warning = risk(transaction, decision);
  if (options.json === true) terminal.note(JSON.stringify({ warning: warning.join(' ') }));
  else for (const line of warning) terminal.note(terminal.paint('yellow', line));
  if (options.yes !== true && !(await isConfirmed(transaction))) {
    terminal.note('Nothing was done.');
    return exitCodes.aborted;
  }
  const settled = await withDatabase(options, (db) => db.settle(transaction, decision));
  const asWished = (settled.outcome === 'committed') === (decision === 'commit');
  if (!asWished) throw new DtpError('not-blocked', `${transaction} is ${settled.outcome}: that had been accepted by a majority before, by another operator's decision or the coordinator's own.`, { ...settled });
  terminal.out(options.json === true ? JSON.stringify({ transaction, ...settled }) : `${transaction} is ${settled.outcome}${settled.outcome === 'committed' ? ` at version ${settled.version}` : ''}`);
  return exitCodes.done;
}

async function isConfirmed(transaction: string): Promise<boolean> {
  if (process.stdin.isTTY !== true) throw new InputError('nobody can be asked here: say --yes if you know the risk', 'usage');
  const question = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await question.question('Type the transaction’s name to go on: ')).trim() === transaction;
  } finally {
    question.close();
  }
}
