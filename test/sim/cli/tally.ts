/** What many runs come to: counts, rates, and the line that shows that they go on. */
import { count } from '../plan/words.ts';
import type { Summary } from './summary.ts';

const msPerHour = 3_600_000;
const msPerMinute = 60_000;

export class Tally {
  readonly #wanted: number;
  readonly #nowMs: () => number;
  readonly #startedMs: number;
  readonly #injected = new Map<string, number>();
  readonly #workloads = new Map<string, number>();
  #runs = 0;
  #failed = 0;
  #virtualMs = 0;
  #operations = 0;
  readonly #outcomes = { ok: 0, failed: 0, unknown: 0 };
  #observations = 0;
  #replaced = 0;
  #slowest: { seed: string; healedMs: number } | null = null;

  /** `nowMs`: real time. */
  constructor(wanted: number, nowMs: () => number) {
    this.#wanted = wanted;
    this.#nowMs = nowMs;
    this.#startedMs = nowMs();
  }

  add({ seed, workload, failures, virtualMs, healedMs, operations, outcomes, observations, injected, replaced }: Summary): void {
    this.#runs++;
    if (failures.length > 0) this.#failed++;
    this.#virtualMs += virtualMs;
    this.#operations += operations;
    for (const outcome of ['ok', 'failed', 'unknown'] as const) this.#outcomes[outcome] += outcomes[outcome];
    this.#observations += observations;
    this.#replaced += replaced;
    this.#workloads.set(workload, (this.#workloads.get(workload) ?? 0) + 1);
    for (const [fault, times] of Object.entries(injected)) this.#injected.set(fault, (this.#injected.get(fault) ?? 0) + times);
    if (healedMs !== null && healedMs > (this.#slowest?.healedMs ?? 0)) this.#slowest = { seed, healedMs };
  }

  get failed(): number {
    return this.#failed;
  }

  /** How far it is, on one line. */
  get progress(): string {
    const faults = [...this.#injected.values()].reduce((sum, times) => sum + times, 0);
    return `${this.#runs} of ${count(this.#wanted, 'seed')}, ${this.#rates}, ${count(faults, 'fault')}${this.#failed > 0 ? `, ${this.#failed} failed` : ''}`;
  }

  get lines(): string[] {
    const byCount = (counts: Map<string, number>): string => [...counts].sort((a, b) => b[1] - a[1]).map(([name, times]) => `${name} ${times}`).join(', ') || 'none';
    const seconds = ((this.#nowMs() - this.#startedMs) / 1_000).toFixed(1);
    return [
      `${count(this.#runs, 'seed')} in ${seconds} s: ${this.#rates}`,
      `${count(this.#operations, 'operation')} (${this.#outcomes.ok} ok, ${this.#outcomes.failed} failed, ${this.#outcomes.unknown} unknown), ${count(this.#observations, 'observation')}${this.#slowest === null ? '' : `; slowest to heal: seed ${this.#slowest.seed}, ${(this.#slowest.healedMs / 1_000).toFixed(1)} s of virtual time`}`,
      `workloads: ${byCount(this.#workloads)}`,
      `faults: ${byCount(this.#injected)}${this.#replaced === 0 ? '' : `; ${count(this.#replaced, 'node')} replaced after bit rot`}`,
      this.#failed === 0 ? 'no seed failed' : `${count(this.#failed, 'seed')} failed`,
    ];
  }

  get #rates(): string {
    const elapsedMs = Math.max(1, this.#nowMs() - this.#startedMs);
    const hours = (this.#virtualMs / msPerHour) / (elapsedMs / msPerMinute);
    return `${(this.#runs / (elapsedMs / 1_000)).toFixed(1)} seeds/s, ${hours.toFixed(1)} virtual hours a minute`;
  }
}
