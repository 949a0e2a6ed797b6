// A clock that only tests move, and seeded randomness. Tasks run in order of due time, then of scheduling;
// after each one the event loop gets a few turns, so that promises and setImmediate work settle before the next.
import type { Clock, Random } from '../runtime/ports.ts';

interface Task {
  readonly atMonoMs: number;
  readonly run: () => void;
}

/** Turns of the event loop that `settle` waits: enough for a message, its commit and the reply to it. */
const settleTurns = 8;

/** A clock under the test's control. Starts at monotonic 1,000,000 ms, so that 0 is never a valid instant by chance. */
export class TestClock implements Clock {
  #wallMs: number;
  #monoMs = 1_000_000;
  #tasks: Task[] = [];

  constructor(startWallMs = 1_700_000_000_000) {
    this.#wallMs = startWallMs;
  }

  nowMs(): number {
    return this.#wallMs;
  }

  monoMs(): number {
    return this.#monoMs;
  }

  schedule(atMonoMs: number, run: () => void): () => void {
    const task: Task = { atMonoMs, run };
    const later = this.#tasks.findIndex((other) => other.atMonoMs > atMonoMs);
    this.#tasks.splice(later === -1 ? this.#tasks.length : later, 0, task);
    return () => {
      const at = this.#tasks.indexOf(task);
      if (at !== -1) this.#tasks.splice(at, 1);
    };
  }

  /** Moves both clocks by `ms`, running what falls due on the way, in order; ends settled. */
  async advance(ms: number): Promise<void> {
    const targetMonoMs = this.#monoMs + ms;
    await settle();
    for (let task = this.#tasks[0]; task !== undefined; task = this.#tasks[0]) {
      if (task.atMonoMs > targetMonoMs) break;
      this.#tasks.shift();
      this.#moveTo(Math.max(task.atMonoMs, this.#monoMs));
      task.run();
      await settle();
    }
    this.#moveTo(targetMonoMs);
  }

  /** Moves both clocks by `ms` at once, as a frozen process sees it: due tasks run late, at the next `advance`. */
  freeze(ms: number): void {
    this.#moveTo(this.#monoMs + ms);
  }

  /** Steps the wall clock alone, as a clock correction does; negative steps it back. */
  stepWall(deltaMs: number): void {
    this.#wallMs += deltaMs;
  }

  /** Tasks waiting: a test that stops its runtime expects 0. */
  get pending(): number {
    return this.#tasks.length;
  }

  #moveTo(monoMs: number): void {
    this.#wallMs += monoMs - this.#monoMs;
    this.#monoMs = monoMs;
  }
}

/** Resolves after a few turns of the event loop: promises and setImmediate work that was ready has run. */
export async function settle(turns = settleTurns): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Returns randomness that repeats for a seed (mulberry32). Not for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  return {
    next,
    bytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(next() * 256)),
  };
}
