/** What is to happen, by time; among equal times by the order in which it was asked for. A binary heap. */
export class EventQueue<E extends { readonly atMs: number; readonly sequence: number; readonly cancelled: boolean }> {
  #heap: E[] = [];
  #cancelled = 0;

  get size(): number {
    return this.#heap.length;
  }

  push(event: E): void {
    this.#heap.push(event);
    this.#up(this.#heap.length - 1);
  }

  peek(): E | undefined {
    return this.#heap[0];
  }

  pop(): E | undefined {
    const first = this.#heap[0];
    const last = this.#heap.pop();
    if (first === undefined || last === undefined) return undefined;
    if (this.#heap.length > 0) {
      this.#heap[0] = last;
      this.#down(0);
    }
    if (first.cancelled) this.#cancelled--;
    return first;
  }

  /**
   * An event in the queue was cancelled. It stays until its time comes, unless such events become the majority: most
   * timers guard a deadline and are cancelled long before.
   */
  noteCancelled(): void {
    if (++this.#cancelled <= 64 || this.#cancelled * 2 <= this.#heap.length) return;
    this.#heap = this.#heap.filter((event) => !event.cancelled);
    this.#cancelled = 0;
    for (let i = (this.#heap.length >> 1) - 1; i >= 0; i--) this.#down(i);
  }

  #up(index: number): void {
    const heap = this.#heap;
    const event = heap[index]!;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!before(event, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = event;
  }

  #down(index: number): void {
    const heap = this.#heap;
    const event = heap[index]!;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, event)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = event;
  }
}

interface Ordered {
  readonly atMs: number;
  readonly sequence: number;
}

function before(a: Ordered, b: Ordered): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}
