/**
 * Whether a node that comes is the one that is known, in a later life, or one that has forgotten.
 *
 * A node's *life* is one run of it, counted by its disk. Peers remember of each other the newest life, as a *floor*, and how far its journal
 * had come. Three things may come instead of the next life:
 *
 * - another disk: it was replaced, or wiped;
 * - the same disk with an older life, or the same life begun twice: an older image of it, put back;
 * - the same disk with a later life, whose journal ends before the place that was told: the same.
 *
 * None of them remembers what it said, so none is let in, and it is told which life is known. It can come back as what it
 * is: *reborn*, with a new name for its disk, in a life above that one, in doubt of all that it has, and
 * silent about all that happened before. So a chain of succession leads from each life of a node to the next one,
 * and whoever hears of a life by others can tell which of two is the later.
 */
export interface Life {
  readonly storeId: string;
  readonly incarnation: number;
  /** The life in which the disk began after memory was lost; 0 if it has all of it. */
  readonly rebornAt: number;
  /** Drawn anew for each life, so that the same one can't be begun twice; 0 where that is not known. */
  readonly nonce: number;
}

export interface Floor extends Life {
  /** How far its journal had come, as it told; 0 for nothing told. */
  readonly position: number;
}

/** Is this life later than the one known, by the chain of succession? Also where nothing is known. */
export function succeeds(known: Life | null, life: Life): boolean {
  if (known === null) return true;
  return known.storeId === life.storeId ? life.incarnation > known.incarnation : life.rebornAt > known.incarnation;
}

/** May a node come in this life, whose journal at its beginning had come to `position`? */
export function mayCome(known: Floor | null, life: Life, position: number): boolean {
  if (known === null) return true;
  if (known.storeId !== life.storeId) return succeeds(known, life);
  if (life.incarnation === known.incarnation) return known.nonce === 0 || life.nonce === known.nonce;
  return life.incarnation > known.incarnation && position >= known.position;
}
