// One node's share of the shards, as main.ts sees it: claims, loads and hands over actors, commits their decisions, writes
// their soft state and ticks, dispatches what they owe to receivers. A node alone takes all at start; one among others follows views.
// Must not know monitoring: what an intent says, who receives it and how it is told are handed in.
import type { LoadedActor } from '../runtime/behaviour.ts';
import { TocsinError } from '../runtime/errors.ts';
import { type ActorKey, type NodeId, type ShardId, shardOf } from '../runtime/ids.ts';
import type {
  Clock,
  Decisions,
  Logger,
  Meter,
  Notifier,
  Random,
  SoftStates,
  Store,
  Ticks,
} from '../runtime/ports.ts';
import { type ClusterDirectory, clusterDirectory } from './directory.ts';
import { localEventBus } from './event-bus.ts';
import { Following } from './following.ts';
import { groupCommit, HeldShards } from './group-commit.ts';
import { Giver, type HandOffOutcome, type HandOffPorts } from './handoff.ts';
import { Receiver } from './handoff-receiver.ts';
import { type Lease, soleLease } from './lease.ts';
import { handOffLimits, loadLimits, watermarkLimits } from './limits.ts';
import { Outbox, type OutboxPolicy, type OutboxStats } from './outbox.ts';
import { inParallel, settledWithin } from './pause.ts';
import { type PeerEvents, peerEvents } from './peer-events.ts';
import { allShards, type Shards, startShards } from './shards.ts';
import { type SoftStateWriter, softStateWriter } from './soft-states.ts';
import { TakeOvers } from './take-over.ts';
import { type TickWriter, tickWriter } from './ticks.ts';
import { ownerOf, type View } from './view.ts';

export interface ShardHostOptions extends OutboxPolicy {
  readonly store: Pick<Store, 'authority' | 'shardLog' | 'states' | 'samples' | 'history'>;
  readonly node: NodeId;
  /** Names this process run; a new one for every start. */
  readonly incarnation: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly notifier: Notifier;
  /** A shard is no longer held: drop its activations. Called once for each loss, never for `stop`. */
  readonly onLost: (shard: ShardId) => void;
  /** The shards to take at start. Default: all, as a node alone does; none: they are taken as `follow` says. */
  readonly shards?: readonly ShardId[];
  /** An actor that was handed over with a closed gate may decide; `loaded` where more is known of it. */
  readonly onOpen?: (key: ActorKey, loaded: LoadedActor | null) => void;
  /** A shard was claimed under this epoch, and the view that this node follows has not reached it: read it anew. */
  readonly onStaleView?: (epoch: number) => void;
  /** Default: the lease of a node alone. Asked for every commit, soft state and attempt. */
  readonly lease?: (isHeld: (shard: ShardId) => boolean) => Lease;
  /** False: actors of this key never write soft state (all they know is in documents). Default: all write. */
  readonly keepsSoftState?: (key: ActorKey) => boolean;
}

export interface ShardHostStats {
  readonly shardsHeld: number;
  /** Loaded and polled, their claim being open. */
  readonly shardsPending: number;
  /** Being taken over, pending ones among them. */
  readonly shardsTaking: number;
  /** Decisions waiting for their commit. */
  readonly rowsWaiting: number;
  /** Shards whose last batch may or may not have been applied. */
  readonly shardsInDoubt: number;
  /** Rows above `snap`, of the shard with the most. */
  readonly snapLagRows: number;
  /** Projections not yet written. */
  readonly projectionsWaiting: number;
  readonly softStatesWaiting: number;
  readonly ticksWaiting: number;
  readonly outbox: OutboxStats;
}

