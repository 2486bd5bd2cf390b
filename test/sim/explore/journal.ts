/**
 * A store that is as small as a store can be: the journal, of which a crash loses what is not flushed, and the newest
 * version of each key. Flushing is the explorer's to do: what was entered in one turn reaches the disk as a whole.
 */
import type { Key, Value, Version } from '../../../client/wire/messages.ts';
import type { JournalRecord } from '../../../node/store/records.ts';
import type { Head } from '../../../node/store/store.ts';
import type { LedgerStore } from '../../../node/txn/ledger.ts';
import type { ParticipantStore } from '../../../node/txn/participant.ts';

interface Waiting {
  /** So many records must be durable first. */
  readonly records: number;
  readonly action: () => void;
}

export class MemoryStore implements LedgerStore, ParticipantStore {
  readonly segment = 1;
  readonly full = false;
  readonly standing = { life: { rebornAt: 0 } };
  readonly doubts = { isSure: () => true };
  readonly intake = { refusal: null, whenAccepting: (action: () => void): void => action() };
  readonly versions = {
    newerThan: (_partition: number, key: Key, seen: Version): Version => {
      const version = this.#versions.get(key) ?? 0;
      return version > seen ? version : 0;
    },
    tombstones: { collected: (): number => 0 },
  };
  /** What a restart finds. */
  readonly durable: JournalRecord[];
  /** What a crash loses, turn by turn. */
  readonly volatile: JournalRecord[][] = [];
  readonly #versions = new Map<Key, Version>();
  readonly #waiting: Waiting[] = [];
  readonly #honest: boolean;
  #sameTurn = false;
  #running = false;
  #appended: number;

  /** One that is not honest says that all is durable before it is. */
  constructor(durable: readonly JournalRecord[], honest: boolean) {
    this.durable = [...durable];
    this.#appended = durable.length;
    this.#honest = honest;
  }

  append(record: JournalRecord): void {
    this.#appended++;
    if (this.#sameTurn) this.volatile.at(-1)!.push(record);
    else this.volatile.push([record]);
    this.#sameTurn = true;
  }

  endTurn(): void {
    this.#sameTurn = false;
  }

  whenDurable(action: () => void): void {
    if (!this.#honest || (this.volatile.length === 0 && !this.#running)) return action();
    this.#waiting.push({ records: this.#appended, action });
  }

  alongWithNext(action: () => void): void {
    this.whenDurable(action);
  }

  /** Makes the oldest volatile turn durable and does what waited for that. */
  flush(): void {
    this.durable.push(...(this.volatile.shift() ?? []));
    this.#running = true;
    while (this.#waiting.length > 0 && this.#waiting[0]!.records <= this.durable.length) this.#waiting.shift()!.action();
    this.#running = false;
  }

  whenRoom(action: () => void): void {
    action();
  }

  head(key: Key): Head | undefined {
    const version = this.#versions.get(key);
    return version === undefined ? undefined : { version, tombstone: false, checksum: 0 };
  }

  install(_partition: number, key: Key, version: Version, _value: Value): boolean {
    if (version <= (this.#versions.get(key) ?? 0)) return false;
    this.#versions.set(key, version);
    return true;
  }

  versionOf(key: Key): Version {
    return this.#versions.get(key) ?? 0;
  }
}
