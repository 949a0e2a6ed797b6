// Write timestamps of class S (storage.md §5): µs, unique in a shard, every later epoch above every earlier one whatever
// the clocks do. Pure. Must not know what is written.
import { TocsinError } from '../runtime/errors.ts';

/** Timestamps of one epoch. */
export const timestampsPerEpoch = 2 ** 32;

/**
 * Returns where the timestamps of a new epoch begin, µs: at the wall clock, or where those of the epoch before can no
 * longer reach. Below 2^53 until the year 2255.
 */
export function nextTsBase(nowMs: number, beforeTsBase: number): number {
  return Math.max(Math.trunc(nowMs * 1000), beforeTsBase + timestampsPerEpoch);
}

/** Gives out the timestamps of one (shard, epoch); lives as long as the process, also where the shard is given up. */
export interface Timestamps {
  /** A timestamp above all given before. Throws `CL_TIMESTAMPS_SPENT` after 2^32. */
  next(): number;
}

/** The timestamps of the epochs under which this process held its shards last: adopted again, one goes on above. */
export class EpochTimestamps {
  readonly #last = new Map<number, { readonly tsBase: number; readonly timestamps: Timestamps }>();

  /** Returns those of a shard's head row, new ones where its epoch is new here. */
  of(shard: number, head: { readonly tsBase: number }): Timestamps {
    const last = this.#last.get(shard);
    if (last?.tsBase === head.tsBase) return last.timestamps;
    const timestamps = timestampsFrom(head.tsBase);
    this.#last.set(shard, { tsBase: head.tsBase, timestamps });
    return timestamps;
  }
}

/** Returns the timestamps of an epoch that begins at `tsBase` µs. */
export function timestampsFrom(tsBase: number): Timestamps {
  let used = 0;
  return {
    next: () => {
      if (used >= timestampsPerEpoch) {
        throw new TocsinError('CL_TIMESTAMPS_SPENT', `no timestamps left above ${tsBase}`);
      }
      return tsBase + used++;
    },
  };
}
