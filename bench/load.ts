/** The client's process of a benchmark: told by its parent what to do, and tells how it went. */
import { connect, type Database } from '../client/index.ts';
import { closedLoop, type LoopResult } from './closed-loop.ts';
import { makeWorkload, type Workload, type WorkloadName } from './workloads.ts';

export type LoadCommand =
  | { readonly kind: 'prepare'; readonly urls: readonly string[]; readonly workload: WorkloadName }
  | { readonly kind: 'run'; readonly callers: number; readonly warmUpMs: number; readonly measureMs: number }
  | { readonly kind: 'verify' };

export type LoadReport =
  | { readonly kind: 'prepared' }
  | { readonly kind: 'measuring' }
  | { readonly kind: 'measured'; readonly result: LoopResult }
  | { readonly kind: 'verified'; readonly faults: readonly string[] };

let database: Database | null = null;
let workload: Workload | null = null;

function tell(report: LoadReport): void {
  process.send?.(report);
}

async function obey(command: LoadCommand): Promise<void> {
  if (command.kind === 'prepare') {
    database ??= await connect({ nodes: command.urls });
    workload = makeWorkload(command.workload);
    await workload.prepare(database);
    return tell({ kind: 'prepared' });
  }
  if (database === null || workload === null) throw new Error(`${command.kind} before prepare`);
  const [db, work] = [database, workload];
  if (command.kind === 'verify') return tell({ kind: 'verified', faults: await work.verify(db) });
  const { callers, warmUpMs, measureMs } = command;
  const result = await closedLoop({ callers, warmUpMs, measureMs, call: () => work.call(db), measuring: () => tell({ kind: 'measuring' }) });
  tell({ kind: 'measured', result });
}

process.on('message', (command: LoadCommand) => void obey(command));
// Nobody is left to work for.
process.on('disconnect', () => process.exit(0));
