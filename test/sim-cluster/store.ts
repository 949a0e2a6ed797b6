// The store that all nodes of a simulated cluster share: the memory store behind delays, outages of all or of one node, unknown
// outcomes with and without effect, and effects that come late. A late compare-and-set is settled by the next serial access to
// its partition, as Paxos does: it happens then, or never. Must not know nodes or the judge.
import { decodeLogRow } from '../../cluster/log-record.ts';
import { decodeView } from '../../cluster/view-codec.ts';
import type { ClusterStore } from '../../runtime/cluster-ports.ts';
import { decodeValue } from '../../runtime/codec.ts';
import { TocsinError } from '../../runtime/errors.ts';
import type { CommitBatch, HistoryRecord, TickRow } from '../../runtime/ports.ts';
import { assembleClusterStore } from '../../store/assemble.ts';
import { createMemoryStore } from '../../store/memory/store.ts';
import {
  type ClusterCall,
  type ClusterOperationName,
  operationKinds,
} from '../../store/operations.ts';
import type { Kernel, Process } from '../sim/kernel.ts';
import type { Draw } from '../sim/random.ts';
import type { CommittedRow, Stored } from '../sim/trace.ts';
import { runOn } from './store-run.ts';
import type { ClusterHappening } from './trace.ts';

/** Faults of the store as one node meets them. */
export interface StoreWeather {
  isOut: boolean;
  slowFactor: number;
  unknownChance: number;
}

export interface StoreSeat {
  readonly process: Process;
  readonly run: number;
  readonly name: string;
}

export interface StoreOptions {
  readonly kernel: Kernel;
  readonly draw: Draw;
  readonly latencyMs: number;
  readonly lateWrites: boolean;
  /** The weather of a node now. */
  readonly weatherOf: (name: string) => StoreWeather;
  readonly emit: (run: number, happening: ClusterHappening) => void;
  readonly hit: (process: Process, point: string) => void;
  /** Before an operation leaves its process. */
  readonly onAsked: (seat: StoreSeat, name: ClusterOperationName, args: readonly unknown[]) => void;
  /** An operation was answered well; `askedT`: when it left. */
  readonly onAnswered: (
    seat: StoreSeat,
    of: {
      name: ClusterOperationName;
      args: readonly unknown[];
      answer: unknown;
      askedMono: number;
    },
  ) => void;
  readonly onFailed: (seat: StoreSeat, name: ClusterOperationName) => void;
  readonly monoOf: (seat: StoreSeat) => number;
}

type Fate = 'well' | 'unavailable' | 'unknown' | 'unknownApplied' | 'unknownLate';

interface Asked {
  readonly seat: StoreSeat;
  readonly name: ClusterOperationName;
  readonly args: readonly unknown[];
}

interface UnderWay extends Asked {
  isDropped: boolean;
  lateMs: number;
}

const pointOf: Partial<Record<ClusterOperationName, string>> = {
  claim: 'claim.applied',
  commit: 'commit.applied',
  putStates: 'states.applied',
  putDocuments: 'documents.applied',
  appendHistory: 'history.applied',
  appendTicks: 'ticks.applied',
  readTail: 'loaded',
  casView: 'view.applied',
  writeBeat: 'beat.applied',
};

const askedOf: Partial<Record<ClusterOperationName, string>> = {
  claim: 'claim.asked',
  commit: 'commit.asked',
  casView: 'view.asked',
};

/** The partition that an operation reads or writes serially; null: none. */
function partitionOf(name: ClusterOperationName, args: readonly unknown[]): string | null {
  if (name === 'claim') return `s${args[0]}`;
  if (name === 'commit') return `s${(args[0] as CommitBatch).shard}`;
  if (name === 'readHead') return args[1] === 'look' ? null : `s${args[0]}`;
  if (name === 'casView') return 'view';
  if (name === 'readView') return args[0] === 'look' ? null : 'view';
  return null;
}

export class SimClusterStore {
  readonly base: ClusterStore = createMemoryStore();
  readonly #options: StoreOptions;
  readonly #underWay = new Set<UnderWay>();
  /** Proposals that were accepted somewhere and are not decided. */
  readonly #late = new Map<string, (() => void)[]>();
  readonly #partitions = new Set<string>();
  readonly #shards = new Set<number>();

  constructor(options: StoreOptions) {
    this.#options = options;
  }

