// One hierarchical timer wheel for everything that waits in this process, on one `clock.schedule`.
// After Varghese and Lauck: 10 ms ticks × 512 slots × 5 levels; starting and cancelling cost O(1) at any distance. Unlike a
// plain wheel it does not round to ticks: timers of the current tick wait in a heap and fire at their own millisecond.
// Must not know what fires. Restarting nothing, persisting nothing: whoever owns a timer starts it again after a load.

import { assert } from './assert.ts';
import { DueHeap, type TimerEntry, type TimerTarget } from './due-heap.ts';
import { wheelLimits } from './limits.ts';
import type { Clock, Meter } from './ports.ts';

export interface Timers {
  /**
   * Runs `fire` at or after the monotonic instant `dueMonoMs`, timers in order of due time. Replaces the timer of the
   * same owner and id. A due time in the past fires at the next turn of the event loop, never inside this call.
   */
  start(owner: string, id: string, dueMonoMs: number, fire: () => void): void;
  /** As `start` for the target's key; calls `timerFired`. */
  startFor(target: TimerTarget, id: string, dueMonoMs: number, message: unknown): void;
  /** True where a timer was running; it will not fire. */
  cancel(owner: string, id: string): boolean;
  /** Returns how many timers of the owner were cancelled. */
  cancelAll(owner: string): number;
  /** Timers running. */
  readonly size: number;
  /** Due instant of a running timer, or null. */
  dueMonoMs(owner: string, id: string): number | null;
  /** Cancels all of them; the wheel may be used again. */
  stop(): void;
}

export interface TimersOptions {
  readonly clock: Clock;
  readonly meter?: Meter;
  /**
   * Turns come at multiples of this only, so that timers which are due close together share one wake of the process: each
   * fires up to so much later, a periodic one always by the same. Default 0: at the due instant.
   */
  readonly gatherMs?: number;
  /** A turn came at least 300 ms late: the process was stopped or blocked. Called before the late timers fire. */
  readonly onPause?: (lateMs: number) => void;
}

/** Slots of one level: the head of each slot's list, and a lower bound of the due instants in it. */
interface Level {
  readonly heads: (TimerEntry | null)[];
  readonly earliest: Float64Array;
  count: number;
}

const { tickMs, slots, levels, pauseMs, firesPerTurn } = wheelLimits;
const levelTicks = Array.from({ length: levels }, (_, level) => slots ** level);

/** Timers of an owner above which it has a map. */
const chainMax = 8;

/** Returns a timer and its siblings. */
function chained(first: TimerEntry): TimerEntry[] {
  const entries: TimerEntry[] = [];
  for (let entry: TimerEntry | null = first; entry !== null; entry = entry.sibling) {
    entries.push(entry);
  }
  return entries;
}

/** Returns an empty wheel. */
export function timerWheel(options: TimersOptions): Timers {
  return new TimerWheel(options);
}

