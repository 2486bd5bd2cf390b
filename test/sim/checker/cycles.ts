/**
 * Cycles of dependencies, named and told in words.
 *
 * A set of transactions is serializable exactly when the graph of what must come before what has no cycle (Adya): ww, b's version directly follows
 * a's; wr, b read a's version; rw, b's version directly follows the one that a read. With the edges of real time added, the same is said of strict
 * serializability. Which isolation level is broken shows in which edges the cycle needs:
 *
 *   G0         ww alone                      dirty write; not even read uncommitted
 *   G1c        ww, wr                        circular information flow; not read committed
 *   G-single   ww, wr and exactly one rw     read skew, lost update; not snapshot isolation
 *   G2-item    more than one rw              write skew; not serializable
 *   -realtime  the same, with real time      a serial order exists, but contradicts the clock
 *
 * Of each strongly connected component the worst class is reported by its shortest cycle, and beside it the shortest cycle of any class, if that is
 * shorter. Classes are tried from worst to least; so a cycle found for one of them needs no proof that it isn't one of a worse class.
 *
 * Breadth-first search from every member finds a shortest cycle. It does not walk the edges of real time, which are reduced and would make one step
 * look like many: it steps from an operation to everything invoked after its completion. Sorted by invocation that is a suffix, and a
 * suffix that was swept once holds nothing new, so these steps cost one pass over the members in each search.
 *
 * References: Adya, "Weak Consistency", PhD thesis, MIT 1999; Kingsbury & Alvaro, "Elle", VLDB 2020.
 */

import { components, type Graph, type Kinds, RT, RW, WR, WW } from './graph.ts';
import type { Interval } from './real-time.ts';
import type { CycleName } from './verdict.ts';

/** A transaction as the search sees it; the graph's nodes are positions in a list of these. */
export interface TransactionNode extends Interval {
  readonly id: number;
}

export interface CycleFound {
  readonly name: CycleName;
  /** Ids of its transactions, each before the next and the last before the first. */
  readonly transactions: readonly number[];
  /** The reasons, in the same order, in one line. */
  readonly words: string;
}

interface CycleClass {
  /** The kinds of the first step, and those of the others. */
  readonly first: Kinds;
  readonly others: Kinds;
}

const classesFromWorst: readonly CycleClass[] = [
  { first: WW, others: WW },
  { first: WW | WR, others: WW | WR },
  { first: RW, others: WW | WR },
  { first: WW | WR | RW, others: WW | WR | RW },
  { first: WW | RT, others: WW | RT },
  { first: WW | WR | RT, others: WW | WR | RT },
  { first: RW, others: WW | WR | RT },
  { first: WW | WR | RW | RT, others: WW | WR | RW | RT },
];
const anyKind = WW | WR | RW | RT;

/** One is enough to know that the system is wrong; thousands of small ones would each be searched for nothing. */
const componentsMax = 50;

/** In a component of thousands a short cycle is found at once, but to prove it the shortest would take minutes. About a second. */
const stepsMax = 40_000_000;

/** A step of the search. `edge` is realTimeStep, or an edge of the graph; `intoHub` is the edge before it, where the step goes through a hub. */
interface Step {
  readonly from: number;
  readonly edge: number;
  readonly intoHub: number | undefined;
}

const realTimeStep = -1;

/** `transactions`: the graph's nodes below its hubs. Its RT edges must be those of real-time.ts. */
export function findCycles(graph: Graph, transactions: readonly TransactionNode[]): CycleFound[] {
  const found: CycleFound[] = [];
  const search = new CycleSearch(graph, transactions);
  for (const members of components(graph, anyKind, Array(graph.nodeCount).keys()).slice(0, componentsMax)) {
    const worst = worstCycle(graph, search, members);
    if (worst !== undefined) found.push(told(graph, transactions, worst));
    const shortest = search.shortest([members], anyKind, anyKind);
    if (shortest === undefined || (worst !== undefined && shortest.length >= worst.length)) continue;
    found.push(told(graph, transactions, shortest));
  }
  return found;
}

