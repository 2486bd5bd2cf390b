/**
 * Faults that wait for their moment. What a protocol must survive most is what happens between two messages: a vote that
 * is on its way while the voter dies, an outcome that one replica hears of and no other. Blind chance rarely
 * meets such a moment; a fault that a message sets off always does.
 */
import { list, ms, type Fault, type Injection, type Particulars, type Scene, type Site } from './fault.ts';
import type { Random } from '../random.ts';

/** After each of these somebody has promised something, or knows something that nobody else does. */
export const moments = [
  'receive prepare', 'send prepare', 'send vote', 'receive vote', 'send accept', 'receive accept', 'send accepted', 'receive accepted', 'send decide', 'receive decide',
  'send decided', 'receive decided', 'send recover', 'receive recover', 'send promise', 'receive promise', 'send marks', 'receive marks', 'send finished', 'receive claims',
  'receive commit', 'send committed', 'send aborted', 'receive resolve', 'send claims', 'send pulled', 'receive pulled',
] as const;

/** These go to more than one node, so it makes a difference who gets them. */
const spread = ['send prepare', 'send accept', 'send decide', 'send recover', 'send marks', 'send claims'] as const;

const oneNode = (random: Random, { nodes }: Scene): string => random.pick(nodes);

/** Arms it: until its moment comes, or all faults end. */
function wait(site: Site, injection: Injection, action: (host: string) => void): boolean {
  for (const host of injection.on) {
    site.undoAtEnd(site.frames.once(host, injection.moment, () => {
      site.happens(injection);
      action(host);
    }));
  }
  return false;
}

export const momentous: readonly Fault[] = [
  {
    name: 'crash-at-message',
    everyMs: [150, 2_000],
    draw: (random, scene) => ({ on: [oneNode(random, scene)], moment: random.pick(scene.moments ?? moments), amount: random.below(5) }),
    begin: (site, injection) => wait(site, injection, (host) => site.cluster.crashAfter(host, injection.amount, injection.lastsMs)),
    words: ({ on, moment, amount, lastsMs }) => `${list(on)} killed at its next '${moment}', ${amount} effects later; back after ${ms(lastsMs)}`,
  },
  {
    name: 'pause-at-message',
    everyMs: [150, 2_000],
    draw: (random, scene) => ({ on: [oneNode(random, scene)], moment: random.pick(scene.moments ?? moments) }),
    begin: (site, injection) => wait(site, injection, (host) => site.cluster.world.host(host).pause(injection.lastsMs)),
    words: ({ on, moment, lastsMs }) => `${list(on)} stands still after its next '${moment}', for ${ms(lastsMs)}`,
  },
  {
    name: 'cut-at-message',
    everyMs: [150, 2_000],
    draw(random, { nodes, moments: wanted = moments }): Particulars | null {
      const [one, ...others] = random.shuffled(nodes);
      if (one === undefined || others.length === 0) return null;
      const fitting = spread.filter((moment) => (wanted as readonly string[]).includes(moment));
      return { on: [one], against: others.slice(0, 1 + random.below(others.length)).sort(), moment: random.pick(fitting.length > 0 ? fitting : spread) };
    },
    begin: (site, injection) => wait(site, injection, (host) => {
      const { heal } = site.cluster.world.network.partition([host], injection.against, 'one-way');
      site.undoAfter(injection.lastsMs, heal);
    }),
    words: ({ on, against, moment, lastsMs }) => `nothing gets from ${list(on)} to ${list(against)} from its next '${moment}' on, for ${ms(lastsMs)}`,
  },
];
