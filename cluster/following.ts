// Which shards this node should have, by the view that it follows, against those that it has: takes what is newly its own,
// gives up what a head row shows as another's, and compares both in turn (clustering.md §7, "No shard stays nobody's").
// Never gives up a held shard because the map says so: that is a hand-off. Must not know how a shard is taken.
import {
  type Epoch,
  epoch,
  type NodeId,
  type ShardId,
  shardId,
  shardsTotal,
} from '../runtime/ids.ts';
import type { Authority, Clock, Logger, Meter, ShardHead } from '../runtime/ports.ts';
import { textOf } from '../runtime/refusals.ts';
import { type ClaimVerdict, viewVerdict } from './claims.ts';
import type { ClusterDirectory } from './directory.ts';
import type { HeldShards } from './group-commit.ts';
import { takeLimits } from './limits.ts';
import { inParallel } from './pause.ts';
import { placementOf } from './placement.ts';
import type { TakeOvers } from './take-over.ts';
import { lists, listsOwner, ownerOf, type View } from './view.ts';

export interface FollowingOptions {
  readonly node: NodeId;
  /** Of now: a fenced process rejoins under another one. */
  readonly incarnation: () => string;
  readonly authority: Authority;
  readonly held: HeldShards;
  readonly directory: ClusterDirectory;
  readonly takeOvers: TakeOvers;
  readonly lose: (shard: ShardId) => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
}

/** From whom a hand-off lets this node claim, and under which version. */
export interface HandOffClaim {
  readonly owner: string;
  readonly epoch: Epoch;
  readonly version: Epoch;
}

export class Following {
  readonly #options: FollowingOptions;
  readonly #handOffs = new Map<ShardId, HandOffClaim>();
  #view: View | null = null;
  #mapped: readonly (NodeId | null)[] = [];
  /** The shard that is looked at next. */
  #turn = 0;
  #rounds = 0;
  #cancel: (() => void) | null = null;

  constructor(options: FollowingOptions) {
    this.#options = options;
  }

  get view(): View | null {
    return this.#view;
  }

