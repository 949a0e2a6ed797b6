// Brings the shared store to this program's schema: by one node at a time, additive, each migration recorded with its
// checksum; and gives a runtime cluster its 1024 head rows. Follows storage.md §16 and §4 ("First start").

import { shardsTotal } from '../../runtime/ids.ts';
import type { Clock, Logger } from '../../runtime/ports.ts';
import { storeError } from '../errors.ts';
import { inLanes } from './cells.ts';
import { withSchemaLock } from './lock.ts';
import {
  checksumOf,
  type Migration,
  migrationsFor,
  ownTable,
  ownTableNames,
  schemaVersion,
  tableNames,
} from './schema.ts';
import type { SchemaLink } from './schema-link.ts';

export interface MigrateOptions {
  readonly keyspace: string;
  readonly cluster: string;
  /** Unique to this process. */
  readonly owner: string;
  /** Makes the keyspace where it is missing: replicas by data centre. */
  readonly replicas?: Readonly<Record<string, number>>;
  readonly clock: Clock;
  readonly logger: Logger;
}

const lockWaitMs = 180_000;
const shownMs = 60_000;
const seedLanes = 128;

const selectMigrations = 'SELECT id, checksum FROM schema_migrations';
const insertMigration =
  'INSERT INTO schema_migrations (id, checksum, applied_at) VALUES (?, ?, ?) IF NOT EXISTS';
const selectHead = 'SELECT seq FROM shard_log WHERE cluster = ? AND shard = ? AND seq = 0';
const insertHead = `INSERT INTO shard_log (cluster, shard, seq, epoch, owner, head, dispatched, snap, ts_base)
  VALUES (?, ?, 0, 0, '', 0, 0, 0, 0) IF NOT EXISTS`;

/**
 * Resolves once the schema is this program's and the cluster has its head rows. Rejects `ST_SCHEMA_NEWER`,
 * `ST_SCHEMA_DIFFERS`, or `ST_UNAVAILABLE` where servers are missing or another node takes too long.
 */
export async function migrate(link: SchemaLink, options: MigrateOptions): Promise<void> {
  await prepareKeyspace(link, options);
  const locked = { owner: options.owner, clock: options.clock, waitMs: lockWaitMs };
  if ((await missing(link)).length > 0) {
    await withSchemaLock(link, locked, async (isHeld) => {
      for (const migration of await missing(link)) await apply(link, migration, isHeld, options);
    });
  }
  await shown(link, 'tables', options.keyspace, tableNames, options.clock);
  if ((await headless(link, options.cluster)).length === 0) return;
  await withSchemaLock(link, locked, async () => {
    const shards = await headless(link, options.cluster);
    options.logger.info('cassandra.seed', { cluster: options.cluster, shards: shards.length });
    await inLanes(shards, seedLanes, (shard) => link.cas(insertHead, [options.cluster, shard]));
  });
}

/** Changes nothing: rejects `ST_OPEN_FAILED` where a migration or a head row is missing, else as `migrate`. */
export async function checkSchema(
  link: SchemaLink,
  { keyspace, cluster }: Pick<MigrateOptions, 'keyspace' | 'cluster'>,
): Promise<void> {
  await link.use(checked(keyspace));
  if ((await missing(link)).length > 0 || (await headless(link, cluster)).length > 0) {
    throw storeError('ST_OPEN_FAILED', `the keyspace ${keyspace} is not migrated for ${cluster}`);
  }
}

async function missing(link: SchemaLink): Promise<readonly Migration[]> {
  const [local] = await link.rows('SELECT release_version FROM system.local', []);
  const known = migrationsFor(String(local?.['release_version'] ?? '5'));
  return missingOf(known, await appliedOf(link));
}

/** Returns the name of a keyspace that may stand in a statement as it is. */
function checked(keyspace: string): string {
  if (/^[a-z][a-z0-9_]{0,47}$/.test(keyspace)) return keyspace;
  throw storeError('ST_OPEN_FAILED', `not a keyspace: ${JSON.stringify(keyspace)}`);
}

