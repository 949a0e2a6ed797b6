// Whose turn it is: actors with waiting messages, round robin. Each run of the queue is one setImmediate and lasts at most
// 5 ms, then the event loop (sockets, timers) goes first. Must not know what a turn does. Bounded: an actor is in it once.
import { turnLimits } from './limits.ts';
import type { Clock } from './ports.ts';
import { Ring } from './ring.ts';

/** Something that takes turns. */
export interface TakesTurns {
  /** Owned by the queue. */
  isQueued: boolean;
  /** Works until `endMonoMs` or its own message limit; returns true where it has more to do. Never throws. */
  turn(endMonoMs: number): boolean;
}

/** Turns in one run, for clocks that stand still (tests): 1024 turns of 64 messages. */
const turnsPerRun = 1024;

export class TurnQueue {
  readonly #clock: Clock;
  readonly #ready = new Ring<TakesTurns>();
  readonly #onRest: () => void;
  #isScheduled = false;

  /** `onRest`: after each run, when nobody is at work. */
  constructor(clock: Clock, onRest: () => void = () => undefined) {
    this.#clock = clock;
    this.#onRest = onRest;
  }

  get length(): number {
    return this.#ready.length;
  }

  /** Asks for a turn; asking again before it came changes nothing. */
  add(actor: TakesTurns): void {
    if (actor.isQueued) return;
    actor.isQueued = true;
    this.#ready.push(actor);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#run());
  }

  #run(): void {
    this.#isScheduled = false;
    const endMonoMs = this.#clock.monoMs() + turnLimits.ms;
    for (let turn = 0; turn < turnsPerRun; turn++) {
      const actor = this.#ready.shift();
      if (actor === undefined) break;
      actor.isQueued = false;
      if (actor.turn(endMonoMs)) this.add(actor);
      if (this.#clock.monoMs() >= endMonoMs) break;
    }
    this.#onRest();
    if (this.#ready.length > 0) this.#schedule();
  }
}