export interface ShardHost {
  readonly decisions: Decisions;
  readonly softStates: SoftStates;
  readonly ticks: Ticks;
  readonly directory: ClusterDirectory;
  readonly outbox: { stats(): OutboxStats };
  readonly events: PeerEvents;
  /**
   * Claims the shards, loads them and calls `onActor` for each stored actor, tenants before entities; then dispatches what
   * an earlier run left undelivered. Rejects with `CL_CLAIM_REFUSED`, `CL_CLAIM_FAILED` or `CL_LOAD_FAILED`.
   */
  start(onActor: OnActor): Promise<{ readonly actors: number }>;
  /**
   * Follows a view that lists this incarnation, after `start`: takes the shards that map here from owners that are not in
   * it. Their actors are handed to `onActor` with gate `closed` right after the load: they poll, and decide after `onOpen`.
   * A view that is not newer is ignored; one that does not list this incarnation fences. Held shards that map elsewhere
   * stay (`misplaced`): they leave by hand-off.
   */
  follow(view: View): void;
  /** Gives up everything at once: this incarnation is no member any more. `onLost` is called for each shard. */
  fence(): void;
  /** After `fence`: the process goes on under another incarnation; it holds nothing until `follow`. */
  rejoin(incarnation: string): void;
  /** Compares all shards with their head rows now; it is done bit by bit anyway. Never rejects. */
  settle(): Promise<void>;
  /** Held shards that the view maps to another member. */
  misplaced(): readonly { readonly shard: ShardId; readonly to: NodeId }[];
  /** Hands shards off and receives them, from now on: to be called once, when router and catalog are there. */
  handOffs(ports: HandOffPorts): HandOffs;
  /** Resolves once nothing is being taken over. */
  taken(): Promise<void>;
  /**
   * Ends in order: no new attempts, those under way awaited, soft states and ticks written, marks committed. The actors
   * must still answer the `read` of their soft state, and no longer commit. Never rejects; `false`: something did not end
   * within `deadlineMs`.
   */
  stop(deadlineMs: number): Promise<boolean>;
  /**
   * What the store holds of an actor that is not in memory: at once, and empty, where it is known to hold nothing.
   * Throws or rejects `RT_NOT_OWNER`, while it starts `RT_NOT_READY`, or `CL_LOAD_FAILED`.
   */
  load(key: ActorKey): LoadedActor | Promise<LoadedActor>;
  /** The same, read anew with every commit of it settled: for an activation that starts over. Rejects as `load`. */
  reload(key: ActorKey): Promise<LoadedActor>;
  /** True while this node holds the key's shard under a valid lease: ask at the point of effect. */
  mayAct(key: ActorKey): boolean;
  stats(): ShardHostStats;
}

/** Planned hand-offs of this node. What the view wants moved is moved without being asked. */
export interface HandOffs {
  /** Moves one held shard to a member now. Never rejects. */
  move(shard: ShardId, to: NodeId): Promise<HandOffOutcome>;
  /** After the view says that this node drains: true once it holds nothing, false after `deadlineMs` (default 25 s). */
  drained(deadlineMs?: number): Promise<boolean>;
  /** Moves under way. */
  readonly moving: number;
}

/** Takes a loaded actor; `closed`: it polls and decides nothing until `onOpen`. */
export type OnActor = (key: ActorKey, loaded: LoadedActor, gate?: 'closed') => void;

/** Returns the host: it holds nothing until `start`. */
export function createShardHost(options: ShardHostOptions): ShardHost {
  return new Host(options);
}

class Host implements ShardHost {
  readonly #options: ShardHostOptions;
  readonly #held = new HeldShards();
  readonly #outbox: Outbox;
  readonly #softStates: SoftStateWriter;
  readonly #ticks: TickWriter;
  readonly #shards: Shards;
  readonly #mayAct: (shard: ShardId) => boolean;
  readonly #following: Following;
  readonly #takeOvers: TakeOvers;
  readonly decisions: Decisions;
  readonly directory: ClusterDirectory;
  readonly events: PeerEvents;
  #incarnation: string;
  #giver: Giver | null = null;
  #receiver: Receiver | null = null;
  #onActor: OnActor | null = null;
  #isStarted = false;
  #isReady = false;
  #isStopped = false;
  #cancelUpkeep: (() => void) | null = null;

