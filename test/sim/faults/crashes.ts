/** Processes that end, at any moment and in any number, or stand still for a while. They come back on the disk that they left. */
import { list, ms, some, type Fault, type Injection, type Site } from './fault.ts';

/** A restart has this many effects before it serves, about: enough to die in each of its steps. */
const effectsOfStartMax = 40;

/** A checkpoint has as many parts as the slices of its keys. */
const commitsMax = 10;

function kill(site: Site, hosts: readonly string[], downMs: number): boolean {
  const running = hosts.filter((host) => site.cluster.isRunning(host));
  for (const host of running) site.cluster.crash(host, downMs);
  return running.length > 0;
}

function pause(site: Site, { on, lastsMs }: Injection): boolean {
  for (const host of on) site.cluster.world.host(host).pause(lastsMs);
  return true;
}

export const crashes: readonly Fault[] = [
  {
    name: 'crash',
    everyMs: [300, 4_000],
    draw: (random, { nodes }) => ({ on: some(random, nodes) }),
    begin: (site, { on, lastsMs }) => kill(site, on, lastsMs),
    words: ({ on, lastsMs }) => `${list(on)} killed, back after ${ms(lastsMs)}`,
  },
  {
    name: 'crash-all',
    everyMs: [1_500, 8_000],
    draw: (random, { nodes }) => ({ on: nodes, amount: Math.round(random.pick([0, 0, 300]) * random.float()) }),
    begin(site, { on, lastsMs, amount }) {
      on.forEach((host, i) => kill(site, [host], lastsMs + i * amount));
      return true;
    },
    words: ({ lastsMs, amount }) => `all nodes killed at once, back after ${ms(lastsMs)}${amount > 0 ? `, one every ${ms(amount)}` : ''}`,
  },
  {
    name: 'crash-between-effects',
    everyMs: [300, 4_000],
    draw: (random, { nodes }) => ({ on: [random.pick(nodes)], amount: Math.floor(random.exponential(60)) }),
    begin({ cluster }, { on, amount, lastsMs }) {
      for (const host of on) cluster.crashAfter(host, amount, lastsMs);
      return true;
    },
    words: ({ on, amount, lastsMs }) => `${list(on)} killed ${amount} effects later, back after ${ms(lastsMs)}`,
  },
  {
    name: 'crash-in-start',
    everyMs: [800, 6_000],
    draw: (random, { nodes }) => ({ on: [random.pick(nodes)], amount: random.below(effectsOfStartMax) }),
    begin(site, { on, amount, lastsMs }) {
      for (const host of on) site.cluster.crashNextStart(host, amount, lastsMs);
      return kill(site, on, lastsMs);
    },
    words: ({ on, amount, lastsMs }) => `${list(on)} killed, back after ${ms(lastsMs)}, killed again after the first ${amount} effects of its new life`,
  },
  {
    name: 'crash-in-checkpoint',
    everyMs: [200, 3_000],
    draw: (random, { nodes }) => ({ on: some(random, nodes), amount: random.below(commitsMax) }),
    begin(site, injection) {
      for (const host of injection.on) {
        const { disk } = site.cluster.world.host(host);
        let left = injection.amount;
        site.undoAtEnd(disk.watchCommits((end) => {
          if (left-- > 0 || !site.cluster.isRunning(host)) return;
          end();
          site.happens(injection);
          site.cluster.crash(host, injection.lastsMs);
        }));
      }
      return false;
    },
    words: ({ on, amount, lastsMs }) => `${list(on)} killed when ${amount + 1} more parts of checkpoints are in the table, back after ${ms(lastsMs)}`,
  },
  {
    name: 'stop',
    everyMs: [500, 5_000],
    draw: (random, { nodes }) => ({ on: some(random, nodes) }),
    begin({ cluster }, { on, lastsMs }) {
      const stopping = on.filter((host) => cluster.stopNode(host, lastsMs));
      return stopping.length > 0;
    },
    words: ({ on, lastsMs }) => `${list(on)} asked to stop, started again ${ms(lastsMs)} after it has`,
  },
  {
    name: 'crash-client',
    everyMs: [500, 5_000],
    draw: (random, { clients }) => (clients.length === 0 ? null : { on: some(random, clients) }),
    begin: (site, { on, lastsMs }) => kill(site, on, lastsMs),
    words: ({ on, lastsMs }) => `client ${list(on)} killed, another in its place after ${ms(lastsMs)}`,
  },
  {
    name: 'pause',
    everyMs: [300, 4_000],
    draw: (random, { nodes }) => ({ on: some(random, nodes) }),
    begin: pause,
    words: ({ on, lastsMs }) => `${list(on)} stands still for ${ms(lastsMs)}`,
  },
  {
    name: 'pause-client',
    everyMs: [300, 4_000],
    draw: (random, { clients }) => (clients.length === 0 ? null : { on: some(random, clients) }),
    begin: pause,
    words: ({ on, lastsMs }) => `client ${list(on)} stands still for ${ms(lastsMs)}`,
  },
];
