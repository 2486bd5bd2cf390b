/** What networks do: parts of them don't reach other parts, connections break or only seem to live, links slow down. */
import { list, ms, twoSides, type Fault, type Injection, type Scene, type Site } from './fault.ts';
import type { Random } from '../random.ts';

const everyone = ({ nodes, clients }: Scene): string[] => [...nodes, ...clients];

function part(site: Site, { on, against, lastsMs }: Injection, direction: 'both' | 'one-way' = 'both'): boolean {
  const { heal } = site.cluster.world.network.partition(on, against, direction);
  site.undoAfter(lastsMs, heal);
  return true;
}

/** Two hosts, in any order, that talk to each other: one of them is a node. */
const pair = (random: Random, scene: Scene): { on: string[]; against: string[] } | null => {
  const node = random.pick(scene.nodes);
  const others = everyone(scene).filter((host) => host !== node);
  if (others.length === 0) return null;
  const [on, against] = random.shuffled([node, random.pick(others)]) as [string, string];
  return { on: [on], against: [against] };
};

/** A node and all the others. */
const oneAndOthers = (random: Random, { nodes }: Scene): { on: string[]; against: string[] } | null => {
  const [one, ...others] = random.shuffled(nodes);
  return one === undefined || others.length === 0 ? null : { on: [one], against: others.sort() };
};

/** Changes the link from the one to the other for a while. */
function disturbLink(site: Site, { on: [from], against: [to], lastsMs }: Injection, change: (link: ReturnType<Site['cluster']['world']['network']['link']>) => () => void): boolean {
  site.undoAfter(lastsMs, change(site.cluster.world.network.link(from as string, to as string)));
  return true;
}

export const connections: readonly Fault[] = [
  {
    name: 'partition',
    everyMs: [300, 4_000],
    draw: (random, scene) => twoSides(random, everyone(scene)),
    begin: (site, injection) => part(site, injection),
    words: ({ on, against, lastsMs }) => `${list(on)} parted from ${list(against)} for ${ms(lastsMs)}`,
  },
  {
    name: 'one-way-partition',
    everyMs: [300, 4_000],
    draw: (random, scene) => (random.chance(0.5) ? pair(random, scene) : twoSides(random, everyone(scene))),
    begin: (site, injection) => part(site, injection, 'one-way'),
    words: ({ on, against, lastsMs }) => `nothing gets from ${list(on)} to ${list(against)} for ${ms(lastsMs)}`,
  },
  {
    name: 'isolate',
    everyMs: [500, 4_000],
    draw: oneAndOthers,
    begin: (site, injection) => part(site, injection),
    words: ({ on, lastsMs }) => `${list(on)} parted from all other nodes, but not from clients, for ${ms(lastsMs)}`,
  },
  {
    name: 'bridge',
    everyMs: [500, 4_000],
    draw: (random, { nodes }) => (nodes.length < 3 ? null : twoSides(random, random.shuffled(nodes).slice(1))),
    begin: (site, injection) => part(site, injection),
    words: ({ on, against, lastsMs }) => `${list(on)} parted from ${list(against)} for ${ms(lastsMs)}; one node reaches both`,
  },
  {
    name: 'clog',
    everyMs: [200, 2_000],
    draw: pair,
    begin: (site, injection) => part(site, { ...injection, lastsMs: injection.lastsMs / 5 }, 'one-way'),
    words: ({ on, against, lastsMs }) => `the link from ${list(on)} to ${list(against)} clogged for ${ms(lastsMs / 5)}`,
  },
  {
    name: 'reset',
    everyMs: [200, 2_000],
    draw: pair,
    begin({ cluster: { world } }, { on: [one], against: [other] }) {
      world.network.reset(one as string, other as string);
      return true;
    },
    words: ({ on, against }) => `connections between ${list(on)} and ${list(against)} reset`,
  },
  {
    name: 'half-open',
    everyMs: [300, 3_000],
    draw: pair,
    begin({ cluster: { world } }, { on: [ended], against: [deceived] }) {
      world.network.halfOpen(ended as string, deceived as string);
      return true;
    },
    words: ({ on, against }) => `connections between ${list(on)} and ${list(against)} lost, and ${list(against)} does not hear of it`,
  },
  {
    name: 'refuse',
    everyMs: [500, 4_000],
    draw: (random, { nodes }) => ({ on: [random.pick(nodes)] }),
    begin(site, { on: [host], lastsMs }) {
      site.undoAfter(lastsMs, site.cluster.world.network.refuse(host as string).heal);
      return true;
    },
    words: ({ on, lastsMs }) => `${list(on)} turns new connections away for ${ms(lastsMs)}`,
  },
  {
    name: 'slow-link',
    everyMs: [300, 4_000],
    draw: (random, scene) => {
      const ends = pair(random, scene);
      return ends === null ? null : { ...ends, amount: Math.round(random.between(5, 200)) };
    },
    begin: (site, injection) => disturbLink(site, injection, (link) => {
      const before = link.latency;
      const { amount } = injection;
      link.latency = { baseMs: amount, jitterMs: amount, tailChance: 0.05, tailMs: 500 };
      return () => (link.latency = before);
    }),
    words: ({ on, against, amount, lastsMs }) => `the link from ${list(on)} to ${list(against)} takes ${ms(amount)} to ${ms(2 * amount)} and more, for ${ms(lastsMs)}`,
  },
  {
    name: 'narrow-link',
    everyMs: [500, 4_000],
    draw: (random, scene) => {
      const ends = pair(random, scene);
      return ends === null ? null : { ...ends, amount: random.pick([2, 20]) };
    },
    begin: (site, injection) => disturbLink(site, injection, (link) => {
      const before = link.bytesPerMs;
      link.bytesPerMs = injection.amount;
      return () => (link.bytesPerMs = before);
    }),
    words: ({ on, against, amount, lastsMs }) => `the link from ${list(on)} to ${list(against)} carries ${amount} bytes a ms, for ${ms(lastsMs)}`,
  },
];
