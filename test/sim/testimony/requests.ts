/**
 * Does a coordinator have replicas vote for what its clients have asked it for? They check what was read against what they hold, and know nothing of
 * requests. So what each client has read, or an operation is applied to, has to be among it, and be no newer than that: else a transaction is committed as of a
 * state that it has not seen.
 */
import { decodeBody } from '../../../client/wire/codec.ts';
import { operationStride, Tag, type Body, type Commit, type Key, type Prepare, type Version } from '../../../client/wire/messages.ts';
import { inWords } from './annals.ts';
import type { Court, Said } from './hearing.ts';

interface Request {
  readonly reads: ReadonlyMap<Key, Version>;
  readonly operands: readonly Key[];
  /** What it writes or operates on. */
  readonly changes: ReadonlySet<Key>;
}

export class RequestTestimony {
  readonly #court: Court;
  /** By the coordinator and the number, in its newest life. */
  readonly #requests = new Map<string, Request>();
  readonly #heard = new Set<string>();

  constructor(court: Court) {
    this.#court = court;
  }

  asked({ to, message }: Said): void {
    if (message[0] === Tag.commit) this.#requests.set(`${to}:${message[3]}`, requestIn(message));
  }

  hear({ by, message }: Said): void {
    if (message[0] !== Tag.prepare) return;
    const name = message.slice(1, 4).join(':');
    if (this.#heard.has(name)) return;
    this.#heard.add(name);
    const faults = this.#faultsIn(by, message);
    this.#court.judge(() => faults.forEach((fault) => this.#court.blame(`${by} has replicas vote for ${name}, ${fault}`)));
  }

  #faultsIn(by: string, [, , , first, , , , bytes]: Prepare): string[] {
    const body = decodeBody(bytes);
    const reads = new Map(pairsOf(body[0]));
    const writes = new Set(pairsOf(body[1]).map(([key]) => key));
    const faults: string[] = [];
    const asked = new Map<number, Request>();
    for (const number of [first, ...(body[2] ?? [])]) {
      const request = this.#requests.get(`${by}:${number}`);
      if (request === undefined) return [];
      asked.set(number, request);
    }
    for (const [number, request] of asked) {
      for (const [key, version] of request.reads) {
        const claimed = reads.get(key);
        if (claimed === undefined || claimed > version) faults.push(`as of ${claimed === undefined ? 'no version' : `version ${claimed}`} of key ${inWords(key)}, and who asked for ${number} has read version ${version}`);
      }
      const follows = (key: Key): boolean => [...asked].some(([other, { changes }]) => other !== number && changes.has(key));
      for (const key of request.operands) if (!reads.has(key) && !follows(key)) faults.push(`as of no version of key ${inWords(key)}, which ${number} operates on, and nothing that it may follow changes that`);
      for (const key of request.changes) if (!writes.has(key)) faults.push(`which doesn't write key ${inWords(key)}, and ${number} does`);
    }
    for (const key of writes) if (![...asked.values()].some(({ changes }) => changes.has(key))) faults.push(`which writes key ${inWords(key)}, and nobody has asked for that`);
    return faults;
  }
}

function requestIn([, , , , , , , , bytes, operations]: Commit): Request {
  const body = decodeBody(bytes);
  const operands = (operations ?? []).filter((_, i) => i % operationStride === 1) as Key[];
  return { reads: new Map(pairsOf(body[0])), operands, changes: new Set([...pairsOf(body[1]).map(([key]) => key), ...operands]) };
}

function pairsOf<T extends Body[0] | Body[1]>(flat: T): [Key, Version][] {
  return Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i] as Key, flat[2 * i + 1] as Version]);
}
