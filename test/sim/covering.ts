/** A few seeds that together have as much as can be had of everything: each workload with each fault, on each size of cluster. */
import { drawPlan, type Plan } from './plan/plan.ts';

/** Chosen among the first so many. */
const candidatesMax = 500;

/** Always the next one that adds the most of what is missing (the greedy answer to set cover). */
export function coveringSeeds(count: number): number[] {
  const left = new Map(Array.from({ length: candidatesMax }, (_, i) => [i + 1, featuresOf(drawPlan({ seed: i + 1 }))]));
  const covered = new Set<string>();
  const chosen: number[] = [];
  while (chosen.length < count && left.size > 0) {
    let best = { seed: 0, gain: -1 };
    for (const [seed, features] of left) {
      const gain = features.filter((feature) => !covered.has(feature)).length;
      if (gain > best.gain) best = { seed, gain };
    }
    for (const feature of left.get(best.seed) ?? []) covered.add(feature);
    left.delete(best.seed);
    chosen.push(best.seed);
  }
  return chosen.sort((a, b) => a - b);
}

export function featuresOf({ workload, shape, conditions, protocols, injections }: Plan): string[] {
  const features = [`workload ${workload}`, `${workload} on ${shape.nodes} nodes`, `${shape.replicationFactor} replicas of ${shape.nodes}`, `${shape.partitions} partitions`, `protocols ${protocols.join(' and ')}`];
  const settings = [...Object.entries(shape.timing), ...Object.entries(shape.store), ...Object.entries(conditions.network), ...Object.entries(conditions.disk)];
  for (const [name, value] of settings) features.push(`${name} ${JSON.stringify(value)}`);
  for (const { fault, moment } of injections) features.push(`fault ${fault}`, `${workload} with ${fault}`, ...(moment === '' ? [] : moment.split(', ').map((step) => `at ${step}`)));
  return [...new Set(features)];
}
