/** A client's process of a benchmark: told by its parent what to do, and tells how it went. */
import { setTimeout as delay } from 'node:timers/promises';
import { targets } from '../targets/registry.ts';
import type { Session } from '../targets/session.ts';
import type { Address } from '../targets/target.ts';
import { makeWorkload, type WorkloadName } from '../workloads/registry.ts';
import type { Workload, WorkloadOptions } from '../workloads/workload.ts';
import { runLoop } from './loops.ts';
import type { LoopResult } from './recorder.ts';

/** How to make calls. */
export interface Run {
  readonly callers: number;
  /** A fixed rate, an open loop. */
  readonly perSecond?: number | undefined;
  readonly warmUpMs: number;
  /** Null: until `finish`. */
  readonly measureMs: number | null;
  readonly slots?: boolean | undefined;
  /** Another than that of `prepare`: the same servers in another way. */
  readonly variant?: string | undefined;
}

export type LoadCommand =
  | { readonly kind: 'prepare'; readonly address: Address; readonly workload: WorkloadName; readonly options: WorkloadOptions; readonly fills: boolean }
  | { readonly kind: 'run'; readonly run: Run }
  | { readonly kind: 'finish' }
  | { readonly kind: 'testify' }
  | { readonly kind: 'verify'; readonly evidence: readonly unknown[] };

export type LoadReport =
  | { readonly kind: 'prepared'; readonly entries: number; readonly tookMs: number }
  | { readonly kind: 'measuring' }
  | { readonly kind: 'measured'; readonly result: LoopResult }
  | { readonly kind: 'testified'; readonly evidence: unknown }
  | { readonly kind: 'verified'; readonly faults: readonly string[] }
  | { readonly kind: 'failed'; readonly reason: string };

const sessions = new Map<string | undefined, Session>();
let prepared: { readonly address: Address; readonly workload: Workload } | null = null;
let finish: () => void = () => {};

function tell(report: LoadReport): void {
  process.send?.(report);
}

async function sessionOf(address: Address): Promise<Session> {
  const known = sessions.get(address.variant);
  if (known !== undefined) return known;
  const session = await targets[address.target].connect(address);
  sessions.set(address.variant, session);
  return session;
}

async function obey(command: LoadCommand): Promise<void> {
  if (command.kind === 'finish') return finish();
  if (command.kind === 'prepare') {
    const { address } = command;
    const workload = makeWorkload(command.workload, command.options);
    prepared = { address, workload };
    const session = await sessionOf(address);
    const startedAtMs = performance.now();
    const entries = command.fills ? await workload.prepare(session) : 0;
    return tell({ kind: 'prepared', entries, tookMs: performance.now() - startedAtMs });
  }
  if (prepared === null) throw new Error(`${command.kind} before prepare`);
  const { address, workload } = prepared;
  if (command.kind === 'testify') return tell({ kind: 'testified', evidence: workload.evidence() });
  if (command.kind === 'verify') return tell({ kind: 'verified', faults: await workload.verify(await sessionOf(address), command.evidence) });
  const { run } = command;
  const session = await sessionOf(run.variant === undefined ? address : { ...address, variant: run.variant });
  const asked = new Promise<void>((resolve) => (finish = resolve));
  const result = await runLoop({ ...run, enough: () => (run.measureMs === null ? asked : delay(run.measureMs)), call: () => workload.call(session), measuring: () => tell({ kind: 'measuring' }) });
  tell({ kind: 'measured', result });
}

process.on('message', (command: LoadCommand) => void obey(command).catch((error: Error) => tell({ kind: 'failed', reason: error.stack ?? error.message })));
// Nobody is left to work for.
process.on('disconnect', () => process.exit(0));
