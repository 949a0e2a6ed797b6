// Not a weapon (security.md §2.10): per destination address, over all tenants, so many probes a second and so
// many at once. An attempt counts once per address, however often it connects. Bounded map, token buckets.
import { monotonicMs } from '../clock.ts';
import { ProbeError } from '../errors.ts';
import { destinationConcurrent, destinationPerSecond, destinationsMax } from '../limits.ts';

export interface DestinationLimit {
  /** Counts this attempt at an address; throws `overloaded` where it would be too many. */
  enter(address: string, held: Set<string>): void;
  /** Gives back the places of an attempt that ended. */
  leave(held: Set<string>): void;
}

interface Bucket {
  tokens: number;
  filledAtMs: number;
  concurrent: number;
}

/** Returns the limit of preset `public`. */
export function createDestinationLimit(nowMs: () => number = monotonicMs): DestinationLimit {
  const buckets = new Map<string, Bucket>();

  const fill = (bucket: Bucket) => {
    const now = nowMs();
    const earned = ((now - bucket.filledAtMs) / 1000) * destinationPerSecond;
    bucket.tokens = Math.min(destinationPerSecond, bucket.tokens + earned);
    bucket.filledAtMs = now;
  };

  const sweep = () => {
    for (const [address, bucket] of buckets) {
      fill(bucket);
      if (bucket.concurrent === 0 && bucket.tokens >= destinationPerSecond) buckets.delete(address);
    }
  };

  const bucketOf = (address: string): Bucket => {
    const known = buckets.get(address);
    if (known !== undefined) return known;
    if (buckets.size >= destinationsMax) sweep();
    if (buckets.size >= destinationsMax) {
      throw new ProbeError('overloaded', { message: 'too many destinations at once' });
    }
    const made = { tokens: destinationPerSecond, filledAtMs: nowMs(), concurrent: 0 };
    buckets.set(address, made);
    return made;
  };

  return {
    enter(address, held) {
      if (held.has(address)) return;
      const bucket = bucketOf(address);
      fill(bucket);
      if (bucket.tokens < 1 || bucket.concurrent >= destinationConcurrent) {
        throw new ProbeError('overloaded', { message: 'too many probes of this destination' });
      }
      bucket.tokens -= 1;
      bucket.concurrent += 1;
      held.add(address);
    },
    leave(held) {
      for (const address of held) {
        const bucket = buckets.get(address);
        if (bucket !== undefined) bucket.concurrent -= 1;
      }
      held.clear();
    },
  };
}

/** Returns a limit that refuses nothing: preset `local`. */
export function noDestinationLimit(): DestinationLimit {
  return { enter: (_address, held) => void held, leave: (held) => held.clear() };
}
