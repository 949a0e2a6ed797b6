// Planned hand-off of a held shard to a living member (clustering.md §11). The giver asks the receiver to read the shard,
// closes its gate, settles what is in flight and sends the final seq with what only its memory holds; the receiver polls at
// once, claims from the giver's epoch and reports. Both poll meanwhile, so no slot is missed; slots are idempotent.
// Any failure before the claim: the giver simply continues. In doubt the head row decides.
import type { ActorKey, Epoch, NodeId, ShardId } from '../runtime/ids.ts';
import type { AskOptions, Message } from '../runtime/message.ts';
import type { Authority, Clock, Logger, Meter, Random } from '../runtime/ports.ts';
import { textOf } from '../runtime/refusals.ts';
import type { ClusterDirectory } from './directory.ts';
import { nextTsBase } from './epoch-timestamp.ts';
import type { Following } from './following.ts';
import type { HeldShards } from './group-commit.ts';
import type { HeldShard } from './held-shard.ts';
import { handOffLimits } from './limits.ts';
import { pause, pauseMs, settledWithin } from './pause.ts';
import { type Move, movesWanted } from './placement.ts';
import type { Shards } from './shards.ts';

/** What goes from node to node. */
export type HandOffMessage =
  /** Read the shard, to take it from `owner` soon. → { ready } */
  | {
      readonly kind: 'handoff.prepare';
      readonly shard: ShardId;
      readonly owner: string;
      readonly epoch: Epoch;
    }
  /** The giver's gate is closed and all is settled up to `head`: poll, claim with `version`, report. → { taken } */
  | {
      readonly kind: 'handoff.cut';
      readonly shard: ShardId;
      readonly owner: string;
      readonly epoch: Epoch;
      readonly version: Epoch;
      readonly head: number;
      readonly soft: readonly (readonly [key: string, seq: number, body: unknown])[];
    }
  /** The giver goes on: forget what was read. */
  | { readonly kind: 'handoff.drop'; readonly shard: ShardId };

/** The way to other nodes: the router. */
export interface NodeLink {
  askNode<T>(node: string, message: Message, options?: AskOptions): Promise<T>;
  tellNode(node: string, message: Message): void;
  ask<T>(key: ActorKey, message: Message, options?: AskOptions): Promise<T>;
  serve(kind: string, handler: (message: Message, from: string) => unknown): void;
}

/** The actors in memory: the catalog. */
export interface HandedActors {
  close(key: ActorKey): void;
  open(key: ActorKey, loaded: null): void;
  /** Soft state, and what is not in it and must reach the next owner's actor; null: it cannot be read now. */
  handOver(key: ActorKey): HandedOver | null;
}

export interface HandedOver {
  readonly seq: number;
  readonly body: unknown;
  readonly rest: Message | null;
}

/** What a hand-off needs beside the host's own parts. */
export interface HandOffPorts {
  readonly link: NodeLink;
  readonly actors: HandedActors;
  /** Raises the version of the view by one; resolves with the new one. Rejects as the store does. */
  readonly bumpVersion: () => Promise<number>;
}

export interface GiverOptions extends HandOffPorts {
  readonly node: NodeId;
  readonly owner: () => string;
  readonly authority: Authority;
  readonly held: HeldShards;
  readonly shards: Shards;
  readonly following: Following;
  readonly directory: ClusterDirectory;
  /** Writes the ticks that wait; settles whichever way. */
  readonly flushTicks: () => Promise<unknown>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
}

/** How a hand-off ended for the giver: it is the other's; this node goes on with it; it is this node's no longer anyway. */
export type HandOffOutcome = 'moved' | 'kept' | 'lost';

const system = { lane: 'system' } as const;

/** The giving side; one move per shard at a time. */
export class Giver {
  readonly #options: GiverOptions;
  readonly #moves = new Map<ShardId, Pick<Move, 'shard' | 'to'>>();
  readonly #upSinceMonoMs = new Map<NodeId, { incarnation: string; monoMs: number }>();
  #started: number[] = [];
  #cancel: (() => void) | null = null;

  constructor(options: GiverOptions) {
    this.#options = options;
  }

  get moving(): number {
    return this.#moves.size;
  }