function worstCycle(graph: Graph, search: CycleSearch, members: readonly number[]): readonly Step[] | undefined {
  for (const { first, others } of classesFromWorst) {
    const cycle = search.shortest(components(graph, first | others, members), first, others);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}

class CycleSearch {
  readonly #graph: Graph;
  readonly #transactions: readonly TransactionNode[];
  /** The group, and the search, that a node was last part of: numbers that only grow, so nothing is ever cleared. */
  readonly #groupOf: Int32Array;
  readonly #reachedIn: Int32Array;
  readonly #stepInto: (Step | undefined)[];
  #groups = 0;
  #searches = 0;
  #stepsLeft = 0;

  constructor(graph: Graph, transactions: readonly TransactionNode[]) {
    this.#graph = graph;
    this.#transactions = transactions;
    this.#groupOf = new Int32Array(graph.nodeCount);
    this.#reachedIn = new Int32Array(graph.nodeCount);
    this.#stepInto = new Array<Step | undefined>(graph.nodeCount);
  }

  /** The shortest cycle inside one of `groups` whose first step is of the kinds `first`, and the rest of `others`. */
  shortest(groups: readonly (readonly number[])[], first: Kinds, others: Kinds): readonly Step[] | undefined {
    let best: readonly Step[] | undefined;
    this.#stepsLeft = stepsMax;
    for (const members of groups) {
      this.#groups += 1;
      for (const member of members) this.#groupOf[member] = this.#groups;
      const byInvocation = members
        .filter((member) => member < this.#graph.transactionCount)
        .sort((a, b) => this.#transactions[a]!.invokedAt - this.#transactions[b]!.invokedAt);
      for (const start of byInvocation) {
        const lengthMax = best === undefined ? byInvocation.length : best.length - 1;
        if (lengthMax < 2 || this.#stepsLeft <= 0) return best;
        best = this.#shortestFrom(start, byInvocation, first, others, lengthMax) ?? best;
      }
    }
    return best;
  }

  #shortestFrom(start: number, byInvocation: readonly number[], first: Kinds, others: Kinds, lengthMax: number): readonly Step[] | undefined {
    const { firstEdge, target, kind, transactionCount } = this.#graph;
    this.#searches += 1;
    let level = [start];
    let next: number[] = [];
    let sweptFrom = byInvocation.length;

    // Both return whether the cycle is closed.
    const reach = (to: number, from: number, edge: number, intoHub: number | undefined): boolean => {
      this.#stepsLeft -= 1;
      if (this.#groupOf[to] !== this.#groups || this.#reachedIn[to] === this.#searches) return false;
      this.#reachedIn[to] = this.#searches;
      if (to < transactionCount) {
        this.#stepInto[to] = { from, edge, intoHub };
        next.push(to);
        return to === start;
      }
      for (let outOfHub = firstEdge[to]!; outOfHub < firstEdge[to + 1]!; outOfHub += 1) {
        if (reach(target[outOfHub]!, from, outOfHub, edge)) return true;
      }
      return false;
    };
    const expand = (node: number, kinds: Kinds): boolean => {
      for (let edge = firstEdge[node]!; edge < firstEdge[node + 1]!; edge += 1) {
        if ((kind[edge]! & kinds & ~RT) !== 0 && reach(target[edge]!, node, edge, undefined)) return true;
      }
      if ((kinds & RT) === 0) return false;
      const { completedAt } = this.#transactions[node]!;
      for (; sweptFrom > 0; sweptFrom -= 1) {
        const later = byInvocation[sweptFrom - 1]!;
        if (this.#transactions[later]!.invokedAt <= completedAt) break;
        if (reach(later, node, realTimeStep, undefined)) return true;
      }
      return false;
    };

    for (let length = 1; level.length > 0 && length <= lengthMax; length += 1) {
      const kinds = length === 1 ? first : others;
      for (const node of level) if (expand(node, kinds)) return this.#pathBackFrom(start);
      level = next;
      next = [];
    }
    return undefined;
  }

  #pathBackFrom(start: number): readonly Step[] {
    const steps: Step[] = [];
    let node = start;
    do {
      const step = this.#stepInto[node]!;
      steps.push(step);
      node = step.from;
    } while (node !== start);
    return steps.reverse();
  }
}

function told(graph: Graph, transactions: readonly TransactionNode[], cycle: readonly Step[]): CycleFound {
  const kinds = cycle.map(({ edge, intoHub }) => (edge === realTimeStep ? RT : graph.kind[intoHub ?? edge]!));
  const ids = cycle.map(({ from }) => transactions[from]!.id);
  const words = cycle.map(({ edge, intoHub }, position) => {
    if (edge === realTimeStep) return `T${ids[position]!} completed before T${ids[(position + 1) % ids.length]!} began (real time)`;
    return (intoHub === undefined ? '' : (graph.reason[intoHub]?.() ?? '')) + (graph.reason[edge]?.() ?? '');
  });
  return { name: nameOf(kinds), transactions: ids, words: words.join('; ') };
}

function nameOf(kinds: readonly Kinds[]): CycleName {
  const antiDependencies = kinds.filter((kind) => kind === RW).length;
  const name = antiDependencies > 1 ? 'G2-item' : antiDependencies === 1 ? 'G-single' : kinds.includes(WR) ? 'G1c' : 'G0';
  return kinds.includes(RT) ? `${name}-realtime` : name;
}
