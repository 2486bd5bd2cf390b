/** `dtp explain`: how one recent transaction went, or which ones there were. */
import type { Command } from 'commander';
import type { Story } from '../index.ts';
import { untilComplete, withConnectionOptions, withDatabase } from './connection.ts';
import type { ConnectionOptions } from './connection.ts';
import { exitCodes, InputError } from './exit-codes.ts';
import { describeStory, describeSummaries } from './story-text.ts';
import { machineReadable } from './terminal.ts';
import type { Terminal } from './terminal.ts';

interface ExplainOptions extends ConnectionOptions {
  readonly last?: string | true;
}

const lastDefault = 20;

const help = `
Examples:
  dtp explain n1:3:42                 the transaction 42 of n1's third life
  dtp explain --last                  the latest ${lastDefault}, to pick one
  dtp explain --last 5 --json

A write gives its name: { transaction } of db.set, tx.name, the details of errors, --json of dtp set and dtp delete; so do the nodes' logs. Nodes
keep their latest events in memory: a node that was restarted remembers nothing from before.`;

export function registerExplain(program: Command, terminal: Terminal, finish: (code: number) => void): void {
  const command = program
    .command('explain')
    .summary('tell how a recent transaction went')
    .description('Tell the story of one recent transaction from what all nodes remember: every vote with its reason, every forced write, every round, in order, with times. Ends with 1 if nothing is known of it.')
    .argument('[transaction]', 'its name, as n1:3:42: the coordinator, its life, a number')
    .option('--last [n]', `list the latest transactions instead (${lastDefault} unless told otherwise)`)
    .addHelpText('after', help);
  withConnectionOptions(command).action(async (transaction: string | undefined, options: ExplainOptions) => {
    if ((transaction === undefined) === (options.last === undefined)) throw new InputError('name one transaction, as in: dtp explain n1:3:42; or list the latest: dtp explain --last', 'usage');
    finish(transaction === undefined ? await list(options, terminal) : await explain(transaction, options, terminal));
  });
}

async function explain(transaction: string, options: ExplainOptions, terminal: Terminal): Promise<number> {
  if (!/^.{1,64}:\d{1,15}:\d{1,15}$/.test(transaction)) throw new InputError(`${transaction} is no transaction's name; one is as n1:3:42 (coordinator, its life, number), as in: dtp explain n1:3:42`, 'usage');
  const story = await withDatabase(options, (db) => untilComplete(() => db.explain(transaction, { timeoutMs: options.timeout }), ({ nodes }) => nodes.every(({ silent }) => silent === undefined)));
  const isKnown = story.events.length > 0;
  if (options.json === true) terminal.out(machineReadable({ found: isKnown, ...story }));
  else if (isKnown) for (const line of describeStory(story, terminal)) terminal.out(line);
  else terminal.note(nothingKnown(story));
  return isKnown ? exitCodes.done : exitCodes.absent;
}

function nothingKnown({ transaction, nodes }: Story): string {
  const silent = nodes.filter((node) => node.silent !== undefined).map(({ node }) => node);
  return `Nothing is known of ${transaction}: it is older than what the nodes remember (their latest events, until they restart), or there never was one of that name.${silent.length === 0 ? '' : ` Not asked: ${silent.join(', ')}.`}`;
}

async function list(options: ExplainOptions, terminal: Terminal): Promise<number> {
  const text = options.last === true ? String(lastDefault) : String(options.last);
  const count = Number(text);
  if (!/^\d{1,3}$/.test(text) || count < 1 || count > 500) throw new InputError(`--last takes a number from 1 to 500, not ${text}, as in: dtp explain --last 20`, 'usage');
  const summaries = await withDatabase(options, (db) => db.recent(count, { timeoutMs: options.timeout }));
  if (options.json === true) for (const summary of summaries) terminal.out(machineReadable(summary));
  else if (summaries.length > 0) for (const line of describeSummaries(summaries, terminal)) terminal.out(line);
  else terminal.note('The nodes remember no transactions: there were none since they were started.');
  return summaries.length > 0 ? exitCodes.done : exitCodes.absent;
}
