// Schema of the embedded store as numbered migrations. Additive only: what is released is never edited.
// Follows storage.md §3 and §12: the cluster's tables and keys, class S with a `ts` column, ticks in tables of one hour.
import { storeError } from '../errors.ts';
import { historyTables } from '../limits.ts';
import type { Database } from './driver.ts';

/** Ticks of an hour stand in table `floor(slot / 1 h) mod 8`: above the 6 h of their keep, so a table empties before its turn. */
export const tickTables = 8;

interface Migration {
  readonly id: number;
  readonly statements: readonly string[];
}

const migrations: readonly Migration[] = [
  {
    id: 1,
    statements: [
      `CREATE TABLE shard_log (
        shard INTEGER NOT NULL, seq INTEGER NOT NULL,
        epoch INTEGER, owner TEXT, head INTEGER, dispatched INTEGER, snap INTEGER, ts_base INTEGER,
        ekey TEXT, kind INTEGER, body BLOB,
        PRIMARY KEY (shard, seq)) STRICT, WITHOUT ROWID`,
      // The head rows: a claim never compares with a row that is not there.
      `INSERT INTO shard_log (shard, seq, epoch, owner, head, dispatched, snap, ts_base)
        WITH RECURSIVE shards(shard) AS (SELECT 0 UNION ALL SELECT shard + 1 FROM shards WHERE shard < 1023)
        SELECT shard, 0, 0, '', 0, 0, 0, 0 FROM shards`,
      `CREATE TABLE actor_state (
        shard INTEGER NOT NULL, ekey TEXT NOT NULL, ts INTEGER NOT NULL, seq INTEGER NOT NULL, body BLOB,
        PRIMARY KEY (shard, ekey)) STRICT, WITHOUT ROWID`,
      'CREATE INDEX actor_state_dead ON actor_state (ts) WHERE body IS NULL',
      `CREATE TABLE config_doc (
        shard INTEGER NOT NULL, ekey TEXT NOT NULL, kind INTEGER NOT NULL, id TEXT NOT NULL,
        ts INTEGER NOT NULL, rev INTEGER NOT NULL, body BLOB,
        PRIMARY KEY (shard, ekey, kind, id)) STRICT, WITHOUT ROWID`,
      'CREATE INDEX config_doc_dead ON config_doc (ts) WHERE body IS NULL',
      `CREATE TABLE tenant_entity (
        tenant TEXT NOT NULL, entity TEXT NOT NULL, ts INTEGER NOT NULL, label TEXT, updated INTEGER NOT NULL,
        PRIMARY KEY (tenant, entity)) STRICT, WITHOUT ROWID`,
      'CREATE INDEX tenant_entity_dead ON tenant_entity (ts) WHERE label IS NULL',
      `CREATE TABLE tenant (
        tenant TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL) STRICT, WITHOUT ROWID`,
      `CREATE TABLE user (
        name TEXT NOT NULL PRIMARY KEY, tenant TEXT NOT NULL, version INTEGER NOT NULL, body BLOB NOT NULL)
        STRICT, WITHOUT ROWID`,
      'CREATE INDEX user_tenant ON user (tenant, name)',
      ...Array.from({ length: tickTables }, (_, hour) => tickTable(hour)),
      'CREATE TABLE tick_hour (hour INTEGER NOT NULL PRIMARY KEY, newest INTEGER NOT NULL) STRICT',
      ...historyTables.flatMap(historyTable),
    ],
  },
];

function tickTable(hour: number): string {
  return `CREATE TABLE tick_${hour} (
    shard INTEGER NOT NULL, ekey TEXT NOT NULL, chk TEXT NOT NULL, zone TEXT NOT NULL, slot INTEGER NOT NULL,
    v BLOB NOT NULL, PRIMARY KEY (shard, ekey, chk, zone, slot)) STRICT, WITHOUT ROWID`;
}

function historyTable(table: string): readonly string[] {
  return [
    `CREATE TABLE ${table} (
      part TEXT NOT NULL, at INTEGER NOT NULL, id TEXT NOT NULL, ekey TEXT NOT NULL,
      shard INTEGER NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL,
      PRIMARY KEY (part, at, id)) STRICT, WITHOUT ROWID`,
    `CREATE INDEX ${table}_id ON ${table} (part, id)`,
    `CREATE INDEX ${table}_ekey ON ${table} (part, ekey, at)`,
    `CREATE INDEX ${table}_seq ON ${table} (part, shard, seq)`,
    `CREATE INDEX ${table}_at ON ${table} (at)`,
  ];
}

/** The schema version that this program writes and reads. */
export const schemaVersion = migrations.length;

/**
 * Brings the file to `schemaVersion`, each migration in a transaction of its own; returns the ids that ran.
 * Throws `ST_SCHEMA_NEWER` where the file is of a later version: nothing is changed then.
 */
export function migrate(db: Database): readonly number[] {
  db.exec(`CREATE TABLE IF NOT EXISTS schema_migrations (
    id INTEGER NOT NULL PRIMARY KEY, applied_at INTEGER NOT NULL) STRICT`);
  const present = db.prepare('SELECT max(id) AS id FROM schema_migrations').get().id ?? 0;
  if (present > schemaVersion) {
    throw storeError(
      'ST_SCHEMA_NEWER',
      `the store has schema ${present}, this version of Tocsin knows up to ${schemaVersion}: start the newer one`,
      { details: { present, known: schemaVersion } },
    );
  }
  const missing = migrations.filter((migration) => migration.id > present);
  for (const migration of missing) apply(db, migration);
  return missing.map((migration) => migration.id);
}

function apply(db: Database, migration: Migration): void {
  db.exec('BEGIN IMMEDIATE');
  for (const statement of migration.statements) db.exec(statement);
  db.prepare(
    "INSERT INTO schema_migrations (id, applied_at) VALUES (?, CAST(unixepoch('subsec') * 1000 AS INTEGER))",
  ).run(migration.id);
  db.exec('COMMIT');
}