  /** Takes what maps here and is nobody's. Older views are ignored; one that lacks this incarnation fences. */
  follow(view: View): void {
    const { node, directory, takeOvers, incarnation } = this.#options;
    if (this.#view !== null && view.version <= this.#view.version) return;
    if (!lists(view, node, incarnation())) {
      this.fence();
      return;
    }
    const hasLost = this.#view !== null && hasLostMember(this.#view, view);
    this.#view = view;
    this.#mapped = placementOf(view);
    directory.follow(view, this.#mapped);
    for (let at = 0; at < shardsTotal; at++) {
      const shard = shardId(at);
      if (!this.isMapped(shard)) takeOvers.unwant(shard);
      else if (!this.#isElsewhere(shard)) void takeOvers.want(shard);
    }
    // Who was last heard to hold a shard may have handed it to one that is gone now: the head rows say.
    if (hasLost) void this.settle('differing');
    this.#arm();
  }

  /** Drops everything at once: this incarnation is no member any more. */
  fence(): void {
    const { held, takeOvers, lose, logger } = this.#options;
    this.stop();
    const lost = held.all();
    if (this.#view !== null || lost.length > 0) logger.warn('shards.fenced', { held: lost.length });
    this.#view = null;
    this.#mapped = [];
    takeOvers.abandon();
    for (const { shard } of lost) lose(shard);
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#handOffs.clear();
  }

  isMapped(shard: ShardId): boolean {
    return this.#mapped[shard] === this.#options.node;
  }

  /** Held shards that the view maps to another member. */
  misplaced(): readonly { readonly shard: ShardId; readonly to: NodeId }[] {
    return this.#options.held.all().flatMap(({ shard }) => {
      const to = this.#mapped[shard] ?? null;
      return to === null || to === this.#options.node ? [] : [{ shard, to }];
    });
  }

  /** What the view of now, or a hand-off, says of a head row. */
  verdict(shard: ShardId, head: ShardHead): ClaimVerdict {
    const { node, incarnation } = this.#options;
    if (this.#view === null) return null;
    const owner = ownerOf(node, incarnation());
    const handOff = this.#handOffs.get(shard);
    if (handOff?.owner === head.owner && handOff.epoch === head.epoch) return handOff.version;
    return viewVerdict(this.#view, owner, head);
  }

  /** A hand-off lets this node claim from a live member; null: no longer. */
  expect(shard: ShardId, claim: HandOffClaim | null): void {
    if (claim === null) this.#handOffs.delete(shard);
    else this.#handOffs.set(shard, claim);
  }

  /** A head row, or a peer, named an owner. */
  seen(shard: ShardId, owner: string, at: Epoch): void {
    if (this.#view === null || !listsOwner(this.#view, owner)) return;
    this.#options.directory.observe(shard, owner.slice(0, owner.indexOf('/')), at);
  }

  /**
   * Compares what is mapped here with what is held: shards that differ at once (`all`: every shard), then 32 of the others.
   * Never rejects; what the store does not answer is looked at another time.
   */
  async settle(which: 'differing' | 'turn' | 'all'): Promise<void> {
    if (this.#view === null) return;
    const shards: ShardId[] = [];
    for (let at = 0; at < shardsTotal; at++) {
      const shard = shardId(at);
      const differs = this.isMapped(shard) !== (this.#options.held.get(shard) !== null);
      if (which === 'all' || (which === 'differing' && differs)) shards.push(shard);
    }
    for (let look = 0; which === 'turn' && look < takeLimits.looks; look++) {
      shards.push(shardId(this.#turn));
      this.#turn = (this.#turn + 1) % shardsTotal;
    }
    await inParallel(shards, takeLimits.looks, (shard) => this.#look(shard));
  }

  async #look(shard: ShardId): Promise<void> {
    const { takeOvers, logger } = this.#options;
    if (takeOvers.has(shard)) return;
    try {
      if (await this.#isDue(shard)) this.#take(shard);
    } catch (error) {
      logger.debug('shard.unlooked', { shard, error: textOf(error) });
    }
  }

  /** Reads the head row; a held shard that is another's is given up. True where this node should take the shard. */
  async #isDue(shard: ShardId): Promise<boolean> {
    const { authority, held, lose, meter } = this.#options;
    const own = held.get(shard);
    const head = await authority.readHead(shard, 'look');
    if (held.get(shard) !== own || this.#view === null) return false;
    this.seen(shard, head.owner, head.epoch);
    if (own === null) {
      const verdict = this.verdict(shard, head);
      return verdict === 'adopt' || (this.isMapped(shard) && verdict !== null);
    }
    if (this.#isOwn(head) && head.epoch === own.epoch) return false;
    const sure = await authority.readHead(shard, 'decide');
    if (held.get(shard) !== own || this.#view === null) return false;
    if (this.#isOwn(sure) && sure.epoch === own.epoch) return false;
    this.seen(shard, sure.owner, sure.epoch);
    meter.count('shards_found_lost', 1);
    lose(shard);
    return this.isMapped(shard) || this.#isOwn(sure);
  }

  /** An adopted shard that maps elsewhere is held until it is handed off. */
  #take(shard: ShardId): void {
    if (this.#view !== null) void this.#options.takeOvers.want(shard);
  }

  #isOwn(head: ShardHead): boolean {
    const { node, incarnation } = this.#options;
    return head.owner === ownerOf(node, incarnation());
  }

  /** A live member is known to hold it: it comes by hand-off, and is looked at with those that differ. */
  #isElsewhere(shard: ShardId): boolean {
    const place = this.#options.directory.place(shard);
    return place !== null && place.node !== this.#options.node && place.epoch > epoch(0);
  }

  #arm(): void {
    const { clock } = this.#options;
    this.#cancel ??= clock.schedule(clock.monoMs() + takeLimits.lookEveryMs, () => {
      this.#cancel = null;
      void this.#round();
    });
  }

  async #round(): Promise<void> {
    this.#rounds++;
    const perSettle = takeLimits.settleEveryMs / takeLimits.lookEveryMs;
    if (this.#rounds % perSettle === 0) await this.settle('differing');
    await this.settle('turn');
    if (this.#view !== null) this.#arm();
  }
}

/** True where a member of the one view is not in the other under the same incarnation. */
function hasLostMember(before: View, after: View): boolean {
  return [...before.members].some(([node, { incarnation }]) => !lists(after, node, incarnation));
}
