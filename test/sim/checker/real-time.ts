/**
 * The order of real time, with few edges.
 *
 * "a completed before b was invoked" holds for nearly all pairs of a long history, which would be a quadratic number of edges. It is transitive, so
 * it is enough to link b to the *frontier* at its invocation: those completed operations that no other completed operation follows. When b
 * completes, it takes the place of the part of the frontier that was there when it began. The frontier's members overlap one another, so it is
 * never larger than the number of operations that were open at once: n operations of p processes make at most n * p edges.
 *
 * Reference: Kingsbury & Alvaro, "Elle", VLDB 2020 (real-time order, transitive reduction).
 */

export interface Interval {
  readonly invokedAt: number;
  /** Infinity where nothing is known to come after it. */
  readonly completedAt: number;
}

/** Calls `edge` with positions in `intervals`. Its transitive closure is the real-time order. */
export function linkRealTime(intervals: readonly Interval[], edge: (from: number, to: number) => void): void {
  const positions = [...intervals.keys()];
  const byInvocation = [...positions].sort((a, b) => intervals[a]!.invokedAt - intervals[b]!.invokedAt);
  const byCompletion = positions
    .filter((position) => intervals[position]!.completedAt !== Number.POSITIVE_INFINITY)
    .sort((a, b) => intervals[a]!.completedAt - intervals[b]!.completedAt);
  const followed = new Map<number, readonly number[]>();
  const frontier = new Set<number>();
  let completions = 0;
  for (const invoked of byInvocation) {
    const { invokedAt } = intervals[invoked]!;
    // Only what completed strictly before: an equal time leaves the two unordered.
    for (; completions < byCompletion.length; completions += 1) {
      const completed = byCompletion[completions]!;
      if (intervals[completed]!.completedAt >= invokedAt) break;
      for (const former of followed.get(completed) ?? []) frontier.delete(former);
      followed.delete(completed);
      frontier.add(completed);
    }
    for (const former of frontier) edge(former, invoked);
    if (intervals[invoked]!.completedAt !== Number.POSITIVE_INFINITY) followed.set(invoked, [...frontier]);
  }
}
