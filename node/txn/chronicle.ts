/**
 * The flight recorder: what happened to the latest transactions at this node, for `dtp explain`.
 *
 * Transactions leave some ten traces each on the hottest path there is, so a trace is a few stores into arrays that were
 * made beforehand: nothing is formatted, looked up or allocated. The arrays are pages, taken as they are needed up to a
 * bound; then the page with the oldest traces serves again. All looking up is done by whoever asks, in one pass.
 *
 * It is memory alone: a restart begins an empty one, and nothing that counts may ever be read from it.
 */
import type { Clock } from '../../client/wire/environment.ts';
import { EventKind, eventStride, type EventRow } from '../../client/wire/events.ts';
import { limits } from '../../client/wire/limits.ts';
import { Tag, Vote, type Key, type Message, type TxnId } from '../../client/wire/messages.ts';
import type { Outbox } from '../cluster/outbox.ts';

const eventsPerPage = 4_096;
/** Together 131,072 events in some 10 MB: the last two seconds of a node at its limit, and hours of a quiet one. */
const pagesMax = 32;

/** Per event. numbers: incarnation, number, time, first, second; codes: kind, about; words: coordinator, peer, key, text. */
const numberStride = 5;
const codeStride = 2;
const wordStride = 4;

interface Page {
  readonly numbers: Float64Array;
  readonly codes: Uint8Array;
  readonly words: (string | null)[];
  count: number;
}

/** What tells, without the rest, how a transaction went. */
const summarizing: ReadonlySet<number> = new Set([EventKind.requested, EventKind.decided, EventKind.answered, EventKind.applied, EventKind.blocked, EventKind.recovered]);

export class Chronicle {
  readonly #self: string;
  readonly #clock: Clock;
  readonly #pagesMax: number;
  readonly #eventsPerPage: number;
  /** From the oldest to the one that is being filled. */
  readonly #pages: Page[] = [];

  constructor(self: string, clock: Clock, size = { pagesMax, eventsPerPage }) {
    this.#self = self;
    this.#clock = clock;
    this.#pagesMax = size.pagesMax;
    this.#eventsPerPage = size.eventsPerPage;
  }

  note(kind: EventKind, node: string, incarnation: number, number: number, about = 0, peer: string | null = null, first = 0, second = 0, key: Key | null = null, text: string | null = null): void {
    let page = this.#pages[this.#pages.length - 1];
    if (page === undefined || page.count === this.#eventsPerPage) page = this.#nextPage();
    const { numbers, codes, words } = page;
    const at = page.count++;
    numbers[numberStride * at] = incarnation;
    numbers[numberStride * at + 1] = number;
    numbers[numberStride * at + 2] = this.#clock.monotonicMs();
    numbers[numberStride * at + 3] = first;
    numbers[numberStride * at + 4] = second;
    codes[codeStride * at] = kind;
    codes[codeStride * at + 1] = about;
    words[wordStride * at] = node;
    words[wordStride * at + 1] = peer;
    // A copy: the string as it was decoded may hold on to the frame that it came in.
    words[wordStride * at + 2] = key === null ? null : Buffer.from(key, 'latin1').toString('latin1');
    words[wordStride * at + 3] = text;
  }

  /** Notes a message to or from another node, or that its record is on the disk, if it is about one transaction. */
  noteMessage(kind: EventKind, peer: string | null, message: Message): void {
    switch (message[0]) {
      case Tag.prepare:
        return this.note(kind, message[1], message[2], message[3], Tag.prepare, peer, message[6], message[5]);
      case Tag.vote:
        return this.note(kind, message[1], message[2], message[3], Tag.vote, peer, message[4], message[5], message[6], message[7]);
      case Tag.accept:
        return this.note(kind, message[1], message[2], message[3], Tag.accept, peer, message[4], message[6]);
      case Tag.accepted:
      case Tag.recover:
        return this.note(kind, message[1], message[2], message[3], message[0], peer, message[4]);
      case Tag.promise:
        return this.note(kind, message[1], message[2], message[3], Tag.promise, peer, message[4], message[12], null, message[6] === Vote.ok ? 'ok' : null);
      case Tag.rejected:
        return this.note(kind, message[1], message[2], message[3], Tag.rejected, peer, message[4], message[6], null, message[7]);
      case Tag.decide:
      case Tag.finished:
        return this.note(kind, message[1], message[2], message[3], message[0], peer, 0, message[4]);
      case Tag.batched:
        return this.note(kind, message[1], message[2], message[3], Tag.batched, peer, message[4]);
      case Tag.decided:
        for (const number of message[3]) this.note(kind, message[1], message[2], number, Tag.decided, peer);
        return;
      default:
    }
  }

  /** An outbox whose messages are noted. */
  listenTo(outbox: Outbox): Outbox {
    return {
      send: (to, message) => {
        const sent = outbox.send(to, message);
        this.noteMessage(sent ? EventKind.sent : EventKind.unsent, to, message);
        return sent;
      },
      isUp: (node) => outbox.isUp(node),
    };
  }

  /** A message came. What a node says to itself was noted when it said it. */
  heard(from: string, message: Message): void {
    if (from !== this.#self) this.noteMessage(EventKind.received, from, message);
  }

  /** All that is known of a transaction, in the order in which it happened here; the latest events of one that has very many. */
  of({ node, incarnation, number }: TxnId): EventRow[number][] {
    const rows: EventRow[] = [];
    this.#backwards(({ numbers, words }, at) => (
      numbers[numberStride * at + 1] === number && numbers[numberStride * at] === incarnation && words[wordStride * at] === node
    ), rows);
    return rows.reverse().flat();
  }

