/**
 * Partial-order reduction (Godefroid 1996), as far as it is simple: an action that commutes with all that may happen before
 * it, now and later, and that nobody can tell from outside, need not be tried at every place. It is done at once,
 * and nothing else is tried beside it.
 *
 *   A reply that changes nothing will never change anything: what it replies to is over. Nor will an outcome that is known.
 *   They may as well be heard now, or be lost.
 *
 *   Where nothing can go wrong any more, acknowledgements of outcomes are only counted, but for the one that a client waits for. So they are heard at once, and a
 *   flush that lets nothing else out than these, and makes nothing be forgotten, is done at once.
 *
 * So the same quiet states are come to as without, which a test compares.
 *
 * One more is a bound, not a reduction: a *prompt* disk, where no crash can come any more, flushes at once what only others
 * wait for. What this leaves out: that a message said without waiting for the disk overtakes one that waits for it.
 */
import { Tag, UNDECIDED } from '../../../client/wire/messages.ts';
import { event, Kind } from './machine.ts';
import { messageItems } from './queues.ts';
import { Act, action, type Action, type State, type World } from './world.ts';

/** The one action to be tried here; null if there is none like that. */
export function urgentAction(world: World, state: State, promptDisk: boolean): Action | null {
  const isSafe = nothingCanBreak(world, state);
  for (let link = 0; link < world.links.length; link++) {
    const [from, to] = world.links[link]!;
    const number = world.queues.head(state[world.queueOf(from, to)]!) - messageItems;
    if (number < 0) continue;
    const isCounted = isSafe && world.messages.tagOf(number) === Tag.decided;
    if (!isCounted && !isForGoodIfIdle(world, state, to, number)) continue;
    const { next, sends, facts, fault } = world.machines[to]!.step(state[to]!, event(Kind.deliver, from, number));
    if (fault === null && (isCounted || next === state[to]) && sends.length === 0 && facts.length === 0) return action(Act.deliver, link);
  }
  const mayCrash = world.left(state, 'crashes') > 0;
  for (let node = 0; node < world.machines.length; node++) {
    const { hasVolatile, flushForgets } = world.view(state, node);
    if (mayCrash || !hasVolatile || flushForgets) continue;
    const { sends, inward, fault } = world.machines[node]!.step(state[node]!, event(Kind.flush));
    if (fault !== null || inward) continue;
    if (promptDisk || (isSafe && sends.every((item, i) => i % 2 === 0 || world.messages.tagOf(item) === Tag.decided))) return action(Act.flush, node);
  }
  return null;
}

/**
 * If hearing this message now changes nothing, is that so for ever? Replies to a coordinator: yes. Replies to a recoverer: unless it
 * begins again, with ballots that it has used, for its own sake or for that of a part of its batch. Outcomes: if they are known here, and no crash takes that away.
 */
function isForGoodIfIdle(world: World, state: State, to: number, number: number): boolean {
  const { voting, proposing, recovering } = world.view(state, to);
  switch (world.messages.audienceOf(number)) {
    case 'coordinator':
      return true;
    case 'recoverer':
      return world.left(state, 'recoveries') === 0 && world.left(state, 'asks') === 0 && voting === 0 && proposing === 0 && (recovering & matesOf(world, world.messages.planOf(number))) === 0;
    case 'everybody':
      return world.left(state, 'crashes') === 0 && world.view(state, to).outcomes[world.messages.planOf(number)] !== UNDECIDED;
    default:
      return false;
  }
}

/** Bit by plan: those that travel together with it. */
const matesOf = ({ scope: { plans, batches } }: World, plan: number): number => batches[plans[plan]!.batch]!.reduce((mask, mate) => (mate === plan ? mask : mask | (1 << mate)), 0);

/** No faults are left that lose anything, and all are connected and know it. */
function nothingCanBreak(world: World, state: State): boolean {
  if (world.left(state, 'crashes') > 0 || world.left(state, 'breaks') > 0 || world.left(state, 'marks') > 0) return false;
  const all = (1 << world.machines.length) - 1;
  for (let node = 0; node < world.machines.length; node++) if ((world.view(state, node).up | (1 << node)) !== all) return false;
  for (const [from, to] of world.links) {
    const head = world.queues.head(state[world.queueOf(from, to)]!);
    if (head >= 0 && head < messageItems) return false;
  }
  return true;
}
