// The timers of the wheel's current tick, ordered by due instant, then by start: a binary heap.
// Cancelled ones stay until they come up or are half of the heap. Must not know the wheel.

/** Whoever is told of its timers by name: 120 bytes less for each than a function of its own. */
export interface TimerTarget {
  /** Owner of its timers. */
  readonly key: string;
  timerFired(id: string, message: unknown): void;
}

/** One running timer. `level` -1: in the heap; -2: cancelled there; else linked into `slot` of that level. */
export interface TimerEntry {
  readonly owner: string;
  readonly id: string;
  readonly dueMonoMs: number;
  readonly seq: number;
  readonly fire: (() => void) | TimerTarget;
  /** What a target is told. */
  readonly message: unknown;
  level: number;
  slot: number;
  before: TimerEntry | null;
  after: TimerEntry | null;
  /** The next timer of the same owner, where these are few. */
  sibling: TimerEntry | null;
}

const cancelled = -2;

export class DueHeap {
  #entries: TimerEntry[] = [];
  #dropped = 0;

  push(entry: TimerEntry): void {
    const entries = this.#entries;
    let at = entries.length;
    entries.push(entry);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = entries[parent] as TimerEntry;
      if (!isBefore(entry, above)) break;
      entries[at] = above;
      at = parent;
    }
    entries[at] = entry;
  }

  /** Removes an entry that is in the heap. */
  drop(entry: TimerEntry): void {
    entry.level = cancelled;
    this.#dropped++;
    if (this.#dropped > 64 && this.#dropped * 2 > this.#entries.length) this.#rebuild();
  }

  /** Returns and removes the first entry due at or before `monoMs`, or null. */
  popUntil(monoMs: number): TimerEntry | null {
    this.#shed();
    const first = this.#entries[0];
    if (first === undefined || first.dueMonoMs > monoMs) return null;
    this.#removeFirst();
    return first;
  }

  /** Returns the first due instant, or Infinity. */
  earliest(): number {
    this.#shed();
    return this.#entries[0]?.dueMonoMs ?? Number.POSITIVE_INFINITY;
  }

  #shed(): void {
    while (this.#entries[0]?.level === cancelled) {
      this.#removeFirst();
      this.#dropped--;
    }
  }

  #rebuild(): void {
    const kept = this.#entries.filter((entry) => entry.level !== cancelled);
    this.#entries = [];
    this.#dropped = 0;
    for (const entry of kept) this.push(entry);
  }

  #removeFirst(): void {
    const entries = this.#entries;
    const last = entries.pop();
    if (last === undefined || entries.length === 0) return;
    let at = 0;
    while (true) {
      const child = smallerChild(entries, at);
      const below = entries[child];
      if (below === undefined || !isBefore(below, last)) break;
      entries[at] = below;
      at = child;
    }
    entries[at] = last;
  }
}

function smallerChild(entries: readonly TimerEntry[], at: number): number {
  const left = at * 2 + 1;
  const leftEntry = entries[left];
  const rightEntry = entries[left + 1];
  if (leftEntry === undefined || rightEntry === undefined) return left;
  return isBefore(rightEntry, leftEntry) ? left + 1 : left;
}

function isBefore(one: TimerEntry, other: TimerEntry): boolean {
  if (one.dueMonoMs !== other.dueMonoMs) return one.dueMonoMs < other.dueMonoMs;
  return one.seq < other.seq;
}
