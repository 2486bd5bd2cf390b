/**
 * A directed graph of transactions with labelled edges, and its strongly connected components.
 *
 * Nodes are numbers: transactions first, then *hubs*. A hub stands for "each of these before each of those" with one edge per member instead of one
 * per pair; a step into a hub and out of it counts as one.
 *
 * Components are found as Tarjan does ("Depth-first search and linear graph algorithms", 1972), with an explicit stack: a history of 10,000
 * transactions is often one path of that length, which no call stack survives.
 */

/** Kinds of edges, as a bit set, so that "this graph, but only these edges" costs nothing to say. */
export const WW = 1;
export const WR = 2;
export const RW = 4;
export const RT = 8;
export type Kinds = number;

export interface Graph {
  readonly nodeCount: number;
  /** Nodes from here on are hubs. */
  readonly transactionCount: number;
  /** The edges of node n are those from firstEdge[n] up to, not including, firstEdge[n + 1]. */
  readonly firstEdge: Int32Array;
  readonly target: Int32Array;
  readonly kind: Uint8Array;
  /** Why the edge is there. Into a hub: the sentence's first half; out of it: the second. Edges of real time need no reason. */
  readonly reason: readonly ((() => string) | undefined)[];
}

export class GraphBuilder {
  readonly #transactionCount: number;
  #nodeCount: number;
  readonly #from: number[] = [];
  readonly #to: number[] = [];
  readonly #kind: number[] = [];
  readonly #reason: ((() => string) | undefined)[] = [];

  constructor(transactionCount: number) {
    this.#transactionCount = transactionCount;
    this.#nodeCount = transactionCount;
  }

  hub(): number {
    this.#nodeCount += 1;
    return this.#nodeCount - 1;
  }

  /** A transaction does not depend on itself: such an edge is left out. */
  edge(from: number, to: number, kind: Kinds, reason?: () => string): void {
    if (from === to) return;
    this.#from.push(from);
    this.#to.push(to);
    this.#kind.push(kind);
    this.#reason.push(reason);
  }

  build(): Graph {
    const firstEdge = new Int32Array(this.#nodeCount + 1);
    for (const from of this.#from) firstEdge[from + 1]! += 1;
    for (let node = 0; node < this.#nodeCount; node += 1) firstEdge[node + 1]! += firstEdge[node]!;
    const place = firstEdge.slice();
    const target = new Int32Array(this.#from.length);
    const kind = new Uint8Array(this.#from.length);
    const reason = new Array<(() => string) | undefined>(this.#from.length);
    for (const [edge, from] of this.#from.entries()) {
      const slot = place[from]!;
      place[from] = slot + 1;
      target[slot] = this.#to[edge]!;
      kind[slot] = this.#kind[edge]!;
      reason[slot] = this.#reason[edge];
    }
    return { nodeCount: this.#nodeCount, transactionCount: this.#transactionCount, firstEdge, target, kind, reason };
  }
}

/** The components of two nodes or more, looking only at edges of `kinds` between nodes of `within`. */
export function components(graph: Graph, kinds: Kinds, within: Iterable<number>): number[][] {
  const { firstEdge, target, kind } = graph;
  const outside = -2;
  const unvisited = -1;
  const index = new Int32Array(graph.nodeCount).fill(outside);
  const low = new Int32Array(graph.nodeCount);
  const nextEdge = new Int32Array(graph.nodeCount);
  const onStack = new Uint8Array(graph.nodeCount);
  const roots = [...within];
  for (const node of roots) index[node] = unvisited;
  const found: number[][] = [];
  const stack: number[] = [];
  const path: number[] = [];
  let counter = 0;

  const enter = (node: number): void => {
    index[node] = counter;
    low[node] = counter;
    counter += 1;
    nextEdge[node] = firstEdge[node]!;
    onStack[node] = 1;
    stack.push(node);
    path.push(node);
  };

  const leave = (node: number): void => {
    path.pop();
    const parent = path.at(-1);
    if (parent !== undefined && low[node]! < low[parent]!) low[parent] = low[node]!;
    if (low[node] !== index[node]) return;
    const members = stack.splice(stack.lastIndexOf(node));
    for (const member of members) onStack[member] = 0;
    if (members.length > 1) found.push(members);
  };

  for (const root of roots) {
    if (index[root] !== unvisited) continue;
    enter(root);
    while (path.length > 0) {
      const node = path[path.length - 1]!;
      const edge = nextEdge[node]!;
      if (edge === firstEdge[node + 1]!) {
        leave(node);
        continue;
      }
      nextEdge[node] = edge + 1;
      if ((kind[edge]! & kinds) === 0) continue;
      const successor = target[edge]!;
      if (index[successor] === unvisited) enter(successor);
      else if (onStack[successor] === 1 && index[successor]! < low[node]!) low[node] = index[successor]!;
    }
  }
  return found;
}
