/** Messages as a person would say them. */
import { decodeFrame, decodeGreeting } from '../../../client/wire/codec.ts';
import { AbortReason, Tag, tagNames, Vote, type Key, type Message, type MessageOf, type Value } from '../../../client/wire/messages.ts';
import { protocolVersion } from '../../../client/wire/session.ts';
import { body, decision, groups, key, operations, pairs, value, version } from './parts.ts';

type Says = { readonly [K in Tag]?: (message: MessageOf<K>) => string };

const nameOf = (names: Record<string, number>, code: number): string => Object.keys(names).find((name) => names[name] === code) ?? String(code);
const txn = (node: string, incarnation: number, number: number): string => `${node}:${incarnation}:${number}`;
const ballot = (round: number, proposer: string): string => `ballot ${round}/${proposer}`;
const keys = (all: readonly Key[]): string => all.map(key).join(', ');
const entries = (flat: readonly unknown[]): string => groups(flat, 3).map(([name, at, bytes]) => `${key(name as Key)}@${version(at as number)}=${value(bytes as Value)}`).join(', ');

const says: Says = {
  [Tag.hello]: ([, , , node, , incarnation]) => (node === null ? 'from a client' : `from ${node} in life ${incarnation}`),
  [Tag.welcome]: ([, , , node, , incarnation]) => `from ${node} in life ${incarnation}`,
  [Tag.grant]: ([, first, size]) => `numbers ${first} to ${first + size - 1}`,
  [Tag.failed]: ([, request, code, message]) => `#${request} ${code}: ${message}`,
  [Tag.prepare]: ([, n, i, k, , at, , bytes]) => `${txn(n, i, k)} at ${version(at)} ${body(bytes)}`,
  [Tag.vote]: ([, n, i, k, vote, detail, name, holder]) => {
    const why = vote === Vote.ok || vote === Vote.stale ? version(detail) : '';
    return [txn(n, i, k), nameOf(Vote, vote), why, name === null ? '' : key(name), holder === null ? '' : `held by ${holder}`].filter((word) => word !== '').join(' ');
  },
  [Tag.accept]: ([, n, i, k, round, proposer, decided]) => `${txn(n, i, k)} ${ballot(round, proposer)} ${decision(decided)}`,
  [Tag.accepted]: ([, n, i, k, round, proposer]) => `${txn(n, i, k)} ${ballot(round, proposer)}`,
  [Tag.recover]: ([, n, i, k, round, proposer]) => `${txn(n, i, k)} ${ballot(round, proposer)}`,
  [Tag.promise]: ([, n, i, k, round, proposer, vote, at, , , acceptedRound, acceptedProposer, decided]) => [
    `${txn(n, i, k)} ${ballot(round, proposer)}: ${vote === Vote.ok ? `voted ok at ${version(at)}` : 'did not vote'}`,
    acceptedRound < 0 ? 'accepted nothing' : `accepted ${decision(decided)} in ${ballot(acceptedRound, acceptedProposer)}`,
  ].join(', '),
  [Tag.rejected]: ([, n, i, k, round, proposer, promisedRound, promisedProposer]) => `${txn(n, i, k)} ${ballot(round, proposer)}, promised ${ballot(promisedRound, promisedProposer)}`,
  [Tag.decide]: ([, n, i, k, decided, bytes]) => `${txn(n, i, k)} ${decision(decided)} ${body(bytes)}`,
  [Tag.decided]: ([, n, i, numbers]) => numbers.map((number) => txn(n, i, number)).join(' '),
  [Tag.finished]: ([, n, i, k, outcome]) => `${txn(n, i, k)} ${decision(outcome)}`,
  [Tag.marks]: ([, watermark, exceptions]) => `all below ${watermark} decided, unfinished: ${exceptions.join(' ') || 'none'}`,
  [Tag.claims]: ([, , claims]) => groups(claims, 6).map(([node, , floor, rebornAt, , clear]) => `${node} below life ${floor}${rebornAt === 0 ? '' : ` (reborn at ${rebornAt})`} ${clear === 1 ? 'clear' : 'not clear'}`).join(', '),
  [Tag.settled]: ([, n, i, k, decided, , by]) => `${txn(n, i, k)} ${decision(decided)}, by an operator at ${by}`,
  [Tag.peek]: ([, request, , all]) => `#${request} ${keys(all)}`,
  [Tag.peeked]: ([, request, , , flat]) => `#${request} ${pairs(flat).map(([at, bytes]) => `${version(at as number)} ${bytes === null ? '' : value(bytes as Value)}`).join(', ')}`,
  [Tag.confirm]: ([, request, , all, versions]) => `#${request} ${all.map((name, i) => `${key(name)}@${version(versions[i] ?? 0)}`).join(', ')}`,
  [Tag.confirmed]: ([, request, , stale]) => `#${request} ${stale === null ? 'all current' : `${key(stale)} is stale`}`,
  [Tag.blocks]: ([, request, blocks]) => `#${request} ${blocks.length} blocks`,
  [Tag.roots]: ([, request, isBusy, differing]) => `#${request} ${differing.length / 2} blocks${isBusy ? ', busy' : ''}`,
  [Tag.compare]: ([, request, partitions]) => `#${request} partitions ${partitions.join(' ')}`,
  [Tag.differ]: ([, request, flat]) => `#${request} ${groups(flat, 3).map(([partition, , children]) => `${partition as number}${(children as Uint8Array).length === 0 ? ' equal' : ''}`).join(', ')}`,
  [Tag.descend]: ([, request, partition, level, nodes]) => `#${request} partition ${partition} level ${level} nodes ${nodes.join(' ')}`,
  [Tag.list]: ([, request, flat]) => `#${request} ${groups(flat, 4).map(([partition, leaf, above, have]) => `${partition === null ? '' : `${partition as number}/`}${leaf as number}${above === null ? '' : ` above ${version(above as number)}`}${have === null ? '' : ` beside ${(have as Uint8Array).length / 2}`}`).join(', ')}`,
  [Tag.listed]: ([, request, , news, others]) => `#${request} ${entries(news)}; ${groups(others, 3).map(([name, at]) => `${key(name as Key)}@${version(at as number)}`).join(', ')}`,
  [Tag.pull]: ([, request, all]) => `#${request} ${keys(all)}`,
  [Tag.pulled]: ([, request, flat]) => `#${request} ${entries(flat)}`,
  [Tag.repair]: ([, flat]) => entries(flat),
  [Tag.get]: ([, request, , , all]) => `#${request} ${keys(all)}`,
  [Tag.read]: ([, request, , , all]) => `#${request} ${keys(all)}`,
  [Tag.values]: ([, request, flat]) => `#${request} ${pairs(flat).map(([at, bytes]) => `${version(at as number)} ${value(bytes as Value)}`).join(', ')}`,
  [Tag.commit]: ([, request, , number, , , lease, , bytes, ops]) => `#${request} number ${number}${lease === 0 ? '' : ` turn ${lease}`} ${body(bytes)} ${operations(ops)}`,
  [Tag.committed]: ([, request, at]) => `#${request} ${version(at)}`,
  [Tag.aborted]: ([, request, reason, name, clash, lease]) => {
    const why = `#${request} ${nameOf(AbortReason, reason)}${name === null ? '' : ` ${key(name)}`}`;
    return `${why}${clash === null ? '' : ` ${value(clash)}`}${lease === 0 ? '' : `, turn ${lease}`}`;
  },
  [Tag.settle]: ([, request, , n, i, k, commit]) => `#${request} ${txn(n, i, k)} ${commit ? 'commit' : 'abort'}`,
  [Tag.resolve]: ([, request, , n, i, k]) => `#${request} ${txn(n, i, k)}`,
};

/** They come all the time and tell nothing. */
const chatter: ReadonlySet<Tag> = new Set([Tag.ping, Tag.pong]);

/** The messages of a frame; null if there is nothing worth telling in it. */
export function frameInWords(frame: Uint8Array): string | null {
  const messages = messagesOf(frame).filter(([tag]) => !chatter.has(tag));
  return messages.length === 0 ? null : messages.map(messageInWords).join('  +  ');
}

function messagesOf(frame: Uint8Array): Message[] {
  try {
    return decodeFrame(frame);
  } catch {
    return [decodeGreeting(frame, protocolVersion)];
  }
}

export function messageInWords(message: Message): string {
  const say = says[message[0]] as ((message: Message) => string) | undefined;
  const [tag, ...fields] = message;
  return `${tagNames.get(tag)} ${say === undefined ? fields.map(field).join(' ') : say(message)}`.trimEnd();
}

function field(part: unknown): string {
  if (part instanceof Uint8Array) return `<${part.length} bytes>`;
  return JSON.stringify(part) ?? 'nothing';
}
