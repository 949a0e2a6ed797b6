// The release rule: what a step says to others leaves only when its commit and all earlier commits of the actor are
// acknowledged. Counts commits asked for and acknowledged, and holds replies and sends in order. Must not know stores.
// Follows ra: effects wait for their log entry; invariant: nothing held leaves out of order.
import { assert } from './assert.ts';
import type { TocsinError } from './errors.ts';
import { Ring } from './ring.ts';

interface Held {
  /** Number of the newest commit it waits for. */
  readonly barrier: number;
  readonly release: () => void;
  readonly abandon: ((error: TocsinError) => void) | null;
}

export class CommitLedger {
  #issued = 0;
  #acknowledged = 0;
  #held: Ring<Held> | null = null;
  /** Acknowledged out of order: they count once the gap before them is closed. */
  #early: Set<number> | null = null;

  /** Commits asked for and not yet acknowledged. */
  get pending(): number {
    return this.#issued - this.#acknowledged;
  }

  /** Replies and sends that wait. */
  get heldCount(): number {
    return this.#held?.length ?? 0;
  }

  /** Returns the number of a commit that is asked for now. */
  issue(): number {
    this.#issued++;
    return this.#issued;
  }

  /** Releases at once where nothing is pending, else after the newest commit asked for so far. True: at once. */
  hold(release: () => void, abandon: ((error: TocsinError) => void) | null): boolean {
    if (this.pending === 0) {
      release();
      return true;
    }
    this.#held ??= new Ring();
    this.#held.push({ barrier: this.#issued, release, abandon });
    return false;
  }

  /** Commit `number` is durable: releases, in order, what waited for it and has nothing before it. */
  acknowledge(number: number): void {
    assert(number > this.#acknowledged && number <= this.#issued, 'a commit is acknowledged once');
    this.#early ??= new Set();
    this.#early.add(number);
    while (this.#early.delete(this.#acknowledged + 1)) this.#acknowledged++;
    if (this.#early.size === 0) this.#early = null;
    this.#releaseDue();
  }

  /** Nothing held will ever leave: tells those who wait. */
  abandon(error: TocsinError): void {
    const held = this.#held;
    this.#held = null;
    for (let item = held?.shift(); item !== undefined; item = held?.shift()) item.abandon?.(error);
  }

  #releaseDue(): void {
    const held = this.#held;
    if (held === null) return;
    const due: Held[] = [];
    while ((held.peek()?.barrier ?? Number.POSITIVE_INFINITY) <= this.#acknowledged) {
      due.push(held.shift() as Held);
    }
    if (held.length === 0) this.#held = null;
    for (const item of due) item.release();
  }
}
