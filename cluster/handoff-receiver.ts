// The receiving side of a planned hand-off (clustering.md §11): reads a shard when it is told to prepare, keeps that for a
// while, and takes the shard over on the giver's final seq. Must not know why a shard moves.
import type { ActorKey, Epoch, ShardId } from '../runtime/ids.ts';
import type { Authority, Clock, Meter } from '../runtime/ports.ts';
import type { Following } from './following.ts';
import type { HeldShards } from './group-commit.ts';
import type { HandOffMessage, NodeLink } from './handoff.ts';
import { Lanes } from './lanes.ts';
import { handOffLimits, takeLimits } from './limits.ts';
import { copyShard, type LoadOptions, type ShardCopy } from './shard-load.ts';
import type { TakeOvers } from './take-over.ts';

export interface ReceiverOptions {
  readonly link: NodeLink;
  readonly load: Omit<LoadOptions, 'owner' | 'policy'>;
  readonly owner: () => string;
  readonly authority: Authority;
  readonly held: HeldShards;
  readonly following: Following;
  readonly takeOvers: TakeOvers;
  readonly clock: Clock;
  readonly meter: Meter;
}

/** A shard that was read and is not polled. */
interface Standby {
  readonly copy: ShardCopy;
  readonly owner: string;
  readonly epoch: Epoch;
  readonly untilMonoMs: number;
}

type Prepare = Extract<HandOffMessage, { readonly kind: 'handoff.prepare' }>;
type Cut = Extract<HandOffMessage, { readonly kind: 'handoff.cut' }>;

export class Receiver {
  readonly #options: ReceiverOptions;
  readonly #standby = new Map<ShardId, Standby>();
  readonly #loads = new Lanes(takeLimits.loads);

  constructor(options: ReceiverOptions) {
    this.#options = options;
    const { link } = options;
    link.serve('handoff.prepare', (message) => this.#prepare(message as Prepare));
    link.serve('handoff.cut', (message) => this.#cut(message as Cut));
    link.serve('handoff.drop', (message) => {
      const { shard } = message as Extract<HandOffMessage, { readonly kind: 'handoff.drop' }>;
      this.#standby.delete(shard);
      options.following.expect(shard, null);
      return null;
    });
  }

  /** Forgets everything that was read: a fenced node takes nothing. */
  clear(): void {
    this.#standby.clear();
  }

  async #prepare({ shard, owner, epoch }: Prepare): Promise<{ ready: boolean }> {
    const { held, authority, load, following, clock } = this.#options;
    this.#expire();
    const isFull = this.#standby.size >= handOffLimits.standby;
    if (following.view === null || held.isActive(shard) || isFull) return { ready: false };
    const head = await authority.readHead(shard, 'look');
    if (head.owner !== owner || head.epoch !== epoch) return { ready: false };
    const options = { ...load, owner: this.#options.owner(), policy: () => null };
    const copy = await this.#loads.run(() => copyShard(options, shard, head));
    const untilMonoMs = clock.monoMs() + handOffLimits.standbyMs;
    this.#standby.set(shard, { copy, owner, epoch, untilMonoMs });
    return { ready: true };
  }

  async #cut(cut: Cut): Promise<{ taken: boolean }> {
    const { following, takeOvers, meter } = this.#options;
    const { shard, owner, epoch, version } = cut;
    this.#expire();
    const standby = this.#standby.get(shard);
    this.#standby.delete(shard);
    const isKnown = standby?.owner === owner && standby.epoch === epoch;
    if (!isKnown || following.view === null) {
      meter.count('handoff_cuts_refused', 1);
      return { taken: false };
    }
    const soft = new Map(
      cut.soft.map(([key, seq, body]) => [key as ActorKey, { seq, body }] as const),
    );
    following.expect(shard, { owner, epoch, version });
    try {
      return { taken: await takeOvers.want(shard, { copy: standby.copy, soft }) };
    } finally {
      following.expect(shard, null);
    }
  }

  #expire(): void {
    const nowMonoMs = this.#options.clock.monoMs();
    for (const [shard, { untilMonoMs }] of this.#standby) {
      if (untilMonoMs <= nowMonoMs) this.#standby.delete(shard);
    }
  }
}
