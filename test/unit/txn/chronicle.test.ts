/** The flight recorder: bounded, in order, and able to find what it keeps. */
import { describe, expect, it } from 'vitest';
import { EventKind, eventStride, type EventRow } from '../../../client/wire/events.ts';
import { limits } from '../../../client/wire/limits.ts';
import { ABORT, faultOf, Tag, Vote, type Message } from '../../../client/wire/messages.ts';
import { Chronicle } from '../../../node/txn/chronicle.ts';
import { allSamples } from '../wire/samples.ts';

const rowsOf = (flat: readonly EventRow[number][]): EventRow[] => Array.from({ length: flat.length / eventStride }, (_, i) => flat.slice(i * eventStride, (i + 1) * eventStride) as EventRow);

function open(size?: { pagesMax: number; eventsPerPage: number }): { chronicle: Chronicle; time: { monotonicMs: number; wallMs: number }; of: (number: number, node?: string) => EventRow[] } {
  const time = { monotonicMs: 5, wallMs: 1_000_005 };
  const chronicle = new Chronicle('n1', { monotonicMs: () => time.monotonicMs, wallMs: () => time.wallMs }, size);
  return { chronicle, time, of: (number, node = 'n1') => rowsOf(chronicle.of({ node, incarnation: 3, number })) };
}

describe('the chronicle', () => {
  it('tells one transaction’s events in their order, in wall time, and no other’s', () => {
    const { chronicle, time, of } = open();
    chronicle.note(EventKind.requested, 'n1', 3, 7, 0, null, 2);
    time.monotonicMs = 5.25;
    chronicle.note(EventKind.requested, 'n1', 3, 8);
    chronicle.note(EventKind.requested, 'n1', 4, 7);
    chronicle.note(EventKind.applied, 'n2', 3, 7);
    time.monotonicMs = 6.5;
    chronicle.note(EventKind.decided, 'n1', 3, 7, 0, null, 1, 99);
    time.wallMs = 1_000_006.5;
    expect(of(7)).toEqual([
      ['n1', 3, 7, EventKind.requested, 0, 1_000_005, null, 2, 0, null, null],
      ['n1', 3, 7, EventKind.decided, 0, 1_000_006.5, null, 1, 99, null, null],
    ]);
    expect(of(9)).toEqual([]);
  });

  it('forgets the oldest page when all are full, and nothing else', () => {
    const { chronicle, of } = open({ pagesMax: 3, eventsPerPage: 4 });
    for (let number = 1; number <= 100; number++) {
      chronicle.note(EventKind.requested, 'n1', 3, number);
      const kept = Array.from({ length: number }, (_, i) => i + 1).filter((each) => of(each).length === 1);
      // Of at most three pages of four the last one is filled as far as it is.
      const expected = Math.min(number, 8 + ((number - 1) % 4) + 1);
      expect(kept).toEqual(Array.from({ length: expected }, (_, i) => number - expected + i + 1));
    }
  });

  it('notes all that nodes say of one transaction, what is not sent too; of what it says to itself only that', () => {
    const { chronicle, of } = open();
    const outbox = chronicle.listenTo({ send: (to) => to !== 'n3', isUp: () => true });
    const vote: Message = [Tag.vote, 'n2', 3, 7, Vote.conflict, 0, 'key', 'n3:1:5'];
    outbox.send('n2', vote);
    outbox.send('n3', [Tag.decide, 'n2', 3, 7, ABORT, null]);
    chronicle.heard('n2', [Tag.decided, 'n2', 3, [6, 7]]);
    chronicle.heard('n1', vote);
    expect(of(7, 'n2').map(([, , , kind, about, , ...rest]) => [kind, about, ...rest])).toEqual([
      [EventKind.sent, Tag.vote, 'n2', Vote.conflict, 0, 'key', 'n3:1:5'],
      [EventKind.unsent, Tag.decide, 'n3', 0, ABORT, null, null],
      [EventKind.received, Tag.decided, 'n2', 0, 0, null, null],
    ]);
    expect(of(6, 'n2')).toHaveLength(1);
  });

  it('notes of each kind of message what fits an answer, or nothing', () => {
    for (const message of allSamples) {
      const { chronicle } = open();
      chronicle.heard('n2', message);
      const events = chronicle.recent(limits.recentTransactionsMax);
      expect(faultOf([Tag.explained, 1, events])).toBeNull();
      const [, node, incarnation, number] = message as unknown as [number, string, number, number];
      const isCommitTalk = message[0] >= Tag.prepare && message[0] <= Tag.finished && message[0] !== Tag.decided;
      if (!isCommitTalk) continue;
      const told = chronicle.of({ node, incarnation, number });
      expect([message[0], told.length, faultOf([Tag.explained, 1, told])]).toEqual([message[0], eventStride, null]);
    }
  });

  it('tells the latest events of a transaction that has more than an answer takes', () => {
    const { chronicle, of } = open();
    for (let round = 1; round <= limits.explainedEventsMax + 10; round++) chronicle.noteMessage(EventKind.sent, 'n2', [Tag.recover, 'n1', 3, 7, round, 'n1', 1]);
    const rounds = of(7).map((row) => row[7]);
    expect([rounds.length, rounds[0], rounds.at(-1)]).toEqual([limits.explainedEventsMax, 11, limits.explainedEventsMax + 10]);
  });

  it('tells of the latest transactions how they went, and not every message', () => {
    const { chronicle } = open();
    for (let number = 1; number <= 5; number++) {
      chronicle.note(EventKind.requested, 'n1', 3, number);
      chronicle.noteMessage(EventKind.sent, 'n2', [Tag.prepare, 'n1', 3, number, 1, 99, 0, Uint8Array.of(1)]);
      chronicle.note(EventKind.decided, 'n1', 3, number, 0, null, 1, ABORT);
    }
    chronicle.noteMessage(EventKind.received, 'n2', [Tag.prepare, 'n2', 8, 1, 1, 99, 3, Uint8Array.of(1)]);
    const rows = rowsOf(chronicle.recent(3));
    expect(rows.map(([node, , number, kind, , , , first]) => [node, number, kind, first])).toEqual([
      ['n1', 4, EventKind.requested, 0], ['n1', 4, EventKind.decided, 1], ['n1', 5, EventKind.requested, 0], ['n1', 5, EventKind.decided, 1], ['n2', 1, EventKind.received, 3],
    ]);
  });
});