  /** What became of the latest transactions, `count` of them at most: those events that tell how they went. */
  recent(count: number): EventRow[number][] {
    const names = new Set<string>();
    const rows: EventRow[] = [];
    this.#backwards(({ numbers, codes, words }, at) => {
      const kind = codes[codeStride * at] as number;
      // By its prepare a transaction is known where it was not coordinated.
      if (!summarizing.has(kind) && !(kind === EventKind.received && codes[codeStride * at + 1] === Tag.prepare)) return false;
      const name = `${words[wordStride * at]}:${numbers[numberStride * at]}:${numbers[numberStride * at + 1]}`;
      if (names.size < count) names.add(name);
      return names.has(name);
    }, rows);
    return rows.reverse().flat();
  }

  #backwards(isWanted: (page: Page, at: number) => boolean, rows: EventRow[]): void {
    // Told in wall time, for other machines to compare; kept in a time that never jumps.
    const wallLessMonotonicMs = this.#clock.wallMs() - this.#clock.monotonicMs();
    for (let p = this.#pages.length - 1; p >= 0; p--) {
      const page = this.#pages[p] as Page;
      for (let at = page.count - 1; at >= 0; at--) {
        if (!isWanted(page, at)) continue;
        rows.push(rowOf(page, at, wallLessMonotonicMs));
        if (rows.length === limits.explainedEventsMax) return;
      }
    }
  }

  #nextPage(): Page {
    const reused = this.#pages.length === this.#pagesMax ? this.#pages.shift() : undefined;
    const page = reused ?? {
      numbers: new Float64Array(numberStride * this.#eventsPerPage),
      codes: new Uint8Array(codeStride * this.#eventsPerPage),
      words: new Array<string | null>(wordStride * this.#eventsPerPage).fill(null),
      count: 0,
    };
    page.count = 0;
    this.#pages.push(page);
    return page;
  }
}

function rowOf({ numbers, codes, words }: Page, at: number, wallLessMonotonicMs: number): EventRow {
  const n = numberStride * at;
  const w = wordStride * at;
  const row: EventRow = [
    words[w] as string, numbers[n] as number, numbers[n + 1] as number,
    codes[codeStride * at] as EventKind, codes[codeStride * at + 1] as number, (numbers[n + 2] as number) + wallLessMonotonicMs,
    words[w + 1] as string | null, numbers[n + 3] as number, numbers[n + 4] as number, words[w + 2] as Key | null, words[w + 3] as string | null,
  ];
  return row satisfies { length: typeof eventStride };
}
