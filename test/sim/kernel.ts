// The event loop of a simulated world: one heap of events ordered by virtual time and a seeded tie-break. An event belongs
// to a process or to nobody; what belongs to a dead process never runs, what belongs to a stopped one waits. After each
// event every promise settles before the next. Must not know nodes, stores or monitoring.
import type { Draw } from './random.ts';

/** A process as the loop sees it. */
export interface Process {
  isDead: boolean;
  isPaused: boolean;
  /** Events that came due while it was paused. */
  held: (() => void)[];
}

interface Entry {
  readonly t: number;
  readonly tie: number;
  readonly seq: number;
  readonly owner: Process | null;
  run: (() => void) | null;
}

const realImmediate = globalThis.setImmediate;

/** Events in one run, at most: above it something spins. */
const eventsMax = 6_000_000;

export class Kernel {
  now = 0;
  events = 0;
  /** Whose event runs; its microtasks included. */
  current: Process | null = null;
  readonly #draw: Draw;
  readonly #heap: Entry[] = [];
  #seq = 0;

  constructor(draw: Draw) {
    this.#draw = draw;
  }

  /** Runs `task` at virtual time `t` (at once: at the next event), as an event of `owner`; returns a canceller. */
  at(t: number, owner: Process | null, task: () => void): () => void {
    if (owner?.isDead === true) return () => undefined;
    const entry: Entry = {
      t: Math.max(t, this.now),
      tie: this.#draw.next(),
      seq: this.#seq++,
      owner,
      run: task,
    };
    this.#push(entry);
    return () => {
      entry.run = null;
    };
  }

  after(ms: number, owner: Process | null, task: () => void): () => void {
    return this.at(this.now + ms, owner, task);
  }

  /** Resolves, for code outside of all processes, at this virtual time. */
  until(t: number): Promise<void> {
    return new Promise((resolve) => {
      this.at(t, null, resolve);
    });
  }

  /** Lets a paused process go on: what it missed runs now, in any order. */
  resume(process: Process): void {
    process.isPaused = false;
    const held = this.#draw.shuffled(process.held);
    process.held = [];
    for (const task of held) this.at(this.now, process, task);
  }

  /** Runs events until `isOver` says so, or nothing is left. Takes over `setImmediate` meanwhile. */
  async run(isOver: () => boolean): Promise<void> {
    const patched = ((task: (...args: unknown[]) => void, ...args: unknown[]) => {
      this.at(this.now, this.current, () => task(...args));
      return {} as NodeJS.Immediate;
    }) as typeof globalThis.setImmediate;
    globalThis.setImmediate = patched;
    try {
      await this.#fence();
      while (!isOver()) {
        const entry = this.#pop();
        if (entry === undefined) return;
        if (entry.run === null || entry.owner?.isDead === true) continue;
        this.now = entry.t;
        if (entry.owner?.isPaused === true) {
          entry.owner.held.push(entry.run);
          continue;
        }
        if (++this.events > eventsMax) throw new Error(`more than ${eventsMax} events: it spins`);
        this.current = entry.owner;
        entry.run();
        await this.#fence();
        this.current = null;
      }
    } finally {
      globalThis.setImmediate = realImmediate;
    }
  }

  /** All microtasks have run when this resolves. */
  #fence(): Promise<void> {
    return new Promise((resolve) => {
      realImmediate(resolve);
    });
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(entry, heap[parent] as Entry)) break;
      heap[at] = heap[parent] as Entry;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): Entry | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Entry, heap[child] as Entry))
        child++;
      if (!before(heap[child] as Entry, last)) break;
      heap[at] = heap[child] as Entry;
      at = child;
    }
    heap[at] = last;
    return top;
  }
}

function before(left: Entry, right: Entry): boolean {
  if (left.t !== right.t) return left.t < right.t;
  return left.tie !== right.tie ? left.tie < right.tie : left.seq < right.seq;
}
