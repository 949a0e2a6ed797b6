// The shards of this node: takes them all at start (a node alone), hands their actors over, lets one go when it is lost.
// Keeps what ties them to soft states and outbox. Must not know how a shard is claimed, loaded or committed to.
import type { LoadedActor } from '../runtime/behaviour.ts';
import { documentKinds, rowKinds } from '../runtime/effect.ts';
import { TocsinError } from '../runtime/errors.ts';
import {
  type ActorKey,
  type Epoch,
  entityOf,
  type ShardId,
  shardId,
  shardsTotal,
} from '../runtime/ids.ts';
import type { Clock, EventBus, Intent, Logger, Meter, Random, Store } from '../runtime/ports.ts';
import { type ClaimPolicy, soleClaimPolicy } from './claims.ts';
import { EpochTimestamps, type Timestamps } from './epoch-timestamp.ts';
import type { HeldShards } from './group-commit.ts';
import { HeldShard } from './held-shard.ts';
import { loadLimits } from './limits.ts';
import type { LogRecord } from './log-record.ts';
import type { Outbox } from './outbox.ts';
import { inParallel } from './pause.ts';
import { type LoadedShard, type LoadOptions, reloadShard, takeShard } from './shard-load.ts';
import type { SoftStateWriter } from './soft-states.ts';

export interface ShardsOptions {
  readonly store: Pick<Store, 'authority' | 'shardLog' | 'states' | 'history'>;
  /** `node/incarnation`. */
  readonly owner: string;
  readonly held: HeldShards;
  readonly outbox: Outbox;
  readonly softStates: SoftStateWriter;
  readonly events: EventBus;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly keepsSoftState: (key: ActorKey) => boolean;
  /** Default: a node alone. */
  readonly policy?: ClaimPolicy;
  /** Something was committed, or was found open at a load. */
  readonly onCommitted: () => void;
  readonly onLost: (shard: ShardId) => void;
}

export interface Shards {
  /** Takes these shards, then hands over their actors, tenants first. Rejects as `takeShard` does. */
  take(
    shards: readonly ShardId[],
    onActor: (key: ActorKey, loaded: LoadedActor) => void,
  ): Promise<number>;
  /** From here on the shard is this node's; then what it owes is dispatched. To be called before its actors decide. */
  hold(shard: ShardId, loaded: LoadedShard): void;
  /** Stops dispatching for a held shard: it is about to move. */
  undispatch(shard: ShardId): void;
  /** Dispatches anew after `undispatch`: the move was given up. Rejects as `reload`. */
  redispatch(shard: ShardId): Promise<void>;
  /** A held shard was claimed anew by this node, under `epoch`. Rejects as `takeShard`. */
  rehold(shard: ShardId, epoch: Epoch): Promise<void>;
  /** As `lose`, but it was handed to another node. */
  leave(shard: ShardId): boolean;
  /** Gives up one shard: nothing of it is acted on here any more. False: it was not held. */
  lose(shard: ShardId): boolean;
  /** As `reload`; at once where the store is known to hold nothing. */
  load(key: ActorKey): LoadedActor | Promise<LoadedActor>;
  /** What the store holds of an actor, its commits settled. Rejects `RT_NOT_OWNER`, `CL_LOAD_FAILED`. */
  reload(key: ActorKey): Promise<LoadedActor>;
}

/** All shards there are. */
export const allShards: readonly ShardId[] = Array.from({ length: shardsTotal }, (_, at) =>
  shardId(at),
);

const nothing: LoadedActor = { documents: [], soft: null, tail: [] };

/** Returns the shards of this node: none yet. */
export function startShards(options: ShardsOptions): Shards {
  const { held, outbox, softStates } = options;
  const stamps = new EpochTimestamps();
  const load: LoadOptions = {
    ...options,
    get owner() {
      return options.owner;
    },
    authority: options.store.authority,
    policy: options.policy ?? soleClaimPolicy,
  };
  const { leave, lose } = endings(options);
  const holdOne = (shard: ShardId, loaded: LoadedShard): void => {
    hold(options, { shard, loaded, lose, timestamps: stamps.of(shard, loaded.head) });
    for (const key of loaded.folded.deleted.keys()) softStates.deleted(key);
  };
  const takeOne = async (shard: ShardId): Promise<LoadedShard> => {
    const loaded = await takeShard(load, shard);
    holdOne(shard, loaded);
    return loaded;
  };
  return {
    lose,
    hold: (shard, loaded) => {
      holdOne(shard, loaded);
      resumeOutbox(options, shard, loaded);
    },
    undispatch: (shard) => outbox.drop(shard),
    leave,
    rehold: async (shard, epoch) => {
      const before = held.get(shard);
      const loaded = await reloadShard(load, { shard, epoch });
      if (before === null || held.get(shard) !== before) return;
      before.close();
      holdOne(shard, loaded);
      resumeOutbox(options, shard, loaded);
    },
    redispatch: async (shard) => {
      const own = held.get(shard);
      if (own === null) return;
      const loaded = await reloadShard(load, own);
      if (held.get(shard) === own) resumeOutbox(options, shard, loaded);
    },
    load: (key) => (held.of(key)?.isKnown(key) === false ? nothing : reload(load, held, key)),
    reload: (key) => reload(load, held, key),
    take: async (shards, onActor) => {
      const loaded: { shard: ShardId; of: LoadedShard }[] = [];
      await inParallel(shards, loadLimits.concurrency, async (shard) => {
        loaded.push({ shard, of: await takeOne(shard) });
      });
      // Before the actors decide anything newer: a line goes by number.
      for (const { shard, of } of loaded) resumeOutbox(options, shard, of);
      const actors = loaded.flatMap(({ of }) => [...of.folded.actors]);
      await handOver(options.clock, actors, onActor);
      return actors.length;
    },
  };
}

