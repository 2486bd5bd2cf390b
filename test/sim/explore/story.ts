/** What happened, line by line, for people. */
import { tagNames, type Key } from '../../../client/wire/messages.ts';
import { closed, messageItems, welcome } from './queues.ts';
import { Act, actOf, firstOf, secondOf, type Action, type Faults, type State, type World } from './world.ts';

const names: Readonly<Partial<Record<Act, string>>> = {
  [Act.flush]: 'flushes its journal', [Act.wait]: 'has waited for the last votes', [Act.expire]: 'has waited for votes long enough', [Act.handOver]: 'has waited for its proposal long enough',
  [Act.retry]: 'begins its recoveries again', [Act.crash]: 'crashes and starts again', [Act.marks]: 'tells what may be forgotten',
};

/** The actions in words, numbered. They must be possible one after another. From `chosen` on nothing more goes wrong. */
export function story(world: World, faults: Faults, actions: readonly Action[], chosen = actions.length): string {
  let state = world.initial(faults);
  const lines: string[] = [];
  for (const [i, code] of actions.entries()) {
    if (i === chosen) lines.push('     From here on nothing goes wrong any more.');
    lines.push(`${String(i + 1).padStart(3)}. ${line(world, state, code)}`);
    const next = state.slice();
    const fault = world.apply(state, code, next, true);
    if (fault !== null) lines.push(`     ${fault}`);
    state = next;
  }
  return lines.join('\n');
}

function line(world: World, state: State, code: Action): string {
  const { nodes, plans, batches, keys, letters } = world.scope;
  const letter = (key: Key): string => letters[keys.indexOf(key)]!;
  const a = firstOf(code);
  switch (actOf(code)) {
    case Act.start: {
      const parts = world.bodies.parts(secondOf(code)).map(({ plan, versions }) => {
        const { reads, writes } = plans[plan]!;
        const read = reads.map((key, i) => `${letter(key)} of version ${versions[i]}`).join(' and ');
        return `T${plan + 1}, which ${read === '' ? '' : `has read ${read} and `}writes ${writes.map((key) => letter(key)).join(' and ')}`;
      });
      return `${nodes[plans[batches[a]![0]!]!.coordinator]} begins ${parts.join(', together with ')}`;
    }
    case Act.deliver: {
      const [from, to] = world.links[a]!;
      const item = world.queues.head(state[world.queueOf(from, to)]!);
      if (item === closed) return `${nodes[to]} notices that its session with ${nodes[from]} is closed`;
      if (item === welcome) return `${nodes[to]} has a new session with ${nodes[from]}`;
      const [tag, ...fields] = world.messages.get(item - messageItems).message;
      return `${nodes[to]} hears ${tagNames.get(tag)} of ${nodes[from]}: ${JSON.stringify(fields)}`;
    }
    case Act.connect:
    case Act.break: {
      const [b, c] = world.pairs[a]!;
      return actOf(code) === Act.break ? `the session of ${nodes[b]} and ${nodes[c]} breaks` : `${nodes[b]} dials ${nodes[c]}`;
    }
    case Act.ask:
      return `a client asks ${nodes[a]} what became of T${secondOf(code) + 1}`;
    case Act.recover:
      return `${nodes[a]} recovers T${secondOf(code) + 1}`;
    default:
      return `${nodes[a]} ${names[actOf(code)]}`;
  }
}
