// Tables of the shared store as numbered migrations. Additive only: what is released is never edited.
// Follows storage.md §3: the write class of a table says who may write it and how; no two classes meet in one table.
import { createHash } from 'node:crypto';
import { historyKeepMs, historyTables, tickKeepMs } from '../limits.ts';

export interface Migration {
  readonly id: number;
  /** One per request; each may run twice. */
  readonly statements: readonly string[];
}

/** Ticks stand in partitions of this length. */
export const tickWindowMs = 600_000;
/** History stands in partitions of this length. */
export const historyBucketMs = 30 * 86_400_000;
/** Listings of a tenant stand in so many partitions. */
export const listingBuckets = 8;

/** Not for time-like rows. Before 5.0 the runner puts `leveled` in its place. */
const unified = "{'class':'UnifiedCompactionStrategy'}";
const leveled = "{'class':'LeveledCompactionStrategy'}";

/** Longer than hints are kept (3 h), and never 0. */
const appendOnly = "AND gc_grace_seconds = 10800 AND read_repair = 'NONE'";

const migrations: readonly Migration[] = [
  {
    id: 1,
    statements: [
      // A: one row per cluster.
      `CREATE TABLE IF NOT EXISTS cluster_view (cluster text PRIMARY KEY, version bigint, body blob)
        WITH compaction = ${unified}`,
      // B: keyed by incarnation, so that a restarted node never competes with its own old row.
      `CREATE TABLE IF NOT EXISTS node_beat (
        cluster text, node text, inc text, n bigint, PRIMARY KEY (cluster, node, inc))
        WITH compaction = ${unified}`,
      // A: seq 0, the head row. D: seq >= 1. No default_time_to_live, ever: it would remove the fence.
      `CREATE TABLE IF NOT EXISTS shard_log (
        cluster text, shard int, seq bigint,
        epoch bigint, owner text, head bigint, dispatched bigint, snap bigint, ts_base bigint,
        ekey text, kind tinyint, body blob,
        PRIMARY KEY ((cluster, shard), seq)) WITH compaction = ${unified}`,
      // S: epoch timestamps, whole rows.
      `CREATE TABLE IF NOT EXISTS actor_state (
        cluster text, shard int, ekey text, seq bigint, body blob,
        PRIMARY KEY ((cluster, shard), ekey)) WITH compaction = ${unified}`,
      `CREATE TABLE IF NOT EXISTS config_doc (
        cluster text, shard int, ekey text, kind tinyint, id text, rev bigint, body blob,
        PRIMARY KEY ((cluster, shard), ekey, kind, id)) WITH compaction = ${unified}`,
      `CREATE TABLE IF NOT EXISTS tenant_entity (
        tenant text, bucket tinyint, entity text, label text, updated bigint,
        PRIMARY KEY ((tenant, bucket), entity)) WITH compaction = ${unified}`,
      // A: names of tenants and users.
      `CREATE TABLE IF NOT EXISTS tenant (tenant text PRIMARY KEY, cluster text, version bigint, body blob)
        WITH compaction = ${unified}`,
      `CREATE TABLE IF NOT EXISTS user (
        cluster text, name text, tenant text, version bigint, body blob,
        PRIMARY KEY ((cluster), name)) WITH compaction = ${unified}`,
      // M: one row per run of a check and zone; win = floor(slot / 10 min).
      `CREATE TABLE IF NOT EXISTS tick (
        cluster text, shard int, win int, ekey text, chk text, zone text, slot bigint, v blob,
        PRIMARY KEY ((cluster, shard, win), ekey, chk, zone, slot))
        WITH compaction = ${timeWindows('HOURS', 1)}
        AND default_time_to_live = ${tickKeepMs / 1000} ${appendOnly}`,
      ...historyTables.map(historyTable),
    ],
  },
];

/** M: part is the tenant, or the actor for two of them; bucket = floor(at / 30 d). */
function historyTable(table: (typeof historyTables)[number]): string {
  const keepS = historyKeepMs[table] / 1000;
  const windowDays = keepS > 180 * 86_400 ? 14 : 4;
  return `CREATE TABLE IF NOT EXISTS ${table} (
    part text, bucket int, at bigint, id text, ekey text, shard int, seq bigint, body blob,
    PRIMARY KEY ((part, bucket), at, id)) WITH CLUSTERING ORDER BY (at DESC, id DESC)
    AND compaction = ${timeWindows('DAYS', windowDays)}
    AND default_time_to_live = ${keepS} ${appendOnly}`;
}

function timeWindows(unit: 'HOURS' | 'DAYS', size: number): string {
  return `{'class':'TimeWindowCompactionStrategy','compaction_window_unit':'${unit}','compaction_window_size':${size}}`;
}

/** All that the migrations make. */
export const tableNames: readonly string[] = migrations.flatMap(({ statements }) =>
  statements.map((statement) => /^CREATE TABLE IF NOT EXISTS (\w+)/.exec(statement)?.[1] ?? ''),
);

/** The tables of the runner itself, before any migration. */
const ownTables = {
  schema_migrations: 'id int PRIMARY KEY, checksum text, applied_at bigint',
  schema_lock: 'name text PRIMARY KEY, owner text',
} as const;

export const ownTableNames = Object.keys(ownTables) as (keyof typeof ownTables)[];

/**
 * Returns the statement that makes one of the runner's tables. Nothing locks it, so the table's id is given: two nodes that
 * make it at once make the same one (CASSANDRA-10699).
 */
export function ownTable(keyspace: string, name: keyof typeof ownTables): string {
  const digest = createHash('sha256').update(`tocsin ${keyspace} ${name}`).digest('hex');
  const id = `${digest.slice(0, 8)}-${digest.slice(8, 12)}-4${digest.slice(13, 16)}-a${digest.slice(17, 20)}-${digest.slice(20, 32)}`;
  return `CREATE TABLE IF NOT EXISTS ${name} (${ownTables[name]}) WITH id = ${id}`;
}

/** Returns the migrations as a server of `release` takes them. */
export function migrationsFor(release: string): readonly Migration[] {
  if (Number.parseInt(release, 10) >= 5) return migrations;
  return migrations.map(({ id, statements }) => ({
    id,
    statements: statements.map((statement) => statement.replaceAll(unified, leveled)),
  }));
}

/** The checksum of a migration: that of its form for 5.0, whatever runs. */
export function checksumOf(id: number): string {
  const text = migrations.find((migration) => migration.id === id)?.statements.join(';\n') ?? '';
  return createHash('sha256').update(text.replaceAll(/\s+/g, ' ')).digest('hex').slice(0, 16);
}

/** The schema version that this program writes and reads. */
export const schemaVersion = migrations.length;
