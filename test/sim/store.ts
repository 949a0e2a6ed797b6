// The store of a simulated world: the memory store behind delays, outages, unknown outcomes with and without effect, late
// application and loss at a crash. One for the world; each process has its own view. Must not know nodes or the judge.
import { decodeLogRow } from '../../cluster/log-record.ts';
import { decodeValue } from '../../runtime/codec.ts';
import { TocsinError } from '../../runtime/errors.ts';
import type {
  CommitBatch,
  DocumentRow,
  HistoryRecord,
  Store,
  TickRow,
} from '../../runtime/ports.ts';
import { assembleStore } from '../../store/assemble.ts';
import { createMemoryStore } from '../../store/memory/store.ts';
import { type OperationName, operationKinds, type StoreCall } from '../../store/operations.ts';
import type { Kernel, Process } from './kernel.ts';
import type { Draw } from './random.ts';
import type { CommittedRow, Happening, Stored } from './trace.ts';

/** Faults of the store as they are now. */
export interface StoreWeather {
  isOut: boolean;
  /** The tables of projections alone are away. */
  projectionsOut?: boolean;
  slowFactor: number;
  unknownChance: number;
}

export interface SimStoreOptions {
  readonly kernel: Kernel;
  readonly draw: Draw;
  readonly weather: StoreWeather;
  readonly latencyMs: number;
  readonly lateWrites: boolean;
  /** Chance that a write of a dead process lands behind the next owner's claim; drawn from `lateDraw`. */
  readonly stragglers: number;
  readonly lateDraw: Draw;
  /** Chance that a stamped write happens once more, minutes later; drawn from `echoDraw`. */
  readonly echoes?: number;
  readonly echoDraw?: Draw;
  /** `run`: the process run that asked. */
  readonly emit: (run: number, happening: Happening) => void;
  /** A crash point was reached by this process. */
  readonly hit: (process: Process, point: string) => void;
}

interface UnderWay {
  readonly process: Process;
  readonly name: OperationName;
  /** Shard that it writes to; null: it does not straggle. */
  readonly shard: number | null;
  isDropped: boolean;
  /** How much later it happens, its process being dead. */
  lateMs: number;
  /** It happens when another process has claimed the shard. */
  isStraggler: boolean;
}

type Fate = 'well' | 'unavailable' | 'unknown' | 'unknownApplied' | 'unknownLate';

const pointOf: Partial<Record<OperationName, string>> = {
  claim: 'claim.applied',
  commit: 'commit.applied',
  putStates: 'states.applied',
  putDocuments: 'documents.applied',
  appendHistory: 'history.applied',
  appendTicks: 'ticks.applied',
  readTail: 'loaded',
};

const askedOf: Partial<Record<OperationName, string>> = {
  claim: 'claim.asked',
  commit: 'commit.asked',
  putStates: 'states.asked',
};

const projections = new Set<OperationName>(['putDocuments', 'putListing', 'appendHistory']);
/** Writes that an equal or higher timestamp beats. */
const stamped = new Set<OperationName>(['putStates', 'putDocuments', 'putListing']);

/** Returns the shard of a write that may straggle. */
function shardOfWrite(name: OperationName, args: readonly unknown[]): number | null {
  if (name === 'commit') return (args[0] as CommitBatch).shard;
  const isOfShard = name === 'claim' || name === 'putStates' || name === 'putDocuments';
  return isOfShard ? (args[0] as number) : null;
}

export class SimStore {
  readonly base: Store = createMemoryStore();
  readonly #options: SimStoreOptions;
  readonly #underWay = new Set<UnderWay>();
  readonly #stragglers = new Map<number, (() => void)[]>();
  /** Tenants and partitions written, for the last look. */
  readonly #partitions = new Set<string>();
  readonly #shards = new Set<number>();

  constructor(options: SimStoreOptions) {
    this.#options = options;
  }

  /** The store as one process sees it. */
  viewOf(process: Process, run: number): Store {
    const call = ((name: OperationName, ...args: unknown[]) =>
      this.#call({ process, run }, name, args)) as StoreCall;
    return assembleStore(call, { ping: () => call('ping'), close: async () => undefined });
  }

  /** The process is gone: of what it had asked for, some still happens and some never does. */
  lose(process: Process): void {
    const { draw, lateDraw, stragglers } = this.#options;
    for (const one of this.#underWay) {
      if (one.process !== process) continue;
      one.isDropped = draw.chance(0.5);
      one.lateMs = draw.chance(0.7) ? draw.between(50, 8_000) : 0;
      one.isStraggler = one.shard !== null && lateDraw.chance(stragglers);
    }
  }

  #fate(name: OperationName): Fate {
    const { weather, draw } = this.#options;
    if (weather.projectionsOut === true && projections.has(name)) return 'unavailable';
    if (weather.isOut) return draw.chance(0.8) ? 'unavailable' : 'unknown';
    if (weather.unknownChance === 0 || !draw.chance(weather.unknownChance)) return 'well';
    if (operationKinds[name] === 'read') return 'unavailable';
    return draw.pick(['unavailable', 'unknown', 'unknownApplied', 'unknownLate'] as const);
  }