  /** Looks ten times a second which held shards should move now, and starts that. */
  begin(): void {
    const { clock } = this.#options;
    this.#cancel ??= clock.schedule(clock.monoMs() + handOffLimits.everyMs, () => {
      this.#cancel = null;
      this.#start();
      this.begin();
    });
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = null;
  }

  /**
   * After the view says that this node drains: resolves true once it holds nothing, false after `deadlineMs`; what is left
   * is then claimed cold by the others, once this node has left the view.
   */
  async drained(deadlineMs: number): Promise<boolean> {
    const { clock, held } = this.#options;
    const untilMonoMs = clock.monoMs() + deadlineMs;
    while (held.count > 0 && clock.monoMs() < untilMonoMs) {
      this.#start();
      await pause(clock, handOffLimits.drainLookMs);
    }
    return held.count === 0;
  }

  /** Moves a held shard to a member. Never rejects. */
  async move(shard: ShardId, to: NodeId): Promise<HandOffOutcome> {
    const { held, meter, logger } = this.#options;
    const own = held.get(shard);
    if (own === null) return 'lost';
    if (this.#moves.has(shard)) return 'kept';
    this.#moves.set(shard, { shard, to });
    let outcome: HandOffOutcome = 'kept';
    try {
      outcome = await this.#move(own, to);
    } catch (error) {
      logger.warn('handoff.failed', { shard, to, error: textOf(error) });
    } finally {
      this.#moves.delete(shard);
    }
    meter.count('handoffs', 1, outcome);
    return outcome;
  }

  #start(): void {
    const { following, held, node, clock } = this.#options;
    const { view } = following;
    if (view === null) return;
    const nowMonoMs = clock.monoMs();
    for (const [name, { incarnation }] of view.members) {
      if (this.#upSinceMonoMs.get(name)?.incarnation === incarnation) continue;
      this.#upSinceMonoMs.set(name, { incarnation, monoMs: nowMonoMs });
    }
    const upSince = [...this.#upSinceMonoMs].map(([name, { monoMs }]) => [name, monoMs] as const);
    this.#started = this.#started.filter((at) => nowMonoMs - at < handOffLimits.windowMs);
    const moves = movesWanted({
      ...{ view, me: node, nowMonoMs, inFlight: [...this.#moves.values()] },
      holders: (shard) => (held.get(shard) === null ? null : node),
      startedRecently: this.#started.length,
      upSinceMonoMs: new Map(upSince),
    });
    for (const { shard, to, reason } of moves) {
      if (reason === 'rebalance') this.#started.push(nowMonoMs);
      void this.move(shard, to);
    }
  }

  async #move(own: HeldShard, to: NodeId): Promise<HandOffOutcome> {
    const { shard, epoch } = own;
    const { link, owner } = this.#options;
    const prepare: HandOffMessage = { kind: 'handoff.prepare', shard, owner: owner(), epoch };
    const how = { ...system, timeoutMs: handOffLimits.prepareMs };
    const { ready } = await link.askNode<{ ready: boolean }>(to, prepare, how);
    if (!ready) return 'kept';
    const version = await this.#versionAbove(epoch);
    if (!this.#isHeld(own)) return 'lost';
    return this.#cut(own, to, version);
  }

  async #versionAbove(epoch: Epoch): Promise<Epoch> {
    const version = this.#options.following.view?.version ?? 0;
    return (version > epoch ? version : await this.#options.bumpVersion()) as Epoch;
  }

  async #cut(own: HeldShard, to: NodeId, version: Epoch): Promise<HandOffOutcome> {
    const { link, owner, actors, shards } = this.#options;
    const keys = own.keys();
    for (const key of keys) actors.close(key);
    if (!(await this.#isSettled(own))) {
      // Nothing was said that lets anybody claim.
      await this.#goOn(own, keys);
      return this.#isHeld(own) ? 'kept' : 'lost';
    }
    const { shard, epoch, head } = own;
    const soft = this.#softOf(keys);
    const cut: HandOffMessage = {
      ...{ kind: 'handoff.cut', shard, owner: owner(), epoch },
      ...{ version, head, soft },
    };
    let isTaken = false;
    try {
      const how = { ...system, timeoutMs: handOffLimits.reportMs };
      isTaken = (await link.askNode<{ taken: boolean }>(to, cut, how)).taken;
    } catch (error) {
      this.#options.logger.info('handoff.in-doubt', { shard, to, error: textOf(error) });
    }
    if (!this.#isHeld(own)) return 'lost';
    if (isTaken || (await this.#isTheirs(own, version))) {
      this.#give(own, { to, version, keys });
      return 'moved';
    }
    if (!this.#isHeld(own)) return 'lost';
    link.tellNode(to, { kind: 'handoff.drop', shard } as HandOffMessage);
    await shards.rehold(shard, version);
    for (const key of keys) actors.open(key, null);
    return 'kept';
  }

  /** True once nothing of the shard is in flight, what it committed is projected, and its marks are written. */
  async #isSettled(own: HeldShard): Promise<boolean> {
    const { clock, shards, flushTicks } = this.#options;
    const settled = async (): Promise<void> => {
      await own.idle();
      await own.projected();
      own.touch();
      await own.idle();
    };
    const isIdle = await settledWithin(clock, settled(), handOffLimits.settleMs);
    // The receiver runs again what has no tick: what was observed just now would take the place of the next slot.
    await settledWithin(clock, flushTicks(), handOffLimits.settleMs);
    if (!isIdle || own.inDoubt || !this.#isHeld(own)) return false;
    shards.undispatch(own.shard);
    return settledWithin(clock, own.idle(), handOffLimits.settleMs);
  }

  async #goOn(own: HeldShard, keys: readonly ActorKey[]): Promise<void> {
    const { actors, shards, logger } = this.#options;
    if (!this.#isHeld(own)) return;
    for (const key of keys) actors.open(key, null);
    await shards.redispatch(own.shard).catch((cause: unknown) => {
      logger.warn('handoff.undispatched', { shard: own.shard, cause });
    });
  }

  /** As much as fits one message; of the others the receiver has what is stored. */
  #softOf(keys: readonly ActorKey[]): [string, number, unknown][] {
    const soft: [string, number, unknown][] = [];
    let left: number = handOffLimits.softCharacters;
    for (const key of keys) {
      const over = this.#options.actors.handOver(key);
      if (over === null || over.body === null) continue;
      left -= JSON.stringify(over.body).length;
      if (left < 0) break;
      soft.push([key, over.seq, over.body]);
    }
    return soft;
  }

  /**
   * No report: the head row decides. Still this node's: it is claimed anew under the version of the move, so that no late
   * claim can land. Tried until the store answers; the gate stays closed meanwhile.
   */
  async #isTheirs(own: HeldShard, version: Epoch): Promise<boolean> {
    const { authority, clock, random, owner, logger } = this.#options;
    const { shard, epoch } = own;
    for (let attempt = 1; this.#isHeld(own); attempt++) {
      try {
        const head = await authority.readHead(shard, 'decide');
        if (head.owner !== owner()) return true;
        if (head.epoch === version) return false;
        const tsBase = nextTsBase(clock.nowMs(), head.tsBase);
        const claim = { seen: epoch, was: owner(), epoch: version, owner: owner(), tsBase };
        if ((await authority.claim(shard, claim)).applied) return false;
      } catch (error) {
        logger.debug('handoff.undecided', { shard, error: textOf(error) });
      }
      await pause(clock, pauseMs(attempt, handOffLimits, random));
    }
    return false;
  }

  /** The receiver owns it: this node forgets it, and sends on what came in since the cut. */
  #give(
    own: HeldShard,
    of: { readonly to: NodeId; readonly version: Epoch; readonly keys: readonly ActorKey[] },
  ): void {
    const { actors, directory, shards, link, meter } = this.#options;
    const rests = of.keys.flatMap((key) => {
      const rest = actors.handOver(key)?.rest ?? null;
      return rest === null ? [] : [{ key, rest }];
    });
    shards.leave(own.shard);
    directory.observe(own.shard, of.to, of.version);
    for (const { key, rest } of rests) {
      link.ask(key, rest, system).catch(() => meter.count('handoff_rests_lost', 1));
    }
  }

  #isHeld(own: HeldShard): boolean {
    return this.#options.held.get(own.shard) === own;
  }
}
