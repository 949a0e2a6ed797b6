// The actors in memory of this node: finds the one of a key or activates it, and takes them out again.
// Its three ways in: a message (`deliver`), a shard's load (`activate`), and loss of shards (`dropShards`).
// Must not know who owns which shard, nor how messages get here (router.ts).
import { Activation } from './activation.ts';
import type { ActorDescription, Home } from './activation-home.ts';
import type { AnyBehaviour, LoadedActor } from './behaviour.ts';
import { TocsinError } from './errors.ts';
import type { ActorKey, ShardId } from './ids.ts';
import { activationLimits } from './limits.ts';
import type { Delivery } from './mailbox.ts';
import type { Envelope, ReplyTo } from './message.ts';
import type { ActivationPorts } from './perform.ts';
import type { Quarantine, QuarantineCause } from './quarantine.ts';
import * as refusals from './refusals.ts';
import { TurnQueue } from './turn-queue.ts';

export interface CatalogOptions {
  readonly ports: ActivationPorts;
  /** The behaviour for a key: tenant or entity. Always the same one for a key. */
  behaviourOf(key: ActorKey): AnyBehaviour;
  /**
   * What the store holds of an actor that is not in memory; for a key of a loaded shard with nothing stored an empty
   * `LoadedActor`, at once. Throws or rejects `RT_NOT_OWNER` (shard not held) or `RT_NOT_READY` (still loading).
   */
  load(key: ActorKey): LoadedActor | Promise<LoadedActor>;
  /** Reads one actor anew from the store, after a failed commit or a release. Rejects as `load`. */
  reload(key: ActorKey): Promise<LoadedActor>;
  /** Deep-freezes states and messages: for tests and development. */
  readonly freeze?: boolean;
  /** An actor was quarantined now (not: loaded so). */
  readonly onQuarantine?: (key: ActorKey, record: Quarantine) => void;
  /** Called before each turn with the actor whose turn it is: what the watchdog names when the event loop stalls. */
  readonly onTurn?: (key: ActorKey) => void;
}

export interface CatalogCounts {
  readonly activations: number;
  /** Not yet able to take messages: loading, or waiting for its reload. */
  readonly creating: number;
  readonly quarantined: number;
  /** Waiting after a failure. */
  readonly paused: number;
  readonly messagesWaiting: number;
  readonly commitsPending: number;
}

export interface Catalog {
  /**
   * Puts a message into the mailbox of its actor, activating it first where it is not in memory. Never throws; what goes
   * wrong goes to `replyTo` (null: nobody waits): `RT_MAILBOX_FULL`, `RT_NOT_OWNER`, `RT_NOT_READY`, `RT_QUEUE_FULL`, …
   */
  deliver(envelope: Envelope, replyTo: ReplyTo | null): void;
  /** Activates with what a shard's load read; ignored where the actor is in memory already. Runs `init` at once. */
  activate(key: ActorKey, loaded: LoadedActor): void;
  /** These shards are no longer this node's: their actors end, unreleased replies are `RT_NOT_OWNER`. Returns how many. */
  dropShards(shards: ReadonlySet<ShardId>): number;
  /** Pauses an actor and commits that; it is not started where it is not in memory. */
  quarantine(key: ActorKey, reason: string, cause: QuarantineCause): void;
  /** Ends a quarantine: commits it and starts the actor from the store. Resolves at once where there is none. */
  release(key: ActorKey): Promise<void>;
  /** null: not in memory. */
  describe(key: ActorKey): ActorDescription | null;
  /** Descriptions of actors for which `wanted` holds, at most `limit`. */
  list(wanted: (actor: ActorDescription) => boolean, limit: number): readonly ActorDescription[];
  keys(): IterableIterator<ActorKey>;
  counts(): CatalogCounts;
  /** Refuses user messages (`RT_NOT_READY`) from now on; resolves once nothing is under way in any actor. */
  drain(): Promise<void>;
}

/** While draining, how often to look whether everything is quiet. */
const drainPollMs = 10;

/** Returns an empty catalog. */
export function createCatalog(options: CatalogOptions): Catalog {
  return new ActorCatalog(options);
}

class ActorCatalog implements Catalog, Home {
  readonly ports: ActivationPorts;
  readonly turns: TurnQueue;
  readonly isFreezing: boolean;
  readonly #options: CatalogOptions;
  readonly #activations = new Map<ActorKey, Activation>();
  #isDraining = false;

  constructor(options: CatalogOptions) {
    this.#options = options;
    this.ports = options.ports;
    this.isFreezing = options.freeze ?? false;
    this.turns = new TurnQueue(options.ports.clock);
  }

