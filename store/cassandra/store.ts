// The shared store: the whole port over Cassandra, for a node of a cluster. Follows storage.md §1 to §6, §13 and §16.
import type { ClusterStore } from '../../runtime/cluster-ports.ts';
import type { Clock, Logger, Random } from '../../runtime/ports.ts';
import { assembleClusterStore } from '../assemble.ts';
import type { ClusterCall, ClusterOperations } from '../operations.ts';
import { CassandraAccounts } from './accounts.ts';
import { CassandraAuthority } from './authority.ts';
import type { CassandraOptions } from './clients.ts';
import { checkDurability } from './durability.ts';
import { CassandraHistory } from './history.ts';
import { checkSchema, migrate } from './migrate.ts';
import { CassandraSamples } from './samples.ts';
import { SchemaLink } from './schema-link.ts';
import { Session } from './session.ts';
import { CassandraShardLog } from './shard-log.ts';
import { CassandraStates } from './states.ts';
import { CassandraViews } from './views.ts';

export interface CassandraStoreOptions extends CassandraOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Default true: brings the schema up to date first, and makes the keyspace where `replicas` tells how. Else only looks. */
  readonly migrates?: boolean;
  readonly replicas?: Readonly<Record<string, number>>;
  /** Goes on with servers that may lose what they acknowledged: for trials only. */
  readonly allowsPeriodicSync?: boolean;
}

type Asked = {
  [Name in keyof ClusterOperations]: (
    ...args: Parameters<ClusterOperations[Name]>
  ) => Promise<ReturnType<ClusterOperations[Name]>>;
};

/**
 * Opens the store of a runtime cluster. Rejects with `ST_UNAVAILABLE`, `ST_OPEN_FAILED`, `ST_SCHEMA_NEWER`,
 * `ST_SCHEMA_DIFFERS` or `ST_NOT_DURABLE`.
 */
export async function openCassandraStore(options: CassandraStoreOptions): Promise<ClusterStore> {
  await prepare(options);
  const session = new Session(options);
  try {
    await session.connect();
  } catch (error) {
    await session.close();
    throw error;
  }
  const operations = operationsOver(session, options.clock);
  const call = ((name: keyof Asked, ...args: unknown[]) =>
    (operations[name] as (...args: unknown[]) => Promise<unknown>)(...args)) as ClusterCall;
  return assembleClusterStore(call, { ping: () => call('ping'), close: () => session.close() });
}

async function prepare(options: CassandraStoreOptions): Promise<void> {
  const { clock, random, logger, keyspace, cluster, replicas } = options;
  const link = new SchemaLink(options, clock, logger);
  try {
    await link.connect();
    await checkDurability(link, { override: options.allowsPeriodicSync ?? false, logger });
    if (options.migrates === false) {
      await checkSchema(link, options);
      return;
    }
    const owner = Buffer.from(random.bytes(8)).toString('hex');
    await migrate(link, {
      ...{ keyspace, cluster, owner, clock, logger },
      ...(replicas === undefined ? {} : { replicas }),
    });
  } finally {
    await link.close();
  }
}

function operationsOver(session: Session, clock: Clock): Asked {
  const authority = new CassandraAuthority(session);
  const shardLog = new CassandraShardLog(session);
  const states = new CassandraStates(session);
  const samples = new CassandraSamples(session, clock);
  const history = new CassandraHistory(session, clock);
  const accounts = new CassandraAccounts(session);
  const views = new CassandraViews(session);
  return {
    readHead: (shard, level) => authority.readHead(shard, level),
    claim: (shard, claim) => authority.claim(shard, claim),
    commit: (batch) => shardLog.commit(batch),
    readTail: (shard, above) => shardLog.readTail(shard, above),
    loadShard: (shard) => states.loadShard(shard),
    readDocuments: (shard, key) => states.readDocuments(shard, key),
    putStates: (shard, ts, rows) => states.putStates(shard, ts, rows),
    putDocuments: (shard, ts, rows) => states.putDocuments(shard, ts, rows),
    putListing: (row) => states.putListing(row),
    listEntities: (tenant, marker, limit) => states.listEntities(tenant, marker, limit),
    appendTicks: (rows) => samples.appendTicks(rows),
    lastTicks: (of, notBeforeMs) => samples.lastTicks(of, notBeforeMs),
    readTicks: (query) => samples.readTicks(query),
    appendHistory: (rows) => history.append(rows),
    historyPage: (query) => history.page(query),
    historyRow: (table, partition, id) => history.get(table, partition, id),
    historyAfter: (query) => history.after(query),
    user: (name) => accounts.user(name),
    putUser: (user) => accounts.putUser(user),
    deleteUser: (name, version) => accounts.deleteUser(name, version),
    listUsers: (tenant, limit) => accounts.listUsers(tenant, limit),
    tenant: (tenant) => accounts.tenant(tenant),
    putTenant: (tenant) => accounts.putTenant(tenant),
    listTenants: (limit) => accounts.listTenants(limit),
    readView: (level) => views.readView(level),
    casView: (change) => views.casView(change),
    writeBeat: (beat) => views.writeBeat(beat),
    readBeats: () => views.readBeats(),
    deleteBeat: (of) => views.deleteBeat(of),
    // Tables expire their own rows, and tombstones go with gc_grace: nothing is left to sweep.
    sweep: async () => 0,
    ping: async () => {
      await views.readView('look');
    },
  };
}
