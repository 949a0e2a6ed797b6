// Short makers of rows for the conformance suites, and the type of what a suite is given.
import type { Test } from 'tap';
import type { DocumentKind, HistoryTable, RowKind } from '../../runtime/effect.ts';
import type { ActorKey, Epoch, ShardId } from '../../runtime/ids.ts';
import type {
  CommitBatch,
  DocumentRow,
  HistoryRecord,
  NewLogRow,
  ShardHead,
  SoftStateRow,
  Store,
  TickRow,
} from '../../runtime/ports.ts';
import { timeId } from '../../runtime/time-id.ts';

/** Makes an empty store that the suite closes; called once per suite. */
export type MakeStore = (t: Test) => Promise<Store>;
export type Suite = (t: Test, makeStore: MakeStore) => Promise<void>;

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (body: unknown): string => new TextDecoder().decode(body as Uint8Array);
export const shard = (value: number): ShardId => value as ShardId;
export const epochOf = (value: number): Epoch => value as Epoch;
export const key = (value: string): ActorKey => value as ActorKey;

/** Rows `prevHead + 1`, … with the given texts as bodies. */
export function logRows(prevHead: number, bodies: readonly string[]): NewLogRow[] {
  return bodies.map((body, at) => ({
    seq: prevHead + 1 + at,
    key: key('t/e'),
    kind: 1 as RowKind,
    body: bytes(body),
  }));
}

/** A batch of owner `a/1` in epoch 1 without marks or trim, unless given. */
export function batch(
  of: number,
  prevHead: number,
  bodies: readonly string[],
  more: Partial<CommitBatch> = {},
): CommitBatch {
  return {
    ...{ shard: shard(of), epoch: epochOf(1), owner: 'a/1', prevHead },
    ...{ dispatched: 0, snap: 0, trimTo: 0, rows: logRows(prevHead, bodies) },
    ...more,
  };
}

/** Claims a fresh shard for `a/1` with epoch 1. */
export async function claimFresh(store: Store, of: number): Promise<void> {
  const claim = { seen: epochOf(0), was: '', epoch: epochOf(1), owner: 'a/1', tsBase: 1000 };
  const outcome = await store.authority.claim(shard(of), claim);
  if (!outcome.applied) throw new Error(`shard ${of} was not fresh`);
}

export function head(of: Partial<ShardHead>): ShardHead {
  return {
    ...{ epoch: epochOf(1), owner: 'a/1', head: 0, dispatched: 0, snap: 0, tsBase: 1000 },
    ...of,
  };
}

export function stateRow(of: string, seq: number, body: string | null): SoftStateRow {
  return { key: key(of), seq, body: body === null ? null : bytes(body) };
}

export function documentRow(of: string, id: string, rev: number, body: string | null): DocumentRow {
  const kind = 1 as DocumentKind;
  return { key: key(of), kind, id, rev, body: body === null ? null : bytes(body) };
}

export function tick(zone: string, slotAtMs: number, value: string): TickRow {
  return {
    ...{ shard: shard(1), key: key('t/e'), check: 'chA', zone, slotAtMs },
    value: bytes(value),
  };
}

export function record(
  atMs: number,
  seed: string,
  more: Partial<HistoryRecord> = {},
): HistoryRecord {
  return {
    ...{ table: 'changelog' as HistoryTable, partition: 't', atMs, id: timeId(atMs, seed) },
    ...{ key: key('t/e'), shard: 1, seq: 0, body: bytes(seed) },
    ...more,
  };
}

/** The same rows with texts for bodies, so that answers compare and print well. */
export function readable<Row extends object>(rows: readonly Row[]): Record<string, unknown>[] {
  return rows.map((row) =>
    Object.fromEntries(
      Object.entries(row).map(([name, value]) => [
        name,
        value instanceof Uint8Array ? text(value) : value,
      ]),
    ),
  );
}
