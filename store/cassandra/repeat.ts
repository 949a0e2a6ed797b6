// Repeats of writes of classes S and M, each with the timestamp of the first try (storage.md §13): a few, with a growing,
// jittered pause, and never more than a tenth of all writes, so that repeats cannot hold an overloaded store down.
import type { Clock, Random } from '../../runtime/ports.ts';
import { mayRetry } from './driver-error.ts';

const limits = {
  tries: 3,
  pauseMinMs: 50,
  pauseMaxMs: 500,
  /** Each write earns a tenth of a repeat; so many can be saved up. */
  earned: 0.1,
  savedMax: 100,
} as const;

export interface RepeatOptions {
  readonly clock: Clock;
  readonly random: Random;
}

/** Runs writes; rejects with the last error. */
export class Repeats {
  readonly #options: RepeatOptions;
  #saved: number = limits.savedMax;

  constructor(options: RepeatOptions) {
    this.#options = options;
  }

  async run<Answer>(write: () => Promise<Answer>): Promise<Answer> {
    this.#saved = Math.min(this.#saved + limits.earned, limits.savedMax);
    for (let attempt = 1; ; attempt++) {
      try {
        return await write();
      } catch (error) {
        if (attempt >= limits.tries || this.#saved < 1 || !mayRetry(error)) throw error;
        this.#saved--;
      }
      await this.#pause(attempt);
    }
  }

  #pause(attempt: number): Promise<void> {
    const { clock, random } = this.#options;
    const longestMs = Math.min(limits.pauseMinMs * 2 ** (attempt - 1), limits.pauseMaxMs);
    const ms = longestMs * (0.5 + random.next() / 2);
    return new Promise((resolve) => {
      clock.schedule(clock.monoMs() + ms, resolve);
    });
  }
}
