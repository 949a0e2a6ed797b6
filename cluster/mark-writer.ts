// Moves the dispatched mark in the store, at most every 100 ms per shard (100 ends at once), and records in the log the ends
// that the mark cannot pass yet, so that a restart repeats nothing older than that. Must not know lines or receivers.
import { rowKinds } from '../runtime/effect.ts';
import type { ActorKey, ShardId } from '../runtime/ids.ts';
import type { Clock, Intent, Logger } from '../runtime/ports.ts';
import type { HeldShards } from './group-commit.ts';
import type { HeldShard } from './held-shard.ts';
import { outboxLimits } from './limits.ts';
import type { IntentOutcome } from './shard-fold.ts';

interface EndedIntent {
  readonly shard: ShardId;
  readonly seq: number;
  readonly key: ActorKey;
  readonly intent: Intent;
}

interface Moving {
  /** Delivered intents that the mark has not passed, by seq. */
  readonly ended: Map<number, EndedIntent>;
  endsSince: number;
  cancel: (() => void) | null;
}

export interface MarkWriterOptions {
  readonly held: HeldShards;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class MarkWriter {
  readonly #options: MarkWriterOptions;
  readonly #shards = new Map<ShardId, Moving>();

  constructor(options: MarkWriterOptions) {
    this.#options = options;
  }

  /** An intent was delivered in its first window: only the mark will say so, unless it is held back. */
  ended(intent: EndedIntent): void {
    this.#movingOf(intent.shard).ended.set(intent.seq, intent);
    this.moved(intent.shard);
  }

  /** The mark of the shard may move. */
  moved(shard: ShardId): void {
    const { clock } = this.#options;
    const moving = this.#movingOf(shard);
    moving.endsSince++;
    if (moving.endsSince >= outboxLimits.markEnds) this.#write(shard);
    else {
      moving.cancel ??= clock.schedule(clock.monoMs() + outboxLimits.markMs, () =>
        this.#write(shard),
      );
    }
  }

  drop(shard: ShardId): void {
    this.#shards.get(shard)?.cancel?.();
    this.#shards.delete(shard);
  }

  /** Writes what waits, now. */
  stop(): void {
    for (const [shard, moving] of this.#shards) if (moving.cancel !== null) this.#write(shard);
  }

  #movingOf(shard: ShardId): Moving {
    const moving = this.#shards.get(shard) ?? { ended: new Map(), endsSince: 0, cancel: null };
    this.#shards.set(shard, moving);
    return moving;
  }

  #write(shard: ShardId): void {
    const moving = this.#movingOf(shard);
    moving.cancel?.();
    moving.cancel = null;
    moving.endsSince = 0;
    const held = this.#options.held.get(shard);
    if (held === null) {
      this.drop(shard);
      return;
    }
    const passed = held.dispatch.at(held.head);
    for (const seq of moving.ended.keys()) if (seq <= passed) moving.ended.delete(seq);
    for (const seq of held.dispatch.takeUnrecorded()) this.#record(held, moving.ended.get(seq));
    if (moving.ended.size === 0) this.#shards.delete(shard);
    held.touch();
  }

  #record(held: HeldShard, ended: EndedIntent | undefined): void {
    if (ended === undefined) return;
    const { clock, logger } = this.#options;
    const body: IntentOutcome = {
      intent: ended.intent.id,
      outcome: 'delivered',
      atMs: clock.nowMs(),
    };
    // Not tried again: the mark passes it soon, and until then a crash costs one duplicate with the same id.
    held.commit(ended.key, [{ kind: rowKinds.outcome, body }]).catch((cause: unknown) => {
      logger.debug('outbox.end-unrecorded', { key: ended.key, cause });
    });
  }
}
