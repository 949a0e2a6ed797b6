// Counts failures by key in a window of time and says when a key has had too many: log-ins and unknown tokens.
// Local to the node and bounded; a full table forgets the oldest key. Must not know what is guarded.
import type { Clock } from '../runtime/ports.ts';

const keysMax = 20_000;

export class AttemptGuard {
  readonly #clock: Clock;
  readonly #windowMs: number;
  readonly #failures = new Map<string, { count: number; untilMonoMs: number }>();

  constructor(clock: Clock, windowMs: number) {
    this.#clock = clock;
    this.#windowMs = windowMs;
  }

  /** Seconds until `key` may try again, 0 where it may now. */
  blockedSeconds(key: string, failuresMax: number): number {
    const seen = this.#failures.get(key);
    if (seen === undefined || seen.count < failuresMax) return 0;
    const leftMs = seen.untilMonoMs - this.#clock.monoMs();
    return leftMs > 0 ? Math.ceil(leftMs / 1000) : 0;
  }

  /** Counts a failure of `key`. */
  failed(key: string): void {
    const nowMonoMs = this.#clock.monoMs();
    const seen = this.#failures.get(key);
    if (seen !== undefined && seen.untilMonoMs > nowMonoMs) {
      seen.count += 1;
      return;
    }
    this.#failures.delete(key);
    if (this.#failures.size >= keysMax) {
      const oldest = this.#failures.keys().next();
      if (!oldest.done) this.#failures.delete(oldest.value);
    }
    this.#failures.set(key, { count: 1, untilMonoMs: nowMonoMs + this.#windowMs });
  }

  /** Takes one failure back: the attempt was counted ahead and did not fail. */
  forgive(key: string): void {
    const seen = this.#failures.get(key);
    if (seen !== undefined && seen.count > 0) seen.count -= 1;
  }

  /** Forgets the failures of `key`: it succeeded. */
  succeeded(key: string): void {
    this.#failures.delete(key);
  }
}
