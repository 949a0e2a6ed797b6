// The actors in memory of this node: finds the one of a key or activates it, and takes them out again.
// Its three ways in: a message (`deliver`), a shard's load (`activate`), and loss of shards (`dropShards`).
// Must not know who owns which shard, nor how messages get here (router.ts).
import { Activation } from './activation.ts';
import type { ActorDescription, HandedOver, Home } from './activation-home.ts';
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
  /** Called with the actor that is at work, null after it: what the watchdog names when the event loop stalls. */
  readonly onTurn?: (key: ActorKey | null) => void;
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
   * A `releaseMessage` is answered here, as `release` is: so it reaches an actor wherever it lives.
   */
  deliver(envelope: Envelope, replyTo: ReplyTo | null): void;
  /** Activates with what a shard's load read; ignored where the actor is in memory already. Runs `init` at once. */
  activate(key: ActorKey, loaded: LoadedActor, gate?: 'open' | 'closed'): void;
  /** It polls on and decides nothing: messages to it and its observations wait. Nothing where it is not in memory. */
  close(key: ActorKey): void;
  /**
   * Ends `close`, and `activate` with a closed gate. `loaded`: what the store holds of it now, where that may be more than
   * it was activated with; null: nothing new. One that is not in memory is activated.
   */
  open(key: ActorKey, loaded: LoadedActor | null): void;
  /** What the next owner's actor needs beside what is stored; null: not in memory, or it cannot be read now. */
  handOver(key: ActorKey): HandedOver | null;
  /** These shards are no longer this node's: their actors end, unreleased replies are `RT_NOT_OWNER`. Returns how many. */
  dropShards(shards: ReadonlySet<ShardId>): number;
  /** Pauses an actor and commits that; it is not started where it is not in memory. */
  quarantine(key: ActorKey, reason: string, cause: QuarantineCause): void;
  /** Ends a quarantine: commits it and starts the actor from the store. False, at once: there is none. */
  release(key: ActorKey): Promise<boolean>;
  /** null: not in memory. */
  describe(key: ActorKey): ActorDescription | null;
  /** Descriptions of actors for which `wanted` holds, at most `limit`. */
  list(wanted: (actor: ActorDescription) => boolean, limit: number): readonly ActorDescription[];
  keys(): IterableIterator<ActorKey>;
  counts(): CatalogCounts;
  /** Refuses user messages (`RT_NOT_READY`) from now on; resolves once nothing is under way in any actor. */
  drain(): Promise<void>;
}

/** Ends an actor's quarantine, through the router; its answer is that of `Catalog.release`. */
export const releaseMessage = { kind: 'actor.release' } as const;

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
  #atWork: ActorKey | null = null;

  constructor(options: CatalogOptions) {
    this.#options = options;
    this.ports = options.ports;
    this.isFreezing = options.freeze ?? false;
    this.turns = new TurnQueue(options.ports.clock, () => this.#works(null));
  }

  deliver(envelope: Envelope, replyTo: ReplyTo | null): void {
    if (this.#isDraining && envelope.lane === 'user') {
      replyTo?.reject(refusals.notReady('the node is stopping'));
      return;
    }
    if (envelope.message.kind === releaseMessage.kind) void this.#released(envelope.to, replyTo);
    else this.#deliver({ envelope, replyTo, isTimer: false });
  }

  activate(key: ActorKey, loaded: LoadedActor, gate: 'open' | 'closed' = 'open'): void {
    if (this.#activations.has(key)) return;
    const activation = this.#create(key);
    if (gate === 'closed') activation.close();
    this.#begin(activation, loaded);
  }

  close(key: ActorKey): void {
    this.#activations.get(key)?.close();
  }

  open(key: ActorKey, loaded: LoadedActor | null): void {
    const known = this.#activations.get(key);
    if (known !== undefined) this.#during(key, () => known.open(loaded));
    else if (loaded !== null) this.activate(key, loaded);
  }

  handOver(key: ActorKey): HandedOver | null {
    return this.#activations.get(key)?.handOver() ?? null;
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

  async release(key: ActorKey): Promise<boolean> {
    let activation = this.#activations.get(key);
    if (activation === undefined) {
      const loaded = await this.#options.load(key);
      this.activate(key, loaded);
      activation = this.#activations.get(key);
    }
    if (activation === undefined || activation.describe().quarantine === null) return false;
    await activation.liftQuarantine();
    return true;
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
    this.#works(key);
  }

  gone(key: ActorKey, leftovers: readonly Delivery[]): void {
    this.#activations.delete(key);
    for (const delivery of leftovers) this.#deliver(delivery);
  }

  quarantined(key: ActorKey, record: Quarantine): void {
    this.#options.onQuarantine?.(key, record);
  }

  #works(key: ActorKey | null): void {
    if (this.#atWork === key) return;
    this.#atWork = key;
    this.#options.onTurn?.(key);
  }

  /** Work of an actor outside its turns: while it is loaded, or on behalf of another one. */
  #during(key: ActorKey, work: () => void): void {
    const before = this.#atWork;
    this.#works(key);
    work();
    this.#works(before);
  }

  #begin(activation: Activation, loaded: LoadedActor): void {
    this.#during(activation.key, () => activation.begin(loaded));
  }

  /** A shard that is being claimed takes no commit yet: asked again later. */
  async #released(key: ActorKey, replyTo: ReplyTo | null): Promise<void> {
    try {
      const isReleased = await this.release(key);
      replyTo?.resolve(isReleased);
    } catch (error) {
      const isKnown = error instanceof TocsinError && error.code !== 'RT_COMMIT_FAILED';
      replyTo?.reject(isKnown ? error : refusals.notReady('the release was not committed', error));
    }
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
        loaded.then((read) => this.#begin(activation, read)).catch(unloadable);
      } else this.#begin(activation, loaded);
    } catch (error) {
      unloadable(error);
    }
  }

  #isQuiet(): boolean {
    for (const activation of this.#activations.values()) if (!activation.isQuiet) return false;
    return true;
  }
}
