/**
 * Every state that can be come to, each once: depth first, with the states seen kept as fingerprints.
 *
 * Where there are too many, the search is bounded by delays (Emmi, Qadeer and Rakamaric, "Delay-Bounded Scheduling", POPL
 * 2011): a deterministic scheduler goes round the channels (a node's flushes, a session's one direction, ...) and empties each
 * before it goes on; putting off what it would do next costs one delay, and each run has so many of them. Most mistakes
 * need few. Faults are bounded by themselves and cost no delay.
 */
import { ABORT, UNDECIDED } from '../../../client/wire/messages.ts';
import { Fingerprints } from './fingerprints.ts';
import { Settling } from './settle.ts';
import { urgentAction } from './urgent.ts';
import { Act, actOf, firstOf, searchWords, type Action, type Faults, type State, type World } from './world.ts';

export interface Bounds {
  readonly faults: Faults;
  /** Null: all orders. */
  readonly delays: number | null;
  /** Where no crash can come any more, what only others wait for is flushed at once (see urgent.ts). */
  readonly promptDisk: boolean;
  /** Leave out orders that come to the same (see urgent.ts). */
  readonly reduced: boolean;
}

export interface Violation {
  readonly fault: string;
  readonly actions: readonly Action[];
  /** How many of them were chosen by the search; the others followed to see that all comes to an end. */
  readonly chosen: number;
}

export interface Report {
  states: number;
  transitions: number;
  deepest: number;
  /** States in which nothing was under way, from each of which it was seen that all comes to an end. */
  quiet: number;
  /** Outcomes of the transactions in quiet states, and in how many of them. */
  readonly outcomes: Map<string, number>;
  /** `cut`: by whoever searches, who did not go on. */
  end: 'exhausted' | 'cut' | 'violation';
  violation: Violation | null;
}

interface Frame {
  readonly state: State;
  readonly actions: Action[];
  /** For each action the scheduler's next place, and the delays left. */
  readonly cursors: number[];
  readonly delays: number[];
  at: number;
}

/** So many transitions take some milliseconds. */
const pauseEvery = 4_096;

/** Pauses now and then, with what is known by then; whoever has enough does not go on. */
export function* search(world: World, bounds: Bounds): Generator<Report, Report> {
  const seen = new Fingerprints();
  const settling = new Settling(world);
  const report: Report = { states: 1, transitions: 0, deepest: 0, quiet: 0, outcomes: new Map(), end: 'cut', violation: null };
  const frames: Frame[] = [];
  const frameAt = (depth: number): Frame => (frames[depth] ??= { state: new Int32Array(world.length), actions: [], cursors: [], delays: [], at: 0 });
  const path = (depth: number): Action[] => frames.slice(0, depth + 1).map(({ actions, at }) => actions[at - 1]!);
  const found = (fault: string, chosen: Action[], then: Action[] = []): Report => (
    Object.assign(report, { end: 'violation', violation: { fault, actions: [...chosen, ...then], chosen: chosen.length } }));

  let depth = 0;
  const first = frameAt(0);
  first.state.set(world.initial(bounds.faults));
  first.state[world.length - 1] = bounds.delays ?? 0;
  seen.add(first.state);
  choose(world, first, bounds);
  while (depth >= 0) {
    const frame = frames[depth]!;
    if (frame.at === frame.actions.length) {
      depth--;
      continue;
    }
    const next = frameAt(depth + 1);
    const at = frame.at++;
    const fault = world.apply(frame.state, frame.actions[at]!, next.state);
    report.transitions++;
    if (fault !== null) return found(fault, path(depth));
    if (report.transitions % pauseEvery === 0) yield report;
    next.state[world.length - searchWords] = frame.cursors[at]!;
    next.state[world.length - 1] = frame.delays[at]!;
    if (!seen.add(next.state)) continue;
    report.states = seen.size;
    depth++;
    if (depth > report.deepest) report.deepest = depth;
    if (!choose(world, next, bounds)) continue;
    note(world, next.state, report);
    const trouble = settling.settle(next.state);
    report.quiet = settling.count;
    if (trouble !== null) return found(trouble.fault, path(depth - 1), trouble.actions);
  }
  report.end = 'exhausted';
  return report;
}

/** Fills in what may happen next. Says whether nothing is under way. */
function choose(world: World, frame: Frame, { delays: delaysMax, promptDisk, reduced }: Bounds): boolean {
  const { state, actions, cursors, delays } = frame;
  frame.at = 0;
  actions.length = cursors.length = delays.length = 0;
  const bounded = delaysMax !== null;
  const cursor = state[world.length - searchWords]!;
  const left = state[world.length - 1]!;
  const urgent = reduced ? urgentAction(world, state, promptDisk) : null;
  if (urgent !== null) {
    actions.push(urgent);
    cursors.push(cursor);
    delays.push(left);
    return false;
  }
  world.ordinaryActions(state, actions);
  const isQuiet = actions.every((code) => actOf(code) === Act.start);
  const ordinary = actions.length;
  if (bounded) putOff(world, frame, cursor, left);
  world.timerActions(state, actions);
  // A timer that fires while something else could happen comes early, and that is a delay of the rest.
  if (bounded && ordinary > 0 && left === 0) actions.length = cursors.length;
  for (let i = cursors.length; i < actions.length; i++) {
    cursors.push(cursor);
    delays.push(bounded && ordinary > 0 ? left - 1 : left);
  }
  world.faultActions(state, actions);
  while (cursors.length < actions.length) {
    cursors.push(cursor);
    delays.push(left);
  }
  return isQuiet;
}

/** Keeps of the ordinary actions those that the delays left allow: the scheduler's own choice, and the ones after it at a delay each. */
function putOff(world: World, { actions, cursors, delays }: Frame, cursor: number, left: number): void {
  const byChannel = actions.map((code) => ({ code, channel: channelOf(world, code) })).sort((a, b) => a.channel - b.channel);
  const from = Math.max(0, byChannel.findIndex(({ channel }) => channel >= cursor));
  const round = [...byChannel.slice(from), ...byChannel.slice(0, from)];
  actions.length = 0;
  let delay = -1;
  let last = -1;
  for (const { code, channel } of round) {
    if (channel !== last) delay++;
    last = channel;
    if (delay > left) break;
    actions.push(code);
    cursors.push(channel);
    delays.push(left - delay);
  }
}

function channelOf({ scope: { nodes, batches }, links }: World, code: Action): number {
  switch (actOf(code)) {
    case Act.start:
      return firstOf(code);
    case Act.flush:
      return batches.length + firstOf(code);
    case Act.deliver:
      return batches.length + nodes.length + firstOf(code);
    default:
      return batches.length + nodes.length + links.length + firstOf(code);
  }
}

function note(world: World, state: State, { outcomes }: Report): void {
  const text = world.scope.batches.map(([plan]) => {
    if (plan === undefined) return '';
    const decision = world.decisionOf(state, plan);
    const outcome = decision === UNDECIDED ? 'undecided' : decision === ABORT ? 'aborted' : 'committed';
    return world.isBegun(state, plan) ? outcome : 'not begun';
  }).join(', ');
  outcomes.set(text, (outcomes.get(text) ?? 0) + 1);
}
