// The ports: what the runtime asks of the world. Adapters live in store/, cluster/, prober/, actors/notify/ and runtime/clock.ts.
// Conformance suites in test/conformance run against every adapter of a port. Must not know monitoring.
import type { DecisionRow, DocumentKind, HistoryTable, RowKind, TickWrite } from './effect.ts';
import type { ActorKey, Epoch, ShardId } from './ids.ts';

/** Time. The only home of Date.now and performance.now is runtime/clock.ts. */
export interface Clock {
  /** Wall clock, epoch ms. */
  nowMs(): number;
  /** Monotonic ms since an arbitrary start. */
  monoMs(): number;
  /** Runs `task` at or after the monotonic instant, on the event loop; returns a canceller. */
  schedule(atMonoMs: number, task: () => void): () => void;
}

/** Randomness; seeded in tests. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** `bytes` cryptographically strong bytes (in tests: seeded). */
  bytes(count: number): Uint8Array;
}

export interface Logger {
  debug(event: string, fields?: Readonly<Record<string, unknown>>): void;
  info(event: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(event: string, fields?: Readonly<Record<string, unknown>>): void;
  error(event: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** Counters and gauges; names without the prefix `tocsin_`. */
export interface Meter {
  count(name: string, by: number, label?: string): void;
  gauge(name: string, read: () => number): void;
}

/** Fence and watermarks of a shard: the log's row 0. */
export interface ShardHead {
  readonly epoch: Epoch;
  /** `node/incarnation`, empty before the first claim. */
  readonly owner: string;
  /** Last committed seq. */
  readonly head: number;
  /** Outbox low-water mark: every intent up to it has ended or is deferred. */
  readonly dispatched: number;
  /** Projection low-water mark: everything up to it is in documents, history and soft state. */
  readonly snap: number;
  /** Start of this epoch's write timestamps, microseconds. */
  readonly tsBase: number;
}

/**
 * How a class A row is read. `decide`: serially, it finishes what an unknown compare-and-set left; only before a claim and
 * after an unknown outcome, never polled. `look`: a plain quorum read. The same where one process owns the store.
 */
export type ReadLevel = 'decide' | 'look';

/** Class A. Errors: `ST_UNAVAILABLE` (nothing happened), `ST_UNKNOWN` (may have happened: read, then decide). */
export interface Authority {
  /** Default level: `decide`. */
  readHead(shard: ShardId, level?: ReadLevel): Promise<ShardHead>;
  /** Compare-and-set on exactly (`seen`, `was`). Refused: the current head. */
  claim(
    shard: ShardId,
    claim: { seen: Epoch; was: string; epoch: Epoch; owner: string; tsBase: number },
  ): Promise<{ applied: true } | { applied: false; head: ShardHead }>;
}

export interface NewLogRow {
  readonly seq: number;
  readonly key: ActorKey;
  readonly kind: RowKind;
  /** Encoded by the codec. */
  readonly body: Uint8Array;
}

/** A row as read back; `body` decoded by the caller. */
export interface LogRow {
  readonly seq: number;
  readonly key: ActorKey;
  readonly kind: RowKind;
  readonly body: unknown;
}

export interface CommitBatch {
  readonly shard: ShardId;
  readonly epoch: Epoch;
  readonly owner: string;
  /** The head that the batch builds on; rows are `prevHead + 1`, `+ 2`, … without a gap. */
  readonly prevHead: number;
  readonly dispatched: number;
  readonly snap: number;
  /** 0..256 rows; none: the watermarks alone. */
  readonly rows: readonly NewLogRow[];
  /** Trim rows 1..trimTo with this batch; 0: no trim. */
  readonly trimTo: number;
}

export type CommitOutcome =
  | { readonly applied: true }
  | {
      readonly applied: false;
      readonly epoch: Epoch;
      readonly owner: string;
      readonly head: number;
    };

/** Class D: conditional on epoch, owner and head, all or nothing. Errors as `Authority`. */
export interface ShardLog {
  commit(batch: CommitBatch): Promise<CommitOutcome>;
  /** Rows with seq > `above`, in order. */
  readTail(
    shard: ShardId,
    above: number,
  ): Promise<readonly (Omit<LogRow, 'body'> & { body: Uint8Array })[]>;
}

export interface StoredDocument {
  readonly kind: DocumentKind;
  readonly id: string;
  readonly rev: number;
  /** Decoded by the caller of the port; bytes inside the port. */
  readonly body: unknown;
}

export interface DocumentRow {
  readonly key: ActorKey;
  readonly kind: DocumentKind;
  readonly id: string;
  readonly rev: number;
  /** null deletes. */
  readonly body: Uint8Array | null;
}

export interface SoftStateRow {
  readonly key: ActorKey;
  readonly seq: number;
  /** null deletes. */
  readonly body: Uint8Array | null;
}

/** Class S: whole rows, `ts` from the shard's epoch allocator (µs, unique); a row with a lower `ts` loses. */
export interface StateStore {
  loadShard(shard: ShardId): Promise<{
    readonly documents: readonly (DocumentRow & { body: Uint8Array })[];
    readonly states: readonly (SoftStateRow & { body: Uint8Array })[];
  }>;
  /** Documents of one actor, by (kind, id): the nodes' copies of a tenant's are read so. */
  readDocuments(
    shard: ShardId,
    key: ActorKey,
  ): Promise<readonly (DocumentRow & { body: Uint8Array })[]>;
  putStates(shard: ShardId, ts: number, rows: readonly SoftStateRow[]): Promise<void>;
  putDocuments(shard: ShardId, ts: number, rows: readonly DocumentRow[]): Promise<void>;
  /** The tenant's listing of entities. `label` null removes. */
  putListing(row: {
    tenant: string;
    entity: string;
    label: string | null;
    updatedMs: number;
    ts: number;
  }): Promise<void>;
  /** Entity ids >= `marker` (inclusive; null: from the first), in id order, at most `limit`. */
  listEntities(
    tenant: string,
    marker: string | null,
    limit: number,
  ): Promise<readonly { entity: string; label: string }[]>;
}

export interface TickRow {
  readonly shard: ShardId;
  readonly key: ActorKey;
  readonly check: string;
  readonly zone: string;
  readonly slotAtMs: number;
  readonly value: Uint8Array;
}

/** Class M: samples. */
export interface Samples {
  appendTicks(rows: readonly TickRow[]): Promise<void>;
  /** Newest tick of each (key, check, zone) no older than `notBeforeMs`; those without one are left out. */
  lastTicks(
    of: readonly { shard: ShardId; key: ActorKey; check: string; zone: string }[],
    notBeforeMs: number,
  ): Promise<readonly TickRow[]>;
  /** Ticks of a check with fromMs <= slot < toMs, by (slot, zone), at most `limit` (<= 10,000). */
  readTicks(query: {
    shard: ShardId;
    key: ActorKey;
    check: string;
    fromMs: number;
    toMs: number;
    limit: number;
  }): Promise<readonly TickRow[]>;
}

export interface HistoryRecord {
  readonly table: HistoryTable;
  /** Tenant, or actor key for `alarm_history` and `notification_log`. */
  readonly partition: string;
  readonly atMs: number;
  readonly id: string;
  readonly key: ActorKey;
  readonly shard: number;
  /** Log seq that it was projected from; 0 where from none. */
  readonly seq: number;
  readonly body: Uint8Array;
}

/** Class M: history. Appending a row again (same table, partition, atMs, id) overwrites it. */
export interface History {
  append(rows: readonly HistoryRecord[]): Promise<void>;
  /** Rows with fromMs <= atMs <= toMs in (atMs, id) order, or the reverse; `marker` is the id of the first row wanted. */
  page(query: {
    table: HistoryTable;
    partition: string;
    fromMs: number;
    toMs: number;
    /** Only rows of this actor. */
    key?: ActorKey;
    marker: string | null;
    reverse: boolean;
    limit: number;
  }): Promise<readonly HistoryRecord[]>;
  get(table: HistoryTable, partition: string, id: string): Promise<HistoryRecord | null>;
  /** Changelog rows of one shard and tenant with seq > `afterSeq`, in seq order (replay of live streams). */
  after(query: {
    table: HistoryTable;
    partition: string;
    shard: number;
    afterSeq: number;
    limit: number;
  }): Promise<readonly HistoryRecord[]>;
}

export interface UserRecord {
  readonly name: string;
  readonly tenant: string;
  readonly version: number;
  /** Key hash, password hash, roles. */
  readonly body: Uint8Array;
}

export interface TenantRecord {
  readonly tenant: string;
  readonly version: number;
  readonly body: Uint8Array;
}

/** Class A: tenants and users. `put…` with version 1 inserts only if absent; version n only over n - 1. False: refused. */
export interface Accounts {
  user(name: string): Promise<UserRecord | null>;
  putUser(user: UserRecord): Promise<boolean>;
  deleteUser(name: string, version: number): Promise<boolean>;
  listUsers(tenant: string | null, limit: number): Promise<readonly UserRecord[]>;
  tenant(tenant: string): Promise<TenantRecord | null>;
  putTenant(tenant: TenantRecord): Promise<boolean>;
  listTenants(limit: number): Promise<readonly TenantRecord[]>;
}

/** All of a store; every adapter (memory, SQLite, later Cassandra) makes one. */
export interface Store {
  readonly authority: Authority;
  readonly shardLog: ShardLog;
  readonly states: StateStore;
  readonly samples: Samples;
  readonly history: History;
  readonly accounts: Accounts;
  /** Deletes what is past its keep; bounded work. */
  sweep(nowMs: number): Promise<void>;
  /** Resolves where the store answers, rejects else. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** Runs probes of the zones of this node. `done` is called exactly once. */
export interface ProbeLink<Request, Answer> {
  submit(request: Request, done: (answer: Answer) => void): void;
}

/** One intent: a notification that a committed transition owes. Opaque but for what ordering and retries need. */
export interface Intent {
  /** Stable for ever: webhook id, Message-ID. Hex, no dots. */
  readonly id: string;
  /** Orders intents: those of one (actor, alarm, channel) go by `n`, and a newer one supersedes an older. */
  readonly alarm: string;
  readonly n: number;
  readonly channel: string;
  readonly atMs: number;
  /** What the notifier needs; resolved in the deciding step. */
  readonly body: unknown;
}

export interface Delivery {
  readonly attempt: number;
  readonly atMs: number;
  readonly signal: AbortSignal;
}

export type DeliveryResult =
  | { readonly delivered: true; readonly message: string }
  | {
      readonly delivered: false;
      readonly message: string;
      /** Receiver asked for a pause. */
      readonly retryAfterMs?: number;
      /** True: never again (410). */
      readonly final?: boolean;
    };

/** Delivers one intent once. Never throws for a receiver's fault. */
export interface Notifier {
  deliver(key: ActorKey, intent: Intent, delivery: Delivery): Promise<DeliveryResult>;
  /** Receivers are isolated by this name: a dead one delays no other. */
  receiverOf(intent: Intent): string;
}

/** Runs heavy or bulky pure work in worker threads. */
export interface WorkerPool {
  run<Task, Result>(
    task: Task,
    options: { timeoutMs: number; signal?: AbortSignal },
  ): Promise<Result>;
  readonly saturation: () => number;
  close(): Promise<void>;
}

/** Journal of a node whose store is down. The embedded store needs none: a node alone has nowhere else to go. */
export interface Journal {
  /** Resolves once the record is on disk. */
  append(record: {
    readonly type: number;
    readonly epoch: Epoch;
    readonly shard: ShardId;
    readonly key: ActorKey;
    readonly body: Uint8Array;
  }): Promise<void>;
  close(): Promise<void>;
}

/** Committed history rows as they happen; feeds live streams. */
export interface EventBus {
  publish(record: HistoryRecord): void;
  subscribe(tenant: string, listener: (record: HistoryRecord) => void): () => void;
}

/** The shard's commit pipe as an activation sees it; implemented by cluster/. */
export interface Decisions {
  /**
   * Commits rows of one actor together, in call order per actor. Resolves once they are durable and their projections
   * were awaited (2 s at most). Rejects with `RT_NOT_OWNER` (refused: drop the activation) or `RT_COMMIT_FAILED`.
   */
  commit(key: ActorKey, rows: readonly DecisionRow[]): Promise<{ readonly lastSeq: number }>;
}

/** Writes soft state; implemented by cluster/. */
export interface SoftStates {
  /** Asks for a write within 250 ms (`urgent`) or 60 s, coalesced; `read` is called at the time of the write. */
  changed(
    key: ActorKey,
    urgent: boolean,
    read: () => { readonly seq: number; readonly body: unknown } | null,
  ): void;
  /** The actor is gone for good (deleted): its soft state too. */
  deleted(key: ActorKey): void;
}

/** A tick decoded. */
export interface StoredTick {
  readonly check: string;
  readonly zone: string;
  readonly slotAtMs: number;
  readonly value: unknown;
}

/** Ticks of the actors of this node, written behind in groups; implemented by cluster/ over `Samples`. */
export interface Ticks {
  /** Never blocks; bounded: drops the oldest and counts it (`ticks_dropped_total`). */
  append(key: ActorKey, ticks: readonly TickWrite[]): void;
  last(
    key: ActorKey,
    of: readonly { readonly check: string; readonly zone: string }[],
  ): Promise<readonly StoredTick[]>;
}
