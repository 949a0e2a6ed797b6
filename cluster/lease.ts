// The own lease: may this process act for a shard now? For liveness and tidiness, not for safety (clustering.md §8).
// A node alone holds its lease with the exclusive lock of its data folder; in a cluster it stands on confirmations, which
// lease-keeper.ts counts. Must not know what confirms it.

import type { ShardId } from '../runtime/ids.ts';
import type { Clock } from '../runtime/ports.ts';

export interface Lease {
  /** Asked synchronously at the point of every effect (poll start, commit, notification). Never cached by the caller. */
  mayAct(shard: ShardId): boolean;
  /** Until when effects are allowed, monotonic ms; infinite for a node alone. */
  validUntilMonoMs(): number;
}

/**
 * Returns the lease of a node that nobody can take over from: no other process can open its store, so a pause of any
 * length loses nothing, and a shard may be acted for exactly while it is held.
 */
export function soleLease(isHeld: (shard: ShardId) => boolean): Lease {
  return { mayAct: isHeld, validUntilMonoMs: () => Number.POSITIVE_INFINITY };
}

/**
 * Returns a lease that lapses `lengthMs` after the last confirmation's start, by the monotonic clock, so that a frozen
 * process finds it lapsed at its first effect after it wakes up.
 */
export function confirmedLease(options: {
  readonly clock: Clock;
  readonly lengthMs: number;
  readonly isHeld: (shard: ShardId) => boolean;
}): Lease & { confirm(startedMonoMs: number): void; drop(): void } {
  let untilMonoMs = Number.NEGATIVE_INFINITY;
  return {
    mayAct: (shard) => options.clock.monoMs() < untilMonoMs && options.isHeld(shard),
    validUntilMonoMs: () => untilMonoMs,
    confirm: (startedMonoMs) => {
      untilMonoMs = Math.max(untilMonoMs, startedMonoMs + options.lengthMs);
    },
    drop: () => {
      untilMonoMs = Number.NEGATIVE_INFINITY;
    },
  };
}

/**
 * Returns the lease of a cluster's node. `validUntilMonoMs` is read at every question, so a process that was frozen finds
 * its lease lapsed before any of its timers or sockets is served.
 */
export function clusterLease(options: {
  readonly clock: Clock;
  /** The end of the kept lease, or of what the mode allows without one (ISOLATED), on the clock's monotonic ms. */
  readonly validUntilMonoMs: () => number;
  readonly isHeld: (shard: ShardId) => boolean;
}): Lease {
  const { clock, validUntilMonoMs, isHeld } = options;
  return {
    mayAct: (shard) => clock.monoMs() < validUntilMonoMs() && isHeld(shard),
    validUntilMonoMs,
  };
}
