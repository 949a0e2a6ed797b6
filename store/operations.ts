// The store's port as flat operations: what an adapter that answers one request at a time has to implement.
// Memory runs them in place, SQLite in its worker thread, Cassandra over the network; store/assemble.ts makes the port of each.

import type { Beat, ViewStore } from '../runtime/cluster-ports.ts';
import type { HistoryTable } from '../runtime/effect.ts';
import type { TocsinError } from '../runtime/errors.ts';
import type { ActorKey, ShardId } from '../runtime/ids.ts';
import type {
  Authority,
  CommitBatch,
  CommitOutcome,
  DocumentRow,
  History,
  HistoryRecord,
  ReadLevel,
  Samples,
  ShardHead,
  ShardLog,
  SoftStateRow,
  StateStore,
  TenantRecord,
  TickRow,
  UserRecord,
} from '../runtime/ports.ts';
import { storeError } from './errors.ts';
import type { SweepTarget } from './limits.ts';

export type Claim = Parameters<Authority['claim']>[1];
export type ClaimOutcome = Awaited<ReturnType<Authority['claim']>>;
export type LogTail = Awaited<ReturnType<ShardLog['readTail']>>;
export type ShardLoad = Awaited<ReturnType<StateStore['loadShard']>>;
type DocumentsOf = Awaited<ReturnType<StateStore['readDocuments']>>;
export type ListingRow = Parameters<StateStore['putListing']>[0];
export type ListingPage = Awaited<ReturnType<StateStore['listEntities']>>;
export type TickSeries = Parameters<Samples['lastTicks']>[0][number];
export type TickQuery = Parameters<Samples['readTicks']>[0];
export type HistoryQuery = Parameters<History['page']>[0];
export type ReplayQuery = Parameters<History['after']>[0];

/** Class A and D: the shard's log. */
export interface ShardLogOperations {
  /** Without a level: as where one process owns the store. */
  readHead(shard: ShardId, level?: ReadLevel): ShardHead;
  claim(shard: ShardId, claim: Claim): ClaimOutcome;
  commit(batch: CommitBatch): CommitOutcome;
  readTail(shard: ShardId, above: number): LogTail;
}

/** Class S. */
export interface StateOperations {
  loadShard(shard: ShardId): ShardLoad;
  readDocuments(shard: ShardId, key: ActorKey): DocumentsOf;
  putStates(shard: ShardId, ts: number, rows: readonly SoftStateRow[]): void;
  putDocuments(shard: ShardId, ts: number, rows: readonly DocumentRow[]): void;
  putListing(row: ListingRow): void;
  listEntities(tenant: string, marker: string | null, limit: number): ListingPage;
}

/** Class M: samples. */
export interface SampleOperations {
  appendTicks(rows: readonly TickRow[]): void;
  lastTicks(of: readonly TickSeries[], notBeforeMs: number): readonly TickRow[];
  readTicks(query: TickQuery): readonly TickRow[];
}

/** Class M: history. */
export interface HistoryOperations {
  appendHistory(rows: readonly HistoryRecord[]): void;
  historyPage(query: HistoryQuery): readonly HistoryRecord[];
  historyRow(table: HistoryTable, partition: string, id: string): HistoryRecord | null;
  historyAfter(query: ReplayQuery): readonly HistoryRecord[];
}

/** Class A: accounts. */
export interface AccountOperations {
  user(name: string): UserRecord | null;
  putUser(user: UserRecord): boolean;
  deleteUser(name: string, version: number): boolean;
  listUsers(tenant: string | null, limit: number): readonly UserRecord[];
  tenant(tenant: string): TenantRecord | null;
  putTenant(tenant: TenantRecord): boolean;
  listTenants(limit: number): readonly TenantRecord[];
}

export type StoredView = Awaited<ReturnType<ViewStore['readView']>>;
export type ViewChange = Parameters<ViewStore['casView']>[0];

/** Classes A and B of a store that several nodes share. */
export interface ViewOperations {
  readView(level: ReadLevel): StoredView;
  casView(change: ViewChange): boolean;
  writeBeat(beat: Beat): void;
  readBeats(): readonly Beat[];
  deleteBeat(of: Pick<Beat, 'node' | 'incarnation'>): void;
}

/** Upkeep. `sweep` deletes at most `sweepRowsMax` rows past their keep and returns how many. */
interface UpkeepOperations {
  sweep(target: SweepTarget, nowMs: number): number;
  ping(): void;
}

export type StoreOperations = ShardLogOperations &
  StateOperations &
  SampleOperations &
  HistoryOperations &
  AccountOperations &
  UpkeepOperations;
export type OperationName = keyof StoreOperations;

/** Runs one operation, whichever way the adapter reaches its state. */
export type StoreCall = <Name extends OperationName>(
  name: Name,
  ...args: Parameters<StoreOperations[Name]>
) => Promise<ReturnType<StoreOperations[Name]>>;

/** What a store that several nodes share does. */
export type ClusterOperations = StoreOperations & ViewOperations;
export type ClusterOperationName = keyof ClusterOperations;
export type ClusterCall = <Name extends ClusterOperationName>(
  name: Name,
  ...args: Parameters<ClusterOperations[Name]>
) => Promise<ReturnType<ClusterOperations[Name]>>;

export type OperationKind = 'read' | 'decision' | 'write' | 'upkeep';

/**
 * What an operation is: `read` changes nothing; `decision` is class A or D, conditional, never repeated blindly and the
 * last to be refused when the disk is full; `write` is class S or M, may be repeated blindly; `upkeep` frees room.
 */
export const operationKinds: Readonly<Record<ClusterOperationName, OperationKind>> = {
  readHead: 'read',
  claim: 'decision',
  commit: 'decision',
  readTail: 'read',
  loadShard: 'read',
  readDocuments: 'read',
  putStates: 'write',
  putDocuments: 'write',
  putListing: 'write',
  listEntities: 'read',
  appendTicks: 'write',
  lastTicks: 'read',
  readTicks: 'read',
  appendHistory: 'write',
  historyPage: 'read',
  historyRow: 'read',
  historyAfter: 'read',
  user: 'read',
  putUser: 'decision',
  deleteUser: 'decision',
  listUsers: 'read',
  tenant: 'read',
  putTenant: 'decision',
  listTenants: 'read',
  readView: 'read',
  casView: 'decision',
  writeBeat: 'write',
  readBeats: 'read',
  deleteBeat: 'write',
  sweep: 'upkeep',
  ping: 'read',
};

/** Returns the error of a write whose outcome nobody knows; retryable where writing twice does no harm. */
export function unknownOutcome(name: ClusterOperationName, cause?: unknown): TocsinError {
  return storeError('ST_UNKNOWN', `the outcome of ${name} is unknown`, {
    retryable: operationKinds[name] !== 'decision',
    cause,
  });
}
