// Several nodes over one store under the test's control: one virtual clock, faults per node, views that the test makes.
// A killed node never hears from the store again, and what it had asked for happens or not, as the test says.
import { createShardHost, type ShardHost, type ShardHostOptions } from '../../cluster/host.ts';
import { emptyView, type View, withMember, withoutMember } from '../../cluster/view.ts';
import type { LoadedActor } from '../../runtime/behaviour.ts';
import { TocsinError } from '../../runtime/errors.ts';
import { type ActorKey, actorKey, nodeId, type ShardId, shardOf } from '../../runtime/ids.ts';
import type { CommitBatch, Intent, Meter, Store } from '../../runtime/ports.ts';
import { createMemoryStore } from '../../store/memory/store.ts';
import type { OperationName } from '../../store/operations.ts';
import { seededRandom, TestClock } from '../clock.ts';

export type Fault = 'unavailable' | 'unknown' | 'unknownApplied' | undefined;

/** A batch that the store applied. */
export interface Applied {
  readonly by: string;
  readonly batch: CommitBatch;
}

/** One node of the fleet and what it was told. */
export interface FleetNode {
  readonly name: string;
  readonly owner: string;
  readonly host: ShardHost;
  readonly events: string[];
  readonly actors: Map<ActorKey, LoadedActor>;
  readonly opened: Map<ActorKey, LoadedActor | null>;
  readonly lost: ShardId[];
  readonly stale: number[];
  readonly sends: string[];
  readonly counts: Map<string, number>;
  isDead: boolean;
}

export class Fleet {
  readonly clock = new TestClock();
  readonly base: Store;
  readonly nodes: FleetNode[] = [];
  readonly applied: Applied[] = [];
  readonly claims: { by: string; shard: number; epoch: number }[] = [];
  view: View = emptyView('local');
  /** Decides the fault of each operation of a node. */
  fault: (
    node: FleetNode,
    name: OperationName,
    args: readonly unknown[],
  ) => Fault | Promise<Fault> = () => undefined;
  #runs = 0;

  constructor() {
    this.base = createMemoryStore();
  }

  /** A new process of a node: it joins the view, and has started. */
  async node(name: string, overrides: Partial<ShardHostOptions> = {}): Promise<FleetNode> {
    const incarnation = `r${++this.#runs}`;
    this.view = withMember(
      this.view,
      nodeId(name),
      {
        ...{ incarnation, address: '127.0.0.1:1', weight: 4, zone: 'z', state: 'up' },
        ...{ protoMin: 1, protoMax: 1 },
      },
      this.clock.nowMs(),
    );
    const node = this.#node(name, incarnation, overrides);
    this.nodes.push(node);
    await node.host.start((key, loaded, gate) => {
      node.actors.set(key, loaded);
      node.events.push(`actor ${key} ${gate ?? 'open'}`);
    });
    return node;
  }

  /** All living nodes follow the view of now; resolves once everything is taken that can be. */
  async follow(nodes = this.nodes): Promise<void> {
    for (const { host, isDead } of nodes) if (!isDead) host.follow(this.view);
    await this.settled(nodes);
  }

  settled(nodes = this.nodes): Promise<unknown> {
    const living = nodes.filter((node) => !node.isDead);
    return this.run(Promise.all(living.map(({ host }) => host.taken())));
  }

  kill(node: FleetNode): void {
    node.isDead = true;
  }

  /** The view without a node; nobody is told yet. */
  remove(node: FleetNode): void {
    const [name, incarnation] = node.owner.split('/') as [string, string];
    this.view = withoutMember(this.view, nodeId(name), incarnation, { atMs: this.clock.nowMs() });
  }

  /** Shards that a node holds. */
  held(node: FleetNode): number {
    return node.host.stats().shardsHeld;
  }

  async run<Value>(work: Promise<Value>, stepMs = 10): Promise<Value> {
    let isSettled = false;
    const done = (): void => {
      isSettled = true;
    };
    work.then(done, done);
    for (let step = 0; step < 20_000; step++) {
      await this.clock.advance(0);
      if (isSettled) return work;
      await this.clock.advance(stepMs);
    }
    throw new Error('the work did not settle in virtual time');
  }

  /** C6: after quiescence one owner per shard, which the head row names and which knows it. Returns what is wrong. */
  async disowned(): Promise<string[]> {
    const wrong: string[] = [];
    for (let shard = 0; shard < 1024; shard++) {
      const head = await this.base.authority.readHead(shard as ShardId);
      const holders = this.nodes.filter(
        (node) => !node.isDead && node.host.directory.lookup(shard as ShardId)?.local === true,
      );
      const names = holders.map((node) => node.owner);
      if (names.length !== 1 || names[0] !== head.owner) {
        wrong.push(`${shard}: head ${head.owner} ${head.epoch}, held by ${names.join(' ')}`);
      }
    }
    return wrong;
  }