  viewOf(seat: StoreSeat): ClusterStore {
    const call = ((name: ClusterOperationName, ...args: unknown[]) =>
      this.#call({ seat, name, args })) as ClusterCall;
    return assembleClusterStore(call, { ping: () => call('ping'), close: async () => undefined });
  }

  /** The process is gone: of what it had asked for, some still happens and some never does. */
  lose(process: Process): void {
    const { draw } = this.#options;
    for (const one of this.#underWay) {
      if (one.seat.process !== process) continue;
      one.isDropped = draw.chance(0.5);
      one.lateMs = draw.chance(0.5) ? draw.between(50, 5_000) : 0;
    }
  }

  #fate({ seat, name }: Asked): Fate {
    const { weatherOf, draw } = this.#options;
    const weather = weatherOf(seat.name);
    const isRead = operationKinds[name] === 'read';
    if (weather.isOut) {
      if (isRead || draw.chance(0.7)) return 'unavailable';
      return draw.chance(0.7) ? 'unknown' : 'unknownLate';
    }
    if (weather.unknownChance === 0 || !draw.chance(weather.unknownChance)) return 'well';
    if (isRead) return 'unavailable';
    return draw.pick(['unavailable', 'unknown', 'unknownApplied', 'unknownLate'] as const);
  }

