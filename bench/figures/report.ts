/** What a run of figures leaves behind. */
import type { TargetName } from '../targets/target.ts';
import type { Machine } from '../usage.ts';
import type { WorkloadName } from '../workloads/registry.ts';
import type { Measurement } from './measure.ts';
import type { Figure } from './summary.ts';

export interface Report {
  /** Of this file. */
  readonly format: 1;
  readonly kind: 'figures';
  readonly machine: Machine;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly targets: readonly { readonly name: TargetName; readonly title: string; readonly promise: string; readonly version: string; readonly settings: Readonly<Record<string, string | number | boolean>> }[];
  /** Bulk loads. */
  readonly fills: readonly { readonly target: TargetName; readonly workload: WorkloadName; readonly round: number; readonly entries: number; readonly tookMs: number }[];
  readonly figures: readonly Figure[];
  readonly measurements: readonly Measurement[];
  readonly faults: readonly string[];
}
