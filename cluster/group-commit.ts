// The port `Decisions` over the shards that this node holds: brings each actor's rows to its shard's pipe and waits for
// durability, then, for a bounded time, for the projections. Must not know how a batch is settled.
import type { DecisionRow } from '../runtime/effect.ts';
import { TocsinError } from '../runtime/errors.ts';
import { type ActorKey, type Epoch, type ShardId, shardOf, shardsTotal } from '../runtime/ids.ts';
import type { Clock, Decisions, Meter } from '../runtime/ports.ts';
import type { HeldShard } from './held-shard.ts';
import { projectionLimits } from './limits.ts';
import { settledWithin } from './pause.ts';

/** The shards that this node holds, and those that it polls while their claim runs; one slot per shard. */
export class HeldShards {
  readonly #shards: (HeldShard | null)[] = new Array<HeldShard | null>(shardsTotal).fill(null);
  readonly #pending: (Epoch | null)[] = new Array<Epoch | null>(shardsTotal).fill(null);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Marks a shard as loaded and polled while its claim runs (`epoch`: the one it is claimed with); null: no longer. */
  setPending(shard: ShardId, epoch: Epoch | null): void {
    this.#pending[shard] = epoch;
  }

  pendingEpoch(shard: ShardId): Epoch | null {
    return this.#pending[shard] ?? null;
  }

  /** True where its actors are in memory: held, or polled while it is claimed. */
  isActive(shard: ShardId): boolean {
    return this.get(shard) !== null || this.pendingEpoch(shard) !== null;
  }

  get(shard: ShardId): HeldShard | null {
    return this.#shards[shard] ?? null;
  }

  of(key: ActorKey): HeldShard | null {
    return this.get(shardOf(key));
  }

  add(held: HeldShard): void {
    if (this.get(held.shard) === null) this.#count++;
    this.#shards[held.shard] = held;
  }

  /** Returns the shard that is no longer held, or null where it was not. */
  remove(shard: ShardId): HeldShard | null {
    const held = this.get(shard);
    if (held !== null) this.#count--;
    this.#shards[shard] = null;
    return held;
  }

  all(): HeldShard[] {
    return this.#shards.filter((held) => held !== null);
  }
}

/**
 * Returns the decisions of this node. A commit resolves once its rows are durable and projected, or 2 s after they are
 * durable (`projections_late`): the commit is the truth, the projection goes on.
 */
export function groupCommit(options: {
  readonly held: HeldShards;
  readonly mayAct: (shard: ShardId) => boolean;
  readonly clock: Clock;
  readonly meter: Meter;
}): Decisions {
  const { held, mayAct, clock, meter } = options;
  const commit = async (
    key: ActorKey,
    rows: readonly DecisionRow[],
  ): Promise<{ lastSeq: number }> => {
    const shard = held.of(key);
    if (shard === null && held.pendingEpoch(shardOf(key)) !== null) {
      throw new TocsinError('RT_COMMIT_FAILED', `the shard of ${key} is being claimed`, {
        retryable: true,
      });
    }
    if (shard === null || !mayAct(shard.shard)) {
      throw new TocsinError('RT_NOT_OWNER', `this node does not hold ${key}`, { retryable: true });
    }
    if (rows.length === 0) return { lastSeq: shard.head };
    const { lastSeq, projected } = await shard.commit(key, rows);
    if (!(await settledWithin(clock, projected, projectionLimits.awaitedMs))) {
      meter.count('projections_late', 1);
    }
    return { lastSeq };
  };
  return { commit };
}
