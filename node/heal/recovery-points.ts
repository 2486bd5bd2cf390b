/**
 * Recovery points: complete copies of this node's data that an operator has it keep, to start from again some day.
 *
 * The node goes on as ever meanwhile. A checkpoint brings all that is committed into the table; the copy's snapshot is taken
 * before the next one begins, so it holds whole transactions; the bytes are copied in the background.
 */
import type { ErrorCode } from '../../client/wire/errors.ts';
import { PointState, Tag, type KeepPoint, type ListPoints, type RemovePoint } from '../../client/wire/messages.ts';
import type { Session } from '../../client/wire/session.ts';
import type { Disk, Log } from '../runtime/runtime.ts';
import { decodePoint, encodePoint, isPointName } from '../store/point.ts';
import type { Rest, Store } from '../store/store.ts';

export interface RecoveryPointsOptions {
  readonly store: Store;
  readonly disk: Disk;
  readonly clock: { readonly last: number };
  readonly wallMs: () => number;
  readonly during: (work: () => void) => void;
  readonly log: Log;
}

interface Attempt {
  readonly name: string;
  readonly begunAtMs: number;
  /** Null while it is under way. */
  readonly error: NodeJS.ErrnoException | null;
}

type Client = Pick<Session, 'send'>;

export class RecoveryPoints {
  readonly #options: RecoveryPointsOptions;
  /** The one under way, or the last one if it failed. */
  #attempt: Attempt | null = null;

  constructor(options: RecoveryPointsOptions) {
    this.#options = options;
  }

  onKeep(client: Client, [, request, name]: KeepPoint): void {
    const { disk, store, wallMs, during } = this.#options;
    if (!isPointName(name)) return fail(client, request, 'invalid-argument', `${JSON.stringify(name)} is no name for a recovery point: 1 to 64 letters, digits, dots, hyphens and underscores, a letter or digit first`);
    const isUnderWay = this.#attempt?.error === null;
    if (isUnderWay && this.#attempt?.name !== name) return fail(client, request, 'overloaded', `recovery point ${this.#attempt?.name} is being made; one at a time`);
    // Asking for the one under way again is no fault: whoever lost the answer to the first question can't know.
    if (!isUnderWay) {
      if (disk.copies().some((copy) => copy.name === name)) return fail(client, request, 'point-exists', `there is a recovery point ${name} on this node already`);
      // It would wait for a checkpoint, and so for the disk.
      const { state, problem } = store.trouble.status;
      if (state !== 'sound') return fail(client, request, 'disk-failed', `the disk of this node takes no writes now: ${problem ?? 'no reason is known'}`);
      const begunAtMs = Math.floor(wallMs());
      this.#attempt = { name, begunAtMs, error: null };
      store.atRest((rest, resume) => during(() => this.#copy(name, begunAtMs, rest, resume)));
    }
    this.#tell(client, request);
  }

  onRemove(client: Client, [, request, name]: RemovePoint): void {
    const { disk, during, log } = this.#options;
    if (!disk.copies().some((copy) => copy.name === name)) return fail(client, request, 'point-unknown', `there is no recovery point ${name} on this node`);
    disk.removeCopy(name, (error) => during(() => {
      if (error !== undefined) return fail(client, request, 'disk-failed', `recovery point ${name} could not be removed: ${error.message}`);
      log.info({ name }, 'recovery point removed');
      this.#tell(client, request);
    }));
  }

  onList(client: Client, [, request]: ListPoints): void {
    this.#tell(client, request);
  }

  #copy(name: string, begunAtMs: number, { table, identity, digest }: Rest, resume: () => void): void {
    const { clock, during, log } = this.#options;
    const takenAt = new Date(begunAtMs).toISOString();
    const timestamp = clock.last;
    let isHeld = true;
    const goOn = (): void => {
      if (isHeld) resume();
      isHeld = false;
    };
    const note = (bytes: number): string => encodePoint({ ...identity, takenAt, timestamp, bytes, digest: Buffer.from(digest).toString('hex') });
    const done = (error?: NodeJS.ErrnoException): void => {
      goOn();
      this.#attempt = error === undefined ? null : { name, begunAtMs, error };
      if (error === undefined) log.info({ name }, 'recovery point kept');
      else log.warn({ name, error: error.message }, 'recovery point failed');
    };
    try {
      table.copy(name, note, { begun: () => during(goOn), done: (error) => during(() => done(error)) });
    } catch (error) {
      done(error as Error);
    }
  }

  #tell(client: Client, request: number): void {
    const points: (string | number | null)[] = [];
    for (const { name, note } of this.#options.disk.copies()) {
      const point = decodePoint(note);
      if (point !== null) points.push(name, PointState.kept, Math.max(0, new Date(point.takenAt).getTime() || 0), point.bytes, null, null);
    }
    if (this.#attempt !== null) {
      const { name, begunAtMs, error } = this.#attempt;
      if (error === null) points.push(name, PointState.underWay, begunAtMs, 0, null, null);
      else points.push(name, PointState.failed, begunAtMs, 0, (error.code === 'ENOSPC' ? 'disk-full' : 'disk-failed') satisfies ErrorCode, error.message.slice(0, 1_000));
    }
    client.send([Tag.points, request, points]);
  }
}

function fail(client: Client, request: number, code: ErrorCode, message: string): void {
  client.send([Tag.failed, request, code, message]);
}
