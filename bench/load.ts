/** The client's process of a benchmark: told by its parent what to do, and tells how it went. */
import { connect, type CommitProtocol, type Database } from '../client/index.ts';
import { closedLoop, type LoopResult } from './closed-loop.ts';
import { makeWorkload, type Workload, type WorkloadName } from './workloads.ts';

export type LoadCommand =
  | { readonly kind: 'prepare'; readonly urls: readonly string[]; readonly workload: WorkloadName }
  | { readonly kind: 'run'; readonly callers: number; readonly warmUpMs: number; readonly measureMs: number; readonly protocol?: CommitProtocol | undefined }
  | { readonly kind: 'verify' };

export type LoadReport =
  | { readonly kind: 'prepared' }
  | { readonly kind: 'measuring' }
  | { readonly kind: 'measured'; readonly result: LoopResult }
  | { readonly kind: 'verified'; readonly faults: readonly string[] };

/** One by protocol, and one for the cluster's default. */
const databases = new Map<CommitProtocol | undefined, Database>();
let urls: readonly string[] = [];
let workload: Workload | null = null;

function tell(report: LoadReport): void {
  process.send?.(report);
}

async function databaseFor(protocol?: CommitProtocol): Promise<Database> {
  const known = databases.get(protocol);
  if (known !== undefined) return known;
  const database = await connect({ nodes: urls, protocol });
  databases.set(protocol, database);
  return database;
}

async function obey(command: LoadCommand): Promise<void> {
  if (command.kind === 'prepare') {
    urls = command.urls;
    workload = makeWorkload(command.workload);
    await workload.prepare(await databaseFor());
    return tell({ kind: 'prepared' });
  }
  if (workload === null) throw new Error(`${command.kind} before prepare`);
  const work = workload;
  if (command.kind === 'verify') return tell({ kind: 'verified', faults: await work.verify(await databaseFor()) });
  const { callers, warmUpMs, measureMs, protocol } = command;
  const db = await databaseFor(protocol);
  const result = await closedLoop({ callers, warmUpMs, measureMs, call: () => work.call(db), measuring: () => tell({ kind: 'measuring' }) });
  tell({ kind: 'measured', result });
}

process.on('message', (command: LoadCommand) => void obey(command));
// Nobody is left to work for.
process.on('disconnect', () => process.exit(0));
