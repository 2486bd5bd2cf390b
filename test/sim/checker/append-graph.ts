/**
 * The dependencies that a key's versions make.
 *
 * Each version knows the one before it and the one after it, so one edge per append (ww) and two per read (wr, rw) are enough: the rest follows by
 * transitivity.
 *
 * One thing more than Elle infers: an append that no read shows comes after every version that was read, for a read of a later one would show it.
 * So whoever read the last known version missed it. Write skew is found this way even if nobody reads the keys again.
 */

import type { Append, AppendsByKey } from './append-evidence.ts';
import type { ExternalRead } from './append-reads.ts';
import type { Versions } from './append-versions.ts';
import { type GraphBuilder, RW, WR, WW } from './graph.ts';
import { listInWords } from './verdict.ts';

/** From a transaction's id to its node. */
type Positions = ReadonlyMap<number, number>;

export function linkVersions(graph: GraphBuilder, { key, trunk, committedAppends, reads }: Versions, positionOf: Positions): void {
  // Appends that failed, or that nobody made, are reported already; the order leads past them to the nearest committed one.
  const before: (Append | undefined)[] = [];
  const from = new Array<Append | undefined>(trunk.length + 1);
  for (let place = 0; place <= trunk.length; place += 1) before.push(committedAppends[place - 1] ?? before[place - 1]);
  for (let place = trunk.length - 1; place >= 0; place -= 1) from[place] = committedAppends[place] ?? from[place + 1];

  for (const [place, append] of committedAppends.entries()) {
    const former = before[place];
    if (append === undefined || former === undefined) continue;
    graph.edge(positionOf.get(former.by.id)!, positionOf.get(append.by.id)!, WW, () => overwrote(former, append));
  }
  for (const read of reads) {
    const { by, position, base } = read;
    const writer = before[base];
    const next = from[base];
    if (writer !== undefined) {
      const reason = (): string => `T${writer.by.id} appended ${writer.element} to ${key}, which T${by.id} read as ${listInWords(read.list)} (wr)`;
      graph.edge(positionOf.get(writer.by.id)!, position, WR, reason);
    }
    if (next !== undefined) graph.edge(position, positionOf.get(next.by.id)!, RW, () => missed(read) + itsAppend(next));
  }
}

export function linkUnseen(graph: GraphBuilder, versions: Versions, appends: AppendsByKey, positionOf: Positions): void {
  const { key, trunk, committedAppends, reads, strays } = versions;
  const seen = new Set(trunk);
  const unseen = new Map<number, Append>();
  for (const append of appends.get(key)?.values() ?? []) {
    const position = positionOf.get(append.by.id);
    if (position !== undefined && !seen.has(append.element) && !strays.has(append.element)) unseen.set(position, append);
  }
  if (unseen.size === 0) return;

  const lastPlace = committedAppends.findLastIndex((append) => append !== undefined);
  const last = committedAppends[lastPlace];
  if (last !== undefined) {
    for (const [position, append] of unseen) {
      graph.edge(positionOf.get(last.by.id)!, position, WW, () => overwrote(last, append, ', which no read shows'));
    }
  }
  // Through a hub, for there may be many on both sides. Who is on both sides doesn't miss itself; two of them have lost an update already.
  const hub = graph.hub();
  for (const [position, append] of unseen) graph.edge(hub, position, RW, () => itsAppend(append));
  let updaters = 0;
  for (const read of reads) {
    if (read.base <= lastPlace) continue;
    if (!unseen.has(read.position)) {
      graph.edge(read.position, hub, RW, () => missed(read));
      continue;
    }
    updaters += 1;
    if (updaters > 2) continue;
    for (const [position, append] of unseen) graph.edge(read.position, position, RW, () => missed(read) + itsAppend(append));
  }
}

function overwrote(former: Append, append: Append, remark = ''): string {
  return `T${former.by.id} appended ${former.element} to ${append.key} before T${append.by.id} appended ${append.element}${remark} (ww)`;
}

function missed({ by, key, list }: ExternalRead): string {
  return `T${by.id} read ${key}=${listInWords(list)} and missed `;
}

function itsAppend({ by, element }: Append): string {
  return `T${by.id}'s append of ${element} (rw)`;
}
