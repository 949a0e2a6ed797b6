// A node over a store under the test's control: virtual clock, faults, a receiver that the test scripts.
// `crash` forgets the node as a kill does: nothing is flushed, the store stays.
import { createShardHost, type ShardHost, type ShardHostOptions } from '../../cluster/host.ts';
import type { LoadedActor } from '../../runtime/behaviour.ts';
import { type DecisionRow, documentKinds, rowKinds } from '../../runtime/effect.ts';
import { type ActorKey, actorKey, nodeId, type ShardId, shardOf } from '../../runtime/ids.ts';
import type {
  Clock,
  DeliveryResult,
  Intent,
  Logger,
  Meter,
  Notifier,
  Store,
} from '../../runtime/ports.ts';
import { createMemoryStore } from '../../store/memory/store.ts';
import type { ClusterOperationName as OperationName } from '../../store/operations.ts';
import { seededRandom, TestClock } from '../clock.ts';

type StoreFault = 'unavailable' | 'unknown' | 'unknownApplied';

export interface Send {
  readonly key: ActorKey;
  readonly id: string;
  readonly n: number;
  readonly channel: string;
  readonly attempt: number;
  readonly atMs: number;
}

/** What the scripted receiver answers; a promise is awaited. */
export type Receiver = (
  intent: Intent,
  signal: AbortSignal,
) => DeliveryResult | Promise<DeliveryResult>;

export const delivered: DeliveryResult = { delivered: true, message: '200' };
export const failed: DeliveryResult = { delivered: false, message: '503' };

export class World {
  readonly clock = new TestClock();
  readonly store: Store;
  readonly sends: Send[] = [];
  readonly counts = new Map<string, number>();
  readonly lost: number[] = [];
  readonly warnings: string[] = [];
  readonly undeliverable: string[] = [];
  /** Decides the fault of each operation. */
  fault: (
    name: OperationName,
    args: readonly unknown[],
  ) => StoreFault | undefined | Promise<StoreFault | undefined> = () => undefined;
  after: (name: OperationName, args: readonly unknown[]) => void = () => undefined;
  receive: Receiver = () => delivered;
  retryDelayMs: (id: string, attempt: number) => number | null = (_, attempt) =>
    Math.min(1000 * 2 ** (attempt - 1), 3_600_000);
  #run = 0;
  /** Runs up to this one are dead: nothing of them reaches the store or a receiver, nothing answers them. */
  #deadRun = 0;
  readonly #timers = new Set<() => void>();
  readonly #seed: number;
  readonly #shards: readonly ShardId[] | null;
  readonly #keepsSoftState: boolean;

  constructor(
    options: {
      store?: Store;
      seed?: number;
      keepsSoftState?: boolean;
      keys?: readonly ActorKey[];
    } = {},
  ) {
    this.#shards = options.keys === undefined ? null : [...new Set(options.keys.map(shardOf))];
    this.#keepsSoftState = options.keepsSoftState ?? true;
    this.#seed = options.seed ?? 1;
    this.store =
      options.store ??
      createMemoryStore({
        faults: {
          before: (name, args) => this.fault(name, args),
          after: (name, args) => this.after(name, args),
        },
      });
  }

  /** Kills all nodes so far, as SIGKILL does: what they were about to do does not happen. */
  crash(): void {
    this.#deadRun = this.#run;
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
  }