/** The two ways in which a held shard ends here. */
function endings(options: ShardsOptions): Pick<Shards, 'leave' | 'lose'> {
  const { held, outbox, softStates } = options;
  const leave = (shard: ShardId): boolean => {
    const left = held.remove(shard);
    if (left === null) return false;
    left.close();
    outbox.drop(shard);
    softStates.drop(shard);
    options.onLost(shard);
    return true;
  };
  const lose = (shard: ShardId): boolean => {
    const epoch = held.get(shard)?.epoch;
    if (epoch === undefined) return false;
    options.logger.warn('shard.lost', { shard, epoch });
    options.meter.count('shards_lost', 1);
    return leave(shard);
  };
  return { leave, lose };
}

/** From here on the shard is this node's: commits are taken, what an earlier owner left is projected. */
function hold(
  options: ShardsOptions,
  of: {
    shard: ShardId;
    loaded: LoadedShard;
    lose: (shard: ShardId) => void;
    timestamps: Timestamps;
  },
): void {
  const { shard, loaded, lose, timestamps } = of;
  const { folded, head } = loaded;
  const held = new HeldShard({
    ...options,
    shard,
    head,
    timestamps,
    onRecords: (records) => {
      showOutbox(options.outbox, shard, records);
      options.onCommitted();
    },
    onLost: lose,
  });
  options.held.add(held);
  for (const damage of folded.damaged) {
    options.logger.error('record.damaged', { shard, ...damage });
    options.meter.count('records_damaged', 1, damage.what);
  }
  // Before anything else is committed: marks must not pass what still owes a notification.
  for (const { seq } of folded.intents) held.dispatch.opened(seq);
  held.know(folded.actors.keys());
  held.know(folded.deleted.keys());
  held.resume(folded.unprojected, folded.savedSeqs);
}

function showOutbox(outbox: Outbox, shard: ShardId, records: readonly LogRecord[]): void {
  for (const record of records) {
    const { seq, key, kind, body } = record;
    if (kind === rowKinds.intent) {
      outbox.accept({ shard, seq, key, intent: body as Intent }, 'commit');
    }
    const alarms = deletedAlarms(record);
    if (alarms.size > 0) outbox.withdraw({ shard, key, alarms });
  }
}

function deletedAlarms({ documents }: LogRecord): ReadonlySet<string> {
  const gone = documents.filter(({ kind, body }) => kind === documentKinds.alarm && body === null);
  return new Set(gone.map(({ id }) => id));
}

/** Tenants before entities; the event loop gets its turn in between. */
async function handOver(
  clock: Clock,
  actors: readonly (readonly [ActorKey, LoadedActor])[],
  onActor: (key: ActorKey, loaded: LoadedActor) => void,
): Promise<void> {
  const tenants = actors.filter(([key]) => entityOf(key) === null);
  const entities = actors.filter(([key]) => entityOf(key) !== null);
  let inSlice = 0;
  for (const [key, loaded] of [...tenants, ...entities]) {
    onActor(key, loaded);
    if (++inSlice < loadLimits.handOverSlice) continue;
    inSlice = 0;
    await new Promise<void>((resolve) => clock.schedule(clock.monoMs(), resolve));
  }
}

function resumeOutbox(options: ShardsOptions, shard: ShardId, loaded: LoadedShard): void {
  const { deferred, intents, orphans } = loaded.folded;
  const from = (intent: Intent): 'load' | 'orphan' => (orphans.has(intent.id) ? 'orphan' : 'load');
  const kept = deferred.map((one) => ({ ...one, seq: null }));
  // Both by number: what joins a line behind a newer one that is on its way already would be sent after it, and a newer
  // one may be deferred while the deferral of an older one was not taken by the store.
  const inOrder = [...kept, ...intents].sort((left, right) => left.intent.n - right.intent.n);
  for (const one of inOrder) {
    const { key, intent } = one;
    if (one.seq === null) options.outbox.resume(shard, one, from(intent));
    else options.outbox.accept({ shard, seq: one.seq, key, intent }, from(intent));
  }
}

async function reload(load: LoadOptions, held: HeldShards, key: ActorKey): Promise<LoadedActor> {
  const own = held.of(key);
  await own?.idle();
  if (own === null || held.get(own.shard) !== own) {
    throw new TocsinError('RT_NOT_OWNER', `this node does not hold ${key}`, { retryable: true });
  }
  const { folded } = await reloadShard(load, own);
  const loaded = folded.actors.get(key) ?? folded.deleted.get(key) ?? nothing;
  const { documents, soft, tail } = loaded;
  if (documents.length === 0 && soft === null && tail.length === 0) own.forget(key);
  return loaded;
}
