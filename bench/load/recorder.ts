/** What is kept of the calls of one measurement. */
import type { Histogram } from 'hdr-histogram-js';
import { decode, encode, latencies, longestMs, merged, percentileMs, record } from './histogram.ts';

export const slotMs = 100;

/** A tenth of a second: what came to an end in it. */
export interface Slot {
  /** Tenths of a second since 1970, so that slots of several processes can be laid over one another. */
  readonly number: number;
  readonly calls: number;
  readonly errors: number;
  /** Encoded, with two digits. */
  readonly histogram: string;
}

export interface LoopResult {
  /** Calls that succeeded within the measured time. */
  readonly calls: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly longestMs: number;
  /** The longest time in which one caller had no success; of an open loop, in which none of the calls had. */
  readonly longestPauseMs: number;
  /** Attempts beyond the first of each call. */
  readonly retries: number;
  readonly errors: Readonly<Record<string, number>>;
  /** Of all latencies, encoded. */
  readonly histogram: string;
  /** Only if asked for. */
  readonly slots: readonly Slot[];
}

interface OpenSlot {
  calls: number;
  errors: number;
  readonly histogram: Histogram;
}

const epochMs = (): number => performance.timeOrigin + performance.now();

export class Recorder {
  readonly #histogram = latencies();
  readonly #errors: Record<string, number> = {};
  readonly #slots: Map<number, OpenSlot> | null;
  #longestPauseMs = 0;

  constructor({ slots }: { readonly slots: boolean }) {
    this.#slots = slots ? new Map() : null;
  }

  succeeded(tookMs: number, sinceLastSuccessMs: number): void {
    record(this.#histogram, tookMs);
    this.#longestPauseMs = Math.max(this.#longestPauseMs, sinceLastSuccessMs);
    const slot = this.#slot();
    if (slot === null) return;
    slot.calls++;
    record(slot.histogram, tookMs);
  }

  failed(code: string): void {
    this.#errors[code] = (this.#errors[code] ?? 0) + 1;
    const slot = this.#slot();
    if (slot !== null) slot.errors++;
  }

  result(tookMs: number, retries: number): LoopResult {
    const histogram = this.#histogram;
    const slots = [...(this.#slots ?? [])].map(([number, slot]): Slot => ({ number, calls: slot.calls, errors: slot.errors, histogram: encode(slot.histogram) }));
    return { calls: histogram.totalCount, perSecond: histogram.totalCount / (tookMs / 1_000), ...percentilesOf(histogram), longestPauseMs: this.#longestPauseMs, retries, errors: this.#errors, histogram: encode(histogram), slots };
  }

  #slot(): OpenSlot | null {
    if (this.#slots === null) return null;
    const number = Math.floor(epochMs() / slotMs);
    let slot = this.#slots.get(number);
    if (slot === undefined) this.#slots.set(number, (slot = { calls: 0, errors: 0, histogram: latencies(2) }));
    return slot;
  }
}

function percentilesOf(histogram: Histogram): Pick<LoopResult, 'p50Ms' | 'p99Ms' | 'longestMs'> {
  return { p50Ms: percentileMs(histogram, 50), p99Ms: percentileMs(histogram, 99), longestMs: longestMs(histogram) };
}

/** Of several processes that measured at the same time: rates add up, latencies are those of all calls. */
export function mergeResults(results: readonly LoopResult[]): LoopResult {
  const [first] = results;
  if (first !== undefined && results.length === 1) return first;
  const histogram = merged(results.map((result) => result.histogram));
  const errors: Record<string, number> = {};
  for (const result of results) for (const [code, count] of Object.entries(result.errors)) errors[code] = (errors[code] ?? 0) + count;
  const sum = (of: (result: LoopResult) => number): number => results.reduce((total, result) => total + of(result), 0);
  return {
    calls: histogram.totalCount, perSecond: sum(({ perSecond }) => perSecond), ...percentilesOf(histogram), longestPauseMs: Math.max(...results.map(({ longestPauseMs }) => longestPauseMs)),
    retries: sum(({ retries }) => retries), errors, histogram: encode(histogram), slots: mergeSlots(results.flatMap(({ slots }) => slots)),
  };
}

/** In the order of time, each number once. */
export function mergeSlots(slots: readonly Slot[]): Slot[] {
  const byNumber = new Map<number, Slot[]>();
  for (const slot of slots) byNumber.set(slot.number, [...(byNumber.get(slot.number) ?? []), slot]);
  return [...byNumber].sort(([a], [b]) => a - b).map(([number, same]) => ({
    number,
    calls: same.reduce((sum, { calls }) => sum + calls, 0),
    errors: same.reduce((sum, { errors }) => sum + errors, 0),
    histogram: same.length === 1 ? (same[0] as Slot).histogram : encode(merged(same.map(({ histogram }) => histogram), 2)),
  }));
}

/** What came to an end in whole slots between two moments since 1970. */
export function inWindow(slots: readonly Slot[], fromMs: number, toMs: number): { calls: number; errors: number; seconds: number; histogram: Histogram } {
  const [from, to] = [Math.ceil(fromMs / slotMs), Math.floor(toMs / slotMs)];
  const histogram = latencies(2);
  let [calls, errors] = [0, 0];
  for (const slot of slots) {
    if (slot.number < from || slot.number >= to) continue;
    calls += slot.calls;
    errors += slot.errors;
    histogram.add(decode(slot.histogram));
  }
  return { calls, errors, seconds: (Math.max(0, to - from) * slotMs) / 1_000, histogram };
}