  constructor(options: ShardHostOptions) {
    const held = this.#held;
    this.#incarnation = options.incarnation;
    const owner = (): string => ownerOf(options.node, this.#incarnation);
    const lease = (options.lease ?? soleLease)((shard) => held.isActive(shard));
    const mayAct = (shard: ShardId): boolean => lease.mayAct(shard);
    const shared = { ...options, held, mayAct };
    this.#options = options;
    this.#mayAct = mayAct;
    this.events = peerEvents({ ...options, local: localEventBus(options) });
    this.decisions = groupCommit(shared);
    this.directory = clusterDirectory(options.node, held);
    this.#softStates = softStateWriter(shared);
    this.#ticks = tickWriter({ ...options, samples: options.store.samples });
    this.#outbox = new Outbox({ ...shared, history: options.store.history, run: owner() });
    this.#shards = startShards({
      ...options,
      get owner() {
        return owner();
      },
      held,
      outbox: this.#outbox,
      softStates: this.#softStates,
      events: this.events,
      onCommitted: () => this.#armUpkeep(),
      keepsSoftState: options.keepsSoftState ?? (() => true),
    });
    this.#takeOvers = this.#makeTakeOvers(owner);
    this.#following = new Following({
      ...shared,
      incarnation: () => this.#incarnation,
      authority: options.store.authority,
      directory: this.directory,
      takeOvers: this.#takeOvers,
      lose: (shard) => this.#shards.lose(shard),
    });
  }

  #makeTakeOvers(owner: () => string): TakeOvers {
    const options = this.#options;
    return new TakeOvers({
      ...options,
      held: this.#held,
      load: { ...options, authority: options.store.authority },
      owner,
      verdict: (shard, head) => this.#following.verdict(shard, head),
      onActor: (key, loaded) => this.#onActor?.(key, loaded, 'closed'),
      onOpen: (key, loaded) => options.onOpen?.(key, loaded),
      hold: (shard, loaded) => this.#shards.hold(shard, loaded),
      release: (shard) => {
        this.#softStates.drop(shard);
        options.onLost(shard);
      },
      onSeen: (shard, seen, at) => this.#following.seen(shard, seen, at),
      onStaleView: (at) => options.onStaleView?.(at),
    });
  }

  get softStates(): SoftStates {
    return this.#softStates;
  }

  get ticks(): Ticks {
    return this.#ticks;
  }

  get outbox(): { stats(): OutboxStats } {
    return this.#outbox;
  }

  async start(onActor: OnActor): Promise<{ actors: number }> {
    if (this.#isStarted) throw new TocsinError('CL_STARTED_TWICE', 'the shards are started');
    this.#isStarted = true;
    this.#onActor = onActor;
    const { clock, logger } = this.#options;
    const startedMonoMs = clock.monoMs();
    const actors = await this.#shards.take(this.#options.shards ?? allShards, onActor);
    this.#isReady = true;
    this.#armUpkeep();
    const tookMs = Math.round(clock.monoMs() - startedMonoMs);
    logger.info('shards.started', { shards: this.#held.count, actors, tookMs });
    return { actors };
  }

  follow(view: View): void {
    if (this.#isReady && !this.#isStopped) this.#following.follow(view);
  }

  fence(): void {
    this.#receiver?.clear();
    this.#following.fence();
  }

  rejoin(incarnation: string): void {
    this.fence();
    this.#incarnation = incarnation;
  }

  settle(): Promise<void> {
    return this.#following.settle('all');
  }

  misplaced(): readonly { readonly shard: ShardId; readonly to: NodeId }[] {
    return this.#following.misplaced();
  }

  handOffs(ports: HandOffPorts): HandOffs {
    const options = this.#options;
    const { authority } = options.store;
    const shared = {
      ...options,
      ...ports,
      ...{ authority, held: this.#held, following: this.#following },
      owner: () => ownerOf(options.node, this.#incarnation),
    };
    const load = { ...options, authority };
    this.#receiver = new Receiver({ ...shared, load, takeOvers: this.#takeOvers });
    const giver = new Giver({
      ...shared,
      ...{ shards: this.#shards, directory: this.directory },
      flushTicks: () => this.#ticks.flush(),
    });
    this.#giver = giver;
    giver.begin();
    return {
      move: (shard, to) => giver.move(shard, to),
      drained: (deadlineMs = handOffLimits.drainMs) => giver.drained(deadlineMs),
      get moving() {
        return giver.moving;
      },
    };
  }

  taken(): Promise<void> {
    return this.#takeOvers.idle();
  }

  async stop(deadlineMs: number): Promise<boolean> {
    if (this.#isStopped) return true;
    this.#isStopped = true;
    this.#giver?.stop();
    this.#following.stop();
    this.#takeOvers.abandon();
    this.#cancelUpkeep?.();
    const { clock, logger } = this.#options;
    const overMonoMs = clock.monoMs() + deadlineMs;
    const leftMs = (): number => Math.max(0, overMonoMs - clock.monoMs());
    // Half of the time for receivers: what they do not take is sent again, what is not written is lost.
    const isSent = await this.#outbox.stop(deadlineMs / 2);
    const isSaved = await settledTrue(clock, this.#softStates.flush(), leftMs());
    const isSampled = await settledTrue(clock, this.#ticks.flush(), leftMs());
    this.#ticks.stop();
    const isMarked = await settledWithin(clock, this.#writeMarks(), leftMs());
    for (const held of this.#held.all()) {
      this.#held.remove(held.shard);
      held.close();
    }
    this.events.stop();
    const isOrderly = isSent && isSaved && isSampled && isMarked;
    const parts = { isSent, isSaved, isSampled, isMarked };
    logger[isOrderly ? 'info' : 'warn']('shards.stopped', { isOrderly, ...parts });
    return isOrderly;
  }

  load(key: ActorKey): LoadedActor | Promise<LoadedActor> {
    this.#checkHeld(key);
    return this.#shards.load(key);
  }

  async reload(key: ActorKey): Promise<LoadedActor> {
    this.#checkHeld(key);
    return this.#shards.reload(key);
  }

  #checkHeld(key: ActorKey): void {
    if (this.#held.of(key) !== null) return;
    const isComing = this.#takeOvers.has(shardOf(key));
    if (this.#isReady && !isComing)
      throw new TocsinError('RT_NOT_OWNER', `this node does not hold ${key}`);
    throw new TocsinError('RT_NOT_READY', 'the shards are being loaded', { retryable: true });
  }

  mayAct(key: ActorKey): boolean {
    return this.#mayAct(shardOf(key));
  }

  stats(): ShardHostStats {
    const held = this.#held.all();
    return {
      shardsHeld: held.length,
      shardsPending: this.#takeOvers.pending,
      shardsTaking: this.#takeOvers.count,
      rowsWaiting: held.reduce((sum, shard) => sum + shard.waitingRows, 0),
      shardsInDoubt: held.filter((shard) => shard.inDoubt).length,
      snapLagRows: held.reduce((most, shard) => Math.max(most, shard.openRows), 0),
      projectionsWaiting: held.reduce((sum, shard) => sum + shard.projectionsWaiting, 0),
      softStatesWaiting: this.#softStates.waiting,
      ticksWaiting: this.#ticks.waiting,
      outbox: this.#outbox.stats(),
    };
  }

  /** What waits is committed and projected, then the marks follow. */
  async #writeMarks(): Promise<void> {
    await inParallel(this.#held.all(), loadLimits.concurrency, async (held) => {
      await held.idle();
      await held.projected();
      held.touch();
      await held.idle();
    });
  }

  /** Runs while any mark may still move by time alone, and rests until the next commit. */
  #armUpkeep(): void {
    const { clock } = this.#options;
    if (this.#isStopped || this.#cancelUpkeep !== null) return;
    this.#cancelUpkeep = clock.schedule(clock.monoMs() + watermarkLimits.upkeepEveryMs, () => {
      this.#cancelUpkeep = null;
      const busy = this.#held.all().filter((held) => held.needsUpkeep);
      for (const key of busy.flatMap((held) => held.upkeep())) this.#softStates.hurry(key);
      if (busy.length > 0) this.#armUpkeep();
    });
  }
}

/** Resolves true where the work said true in time. */
async function settledTrue(clock: Clock, work: Promise<boolean>, ms: number): Promise<boolean> {
  return (await settledWithin(clock, work, ms)) && (await work.catch(() => false));
}