  /** Returns a new incarnation of the node. */
  host(overrides: Partial<ShardHostOptions> = {}): ShardHost {
    this.#run++;
    const run = this.#run;
    return createShardHost({
      store: this.#storeOf(run),
      node: nodeId('n1'),
      incarnation: `i${run}`,
      clock: this.#clockOf(run),
      random: seededRandom(this.#seed + run),
      logger: this.#logger(),
      meter: this.meter(),
      notifier: this.#notifier(run),
      retryDelayMs: (id, attempt) => this.retryDelayMs(id, attempt),
      logBody: (intent, line) => ({ intent: intent.id, ...line }),
      onLost: (shard) => this.lost.push(shard),
      onUndeliverable: (_, intent) => run > this.#deadRun && this.undeliverable.push(intent.id),
      keepsSoftState: () => this.#keepsSoftState,
      ...(this.#shards === null ? {} : { shards: this.#shards }),
      ...overrides,
    });
  }

  /** Starts a node and returns what it loaded. */
  async start(host: ShardHost): Promise<Map<ActorKey, LoadedActor>> {
    const actors = new Map<ActorKey, LoadedActor>();
    await this.run(host.start((key, loaded) => actors.set(key, loaded)));
    return actors;
  }

  /** Moves time in small steps until the work settles. */
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

  /** Resolves `ms` of virtual time from now. */
  later<Value>(ms: number, value: Value): Promise<Value> {
    return new Promise((resolve) => {
      this.clock.schedule(this.clock.monoMs() + ms, () => resolve(value));
    });
  }

  meter(): Meter {
    return {
      count: (name, by, label) => {
        const place = label === undefined ? name : `${name} ${label}`;
        this.counts.set(place, (this.counts.get(place) ?? 0) + by);
      },
      gauge: () => undefined,
    };
  }

  #clockOf(run: number): Clock {
    const { clock } = this;
    return {
      nowMs: () => clock.nowMs(),
      monoMs: () => clock.monoMs(),
      schedule: (atMonoMs, task) => {
        if (run <= this.#deadRun) return () => undefined;
        const cancel = clock.schedule(atMonoMs, () => {
          this.#timers.delete(cancel);
          task();
        });
        this.#timers.add(cancel);
        return () => {
          this.#timers.delete(cancel);
          cancel();
        };
      },
    };
  }

  #storeOf(run: number): Store {
    const mortal = <Part extends object>(part: Part): Part =>
      new Proxy(part, {
        get: (target, name) => {
          const member = Reflect.get(target, name) as (...args: unknown[]) => Promise<unknown>;
          return async (...args: unknown[]) => {
            if (run <= this.#deadRun) return new Promise(() => undefined);
            const answer = await member.apply(target, args);
            return run <= this.#deadRun ? new Promise(() => undefined) : answer;
          };
        },
      });
    const { authority, shardLog, states, samples, history } = this.store;
    return {
      ...this.store,
      authority: mortal(authority),
      shardLog: mortal(shardLog),
      states: mortal(states),
      samples: mortal(samples),
      history: mortal(history),
    };
  }

  #logger(): Logger {
    const quiet = (): void => undefined;
    const warn = (event: string): void => {
      this.warnings.push(event);
    };
    return { debug: quiet, info: quiet, warn, error: warn };
  }

  #notifier(run: number): Notifier {
    return {
      receiverOf: (intent) => `receiver of ${intent.channel}`,
      deliver: async (key, intent, { attempt, atMs, signal }) => {
        if (run <= this.#deadRun) return new Promise<never>(() => undefined);
        const { id, n, channel } = intent;
        this.sends.push({ key, id, n, channel, attempt, atMs });
        return this.receive(intent, signal);
      },
    };
  }
}

export const alice = actorKey('t1/en-alice');
export const bob = actorKey('t1/en-bob');

/** A CONFIG row that writes one document. */
export function configRow(id: string, rev: number, body: unknown = { rev }): DecisionRow {
  return {
    kind: rowKinds.config,
    body: { id, rev },
    documents: [{ kind: documentKinds.check, id, rev, body }],
  };
}

/** A TRANSITION row with its line of the changelog. */
export function transitionRow(n: number, atMs: number): DecisionRow {
  const id = `00000000-0000-1000-8000-${String(n).padStart(12, '0')}`;
  return {
    kind: rowKinds.transition,
    body: { alarm: 'al', n },
    history: [{ table: 'changelog', id, atMs, body: { n } }],
  };
}

/** An INTENT row: number `n` of an alarm for a channel. */
export function intentRow(
  n: number,
  of: { alarm?: string; channel?: string; atMs?: number; owner?: string } = {},
): DecisionRow {
  const { alarm = 'al', channel = 'ch', atMs = 1_700_000_000_000, owner = '' } = of;
  const body: Intent = {
    id: Buffer.from(`${owner}${alarm}${channel}${n}`).toString('hex'),
    ...{ alarm, n, channel, atMs },
    body: { text: `state ${n}` },
  };
  // The alarm is there while it has something to say.
  const document = { kind: documentKinds.alarm, id: alarm, rev: n, body: { n } };
  return { kind: rowKinds.intent, body, documents: [document] };
}

/** A CONFIG row that deletes alarms, as the deletion of one, of its check or of its entity does. */
export function alarmsDeletedRow(...alarms: readonly string[]): DecisionRow {
  const documents = alarms.map((id) => ({
    ...{ kind: documentKinds.alarm, id, rev: 1_000, body: null },
  }));
  return { kind: rowKinds.config, body: { alarms }, documents };
}

export function idOf(row: DecisionRow): string {
  return (row.body as Intent).id;
}
