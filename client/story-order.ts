/**
 * One story from several nodes' events, no effect before its cause.
 *
 * What is certain: each node's events are in their order, and a message is received after it was sent. That is Lamport's
 * happened-before ("Time, Clocks, and the Ordering of Events", 1978), a partial order. Among all orders that keep it, the
 * one is taken that follows the clocks: of the events whose causes have all been told, always the earliest is next.
 *
 * Clocks of different machines differ, so first they are compared. A message from A to B shows that B's clock is ahead by
 * at most (received at B - sent at A), one from B to A by at least (sent at B - received at A), as in NTP. Where that leaves
 * room for no difference, the clock is believed; where not, it is set right by the middle of what is possible.
 */
import type { StoryEvent } from './story.ts';

export interface NodeEvents {
  readonly node: string;
  /** In the order in which they happened there. */
  readonly events: readonly StoryEvent[];
}

export interface Ordered {
  readonly events: StoryEvent[];
  /** By how much each node's clock is ahead of the reference's. */
  readonly aheadMs: ReadonlyMap<string, number>;
}

interface Step {
  readonly event: StoryEvent;
  /** The sending of what is received here, if it is known. */
  cause: Step | undefined;
}

interface Lane {
  readonly node: string;
  readonly steps: readonly Step[];
}

/** `reference`: by whose clock the others are set right; the first node's that tells anything if it tells nothing. */
export function inOrder(reference: string, told: readonly NodeEvents[]): Ordered {
  const lanes: Lane[] = told.filter(({ events }) => events.length > 0).map(({ node, events }) => ({ node, steps: events.map((event) => ({ event, cause: undefined })) }));
  link(lanes);
  const standard = lanes.find(({ node }) => node === reference) ?? lanes[0];
  const aheadMs = new Map(lanes.map((lane) => [lane.node, standard === undefined || lane === standard ? 0 : aheadOf(lane, standard)]));
  return { events: merge(lanes, aheadMs).map(({ event }) => ({ ...event, atMs: event.atMs - (aheadMs.get(event.node) ?? 0) })), aheadMs };
}

/** Of equal messages from one node to another the nth received is taken for the nth sent; if some were lost in between, it was sent even later. */
function link(lanes: readonly Lane[]): void {
  const sent = new Map<string, Step[]>();
  for (const { node, steps } of lanes) {
    for (const step of steps) {
      if (step.event.what !== 'sent') continue;
      const name = courseOf(node, step.event.peer, step.event);
      const others = sent.get(name);
      if (others === undefined) sent.set(name, [step]);
      else others.push(step);
    }
  }
  for (const { node, steps } of lanes) {
    for (const step of steps) if (step.event.what === 'received') step.cause = sent.get(courseOf(step.event.peer, node, step.event))?.shift();
  }
}

function courseOf(from: string | undefined, to: string | undefined, { message, round }: StoryEvent): string {
  return `${from} ${to} ${message} ${round}`;
}

function aheadOf(lane: Lane, standard: Lane): number {
  let atLeast = Number.NEGATIVE_INFINITY;
  let atMost = Number.POSITIVE_INFINITY;
  for (const { event, cause } of lane.steps) if (cause?.event.node === standard.node) atMost = Math.min(atMost, event.atMs - cause.event.atMs);
  for (const { event, cause } of standard.steps) if (cause?.event.node === lane.node) atLeast = Math.max(atLeast, cause.event.atMs - event.atMs);
  if (atLeast <= 0 && atMost >= 0) return 0;
  if (!Number.isFinite(atLeast)) return atMost;
  return Number.isFinite(atMost) ? (atLeast + atMost) / 2 : atLeast;
}

function merge(lanes: readonly Lane[], aheadMs: ReadonlyMap<string, number>): Step[] {
  const heads = lanes.map(({ node, steps }) => ({ steps, at: 0, aheadMs: aheadMs.get(node) ?? 0 }));
  const told = new Set<Step>();
  for (;;) {
    let next: (typeof heads)[number] | undefined;
    let nextAtMs = 0;
    let nextIsFree = false;
    for (const head of heads) {
      const step = head.steps[head.at];
      if (step === undefined) continue;
      const atMs = step.event.atMs - head.aheadMs;
      const isFree = step.cause === undefined || told.has(step.cause);
      // Where the memory of a sender has gaps nothing may be free: then the clocks alone decide.
      if (next !== undefined && (isFree === nextIsFree ? atMs >= nextAtMs : nextIsFree)) continue;
      next = head;
      nextAtMs = atMs;
      nextIsFree = isFree;
    }
    if (next === undefined) return [...told];
    told.add(next.steps[next.at++] as Step);
  }
}
