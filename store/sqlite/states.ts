// Class S in SQLite: `actor_state`, `config_doc`, `tenant_entity`. A row with an equal or lower `ts` loses;
// a delete is a row with an empty body, so that it beats older inserts that come late, until it is swept.
// Follows storage.md §4: Q8 (load), Q9, Q10 (writes), Q12 (listing), and §5 for the timestamps.
import { sweepRowsMax, tombstoneKeepMs } from '../limits.ts';
import type { StateOperations } from '../operations.ts';
import type { Database } from './driver.ts';

/** Returns the operations with their statements prepared, and the sweep of old deletes. */
export function sqliteStates(
  db: Database,
): StateOperations & { sweepTombstones(nowMs: number): number } {
  const documents = db.prepare(
    `SELECT ekey AS key, kind, id, rev, body FROM config_doc
      WHERE shard = ? AND body IS NOT NULL ORDER BY ekey, kind, id`,
  );
  const documentsOf = db.prepare(
    `SELECT ekey AS key, kind, id, rev, body FROM config_doc
      WHERE shard = ? AND ekey = ? AND body IS NOT NULL ORDER BY kind, id`,
  );
  const states = db.prepare(
    `SELECT ekey AS key, seq, body FROM actor_state
      WHERE shard = ? AND body IS NOT NULL ORDER BY ekey`,
  );
  const list = db.prepare(
    `SELECT entity, label FROM tenant_entity
      WHERE tenant = ? AND entity >= ? AND label IS NOT NULL ORDER BY entity LIMIT ?`,
  );
  return {
    ...stateWrites(db),
    loadShard: (shard) => ({ documents: documents.all(shard), states: states.all(shard) }),
    readDocuments: (shard, key) => documentsOf.all(shard, key),
    listEntities: (tenant, marker, limit) => list.all(tenant, marker ?? '', limit),
    sweepTombstones: tombstoneSweep(db),
  };
}

function stateWrites(
  db: Database,
): Pick<StateOperations, 'putStates' | 'putDocuments' | 'putListing'> {
  const putState = db.prepare(
    `INSERT INTO actor_state (shard, ekey, ts, seq, body) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET ts = excluded.ts, seq = excluded.seq, body = excluded.body
      WHERE excluded.ts > ts`,
  );
  const putDocument = db.prepare(
    `INSERT INTO config_doc (shard, ekey, kind, id, ts, rev, body) VALUES (?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET ts = excluded.ts, rev = excluded.rev, body = excluded.body
      WHERE excluded.ts > ts`,
  );
  const putListing = db.prepare(
    `INSERT INTO tenant_entity (tenant, entity, ts, label, updated) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET ts = excluded.ts, label = excluded.label, updated = excluded.updated
      WHERE excluded.ts > ts`,
  );
  return {
    putStates: (shard, ts, rows) => {
      for (const row of rows) putState.run(shard, row.key, ts, row.seq, row.body);
    },
    putDocuments: (shard, ts, rows) => {
      for (const { key, kind, id, rev, body } of rows) {
        putDocument.run(shard, key, kind, id, ts, rev, body);
      }
    },
    putListing: ({ tenant, entity, ts, label, updatedMs }) => {
      putListing.run(tenant, entity, ts, label, updatedMs);
    },
  };
}

function tombstoneSweep(db: Database): (nowMs: number) => number {
  const sweeps = [
    `DELETE FROM actor_state WHERE (shard, ekey) IN
      (SELECT shard, ekey FROM actor_state WHERE body IS NULL AND ts < ? LIMIT ?)`,
    `DELETE FROM config_doc WHERE (shard, ekey, kind, id) IN
      (SELECT shard, ekey, kind, id FROM config_doc WHERE body IS NULL AND ts < ? LIMIT ?)`,
    `DELETE FROM tenant_entity WHERE (tenant, entity) IN
      (SELECT tenant, entity FROM tenant_entity WHERE label IS NULL AND ts < ? LIMIT ?)`,
  ].map((statement) => db.prepare(statement));
  return (nowMs) => {
    let swept = 0;
    for (const sweep of sweeps) {
      swept += sweep.run((nowMs - tombstoneKeepMs) * 1000, sweepRowsMax - swept).changes;
    }
    return swept;
  };
}
