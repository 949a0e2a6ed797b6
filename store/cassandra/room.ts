// Room for requests: so many under way, so many waiting, the rest refused. The driver itself does not queue: above 2048 in
// flight on a connection it throws. Must not know what a request is.
import { storeError } from '../errors.ts';

export interface RoomOptions {
  readonly name: string;
  readonly underWay: number;
  readonly waiting: number;
}

/** Runs work with at most `underWay` of it at once, in order of arrival. Rejects `ST_UNAVAILABLE` where too much waits. */
export class Room {
  readonly #options: RoomOptions;
  readonly #waiting: (() => void)[] = [];
  #underWay = 0;

  constructor(options: RoomOptions) {
    this.#options = options;
  }

  async run<Answer>(work: () => Promise<Answer>): Promise<Answer> {
    const { name, underWay, waiting } = this.#options;
    if (this.#underWay >= underWay) {
      if (this.#waiting.length >= waiting) {
        throw storeError('ST_UNAVAILABLE', `too many requests wait for the store (${name})`);
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#underWay++;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#underWay--;
      else next();
    }
  }
}
