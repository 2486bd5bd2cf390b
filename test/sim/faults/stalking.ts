/**
 * One transaction, stalked: something happens at one of its messages, and something else at a later one. What a protocol is ruined by takes
 * several mishaps in a row (a coordinator lost between its proposal and the acceptors' answers, then whoever recovers the transaction lost
 * with its own answers half there), and mishaps that each hit another transaction never make such a story.
 */
import { decodeBody } from '../../../client/wire/codec.ts';
import { Tag, Vote, type Message } from '../../../client/wire/messages.ts';
import { list, ms, type Fault, type Injection, type Site } from './fault.ts';

/** All that name it in the fields behind the tag. */
const naming: ReadonlySet<number> = new Set([Tag.prepare, Tag.vote, Tag.accept, Tag.accepted, Tag.decide, Tag.recover, Tag.promise]);

function nameIn(message: Message): string | null {
  return naming.has(message[0]) ? message.slice(1, 4).join(':') : null;
}

const holdShare = 10;
/** Back before anybody has given up what was asked of it. */
const flickShare = 20;

/** Tells of each vote whether it is another one than the first on the same transaction. */
function dissents(): (message: Message) => boolean {
  const first = new Map<string, number>();
  return (message) => {
    const name = nameIn(message);
    if (message[0] !== Tag.vote || name === null) return false;
    const vote = message[4] === Vote.ok ? message[5] : 0;
    if (!first.has(name)) first.set(name, vote);
    return first.get(name) !== vote;
  };
}

/** Tells of each vote whether its timestamp is a later one than was proposed. */
function putsOff(): (message: Message) => boolean {
  const proposed = new Map<string, number>();
  return (message) => {
    const name = nameIn(message) ?? '';
    if (message[0] === Tag.prepare) proposed.set(name, message[5]);
    return message[0] === Tag.vote && message[4] === Vote.ok && message[5] > (proposed.get(name) ?? Infinity);
  };
}

/** Is it about several transactions of clients at once? */
function isOfBatch(message: Message): boolean {
  return message[0] === Tag.prepare && (decodeBody(message[7])[2] ?? []).length > 0;
}

/** Moments that not every message of a kind is, by the messages that must be heard to know them. */
const special: Readonly<Record<string, { readonly hears: readonly string[]; accepts(): (message: Message) => boolean }>> = {
  'send dissent': { hears: ['send vote'], accepts: dissents },
  'send batch': { hears: ['send prepare'], accepts: () => isOfBatch },
  // Somebody knows more than the coordinator. Where some do, and others not, it matters which of them a recoverer hears.
  'send later vote': { hears: ['send prepare', 'send vote'], accepts: putsOff },
};

/** What may happen to the node that sends or receives the message. */
const mishaps: Readonly<Record<string, { readonly words: string; befall(site: Site, host: string, remoteHost: string, injection: Injection): void }>> = {
  kill: {
    words: 'is killed',
    befall: ({ cluster }, host, _remoteHost, { amount, lastsMs }) => cluster.crashAfter(host, amount, lastsMs),
  },
  flick: {
    words: 'is killed, and soon back',
    befall: ({ cluster }, host, _remoteHost, { amount, lastsMs }) => cluster.crashAfter(host, amount, lastsMs / flickShare),
  },
  cut: {
    words: 'is cut off from all other nodes, which get nothing that is under way',
    befall(site, host, _remoteHost, { lastsMs }) {
      const { ids, world } = site.cluster;
      const others = ids.filter((id) => id !== host);
      for (const other of others) world.network.sever(host, other);
      site.undoAfter(lastsMs, world.network.partition([host], others).heal);
    },
  },
  lose: {
    words: 'loses the connection to the other end, and the message with it',
    befall: ({ cluster }, host, remoteHost) => cluster.world.network.sever(host, remoteHost),
  },
  part: {
    words: 'is parted from the other end, and the message lost',
    befall(site, host, remoteHost, { lastsMs }) {
      const { network } = site.cluster.world;
      network.sever(host, remoteHost);
      site.undoAfter(lastsMs, network.partition([host], [remoteHost]).heal);
    },
  },
  hold: {
    words: 'gets nothing through to the other end for a while',
    // Not for long: when the other end gives the session up, what was held is never delivered.
    befall: (site, host, remoteHost, { lastsMs }) => site.undoAfter(lastsMs / holdShare, site.cluster.world.network.partition([host], [remoteHost], 'one-way').heal),
  },
  mute: {
    words: 'gets nothing through to any other node for a while, and loses the connections to all clients, who ask the others',
    befall(site, host, remoteHost, injection) {
      for (const other of site.cluster.ids) if (other !== host) mishaps['hold']?.befall(site, host, other, injection);
      mishaps['desert']?.befall(site, host, remoteHost, injection);
    },
  },
  watch: {
    words: 'goes on',
    befall() {},
  },
  desert: {
    words: 'loses the connections to all clients',
    befall({ cluster: { world, ids } }, host) {
      for (const { name } of world.hosts()) if (!ids.includes(name)) world.network.sever(host, name);
    },
  },
  pause: {
    words: 'stands still',
    befall: ({ cluster }, host, _remoteHost, { lastsMs }) => cluster.world.host(host).pause(lastsMs),
  },
};

