/** A plan as a person would tell it. */
import { faults } from '../faults/registry.ts';
import type { Injection } from '../faults/fault.ts';
import type { Routing } from '../wilful.ts';
import { clientName } from './clients.ts';
import { crowdName } from './crowds.ts';
import type { Plan } from './plan.ts';

export function injectionInWords(injection: Injection): string {
  return `at ${injection.atMs} ms ${injection.fault}: ${faults.get(injection.fault)?.words(injection) ?? 'unknown'}`;
}

export function shapeInWords({ workload, shape, protocols, clients, passerByPauseMs, crowds, durationMs }: Plan): string {
  const operations = clients.reduce((sum, client) => sum + client.operations, 0);
  return [
    `${workload} on ${count(shape.nodes, 'node')}`, `${count(shape.replicationFactor, 'replica')} of ${count(shape.partitions, 'partition')}`,
    `${count(clients.length, 'client')} with ${count(operations, 'operation')}${passerByPauseMs === null ? '' : ' and a passer-by'}${crowds.length === 0 ? '' : ` and ${count(crowds.length, 'crowd')} of ${crowds.map(({ size }) => size).join(' and ')}`}`, `${durationMs} ms`, protocols.join(' and '),
  ].join(', ');
}

/** How often each class is in the plan. */
export function classesInWords({ injections }: Plan): string {
  const counts = new Map<string, number>();
  for (const { fault } of injections) counts.set(fault, (counts.get(fault) ?? 0) + 1);
  return counts.size === 0 ? 'no faults' : [...counts].map(([fault, times]) => `${fault} ×${times}`).join(', ');
}

/** All of it, a line each. */
export function planInWords(plan: Plan): string[] {
  return [shapeInWords(plan), `settings: ${JSON.stringify({ ...plan.shape.timing, ...plan.shape.store, ...plan.shape.healing, ...plan.shape.sizes })}`, `conditions: ${JSON.stringify(plan.conditions)}`, ...reachInWords(plan), ...routingInWords(plan), ...cachesInWords(plan), ...plan.injections.map(injectionInWords)];
}

function reachInWords({ clients }: Plan): string[] {
  return clients.filter(({ turnedAwayBy }) => turnedAwayBy.length > 0).map(({ number, turnedAwayBy }) => `client c${number} can't connect to ${turnedAwayBy.join(', ')}`);
}

const routings: Record<Routing, string> = { led: 'goes where all go', own: 'goes to the first live replica of an order of its own', any: 'goes to another replica each time' };

function routingInWords({ clients, crowds }: Plan): string[] {
  const all = [...clients.map(({ number, routing }) => [clientName(number), routing] as const), ...crowds.map(({ number, routing }) => [crowdName(number), routing] as const)];
  return all.filter(([, routing]) => routing !== 'led').map(([name, routing]) => `client ${name} ${routings[routing]}`);
}

function cachesInWords({ clients }: Plan): string[] {
  return clients.some(({ cacheBytes }) => cacheBytes > 0) ? [`clients keep ${Math.max(...clients.map(({ cacheBytes }) => cacheBytes))} bytes of what they have read and written`] : [];
}

export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
