/** What all commands that talk to a cluster share: which one, for how long, and in which form they answer. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { connect } from '../index.ts';
import type { Database } from '../index.ts';
import { clusterFileDefault, readClusterFile } from './cluster-file.ts';
import { exitCodesHelp, InputError } from './exit-codes.ts';

/** Somebody who mistyped an address wants to know soon; a node that is being started answers within this time. */
const connectTimeoutMsMax = 3_000;

export interface ConnectionOptions {
  readonly nodes?: readonly string[];
  readonly config?: string;
  readonly timeout: number;
  readonly json?: boolean;
}

export function withConnectionOptions(command: Command): Command {
  return command
    .addOption(new Option('--nodes <urls>', 'addresses of one or more nodes, as ws://host:port,ws://host:port').argParser((text) => text.split(',').map((url) => url.trim()).filter((url) => url !== '')))
    .addOption(new Option('--config <file>', `the configuration that names the nodes (default: "${clusterFileDefault}")`).conflicts('nodes'))
    .addOption(new Option('--timeout <ms>', 'how long to try').default(10_000).argParser(milliseconds))
    .option('--json', 'answer in JSON, one object a line; errors too')
    .addHelpText('after', exitCodesHelp);
}

function milliseconds(text: string): number {
  if (!/^\d+$/.test(text)) throw new InputError(`--timeout takes whole milliseconds, not ${text}`, 'usage');
  return Number(text);
}

/** `connect` returns with the first node's answer; the others of a healthy cluster follow within this time. */
const gatheringMs = 1_000;
const gatheringStepMs = 50;

/** Asks again until all nodes have answered, for a moment. */
export async function untilComplete<T>(ask: () => Promise<T>, isComplete: (answer: T) => boolean): Promise<T> {
  const untilMs = performance.now() + gatheringMs;
  for (;;) {
    const answer = await ask();
    if (isComplete(answer) || performance.now() >= untilMs) return answer;
    await new Promise((resume) => setTimeout(resume, gatheringStepMs));
  }
}

/** Connects, does the work and disconnects, whatever comes of it. */
export async function withDatabase<T>({ nodes, config, timeout }: ConnectionOptions, work: (db: Database) => Promise<T>): Promise<T> {
  const file = nodes === undefined ? readClusterFile(config ?? clusterFileDefault) : undefined;
  const db = await connect({ nodes: nodes ?? file?.nodes.map(({ url }) => url) ?? [], cluster: file?.cluster, connectTimeoutMs: Math.min(timeout, connectTimeoutMsMax), timeoutMs: timeout });
  try {
    return await work(db);
  } finally {
    await db.close();
  }
}