class TimerWheel implements Timers {
  readonly #clock: Clock;
  readonly #meter: Meter | undefined;
  readonly #onPause: ((lateMs: number) => void) | undefined;
  readonly #gatherMs: number;
  readonly #levels: Level[] = Array.from({ length: levels }, () => ({
    heads: new Array<TimerEntry | null>(slots).fill(null),
    earliest: new Float64Array(slots).fill(Number.POSITIVE_INFINITY),
    count: 0,
  }));
  /** Most owners have two or three timers: a chain of siblings, 300 bytes less than a map. One with many has a map. */
  readonly #owners = new Map<string, TimerEntry | Map<string, TimerEntry>>();
  readonly #due = new DueHeap();
  #tick: number;
  #size = 0;
  #nextSeq = 0;
  #armedAtMonoMs = Number.POSITIVE_INFINITY;
  #disarm: (() => void) | null = null;
  #isTurning = false;

  constructor(options: TimersOptions) {
    this.#clock = options.clock;
    this.#meter = options.meter;
    this.#onPause = options.onPause;
    this.#gatherMs = options.gatherMs ?? 0;
    this.#tick = Math.floor(options.clock.monoMs() / tickMs);
  }

  get size(): number {
    return this.#size;
  }

  start(owner: string, id: string, dueMonoMs: number, fire: () => void): void {
    this.#start({ owner, id, dueMonoMs }, fire, null);
  }

  startFor(target: TimerTarget, id: string, dueMonoMs: number, message: unknown): void {
    this.#start({ owner: target.key, id, dueMonoMs }, target, message);
  }

  #start(
    { owner, id, dueMonoMs }: Pick<TimerEntry, 'owner' | 'id' | 'dueMonoMs'>,
    fire: TimerEntry['fire'],
    message: unknown,
  ): void {
    assert(Number.isFinite(dueMonoMs), 'a timer has a due instant');
    this.cancel(owner, id);
    const entry: TimerEntry = {
      owner,
      id,
      dueMonoMs,
      seq: this.#nextSeq++,
      fire,
      message,
      level: -1,
      slot: 0,
      before: null,
      after: null,
      sibling: null,
    };
    this.#remember(entry);
    this.#place(entry);
    // Armed for now where it is overdue already: a due instant in the past is no pause of this process.
    if (this.#isTurning || dueMonoMs >= this.#armedAtMonoMs) return;
    const atMonoMs = this.#gathered(Math.max(dueMonoMs, this.#clock.monoMs()));
    if (atMonoMs < this.#armedAtMonoMs) this.#arm(atMonoMs);
  }

  cancel(owner: string, id: string): boolean {
    const entry = this.#find(owner, id);
    if (entry === null) return false;
    this.#forget(entry);
    this.#displace(entry);
    return true;
  }

  cancelAll(owner: string): number {
    const held = this.#owners.get(owner);
    if (held === undefined) return 0;
    const entries = held instanceof Map ? [...held.values()] : chained(held);
    for (const entry of entries) this.#displace(entry);
    this.#owners.delete(owner);
    this.#size -= entries.length;
    return entries.length;
  }

  dueMonoMs(owner: string, id: string): number | null {
    return this.#find(owner, id)?.dueMonoMs ?? null;
  }

  stop(): void {
    for (const owner of [...this.#owners.keys()]) this.cancelAll(owner);
    this.#disarm?.();
    this.#disarm = null;
    this.#armedAtMonoMs = Number.POSITIVE_INFINITY;
  }

  #find(owner: string, id: string): TimerEntry | null {
    const held = this.#owners.get(owner);
    if (held === undefined) return null;
    if (held instanceof Map) return held.get(id) ?? null;
    let entry: TimerEntry | null = held;
    while (entry !== null && entry.id !== id) entry = entry.sibling;
    return entry;
  }

  #remember(entry: TimerEntry): void {
    this.#size++;
    const held = this.#owners.get(entry.owner);
    if (held instanceof Map) {
      held.set(entry.id, entry);
      return;
    }
    entry.sibling = held ?? null;
    const chain = held === undefined ? 1 : chained(entry).length;
    if (chain <= chainMax) this.#owners.set(entry.owner, entry);
    else this.#owners.set(entry.owner, new Map(chained(entry).map((one) => [one.id, one])));
  }

  #forget(entry: TimerEntry): void {
    this.#size--;
    const { owner, sibling } = entry;
    const held = this.#owners.get(owner);
    if (held instanceof Map) {
      held.delete(entry.id);
      if (held.size === 0) this.#owners.delete(owner);
    } else if (held === entry) {
      if (sibling === null) this.#owners.delete(owner);
      else this.#owners.set(owner, sibling);
    } else {
      let before: TimerEntry | null = held ?? null;
      while (before !== null && before.sibling !== entry) before = before.sibling;
      if (before !== null) before.sibling = sibling;
    }
    entry.sibling = null;
  }

  /** Puts an entry into the heap of the current tick, or into the lowest level whose turn reaches its tick. */
  #place(entry: TimerEntry): void {
    const tick = Math.floor(entry.dueMonoMs / tickMs);
    if (tick <= this.#tick) {
      entry.level = -1;
      this.#due.push(entry);
      return;
    }
    for (let level = 0; level < levels; level++) {
      const span = levelTicks[level] as number;
      const block = Math.floor(tick / span);
      const isLast = level === levels - 1;
      if (isLast || block - Math.floor(this.#tick / span) < slots) {
        this.#link(entry, level, block % slots);
        return;
      }
    }
  }

  #link(entry: TimerEntry, level: number, slot: number): void {
    const into = this.#levels[level] as Level;
    const head = into.heads[slot] ?? null;
    entry.level = level;
    entry.slot = slot;
    entry.before = null;
    entry.after = head;
    if (head !== null) head.before = entry;
    into.heads[slot] = entry;
    into.count++;
    if (entry.dueMonoMs < (into.earliest[slot] as number)) into.earliest[slot] = entry.dueMonoMs;
  }

  #displace(entry: TimerEntry): void {
    if (entry.level === -1) {
      this.#due.drop(entry);
      return;
    }
    const from = this.#levels[entry.level] as Level;
    if (entry.before === null) from.heads[entry.slot] = entry.after;
    else entry.before.after = entry.after;
    if (entry.after !== null) entry.after.before = entry.before;
    from.count--;
    if (from.heads[entry.slot] === null) from.earliest[entry.slot] = Number.POSITIVE_INFINITY;
    entry.before = null;
    entry.after = null;
  }

  #arm(atMonoMs: number): void {
    this.#disarm?.();
    this.#armedAtMonoMs = atMonoMs;
    this.#disarm = this.#clock.schedule(atMonoMs, () => this.#turn());
  }

  #turn(): void {
    const nowMonoMs = this.#clock.monoMs();
    const lateMs = nowMonoMs - this.#armedAtMonoMs;
    this.#disarm = null;
    this.#armedAtMonoMs = Number.POSITIVE_INFINITY;
    this.#isTurning = true;
    try {
      if (lateMs >= pauseMs) this.#onPause?.(lateMs);
      this.#advance(nowMonoMs);
      const lateCount = this.#fireDue(nowMonoMs);
      if (lateMs >= pauseMs) this.#meter?.count('slots_late', lateCount);
    } finally {
      this.#isTurning = false;
      const next = this.#nextDue();
      // Never armed in the past: what is overdue because a turn was full counts as due now, not as a pause.
      if (next < Number.POSITIVE_INFINITY) this.#arm(this.#gathered(Math.max(next, nowMonoMs)));
    }
  }

  /** Returns the instant of the turn that serves what is due at `monoMs`. */
  #gathered(monoMs: number): number {
    const every = this.#gatherMs;
    return every === 0 ? monoMs : Math.ceil(monoMs / every) * every;
  }

  /** Moves to the tick of `nowMonoMs`: every slot that was entered on the way is dealt out again. */
  #advance(nowMonoMs: number): void {
    const before = this.#tick;
    this.#tick = Math.max(before, Math.floor(nowMonoMs / tickMs));
    for (let level = levels - 1; level >= 0; level--) {
      const from = this.#levels[level] as Level;
      if (from.count === 0) continue;
      const span = levelTicks[level] as number;
      const last = Math.floor(this.#tick / span);
      const first = Math.max(Math.floor(before / span), last - slots + 1);
      for (let block = first; block <= last; block++) this.#deal(from, block % slots);
    }
  }

  #deal(from: Level, slot: number): void {
    let entry = from.heads[slot] ?? null;
    if (entry === null) return;
    from.heads[slot] = null;
    from.earliest[slot] = Number.POSITIVE_INFINITY;
    while (entry !== null) {
      const after: TimerEntry | null = entry.after;
      from.count--;
      entry.before = null;
      entry.after = null;
      this.#place(entry);
      entry = after;
    }
  }

  /** Returns how many of those fired were due long ago. */
  #fireDue(nowMonoMs: number): number {
    let lateCount = 0;
    for (let fired = 0; fired < firesPerTurn; fired++) {
      const entry = this.#due.popUntil(nowMonoMs);
      if (entry === null) break;
      this.#forget(entry);
      if (nowMonoMs - entry.dueMonoMs >= pauseMs) lateCount++;
      const { fire, id, message } = entry;
      if (typeof fire === 'function') fire();
      else fire.timerFired(id, message);
    }
    return lateCount;
  }

  /** Returns a lower bound of the next due instant; a cancelled timer may make the wheel turn for nothing, once. */
  #nextDue(): number {
    let next = this.#due.earliest();
    for (const level of this.#levels) {
      if (level.count === 0) continue;
      for (const earliest of level.earliest) if (earliest < next) next = earliest;
    }
    return next;
  }
}
