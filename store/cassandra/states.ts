// Class S in Cassandra: `actor_state`, `config_doc`, `tenant_entity`, plain whole rows at the shard's epoch timestamps.
// Follows storage.md §4 (Q8 to Q12) and §5. No conditional statement may ever touch these tables (§6.14).
import { type ActorKey, murmur3, type ShardId } from '../../runtime/ids.ts';
import type { DocumentRow, SoftStateRow } from '../../runtime/ports.ts';
import type { ListingPage, ListingRow, ShardLoad } from '../operations.ts';
import { compareText } from '../order.ts';
import { batches, blob, blobParam, inLanes, type SizedQuery, text, whole } from './cells.ts';
import type { DriverRow } from './clients.ts';
import { listingBuckets } from './schema.ts';
import type { Session } from './session.ts';

const insertState =
  'INSERT INTO actor_state (cluster, shard, ekey, seq, body) VALUES (?, ?, ?, ?, ?)';
const deleteState = 'DELETE FROM actor_state WHERE cluster = ? AND shard = ? AND ekey = ?';
const insertDocument =
  'INSERT INTO config_doc (cluster, shard, ekey, kind, id, rev, body) VALUES (?, ?, ?, ?, ?, ?, ?)';
const deleteDocument =
  'DELETE FROM config_doc WHERE cluster = ? AND shard = ? AND ekey = ? AND kind = ? AND id = ?';
const insertListing =
  'INSERT INTO tenant_entity (tenant, bucket, entity, label, updated) VALUES (?, ?, ?, ?, ?)';
const deleteListing = 'DELETE FROM tenant_entity WHERE tenant = ? AND bucket = ? AND entity = ?';
const selectStates = 'SELECT ekey, seq, body FROM actor_state WHERE cluster = ? AND shard = ?';
const selectDocuments =
  'SELECT ekey, kind, id, rev, body FROM config_doc WHERE cluster = ? AND shard = ?';
const selectDocumentsOf =
  'SELECT ekey, kind, id, rev, body FROM config_doc WHERE cluster = ? AND shard = ? AND ekey = ?';
const selectListing =
  'SELECT entity, label FROM tenant_entity WHERE tenant = ? AND bucket = ? AND entity >= ? LIMIT ?';

const loadPageRows = 300;
/** Batches of one write under way: one partition, so more would only queue at its replicas. */
const batchLanes = 4;

export class CassandraStates {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  async loadShard(shard: ShardId): Promise<ShardLoad> {
    const params = [this.#session.cluster, shard];
    const [documents, states] = await Promise.all([
      this.#load(`documents of shard ${shard}`, { query: selectDocuments, params }, documentOf),
      this.#load(`states of shard ${shard}`, { query: selectStates, params }, stateOf),
    ]);
    return { documents, states };
  }

  /** Q11: the nodes' copies of a tenant's documents, or an entity's whose owner cannot be asked. */
  readDocuments(shard: ShardId, key: ActorKey): Promise<ShardLoad['documents']> {
    const query = { query: selectDocumentsOf, params: [this.#session.cluster, shard, key] };
    return this.#load(`documents of ${key}`, query, documentOf);
  }

  async #load<Row>(
    what: string,
    query: { query: string; params: readonly unknown[] },
    rowOf: (row: DriverRow) => Row,
  ): Promise<Row[]> {
    const rows: Row[] = [];
    for await (const row of this.#session.rows(what, 'load', query, loadPageRows)) {
      rows.push(rowOf(row));
    }
    return rows;
  }

  putStates(shard: ShardId, ts: number, rows: readonly SoftStateRow[]): Promise<void> {
    const { cluster } = this.#session;
    const queries = rows.map(({ key, seq, body }): SizedQuery => {
      if (body === null) return sized(deleteState, [cluster, shard, key], 0);
      return sized(insertState, [cluster, shard, key, seq, blobParam(body)], body.length);
    });
    return this.#put(`states of shard ${shard}`, ts, queries);
  }

  putDocuments(shard: ShardId, ts: number, rows: readonly DocumentRow[]): Promise<void> {
    const { cluster } = this.#session;
    const queries = rows.map(({ key, kind, id, rev, body }): SizedQuery => {
      const place = [cluster, shard, key, kind, id];
      if (body === null) return sized(deleteDocument, place, 0);
      return sized(insertDocument, [...place, rev, blobParam(body)], body.length);
    });
    return this.#put(`documents of shard ${shard}`, ts, queries);
  }

  putListing({ tenant, entity, label, updatedMs, ts }: ListingRow): Promise<void> {
    const place = [tenant, bucketOf(entity), entity];
    const query =
      label === null
        ? { query: deleteListing, params: place }
        : { query: insertListing, params: [...place, label, updatedMs] };
    return this.#session.putStamped(`listing of ${tenant}`, ts, [query]);
  }

  async listEntities(tenant: string, marker: string | null, limit: number): Promise<ListingPage> {
    if (limit === 0) return [];
    const buckets = Array.from({ length: listingBuckets }, (_, bucket) => bucket);
    const found = await Promise.all(
      buckets.map(async (bucket) => {
        const rows: { entity: string; label: string }[] = [];
        const query = { query: selectListing, params: [tenant, bucket, marker ?? '', limit] };
        for await (const row of this.#session.rows(`listing of ${tenant}`, 'scan', query)) {
          rows.push({ entity: text(row, 'entity'), label: text(row, 'label') });
        }
        return rows;
      }),
    );
    return found
      .flat()
      .sort((left, right) => compareText(left.entity, right.entity))
      .slice(0, limit);
  }

  /** All with one timestamp: they are different rows. A second one of the same row in `queries` would tie with the first. */
  async #put(what: string, ts: number, queries: readonly SizedQuery[]): Promise<void> {
    await inLanes(batches(queries), batchLanes, (group) =>
      this.#session.putStamped(what, ts, group),
    );
  }
}

function sized(query: string, params: readonly unknown[], bodyBytes: number): SizedQuery {
  return { query, params, bytes: 100 + bodyBytes };
}

function stateOf(row: DriverRow): ShardLoad['states'][number] {
  return { key: text(row, 'ekey') as ActorKey, seq: whole(row, 'seq'), body: blob(row, 'body') };
}

function documentOf(row: DriverRow): ShardLoad['documents'][number] {
  return {
    key: text(row, 'ekey') as ActorKey,
    kind: whole(row, 'kind') as DocumentRow['kind'],
    id: text(row, 'id'),
    rev: whole(row, 'rev'),
    body: blob(row, 'body'),
  };
}

function bucketOf(entity: string): number {
  return murmur3(Buffer.from(entity, 'utf8')) & (listingBuckets - 1);
}