  #latency({ seat }: Asked): number {
    const { draw, latencyMs, weatherOf } = this.#options;
    const base = latencyMs * (0.2 + draw.next() * 1.6);
    return Math.min(base * weatherOf(seat.name).slowFactor, 6_000) / 2;
  }

  #call(asked: Asked): Promise<unknown> {
    const { kernel, hit, onAsked, onAnswered, monoOf } = this.#options;
    const { seat, name, args } = asked;
    const { process } = seat;
    if (process.isDead) return new Promise(() => undefined);
    onAsked(seat, name, args);
    const askedMono = monoOf(seat);
    const one: UnderWay = { ...asked, isDropped: false, lateMs: 0 };
    this.#underWay.add(one);
    const point = askedOf[name];
    if (point !== undefined) hit(process, point);
    return new Promise((resolve, reject) => {
      kernel.after(this.#latency(asked), null, () => {
        this.#underWay.delete(one);
        if (one.isDropped || (process.isDead && !this.#options.lateWrites)) return;
        if (one.lateMs > 0) {
          kernel.after(one.lateMs, null, () => void this.#effect(asked));
          return;
        }
        void this.#effect(asked).then(({ answer, error }) => {
          kernel.after(this.#latency(asked), process, () => {
            if (error !== null) {
              this.#options.onFailed(seat, name);
              reject(error);
            } else {
              onAnswered(seat, { name, args, answer, askedMono });
              this.#told(asked, answer);
              resolve(answer);
            }
          });
        });
      });
    });
  }

  async #effect(asked: Asked): Promise<{ answer: unknown; error: unknown }> {
    const { name, args } = asked;
    const fate = this.#fate(asked);
    if (fate === 'unavailable') return { answer: null, error: unavailable(name) };
    if (fate === 'unknown') return { answer: null, error: unknown(name) };
    if (fate === 'unknownLate') {
      this.#applyLate(asked);
      return { answer: null, error: unknown(name) };
    }
    const partition = partitionOf(name, args);
    if (partition !== null) this.#settle(partition);
    try {
      const answer = await this.#apply(asked);
      return { answer, error: fate === 'unknownApplied' ? unknown(name) : null };
    } catch (error) {
      return { answer: null, error };
    }
  }

  #applyLate(asked: Asked): void {
    const { kernel, draw, emit } = this.#options;
    const partition = partitionOf(asked.name, asked.args);
    let isOver = false;
    const land = (): void => {
      if (isOver) return;
      isOver = true;
      emit(0, { kind: 'sometimes', point: `late.${asked.name}` });
      void this.#apply(asked).catch(() => undefined);
    };
    kernel.after(draw.between(5, 9_000), null, land);
    if (partition === null) return;
    const waiting = this.#late.get(partition) ?? [];
    this.#late.set(partition, [
      ...waiting,
      () => {
        if (draw.chance(0.5)) land();
        isOver = true;
      },
    ]);
  }

  #settle(partition: string): void {
    const waiting = this.#late.get(partition);
    if (waiting === undefined) return;
    this.#late.delete(partition);
    for (const end of waiting) end();
  }

  async #apply({ seat, name, args }: Asked): Promise<unknown> {
    const answer = await runOn(this.base, name, args);
    this.#record(seat.run, { name, args, answer });
    const point = pointOf[name];
    if (point !== undefined && !seat.process.isDead) this.#options.hit(seat.process, point);
    return answer;
  }

  /** What the judge needs to know of an operation that took effect. */
  #record(
    run: number,
    of: { name: ClusterOperationName; args: readonly unknown[]; answer: unknown },
  ): void {
    const { emit } = this.#options;
    const { name, args, answer } = of;
    if (name === 'claim') {
      const [shard, claim] = args as [number, { epoch: number; owner: string }];
      const { applied } = answer as { applied: boolean };
      emit(run, { kind: 'claim', shard, epoch: claim.epoch, owner: claim.owner, applied });
    } else if (name === 'commit') {
      this.#recordCommit(
        run,
        args[0] as CommitBatch,
        answer as { applied: boolean; epoch?: number },
      );
    } else if (name === 'casView') {
      if (answer === true)
        this.#recordView(run, args[0] as { from: number; to: number; body: Uint8Array });
    } else if (name === 'appendTicks') {
      const rows = (args[0] as TickRow[]).map(({ key, check, zone, slotAtMs, value }) => ({
        ...{ key, check, zone, slot: slotAtMs },
        value: decodeValue(value) as readonly unknown[],
      }));
      emit(run, { kind: 'ticks', rows });
    } else if (name === 'appendHistory') {
      for (const row of args[0] as HistoryRecord[])
        this.#partitions.add(`${row.table}\n${row.partition}`);
    } else if (name === 'putDocuments') this.#shards.add(args[0] as number);
  }

  #recordView(run: number, change: { from: number; to: number; body: Uint8Array }): void {
    const { members } = decodeView(change.to, change.body);
    const seen = [...members].map(([node, { incarnation, weight, state }]) => ({
      ...{ node, incarnation, weight, state },
    }));
    this.#options.emit(run, {
      kind: 'view.applied',
      from: change.from,
      to: change.to,
      members: seen,
    });
  }

  #recordCommit(
    run: number,
    batch: CommitBatch,
    outcome: { applied: boolean; epoch?: number },
  ): void {
    const rows = outcome.applied ? batch.rows.map(rowOf) : [];
    this.#shards.add(batch.shard);
    this.#options.emit(run, {
      kind: 'commit',
      shard: batch.shard,
      epoch: batch.epoch,
      owner: batch.owner,
      prevHead: batch.prevHead,
      applied: outcome.applied,
      headEpoch: outcome.epoch ?? batch.epoch,
      rows,
    });
  }

  #told({ seat, name, args }: Asked, answer: unknown): void {
    const { emit, hit } = this.#options;
    if (name === 'commit' && (answer as { applied: boolean }).applied) {
      const batch = args[0] as CommitBatch;
      const head = batch.prevHead + batch.rows.length;
      if (batch.rows.length > 0) emit(seat.run, { kind: 'acked', shard: batch.shard, head });
      hit(seat.process, 'commit.answered');
    } else if (name === 'claim') hit(seat.process, 'claim.answered');
    else if (name === 'readHead') {
      const { head } = answer as { head: number };
      if (head > 0) emit(seat.run, { kind: 'acked', shard: args[0] as number, head });
    }
  }

  /** Everything that is stored, decoded. */
  async look(tenants: readonly string[]): Promise<Stored> {
    const heads: { shard: number; epoch: number; head: number }[] = [];
    const documents: Stored['documents'][number][] = [];
    for (const shard of [...this.#shards].sort((left, right) => left - right)) {
      const { epoch, head } = await this.base.authority.readHead(shard as never);
      heads.push({ shard, epoch, head });
      const loaded = await this.base.states.loadShard(shard as never);
      for (const { key, kind, id, rev, body } of loaded.documents) {
        documents.push({ key, kind, id, rev, body: decodeValue(body) });
      }
    }
    const history: Stored['history'][number][] = [];
    for (const place of [...this.#partitions].sort()) history.push(...(await this.#pageOf(place)));
    const listings: { tenant: string; entity: string }[] = [];
    for (const tenant of tenants) {
      const items = await this.base.states.listEntities(tenant, null, 1_000);
      listings.push(...items.map(({ entity }) => ({ tenant, entity })));
    }
    return { heads, documents, history, listings };
  }

  async #pageOf(place: string): Promise<Stored['history'][number][]> {
    const [table = '', partition = ''] = place.split('\n');
    const rows = await this.base.history.page({
      ...{ table: table as HistoryRecord['table'], partition, fromMs: 0 },
      ...{ toMs: Number.MAX_SAFE_INTEGER, marker: null, reverse: false, limit: 10_000 },
    });
    return rows.map(({ key, atMs, id, body }) => ({
      table,
      key,
      atMs,
      id,
      body: decodeValue(body),
    }));
  }
}

function rowOf(row: CommitBatch['rows'][number]): CommittedRow {
  const { seq, key, kind, body, documents, history } = decodeLogRow(row);
  return { seq, key, kind, body, documents: [...documents], history: [...history] };
}

function unavailable(name: string): TocsinError {
  return new TocsinError('ST_UNAVAILABLE', `the store did not do ${name}`, { retryable: true });
}

function unknown(name: string): TocsinError {
  return new TocsinError('ST_UNKNOWN', `the outcome of ${name} is unknown`);
}
