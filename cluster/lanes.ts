// So many pieces of work at once, the others in the order in which they came. Must not know the work.
import { Ring } from '../runtime/ring.ts';

export class Lanes {
  readonly #limit: number;
  readonly #waiting = new Ring<() => void>();
  #busy = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Resolves or rejects as the work does, which starts when a lane is free. */
  async run<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#busy >= this.#limit)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#busy++;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#busy--;
      else next();
    }
  }
}
