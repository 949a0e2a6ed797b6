// At most so many pieces of costly work at once; what is above is refused at once, never queued.
import { tryLater } from './errors.ts';

export class Gate {
  readonly #max: number;
  #underWay = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Runs the work; throws 503 where `weight` more do not fit. */
  async run<Result>(work: () => Promise<Result>, weight = 1): Promise<Result> {
    if (this.#underWay + weight > this.#max) throw tryLater('The node is busy, try again', 2);
    this.#underWay += weight;
    try {
      return await work();
    } finally {
      this.#underWay -= weight;
    }
  }
}
