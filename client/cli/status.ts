/** `dtp status`: what every node says of itself, side by side. */
import type { Command } from 'commander';
import { untilComplete, withConnectionOptions, withDatabase } from './connection.ts';
import type { ConnectionOptions } from './connection.ts';
import { exitCodes } from './exit-codes.ts';
import { columnsHelp, describeStatus } from './status-text.ts';
import type { Terminal } from './terminal.ts';

/** A node that takes longer to tell of itself counts as silent. */
const answerMs = 1_000;

export function registerStatus(program: Command, terminal: Terminal, finish: (code: number) => void): void {
  const command = program
    .command('status')
    .summary('show the nodes, and how they are')
    .description('Show every node: its part of the data, the transactions under way, and how far it lags behind. Ends with 1 if a node does not answer.')
    .addHelpText('after', columnsHelp);
  withConnectionOptions(command).action(async (options: ConnectionOptions) => finish(await status(options, terminal)));
}

async function status(options: ConnectionOptions, terminal: Terminal): Promise<number> {
  const nodes = await withDatabase(options, (db) => untilComplete(() => db.status({ timeoutMs: answerMs }), (all) => all.every((node) => node.reachable)));
  const answering = nodes.filter((node) => node.reachable);
  if (options.json === true) terminal.out(JSON.stringify({ nodes }));
  else for (const line of describeStatus(nodes, terminal)) terminal.out(line);
  return answering.length === nodes.length ? exitCodes.done : exitCodes.absent;
}
