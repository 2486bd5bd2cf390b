/**
 * Strict serializability of transactions that append to lists and read them.
 *
 * A list shows its past, so the order of a key's versions is known from reads (append-versions.ts), and with it every dependency: who overwrote
 * whom, who read whom, who missed whom (append-graph.ts). Together with the order of real time they form a graph, and the history is strictly
 * serializable exactly when no single read is wrong and the graph has no cycle (cycles.ts).
 *
 * Reference: Kingsbury & Alvaro, "Elle: Inferring Isolation Anomalies from Experimental Observations", VLDB 2020.
 */

import { type AppendsByKey, appendsOf, committedOf } from './append-evidence.ts';
import { linkUnseen, linkVersions } from './append-graph.ts';
import { type ExternalRead, externalReads } from './append-reads.ts';
import { inferVersions, type Versions } from './append-versions.ts';
import { findCycles, type TransactionNode } from './cycles.ts';
import { GraphBuilder, RT } from './graph.ts';
import { assertWellFormed, type History, type Key, type ListOperation } from './history.ts';
import { linkRealTime } from './real-time.ts';
import { Findings, listInWords, type Verdict } from './verdict.ts';

/** Throws MalformedHistory where times make no sense or an element is appended to a key twice. */
export function checkAppend(history: History<ListOperation>): Verdict {
  assertWellFormed(history);
  const findings = new Findings();
  const appends = appendsOf(history);
  const committed = committedOf(history, appends);
  const readsByKey = new Map<Key, ExternalRead[]>();
  let observations = 0;
  for (const [position, transaction] of committed.entries()) {
    for (const read of externalReads(transaction, position, findings)) {
      const ofKey = readsByKey.get(read.key);
      if (ofKey === undefined) readsByKey.set(read.key, [read]);
      else ofKey.push(read);
      observations += 1;
    }
  }
  const nodes: TransactionNode[] = committed.map(({ id, invokedAt, completedAt, outcome }) => (
    { id, invokedAt, completedAt: outcome === 'ok' && completedAt !== null ? completedAt : Number.POSITIVE_INFINITY }
  ));
  const positionOf = new Map(committed.map(({ id }, position) => [id, position]));
  const graph = new GraphBuilder(committed.length);
  for (const [key, reads] of readsByKey) {
    const versions = inferVersions(key, reads, appends, findings);
    findLostAppends(versions, reads, appends, findings);
    findLostUpdates(versions, findings);
    linkVersions(graph, versions, positionOf);
    linkUnseen(graph, versions, appends, positionOf);
  }
  linkRealTime(nodes, (from, to) => graph.edge(from, to, RT));
  for (const { name, words, transactions } of findCycles(graph.build(), nodes)) findings.add(name, words, transactions);
  return findings.verdict(observations);
}

/** Acknowledged, and there were reads after that; but none of them shows it. */
function findLostAppends({ key, trunk, reads, strays }: Versions, all: readonly ExternalRead[], appends: AppendsByKey, findings: Findings): void {
  const finalRead = all.reduce((a, b) => (b.by.invokedAt > a.by.invokedAt ? b : a));
  const lastShownAt = new Map<number, number>();
  for (const { by, list } of reads) lastShownAt.set(list.length, Math.max(by.invokedAt, lastShownAt.get(list.length) ?? by.invokedAt));
  const shownAt = new Map([...strays.keys()].map((element) => [element, Number.POSITIVE_INFINITY]));
  for (let length = trunk.length, at = Number.NEGATIVE_INFINITY; length > 0; length -= 1) {
    at = Math.max(at, lastShownAt.get(length) ?? at);
    shownAt.set(trunk[length - 1]!, at);
  }
  for (const { by, element } of appends.get(key)?.values() ?? []) {
    if (by.outcome !== 'ok' || by.completedAt === null || by.completedAt >= finalRead.by.invokedAt) continue;
    if ((shownAt.get(element) ?? Number.NEGATIVE_INFINITY) > by.completedAt) continue;
    const read = `T${finalRead.by.id}, which began after that, read ${key}=${listInWords(finalRead.list)}`;
    findings.add('lost-append', `T${by.id}'s append of ${element} to ${key} was acknowledged, but ${read}`, [by.id, finalRead.by.id]);
  }
}

/** A version has one successor, so of all that read it, one at most may append to it. */
function findLostUpdates({ key, reads }: Versions, findings: Findings): void {
  const updaterOf = new Map<number, ExternalRead>();
  for (const read of reads) {
    const { by, list, base } = read;
    if (!by.operations.some((micro) => micro.type === 'append' && micro.key === key)) continue;
    const former = updaterOf.get(base);
    if (former === undefined) updaterOf.set(base, read);
    else {
      const version = `${key}=${listInWords(list.slice(0, base))}`;
      findings.add('lost-update', `T${former.by.id} and T${by.id} both read ${version} and both appended to it`, [former.by.id, by.id]);
    }
  }
}
