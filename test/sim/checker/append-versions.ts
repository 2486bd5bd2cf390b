/**
 * The order of a key's versions, from reads alone.
 *
 * A list shows its whole past: reading [1, 2, 3] says that 1, 2 and 3 were appended in this order, with nothing between. So all lists that were
 * ever read of a key are prefixes of the longest one, the *trunk*, which gives the order of its versions; and where a list isn't such a prefix, no
 * serial execution explains both. That is why append is the strongest workload: with registers the order of versions is mostly hidden.
 *
 * What is wrong in itself, without a cycle, is found here. Reference: Kingsbury & Alvaro, "Elle", VLDB 2020.
 */

import { type Append, type AppendsByKey, commonPrefix } from './append-evidence.ts';
import type { ExternalRead } from './append-reads.ts';
import type { Element, Key } from './history.ts';
import { type Findings, listInWords } from './verdict.ts';

export interface Versions {
  readonly key: Key;
  readonly trunk: readonly Element[];
  /** Who appended the trunk's elements; undefined where it is nobody, or somebody who failed. */
  readonly committedAppends: readonly (Append | undefined)[];
  /** The reads that agree with the trunk. */
  readonly reads: readonly ExternalRead[];
  /** Elements seen in reads that do not. */
  readonly strays: ReadonlyMap<Element, ExternalRead>;
}

export function inferVersions(key: Key, all: readonly ExternalRead[], appends: AppendsByKey, findings: Findings): Versions {
  const longestFirst = [...all].sort((a, b) => b.list.length - a.list.length);
  const trunkRead = longestFirst.find(({ list }) => new Set(list).size === list.length);
  const trunk = trunkRead?.list ?? [];
  const reads: ExternalRead[] = [];
  const strays = new Map<Element, ExternalRead>();
  for (const read of all) {
    const agreed = commonPrefix(trunk, read.list);
    if (agreed === read.list.length) {
      reads.push(read);
      continue;
    }
    for (const element of read.list.slice(agreed)) strays.set(element, strays.get(element) ?? read);
    const words = `T${read.by.id} read ${key}=${listInWords(read.list)}`;
    const twice = read.list.find((element, place) => read.list.indexOf(element) !== place);
    if (twice !== undefined) {
      findings.add('duplicate-elements', `${words} with ${twice} twice`, [read.by.id]);
    } else if (trunkRead !== undefined) {
      const other = `T${trunkRead.by.id} read ${key}=${listInWords(trunk)}`;
      findings.add('incompatible-order', `${words} and ${other}: neither is a prefix of the other`, [read.by.id, trunkRead.by.id]);
    }
  }
  const appendsOfKey = appends.get(key);
  const written = trunk.map((element) => appendsOfKey?.get(element));
  const committedAppends = written.map((append) => (append?.by.outcome === 'failed' ? undefined : append));
  const versions: Versions = { key, trunk, committedAppends, reads, strays };
  for (const [element, read] of strays) if (!trunk.includes(element)) judgeWriter(read, element, appendsOfKey?.get(element), findings);
  for (const [place, append] of written.entries()) {
    if (append !== undefined && append.by.outcome !== 'failed') continue;
    judgeWriter(earliest(reads, (read) => read.list.length > place)!, trunk[place]!, append, findings);
    const upon = committedAppends.slice(place).find((later) => later !== undefined);
    if (append === undefined || upon === undefined) continue;
    const words = `T${upon.by.id} appended ${upon.element} to ${key} after the ${append.element} of T${append.by.id}, which failed`;
    findings.add('dirty-update', words, [upon.by.id, append.by.id]);
  }
  findIntermediateReads(versions, findings);
  findReorderedAppends(versions, findings);
  return versions;
}

function judgeWriter(read: ExternalRead, element: Element, append: Append | undefined, findings: Findings): void {
  const words = `T${read.by.id} read ${read.key}=${listInWords(read.list)}`;
  if (append === undefined) {
    findings.add('unwritten-read', `${words}, but nobody appended ${element}`, [read.by.id]);
  } else if (append.by.outcome === 'failed') {
    findings.add('G1a', `${words} with the ${element} of T${append.by.id}, which failed`, [read.by.id, append.by.id]);
  }
}

function findIntermediateReads({ key, committedAppends, reads }: Versions, findings: Findings): void {
  for (const { by, list, base } of reads) {
    const append = committedAppends[base - 1];
    if (append === undefined || append.isLast || append.by === by) continue;
    const words = `T${by.id} read ${key}=${listInWords(list)}, but ${append.element} was not the last that T${append.by.id} appended to it`;
    findings.add('G1b', words, [by.id, append.by.id]);
  }
}

/** Appends of one transaction to one key stay in the order of its program. */
function findReorderedAppends({ key, trunk, committedAppends }: Versions, findings: Findings): void {
  const latest = new Map<number, Append>();
  for (const append of committedAppends) {
    if (append === undefined) continue;
    const former = latest.get(append.by.id);
    if (former !== undefined && former.place > append.place) {
      const words = `T${append.by.id} appended ${append.element} and then ${former.element} to ${key}, which was read as ${listInWords(trunk)}`;
      findings.add('incompatible-order', words, [append.by.id]);
    }
    latest.set(append.by.id, append);
  }
}

function earliest(reads: readonly ExternalRead[], matches: (read: ExternalRead) => boolean): ExternalRead | undefined {
  let found: ExternalRead | undefined;
  for (const read of reads) if (matches(read) && (found === undefined || read.by.invokedAt < found.by.invokedAt)) found = read;
  return found;
}
