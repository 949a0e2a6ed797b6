// Class S in memory: soft state, documents and the tenants' listings, each row with its write timestamp.
// A row with an equal or lower timestamp loses; a delete is an empty row that beats older inserts until it is swept.
import { shardsTotal } from '../../runtime/ids.ts';
import type { DocumentRow, SoftStateRow } from '../../runtime/ports.ts';
import { sweepRowsMax, tombstoneKeepMs } from '../limits.ts';
import type { ListingRow, StateOperations } from '../operations.ts';
import { compareText } from '../order.ts';

type Stamped<Row> = Map<string, { readonly ts: number; readonly row: Row }>;

interface ShardStates {
  readonly states: Stamped<SoftStateRow>;
  readonly documents: Stamped<DocumentRow>;
}

/** Returns the operations, and the sweep of deletes that need no longer be remembered. */
export function memoryStates(): StateOperations & { sweepTombstones(nowMs: number): number } {
  const shards: ShardStates[] = Array.from({ length: shardsTotal }, () => ({
    states: new Map(),
    documents: new Map(),
  }));
  const listings = new Map<string, Stamped<ListingRow>>();
  return {
    loadShard: (shard) => load(shards[shard] as ShardStates),
    readDocuments: (shard, key) =>
      load(shards[shard] as ShardStates).documents.filter((row) => row.key === key),
    putStates: (shard, ts, rows) => {
      for (const row of rows) put((shards[shard] as ShardStates).states, row.key, ts, row);
    },
    putDocuments: (shard, ts, rows) => {
      for (const row of rows) {
        put((shards[shard] as ShardStates).documents, documentPlace(row), ts, row);
      }
    },
    putListing: (row) => {
      const listing = listings.get(row.tenant) ?? new Map();
      listings.set(row.tenant, listing);
      put(listing, row.entity, row.ts, row);
    },
    listEntities: (tenant, marker, limit) => {
      const rows = [...(listings.get(tenant)?.values() ?? [])].map(({ row }) => row);
      return rows
        .filter((row) => row.label !== null)
        .filter((row) => marker === null || compareText(row.entity, marker) >= 0)
        .sort((left, right) => compareText(left.entity, right.entity))
        .slice(0, limit)
        .map((row) => ({ entity: row.entity, label: row.label as string }));
    },
    sweepTombstones: (nowMs) => {
      const before = (nowMs - tombstoneKeepMs) * 1000;
      let swept = 0;
      const sweep = <Row>(rows: Stamped<Row>, isDead: (row: Row) => boolean): void => {
        for (const [place, { ts, row }] of rows) {
          if (swept >= sweepRowsMax) return;
          if (ts < before && isDead(row) && rows.delete(place)) swept++;
        }
      };
      for (const { states, documents } of shards) {
        sweep(states, (row) => row.body === null);
        sweep(documents, (row) => row.body === null);
      }
      for (const listing of listings.values()) sweep(listing, (row) => row.label === null);
      return swept;
    },
  };
}

function put<Row>(rows: Stamped<Row>, place: string, ts: number, row: Row): void {
  const present = rows.get(place);
  if (present === undefined || ts > present.ts) rows.set(place, { ts, row });
}

function load(shard: ShardStates): ReturnType<StateOperations['loadShard']> {
  const documents = live(shard.documents).map(({ key, kind, id, rev, body }) => ({
    ...{ key, kind, id, rev },
    body: new Uint8Array(body),
  }));
  const states = live(shard.states).map(({ key, seq, body }) => ({
    ...{ key, seq },
    body: new Uint8Array(body),
  }));
  return {
    documents: documents.sort(
      (left, right) =>
        compareText(left.key, right.key) ||
        left.kind - right.kind ||
        compareText(left.id, right.id),
    ),
    states: states.sort((left, right) => compareText(left.key, right.key)),
  };
}

function live<Row extends { readonly body: Uint8Array | null }>(
  rows: Stamped<Row>,
): (Row & { readonly body: Uint8Array })[] {
  const found: (Row & { readonly body: Uint8Array })[] = [];
  for (const { row } of rows.values()) {
    if (row.body !== null) found.push(row as Row & { readonly body: Uint8Array });
  }
  return found;
}

function documentPlace(row: DocumentRow): string {
  return `${row.key}\n${row.kind}\n${row.id}`;
}
