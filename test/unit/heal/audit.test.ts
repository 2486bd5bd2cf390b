import { describe, expect, it } from 'vitest';
import { AuditFact, Tag, type Audited, type AuditedKeys, type Message } from '../../../client/wire/messages.ts';
import { Audits } from '../../../node/heal/audit.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { slotOf } from '../../../node/store/hash.ts';
import { closeStore, openStore, partitionOf, partitions, type Opened } from '../store/helpers.ts';

interface Desk extends Opened {
  readonly answers: Message[];
  readonly audits: Audits;
  readonly client: { open: boolean; send(message: Message): void };
  audit(wanted?: number[]): Audited;
}

function desk(opened = openStore()): Desk {
  const { runtime, store } = opened;
  const topology = new Topology({ epoch: 1, cluster: 'c', partitions, replicationFactor: 1, members: [{ id: 'n1', url: 'ws://n1', weight: 1, zone: null }] }, 'n1');
  const audits = new Audits({ topology, store, pacer: { whenFree: (action) => (action(), true), spent: () => {} }, nowMs: () => runtime.clock.monotonicMs(), after: (delayMs, action) => runtime.after(delayMs, action), during: (work) => work(), hurry: () => {}, status: () => ({}) });
  const answers: Message[] = [];
  const client = { open: true, send: (message: Message) => void answers.push(message) };
  return {
    ...opened, answers, audits, client,
    audit(wanted = [0, 1, 2, 3]) {
      audits.onAudit(client, [Tag.audit, 1, wanted]);
      runtime.advance(1_000);
      return answers.pop() as Audited;
    },
  };
}

/** Keys of partition 1, as many as several slices have. */
function fill({ owner, runtime }: Opened, count: number): void {
  for (let i = 1; i <= count; i++) owner.commit(`${i}\x01`, i, i % 9 === 0 ? null : `value ${i}`);
  runtime.settle();
}

const factsOf = ([, , flat]: Audited): Record<number, unknown[]> => {
  const facts: Record<number, unknown[]> = {};
  for (let i = 0; i < flat.length; i += 6) facts[flat[i] as number] = flat.slice(i + 1, i + 5);
  return facts;
};

describe('an audit', () => {
  it('gives the digests of what is there, in the overlay or in the table', () => {
    const opened = desk();
    fill(opened, 1_300);
    opened.runtime.advance(5_000);
    for (let i = 1; i < 100; i++) opened.owner.commit(`${i}\x01`, 5_000 + i, 'anew');
    const answer = opened.audit();
    expect(factsOf(answer)).toEqual({ 0: [0, 0, 0, 0], 1: [1_300, 0, 0, 0], 2: [0, 0, 0, 0], 3: [0, 0, 0, 0] });
    for (let i = 0; i < answer[2].length; i += 6) {
      const [partition, ranges] = [answer[2][i] as number, answer[2][i + 5] as Buffer];
      for (let range = 0; range < 256; range++) expect(Buffer.compare(ranges.subarray(16 * range, 16 * (range + 1)), opened.store.tree.node(partition, 2, range))).toBe(0);
    }
  });

  it('leaves time for other work between its slices', () => {
    const { runtime, audits, client, answers, ...rest } = desk();
    fill({ runtime, ...rest }, 1_300);
    audits.onAudit(client, [Tag.audit, 1, [1]]);
    let slices = 0;
    for (; answers.length === 0; slices++) runtime.leap(1);
    expect(slices).toBeGreaterThan(2);
    audits.onAudit(client, [Tag.audit, 1, [1]]);
    client.open = false;
    runtime.advance(100);
    expect(answers).toHaveLength(1);
  });

  it('sees rows that were changed or lost without their digests, and takes them out of service', () => {
    const opened = desk();
    fill(opened, 20);
    // Twice, or the journal would still have the rows.
    const disk = closeStore(openStore(closeStore(opened)));
    const keys = [...disk.table.keys()].filter((key) => key.startsWith('d'));
    disk.table.delete(keys[3] as string);
    const rotten = Buffer.from(disk.table.get(keys[7] as string)!);
    rotten[rotten.length - 1]! ^= 4;
    disk.table.set(keys[7] as string, rotten);
    const again = desk(openStore(disk));
    const facts = factsOf(again.audit());
    expect(facts[1]).toEqual([18, 1, AuditFact.doubtful, 0]);
    expect(facts[2]).toEqual([0, 0, 0, 0]);
    expect(again.store.doubts.isSure(1)).toBe(false);
    expect(Buffer.compare(again.store.rebuildLeaves(1), again.store.tree.leaves(1))).toBe(0);
  });

  it('sees a lost row alone', () => {
    const opened = desk();
    fill(opened, 20);
    // Twice, or the journal would still have the rows.
    const disk = closeStore(openStore(closeStore(opened)));
    disk.table.delete([...disk.table.keys()].filter((key) => key.startsWith('d'))[3] as string);
    const again = desk(openStore(disk));
    expect(factsOf(again.audit())[1]).toEqual([19, 0, AuditFact.doubtful | AuditFact.misdigested, 0]);
    // Put right: what is missing is for the others to tell.
    expect(factsOf(again.audit())[1]).toEqual([19, 0, AuditFact.doubtful, 0]);
  });

  it('lists the keys of the ranges that are asked for, page by page', () => {
    const { store, audits, client, answers, ...rest } = desk();
    fill({ store, ...rest }, 5_000);
    const all = new Uint8Array(256 / 8).fill(255);
    const keys = new Set<string>();
    let pages = 0;
    let after: string | null = null;
    for (let more = true; more; pages++) {
      audits.onAuditKeys(client, [Tag.auditKeys, 2, 1, all, after]);
      const [, , rows, isMore] = answers.pop() as AuditedKeys;
      for (let i = 0; i < rows.length; i += 5) keys.add((after = rows[i] as string));
      more = isMore;
    }
    expect([keys.size, pages > 2]).toEqual([5_000, true]);
    const one = new Uint8Array(all.length);
    one[0] = 0b10;
    audits.onAuditKeys(client, [Tag.auditKeys, 3, 1, one, null]);
    const [, , rows] = answers.pop() as AuditedKeys;
    expect(rows.filter((_, i) => i % 5 === 0)).toEqual([...store.rows(1, null)].map(([key]) => key).filter((key) => slotOf(key) >> 8 === 1));
    expect(partitionOf(rows[0] as string)).toBe(1);
  });
});
