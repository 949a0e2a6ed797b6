// The end of an attempt, as its parts hear of it. An AbortSignal fits its type, but making one costs 18 µs, a tenth
// of a whole HTTP check. Must not know why an attempt ends.

/** What can end early. `AbortSignal` is one. */
export interface Cancellation {
  readonly aborted: boolean;
  readonly reason: unknown;
  /** It aborts at this monotonic instant at the latest, ms; missing: nobody promises that. */
  readonly endMs?: number;
  addEventListener(event: 'abort', listener: () => void): void;
  removeEventListener(event: 'abort', listener: () => void): void;
}

/** A cancellation and the right to use it. Listeners run once, in order, when it is aborted. */
export class Canceller implements Cancellation {
  aborted = false;
  reason: unknown = null;
  readonly endMs: number;
  #listeners: (() => void)[] = [];

  /** `endMs`: when its maker aborts it at the latest. */
  constructor(endMs: number) {
    this.endMs = endMs;
  }

  addEventListener(_event: 'abort', listener: () => void): void {
    if (!this.aborted) this.#listeners.push(listener);
  }

  removeEventListener(_event: 'abort', listener: () => void): void {
    const at = this.#listeners.indexOf(listener);
    if (at >= 0) this.#listeners.splice(at, 1);
  }

  /** Ends it; only the first call counts. */
  abort(reason: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const listener of listeners) listener();
  }
}
