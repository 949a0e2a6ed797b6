// The outbox low-water mark of one shard, `dispatched`: every intent up to it has ended or is deferred. Intents end out of
// order; those that ended behind one that has not are named, so that their end can be recorded in the log instead.
// Pure but for its own counters. Must not know what an intent is.
import { assert } from '../runtime/assert.ts';

interface OpenIntent {
  readonly seq: number;
  hasEnded: boolean;
  /** Its end stands in the log, or is on the way there. */
  isRecorded: boolean;
}

export class DispatchMark {
  readonly #bySeq = new Map<number, OpenIntent>();
  #open: OpenIntent[] = [];

  /** Intents that hold the mark, ended ones behind them included. */
  get openIntents(): number {
    return this.#open.length;
  }

  /** An intent was committed, or found without an end at the load. Intents come in seq order. */
  opened(seq: number): void {
    assert(seq > (this.#open[this.#open.length - 1]?.seq ?? 0), 'intents of a shard come in order');
    const intent = { seq, hasEnded: false, isRecorded: false };
    this.#open.push(intent);
    this.#bySeq.set(seq, intent);
  }

  /** The intent ended or is deferred; `isRecorded`: the log says so. Unknown seqs are ignored. */
  ended(seq: number, isRecorded: boolean): void {
    const intent = this.#bySeq.get(seq);
    if (intent === undefined) return;
    intent.hasEnded = true;
    intent.isRecorded ||= isRecorded;
    let first = 0;
    while (this.#open[first]?.hasEnded === true) {
      this.#bySeq.delete((this.#open[first] as OpenIntent).seq);
      first++;
    }
    if (first > 0) this.#open = this.#open.slice(first);
  }

  /** Returns the mark for a log whose last committed row is `head`. */
  at(head: number): number {
    return this.#open.length === 0 ? head : (this.#open[0] as OpenIntent).seq - 1;
  }

  /** Returns, once each, the ended intents that the mark cannot pass yet and that the log does not name. */
  takeUnrecorded(): readonly number[] {
    const found = this.#open.filter((intent) => intent.hasEnded && !intent.isRecorded);
    for (const intent of found) intent.isRecorded = true;
    return found.map((intent) => intent.seq);
  }
}
