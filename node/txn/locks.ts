/**
 * Who holds which key of this replica: shared locks for keys read, exclusive ones for keys written, from a vote until the
 * outcome is known here. A vote never waits for a lock (it is a NO with the holder's name). Others may: a read that must see
 * what the holder writes, and a coordinator that would rather start when nobody is in the way.
 */
import type { Key } from '../../client/wire/messages.ts';

interface Waiter {
  readonly exclusive: boolean;
  readonly action: () => void;
  readonly isOver: () => boolean;
}

interface Lock<Holder> {
  writer: Holder | null;
  readers: Holder[];
  waiters: Waiter[];
  /** At so many it is looked whether they all wait still. */
  crowd: number;
}

const crowdMin = 64;

export class LockTable<Holder> {
  readonly #locks = new Map<Key, Lock<Holder>>();

  get size(): number {
    return this.#locks.size;
  }

  /** Who keeps others from reading this key (`exclusive` false) or from writing it (true), if anybody. */
  holderOf(key: Key, exclusive: boolean): Holder | null {
    const lock = this.#locks.get(key);
    if (lock === undefined) return null;
    return lock.writer ?? (exclusive ? (lock.readers[0] ?? null) : null);
  }

  /** Precondition: nobody else writes it. */
  lockShared(key: Key, holder: Holder): void {
    this.#lockOf(key).readers.push(holder);
  }

  /** Precondition: nobody else reads or writes it. */
  lockExclusive(key: Key, holder: Holder): void {
    this.#lockOf(key).writer = holder;
  }

  /** Gives up what `holder` has on this key; who waited for that is added to `ready`, to be run when all keys are released. */
  release(key: Key, holder: Holder, ready: (() => void)[]): void {
    const lock = this.#locks.get(key);
    if (lock === undefined) return;
    if (lock.writer === holder) lock.writer = null;
    const at = lock.readers.indexOf(holder);
    if (at >= 0) lock.readers.splice(at, 1);
    if (lock.writer !== null) return;
    if (lock.waiters.length > 0) {
      const free = lock.readers.length === 0;
      for (const waiter of lock.waiters) if (free || !waiter.exclusive) ready.push(waiter.action);
      lock.waiters = free ? [] : lock.waiters.filter((waiter) => waiter.exclusive);
    }
    if (lock.readers.length === 0) this.#locks.delete(key);
  }

  /**
   * Runs `action` once, when `holderOf` would say null: at once if it does now. By the time it runs the key may be taken again.
   * `isOver` says whether nobody wants that any more. A lock may be held for hours, while a majority of some other key of its
   * holder is away; those who came and gave up must not pile up behind it.
   */
  whenFree(key: Key, exclusive: boolean, action: () => void, isOver: () => boolean): void {
    if (this.holderOf(key, exclusive) === null) return action();
    const lock = this.#lockOf(key);
    if (lock.waiters.length >= lock.crowd) {
      lock.waiters = lock.waiters.filter((waiter) => !waiter.isOver());
      lock.crowd = Math.max(crowdMin, 2 * lock.waiters.length);
    }
    lock.waiters.push({ exclusive, action, isOver });
  }

  #lockOf(key: Key): Lock<Holder> {
    let lock = this.#locks.get(key);
    if (lock === undefined) this.#locks.set(key, (lock = { writer: null, readers: [], waiters: [], crowd: crowdMin }));
    return lock;
  }
}
