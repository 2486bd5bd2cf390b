/**
 * What a client is told, and who else knows. From the moment of the answer on the cluster must never forget what it told, even if
 * the one who said it is the only one who knew; and whoever did not hear the answer must be told the same later.
 */
import { Tag, type Message } from '../../../client/wire/messages.ts';
import { list, ms, type Fault } from './fault.ts';

const answers = ['send committed', 'send aborted'] as const;

/** A transaction that only read leaves nothing to be forgotten. */
const matters = (message: Message): boolean => message[0] !== Tag.committed || message[2] > 0;

/** A client has a name that begins so. */
const isClient = (host: string): boolean => host.startsWith('c');

export const answering: readonly Fault[] = [
  {
    name: 'crash-after-answer',
    everyMs: [200, 3_000],
    // The shortest time is just enough for the answer to arrive, and too short for most disks.
    draw: (random, { nodes }) => ({ on: [random.pick(nodes)], moment: random.pick(answers), amount: random.pick([0.5, 5, 50, 500]) }),
    begin(site, injection) {
      const { cluster, frames } = site;
      for (const host of injection.on) {
        site.undoAtEnd(frames.once(host, injection.moment, () => {
          site.happens(injection);
          // The client is told, but of what the node says to others in this turn, and later, nothing arrives.
          const others = cluster.ids.filter((id) => id !== host);
          for (const other of others) cluster.world.network.sever(host, other);
          const { heal } = cluster.world.network.partition([host], others);
          site.undoAfter(injection.amount, () => {
            if (cluster.isRunning(host)) cluster.crash(host, injection.lastsMs);
            heal();
          });
        }, matters));
      }
      return false;
    },
    words: ({ on, moment, amount, lastsMs }) => `${list(on)} answers a client (its next '${moment}'), reaches no other node from then on and is killed ${ms(amount)} later; back after ${ms(lastsMs)}`,
  },
  {
    name: 'unheard-answer',
    everyMs: [200, 3_000],
    draw: (random, { nodes }) => ({ on: [random.pick(nodes)], moment: random.pick(['receive commit', ...answers]), amount: random.below(3) }),
    begin(site, injection) {
      const { world } = site.cluster;
      for (const host of injection.on) {
        site.undoAtEnd(site.frames.once(host, injection.moment, (client) => {
          site.happens(injection);
          if (injection.amount === 0) return world.network.sever(host, client);
          // A client that comes back late, to nodes that have long been done with its transaction.
          if (injection.amount === 2) site.undoAfter(injection.lastsMs, world.network.partition(site.cluster.ids, [client]).heal);
          else site.undoAfter(injection.lastsMs, world.network.partition([host], [client], 'one-way').heal);
        }, (_message, remoteHost) => isClient(remoteHost)));
      }
      return false;
    },
    words: ({ on, moment, amount, lastsMs }) => (
      `the client that ${list(on)} talks to at its next '${moment}' ${amount === 0 ? 'loses the connection, and hears no answer' : amount === 1 ? `hears nothing more from it for ${ms(lastsMs)}` : `is parted from all nodes for ${ms(lastsMs)}`}`
    ),
  },
  {
    name: 'late-question',
    everyMs: [300, 4_000],
    draw: (random, { nodes }) => ({ on: [random.pick(nodes)], moment: answers[0], amount: random.below(3) }),
    begin(site, injection) {
      const { cluster } = site;
      const { world, ids } = cluster;
      const { amount, lastsMs } = injection;
      for (const host of injection.on) {
        site.undoAtEnd(site.frames.once(host, injection.moment, (client) => {
          site.happens(injection);
          for (const id of ids) world.network.sever(id, client);
          site.undoAfter(lastsMs, world.network.partition(ids, [client]).heal);
          // Without its coordinator nothing of that is ever finished, so nobody may forget any of it.
          if (amount !== 1) cluster.crashAfter(host, 0, 2 * lastsMs);
          if (amount !== 0) site.undoAfter(lastsMs / 2, () => ids.filter((id) => id !== host && cluster.isRunning(id)).forEach((id) => cluster.crash(id, lastsMs / 4)));
        }, (message, remoteHost) => isClient(remoteHost) && matters(message)));
      }
      return false;
    },
    words: ({ on, moment, amount, lastsMs }) => (
      `the client that ${list(on)} talks to at its next '${moment}' is parted from all nodes for ${ms(lastsMs)}${amount !== 1 ? ', that one killed, and back after twice that time' : ''}${amount !== 0 ? ', the others killed and started again meanwhile' : ''}`
    ),
  },
];
