/** What a run leaves behind: everything as JSON, and pictures of it as one page. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Measurement } from '../figures/measure.ts';
import type { Figure } from '../figures/summary.ts';
import type { TargetName } from '../targets/target.ts';
import type { Machine } from '../usage.ts';
import type { WorkloadName } from '../workloads/registry.ts';

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

/** Resolves to the names of the files. */
export function writeReport(directory: string, name: string, report: Report): string[] {
  mkdirSync(directory, { recursive: true });
  const json = path.join(directory, `${name}.json`);
  writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
  return [json];
}