interface Act {
  readonly chance: number;
  /** Something must come first: not everybody who decides a transaction is its coordinator. */
  readonly after?: string;
  readonly moments: readonly string[];
  readonly mishaps: readonly string[];
}

const recoverer: Act = {
  chance: 0.5, after: 'watch at send recover', moments: ['receive promise', 'send accept', 'receive accepted', 'send decide', 'send decide'], mishaps: ['kill', 'cut', 'cut', 'hold'],
};

const early: readonly Act[] = [
  // The client loses its coordinator, and asks others before that one is done.
  { chance: 0.3, moments: ['send prepare'], mishaps: ['desert'] },
  // Some replicas don't vote, or late, or not as the others.
  { chance: 0.6, moments: ['send prepare', 'send prepare', 'send vote'], mishaps: ['lose', 'hold', 'part'] },
  { chance: 0.3, moments: ['send prepare', 'receive prepare', 'send vote'], mishaps: ['lose', 'hold', 'kill', 'pause'] },
];

/** How it begins: with some transaction's prepare, or with votes that are rare enough to be waited for. */
const beginnings: readonly (readonly Act[])[] = [
  early, early, early,
  [{ chance: 1, moments: ['send dissent'], mishaps: ['watch'] }],
  // Of what travels together some may be asked for before anybody has heard what else it travels with.
  [{ chance: 1, moments: ['send batch'], mishaps: ['mute'] }],
  [{ chance: 1, moments: ['send later vote'], mishaps: ['watch', 'hold'] }],
];

/** A transaction's life from there, if everything goes wrong, in this order; each run of it leaves some of the acts out. */
const acts: readonly Act[] = [
  // The coordinator doesn't finish.
  { chance: 0.7, moments: ['receive vote', 'send accept', 'send accept', 'receive accepted', 'send decide'], mishaps: ['kill', 'cut', 'cut', 'hold', 'desert'] },
  // Somebody makes a promise, and dies with it.
  { chance: 0.2, moments: ['send vote', 'send accepted', 'send promise'], mishaps: ['kill', 'flick'] },
  // Nor do those who recover it.
  recoverer,
  { chance: 0.3, after: 'watch at send recover', moments: ['send promise', 'send promise', 'send accepted'], mishaps: ['kill', 'flick'] },
  recoverer,
];

interface Step {
  readonly mishap: string;
  readonly moment: string;
}

const stepsOf = ({ moment }: Injection): Step[] => moment.split(', ').map((step) => {
  const [mishap, at] = step.split(' at ') as [string, string];
  return { mishap, moment: at };
});

export const stalking: readonly Fault[] = [
  {
    name: 'stalk',
    everyMs: [100, 1_500],
    weight: () => 2,
    draw(random, { nodes }) {
      const steps = [...random.pick(beginnings), ...acts].flatMap(({ chance, after, moments, mishaps: kinds }) => (
        random.chance(chance) ? [...(after === undefined ? [] : [after]), `${random.pick(kinds)} at ${random.pick(moments)}`] : []
      ));
      return nodes.length < 2 ? null : { on: nodes, moment: steps.join(', ') || 'cut at send decide', amount: random.below(4) };
    },
    begin(site, injection) {
      const waitFor = ([step, ...rest]: readonly Step[], name: string | null): void => {
        if (step === undefined) return;
        const { hears, accepts: isSpecial } = special[step.moment] ?? { hears: [step.moment], accepts: () => () => true };
        const isMeant = isSpecial();
        const accepts = (message: Message, remoteHost: string): boolean => {
          const about = nameIn(message);
          return about !== null && (name ?? about) === about && injection.on.includes(remoteHost) && isMeant(message);
        };
        const waits = injection.on.flatMap((host) => hears.map((moment) => site.frames.once(host, moment, (remoteHost, message) => {
          for (const end of waits) end();
          if (step.mishap !== 'watch') site.happens(injection);
          mishaps[step.mishap]?.befall(site, host, remoteHost, injection);
          waitFor(rest, nameIn(message));
        }, accepts)));
        site.undoAtEnd(() => waits.forEach((end) => end()));
      };
      waitFor(stepsOf(injection), null);
      return false;
    },
    words: (injection) => `of a transaction among ${list(injection.on)}: ${stepsOf(injection).map(({ mishap, moment }) => `at '${moment}' the node ${mishaps[mishap]?.words}`).join('; then ')}; each for ${ms(injection.lastsMs)}, killed ${injection.amount} effects later`,
  },
];