  #latency(): number {
    const { draw, latencyMs, weather } = this.#options;
    const base = latencyMs * (0.2 + draw.next() * 1.6);
    return Math.min(base * weather.slowFactor, 8_000) / 2;
  }

  #call(
    of: { process: Process; run: number },
    name: OperationName,
    args: unknown[],
  ): Promise<unknown> {
    const { kernel, hit } = this.#options;
    const { process } = of;
    if (process.isDead) return new Promise(() => undefined);
    const shard = shardOfWrite(name, args);
    const one: UnderWay = { process, name, shard, isDropped: false, lateMs: 0, isStraggler: false };
    this.#underWay.add(one);
    const asked = askedOf[name];
    if (asked !== undefined) hit(process, asked);
    return new Promise((resolve, reject) => {
      kernel.after(this.#latency(), null, () => {
        this.#underWay.delete(one);
        if (one.isStraggler) {
          this.#straggle(shard ?? 0, () => void this.#effect(of, name, args));
          return;
        }
        if (one.isDropped || (process.isDead && !this.#options.lateWrites)) return;
        if (one.lateMs > 0) {
          kernel.after(one.lateMs, null, () => void this.#effect(of, name, args));
          return;
        }
        void this.#effect(of, name, args).then(({ answer, error }) => {
          kernel.after(this.#latency(), process, () => {
            if (error !== null) reject(error);
            else {
              this.#told(of, name, args, answer);
              resolve(answer);
            }
          });
        });
      });
    });
  }

  #straggle(shard: number, land: () => void): void {
    const waiting = this.#stragglers.get(shard) ?? [];
    this.#stragglers.set(shard, [...waiting, land]);
  }

  /** Another process owns the shard now: what its predecessor wrote last still lands, around its own first writes. */
  #land(shard: number): void {
    const { kernel, lateDraw, emit } = this.#options;
    for (const land of this.#stragglers.get(shard) ?? []) {
      kernel.after(lateDraw.between(0, lateDraw.pick([5, 100, 4_000])), null, () => {
        emit(0, { kind: 'sometimes', point: 'straggler' });
        land();
      });
    }
    this.#stragglers.delete(shard);
  }

  async #effect(
    of: { process: Process; run: number },
    name: OperationName,
    args: unknown[],
  ): Promise<{ answer: unknown; error: unknown }> {
    const fate = this.#fate(name);
    if (fate === 'unavailable') return { answer: null, error: unavailable(name) };
    if (fate === 'unknown') return { answer: null, error: unknown(name) };
    if (fate === 'unknownLate') {
      const { kernel, draw } = this.#options;
      kernel.after(draw.between(5, 9_000), null, () => {
        this.#options.emit(0, { kind: 'sometimes', point: `late.${name}` });
        void this.#apply(of, name, args).catch(() => undefined);
      });
      return { answer: null, error: unknown(name) };
    }
    try {
      const answer = await this.#apply(of, name, args);
      return { answer, error: fate === 'unknownApplied' ? unknown(name) : null };
    } catch (error) {
      return { answer: null, error };
    }
  }

  async #apply(
    of: { process: Process; run: number },
    name: OperationName,
    args: unknown[],
  ): Promise<unknown> {
    const answer = await runOn(this.base, name, args);
    this.#record(of.run, name, args, answer);
    this.#echo(name, args);
    const point = pointOf[name];
    if (point !== undefined && !of.process.isDead) this.#options.hit(of.process, point);
    if (name === 'putStates' && this.#isCommitting(of.process, args[0] as number)) {
      this.#options.hit(of.process, 'states.ahead');
    }
    return answer;
  }

  /** A replica that was away hears of the write minutes later: the same, with its own timestamp, once more. */
  #echo(name: OperationName, args: unknown[]): void {
    const { kernel, echoes = 0, echoDraw, emit } = this.#options;
    if (echoDraw === undefined || !stamped.has(name) || !echoDraw.chance(echoes)) return;
    kernel.after(echoDraw.between(1_000, 300_000), null, () => {
      emit(0, { kind: 'sometimes', point: 'echo' });
      void runOn(this.base, name, args);
    });
  }

  /** True while a commit of the process to the shard has not reached the store. */
  #isCommitting(process: Process, shard: number): boolean {
    return [...this.#underWay].some(
      (one) => one.process === process && one.name === 'commit' && one.shard === shard,
    );
  }

  /** What the judge needs to know of an operation that took effect. */
  #record(run: number, name: OperationName, args: unknown[], answer: unknown): void {
    const { emit } = this.#options;
    if (name === 'claim') {
      const [shard, claim] = args as [number, { epoch: number; owner: string }];
      const { applied } = answer as { applied: boolean };
      emit(run, { kind: 'claim', shard, epoch: claim.epoch, owner: claim.owner, applied });
      if (applied) this.#land(shard);
    } else if (name === 'commit') {
      this.#recordCommit(
        run,
        args[0] as CommitBatch,
        answer as { applied: boolean; epoch?: number },
      );
    } else if (name === 'appendTicks') {
      const rows = (args[0] as TickRow[]).map(({ key, check, zone, slotAtMs, value }) => ({
        ...{ key, check, zone, slot: slotAtMs },
        value: decodeValue(value) as readonly unknown[],
      }));
      emit(run, { kind: 'ticks', rows });
    } else if (name === 'appendHistory') {
      for (const row of args[0] as HistoryRecord[]) {
        this.#partitions.add(`${row.table}\n${row.partition}`);
      }
    } else if (name === 'putDocuments') this.#shards.add(args[0] as number);
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

  /** The process hears an answer. */
  #told(
    of: { process: Process; run: number },
    name: OperationName,
    args: unknown[],
    answer: unknown,
  ): void {
    const { emit, hit } = this.#options;
    if (name === 'commit' && (answer as { applied: boolean }).applied) {
      const { shard, prevHead, rows } = args[0] as CommitBatch;
      if (rows.length > 0) emit(of.run, { kind: 'acked', shard, head: prevHead + rows.length });
      hit(of.process, 'commit.answered');
    } else if (name === 'readHead' || name === 'commit') {
      // A refused commit tells the head row as a read does: an earlier try of it may have landed late (clustering.md §7).
      const shard = name === 'commit' ? (args[0] as CommitBatch).shard : (args[0] as number);
      const { head } = answer as { head: number };
      if (head > 0) emit(of.run, { kind: 'acked', shard, head });
    }
  }

  /** Everything that is stored, decoded. */
  async look(tenants: readonly string[]): Promise<Stored> {
    const heads: { shard: number; epoch: number; head: number }[] = [];
    const documents: { key: string; kind: number; id: string; rev: number; body: unknown }[] = [];
    for (const shard of [...this.#shards].sort((left, right) => left - right)) {
      const { epoch, head } = await this.base.authority.readHead(shard as never);
      heads.push({ shard, epoch, head });
      const loaded = await this.base.states.loadShard(shard as never);
      documents.push(...loaded.documents.map(documentOf));
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

function documentOf(row: DocumentRow & { body: Uint8Array }) {
  const { key, kind, id, rev, body } = row;
  return { key, kind, id, rev, body: decodeValue(body) };
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

type Arguments = readonly unknown[];

/** Runs one flat operation on the port it belongs to. */
function runOn(store: Store, name: OperationName, args: Arguments): Promise<unknown> {
  const { authority, shardLog, states, samples, history, accounts } = store;
  const table: Partial<Record<OperationName, [object, string]>> = {
    readHead: [authority, 'readHead'],
    claim: [authority, 'claim'],
    commit: [shardLog, 'commit'],
    readTail: [shardLog, 'readTail'],
    loadShard: [states, 'loadShard'],
    putStates: [states, 'putStates'],
    putDocuments: [states, 'putDocuments'],
    putListing: [states, 'putListing'],
    listEntities: [states, 'listEntities'],
    appendTicks: [samples, 'appendTicks'],
    lastTicks: [samples, 'lastTicks'],
    readTicks: [samples, 'readTicks'],
    appendHistory: [history, 'append'],
    historyPage: [history, 'page'],
    historyRow: [history, 'get'],
    historyAfter: [history, 'after'],
    tenant: [accounts, 'tenant'],
    putTenant: [accounts, 'putTenant'],
  };
  if (name === 'sweep') {
    return args[0] === 'ticks' ? store.sweep(args[1] as number).then(() => 0) : Promise.resolve(0);
  }
  if (name === 'ping') return Promise.resolve();
  const found = table[name];
  if (found === undefined) return Promise.reject(new Error(`the simulation has no ${name}`));
  const [port, method] = found;
  const run = (port as Record<string, (...args: unknown[]) => Promise<unknown>>)[method];
  return (run as (...args: unknown[]) => Promise<unknown>).apply(port, [...args]);
}