  deliver(envelope: Envelope, replyTo: ReplyTo | null): void {
    if (this.#isDraining && envelope.lane === 'user') {
      replyTo?.reject(refusals.notReady('the node is stopping'));
      return;
    }
    this.#deliver({ envelope, replyTo, isTimer: false });
  }

  activate(key: ActorKey, loaded: LoadedActor): void {
    if (!this.#activations.has(key)) this.#create(key).begin(loaded);
  }

  dropShards(shards: ReadonlySet<ShardId>): number {
    let dropped = 0;
    for (const activation of [...this.#activations.values()]) {
      if (!shards.has(activation.shard)) continue;
      activation.drop(refusals.notOwner(activation.key));
      dropped++;
    }
    return dropped;
  }

  quarantine(key: ActorKey, reason: string, cause: QuarantineCause): void {
    const known = this.#activations.get(key);
    const activation = known ?? this.#create(key);
    activation.quarantine(reason, cause);
    if (known !== undefined) return;
    // What stalled the loop is not even loaded: it has no state until it is released.
    if (cause === 'stalled') activation.begin({ documents: [], soft: null, tail: [] });
    else this.#load(activation);
  }

  async release(key: ActorKey): Promise<void> {
    let activation = this.#activations.get(key);
    if (activation === undefined) {
      const loaded = await this.#options.load(key);
      this.activate(key, loaded);
      activation = this.#activations.get(key);
    }
    await activation?.liftQuarantine();
  }

  describe(key: ActorKey): ActorDescription | null {
    return this.#activations.get(key)?.describe() ?? null;
  }

  list(wanted: (actor: ActorDescription) => boolean, limit: number): readonly ActorDescription[] {
    const found: ActorDescription[] = [];
    for (const activation of this.#activations.values()) {
      if (found.length >= limit) break;
      const actor = activation.describe();
      if (wanted(actor)) found.push(actor);
    }
    return found;
  }

  keys(): IterableIterator<ActorKey> {
    return this.#activations.keys();
  }

  counts(): CatalogCounts {
    const counts = {
      activations: this.#activations.size,
      creating: 0,
      quarantined: 0,
      paused: 0,
      messagesWaiting: 0,
      commitsPending: 0,
    };
    for (const activation of this.#activations.values()) {
      const actor = activation.describe();
      if (actor.phase === 'creating') counts.creating++;
      if (actor.quarantine !== null) counts.quarantined++;
      if (actor.isPaused) counts.paused++;
      counts.messagesWaiting += actor.messagesWaiting;
      counts.commitsPending += actor.commitsPending;
    }
    return counts;
  }

  async drain(): Promise<void> {
    this.#isDraining = true;
    while (!this.#isQuiet()) {
      const { clock } = this.ports;
      await new Promise<void>((resolve) => {
        clock.schedule(clock.monoMs() + drainPollMs, resolve);
      });
    }
  }

  // What activations ask of their home.

  reload(key: ActorKey): Promise<LoadedActor> {
    return this.#options.reload(key);
  }

  turnStarts(key: ActorKey): void {
    this.#options.onTurn?.(key);
  }

  gone(key: ActorKey, leftovers: readonly Delivery[]): void {
    this.#activations.delete(key);
    for (const delivery of leftovers) this.#deliver(delivery);
  }

  quarantined(key: ActorKey, record: Quarantine): void {
    this.#options.onQuarantine?.(key, record);
  }

  #deliver(delivery: Delivery): void {
    const key = delivery.envelope.to;
    const known = this.#activations.get(key);
    if (known !== undefined) {
      known.deliver(delivery);
      return;
    }
    if (this.#activations.size >= activationLimits.activations) {
      this.ports.meter.count('activations_refused', 1);
      delivery.replyTo?.reject(refusals.queueFull('actors in memory'));
      return;
    }
    const activation = this.#create(key);
    activation.deliver(delivery);
    this.#load(activation);
  }

  #create(key: ActorKey): Activation {
    const activation = new Activation(key, this.#options.behaviourOf(key), this);
    this.#activations.set(key, activation);
    return activation;
  }

  #load(activation: Activation): void {
    const unloadable = (error: unknown): void => {
      const isKnown = error instanceof TocsinError;
      activation.drop(isKnown ? error : refusals.notReady('the actor could not be loaded', error));
    };
    try {
      const loaded = this.#options.load(activation.key);
      if (loaded instanceof Promise) {
        loaded.then((read) => activation.begin(read)).catch(unloadable);
      } else activation.begin(loaded);
    } catch (error) {
      unloadable(error);
    }
  }

  #isQuiet(): boolean {
    for (const activation of this.#activations.values()) if (!activation.isQuiet) return false;
    return true;
  }
}