async function prepareKeyspace(link: SchemaLink, options: MigrateOptions): Promise<void> {
  const { replicas, clock } = options;
  const keyspace = checked(options.keyspace);
  const named = 'SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?';
  if ((await link.rows(named, [keyspace])).length === 0) {
    if (replicas === undefined) {
      throw storeError('ST_OPEN_FAILED', `the keyspace ${keyspace} does not exist`);
    }
    await link.define(
      `CREATE KEYSPACE IF NOT EXISTS ${keyspace} WITH replication = ${replication(replicas)}`,
    );
  }
  await shown(link, 'keyspaces', keyspace, [keyspace], clock);
  await link.use(keyspace);
  const tables = 'SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?';
  const present = (await link.rows(tables, [keyspace])).map((row) => row['table_name']);
  for (const name of ownTableNames) {
    if (!present.includes(name)) await link.define(ownTable(keyspace, name));
  }
  await shown(link, 'tables', keyspace, ownTableNames, clock);
}

/**
 * Resolves once every server shows these names. Agreement alone does not tell: a server that has not heard of a change yet
 * agrees with all others on the schema before it.
 */
async function shown(
  link: SchemaLink,
  what: 'keyspaces' | 'tables',
  keyspace: string,
  names: readonly string[],
  clock: Clock,
): Promise<void> {
  const column = what === 'keyspaces' ? 'keyspace_name' : 'table_name';
  const query = `SELECT ${column} FROM system_schema.${what} WHERE keyspace_name = '${keyspace}'`;
  const deadlineMonoMs = clock.monoMs() + shownMs;
  for (;;) {
    const servers = await link.rowsOfEach(query);
    const shows = ({ rows }: (typeof servers)[number]): boolean => {
      const present = new Set(rows.map((row) => row[column]));
      return names.every((name) => present.has(name));
    };
    if (servers.every(shows)) return;
    if (clock.monoMs() > deadlineMonoMs) {
      throw storeError('ST_UNAVAILABLE', `not every server shows the ${what} of ${keyspace}`);
    }
    await new Promise<void>((resolve) => {
      clock.schedule(clock.monoMs() + 200, resolve);
    });
  }
}

function replication(replicas: Readonly<Record<string, number>>): string {
  const centres = Object.entries(replicas).map(([name, count]) => {
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(name) || !Number.isInteger(count)) {
      throw storeError('ST_OPEN_FAILED', `not a data centre: ${JSON.stringify(name)}`);
    }
    return `'${name}': ${count}`;
  });
  return `{'class': 'NetworkTopologyStrategy', ${centres.join(', ')}}`;
}

async function appliedOf(link: SchemaLink): Promise<ReadonlyMap<number, string>> {
  const rows = await link.rows(selectMigrations, []);
  return new Map(rows.map((row) => [Number(row['id']), String(row['checksum'])]));
}

function missingOf(
  known: readonly Migration[],
  applied: ReadonlyMap<number, string>,
): readonly Migration[] {
  const newest = Math.max(0, ...applied.keys());
  if (newest > schemaVersion) {
    throw storeError(
      'ST_SCHEMA_NEWER',
      `the store has schema ${newest}, this version of Tocsin knows up to ${schemaVersion}: start the newer one`,
      { details: { present: newest, known: schemaVersion } },
    );
  }
  for (const [id, checksum] of applied) {
    if (checksum === checksumOf(id)) continue;
    throw storeError('ST_SCHEMA_DIFFERS', `migration ${id} of the store is another one`, {
      details: { id, present: checksum, known: checksumOf(id) },
    });
  }
  return known.filter(({ id }) => !applied.has(id));
}

async function apply(
  link: SchemaLink,
  { id, statements }: Migration,
  isHeld: () => boolean,
  { clock, logger }: MigrateOptions,
): Promise<void> {
  for (const statement of statements) {
    if (!isHeld()) throw storeError('ST_UNAVAILABLE', 'the lock of the schema was lost');
    await link.define(statement);
  }
  await link.cas(insertMigration, [id, checksumOf(id), Math.trunc(clock.nowMs())]);
  logger.info('cassandra.migrated', { id });
}

/** Shards of the cluster without a head row: all of them the first time. */
async function headless(link: SchemaLink, cluster: string): Promise<readonly number[]> {
  const shards = Array.from({ length: shardsTotal }, (_, shard) => shard);
  const rows = await inLanes(shards, seedLanes, (shard) => link.rows(selectHead, [cluster, shard]));
  return shards.filter((_, at) => rows[at]?.length === 0);
}