  /** C1, C2: what is wrong with what was claimed and committed. */
  forks(): string[] {
    const wrong: string[] = [];
    const epochs = new Map<number, number>();
    for (const { shard, epoch, by } of this.claims) {
      if (epoch <= (epochs.get(shard) ?? 0)) wrong.push(`shard ${shard}: epoch ${epoch} of ${by}`);
      epochs.set(shard, epoch);
    }
    const heads = new Map<number, { head: number; epoch: number; by: string }>();
    for (const { by, batch } of this.applied) {
      const last = heads.get(batch.shard) ?? { head: 0, epoch: 0, by: '' };
      const isFork = batch.prevHead !== last.head || batch.epoch < last.epoch;
      const isShared = batch.epoch === last.epoch && last.by !== by;
      if (isFork || isShared || batch.owner !== by) wrong.push(`shard ${batch.shard}: ${by}`);
      heads.set(batch.shard, { head: batch.prevHead + batch.rows.length, epoch: batch.epoch, by });
    }
    return wrong;
  }

  #node(name: string, incarnation: string, overrides: Partial<ShardHostOptions>): FleetNode {
    const node: Omit<FleetNode, 'host'> & { host?: ShardHost } = {
      ...{ name, owner: `${name}/${incarnation}`, isDead: false, events: [], actors: new Map() },
      ...{ opened: new Map(), lost: [], stale: [], sends: [], counts: new Map() },
    };
    const quiet = (): void => undefined;
    const known = node as FleetNode;
    node.host = createShardHost({
      store: this.#storeOf(known),
      node: nodeId(name),
      incarnation,
      clock: this.clock,
      random: seededRandom(this.#runs),
      logger: { debug: quiet, info: quiet, warn: quiet, error: quiet },
      meter: this.#meter(known),
      notifier: {
        receiverOf: (intent) => intent.channel,
        deliver: async (_key, intent: Intent) => {
          if (node.isDead) return new Promise<never>(() => undefined);
          node.sends.push(intent.id);
          return { delivered: true, message: '200' };
        },
      },
      retryDelayMs: () => 1000,
      logBody: (intent) => ({ intent: intent.id }),
      shards: [],
      onOpen: (key, loaded) => {
        known.opened.set(key, loaded);
        known.events.push(`open ${key}`);
      },
      onLost: (shard) => {
        known.lost.push(shard);
        known.events.push(`lost ${shard}`);
      },
      onStaleView: (epoch) => known.stale.push(epoch),
      ...overrides,
    });
    return known;
  }

  #meter(node: FleetNode): Meter {
    return {
      count: (name, by, label) => {
        const place = label === undefined ? name : `${name} ${label}`;
        node.counts.set(place, (node.counts.get(place) ?? 0) + by);
      },
      gauge: () => undefined,
    };
  }

  /** The store as one node sees it. */
  #storeOf(node: FleetNode): Store {
    const names: Record<string, OperationName> = { append: 'appendHistory' };
    const part = <Part extends object>(of: Part): Part =>
      new Proxy(of, {
        get: (target, member) => {
          const run = Reflect.get(target, member) as (...args: unknown[]) => Promise<unknown>;
          return async (...args: unknown[]) => {
            const name = names[String(member)] ?? (member as OperationName);
            return this.#call(node, name, args, () => run.apply(target, args));
          };
        },
      });
    const { authority, shardLog, states, samples, history } = this.base;
    return {
      ...this.base,
      ...{ authority: part(authority), shardLog: part(shardLog), states: part(states) },
      ...{ samples: part(samples), history: part(history) },
    };
  }

  async #call(
    node: FleetNode,
    name: OperationName,
    args: readonly unknown[],
    run: () => Promise<unknown>,
  ): Promise<unknown> {
    const never = new Promise<never>(() => undefined);
    if (node.isDead) return never;
    const fault = await this.fault(node, name, args);
    if (node.isDead && fault === undefined) return never;
    if (fault === 'unavailable') throw new TocsinError('ST_UNAVAILABLE', name);
    if (fault === 'unknown') throw new TocsinError('ST_UNKNOWN', name);
    const answer = await run();
    this.#note(node, name, args, answer);
    if (node.isDead) return never;
    if (fault === 'unknownApplied') throw new TocsinError('ST_UNKNOWN', name);
    return answer;
  }

  #note(node: FleetNode, name: OperationName, args: readonly unknown[], answer: unknown): void {
    if (name !== 'claim' && name !== 'commit') return;
    if (!(answer as { applied: boolean }).applied) return;
    if (name === 'commit') this.applied.push({ by: node.owner, batch: args[0] as CommitBatch });
    else {
      const claim = args[1] as { epoch: number };
      this.claims.push({ by: node.owner, shard: args[0] as number, epoch: claim.epoch });
    }
  }
}

/** A key of tenant `t1` whose shard the test likes. */
export function keyWhere(isLiked: (shard: ShardId) => boolean): ActorKey {
  for (let at = 0; ; at++) {
    const key = actorKey(`t1/en-${at}`);
    if (isLiked(shardOf(key))) return key;
  }
}
