// The three clients of the driver and their options (storage.md §13, clustering.md §22). The only place that makes clients.
// `core`: classes A, D, S and B. `read`: loads, listings, history, with speculative execution. `metrics`: class M.
import cassandra from 'cassandra-driver';
import type { Logger } from '../../runtime/ports.ts';

const { Client, ExecutionProfile, auth, policies, types } = cassandra;

export type DriverClient = cassandra.Client;
/** A row as the driver hands it out, by column name. */
export type DriverRow = cassandra.types.Row;
export type Query = { readonly query: string; readonly params: readonly unknown[] };

export interface CassandraOptions {
  readonly contactPoints: readonly string[];
  /** Default 9042. */
  readonly port?: number;
  readonly localDataCenter: string;
  readonly keyspace: string;
  /** The runtime cluster; several may share a keyspace. */
  readonly cluster: string;
  /** `global`: one runtime cluster over several data centres, every level across them (storage.md §15). */
  readonly serial: 'local' | 'global';
  readonly credentials?: { readonly username: string; readonly password: string };
  readonly tls?: NonNullable<cassandra.ClientOptions['sslOptions']>;
  /** How long class A and D and take-over loads wait, ms; default 600. More only where servers are far or slow. */
  readonly authorityMs?: number;
}

/** Consistency by purpose; nothing is sent without one. */
export interface Levels {
  readonly quorum: cassandra.types.consistencies;
  readonly serial: cassandra.types.consistencies;
}

/** Timeouts, ms. */
const waits = {
  /** Compare-and-set, heads, view, beats; take-over loads. */
  authorityMs: 600,
  stateMs: 3_000,
  metricsMs: 3_000,
  scanMs: 10_000,
  connectMs: 1_500,
  heartbeatMs: 5_000,
  /** A host that was given up is tried again so often; the driver's own pauses grow to ten minutes. */
  reconnectMs: 1_000,
  /** A read is sent to a second replica after this long. */
  speculateMs: 100,
} as const;

/** Timeouts in a row before a connection is given up: a frozen node costs one wait of `authorityMs`. */
const defunctTimeouts = 4;

export function levelsOf(serial: CassandraOptions['serial']): Levels {
  const { consistencies } = types;
  return serial === 'global'
    ? { quorum: consistencies.quorum, serial: consistencies.serial }
    : { quorum: consistencies.localQuorum, serial: consistencies.localSerial };
}

export interface Clients {
  readonly core: DriverClient;
  readonly read: DriverClient;
  readonly metrics: DriverClient;
}

/** Returns the clients, not connected. */
export function makeClients(options: CassandraOptions, logger: Logger): Clients {
  const levels = levelsOf(options.serial);
  const authorityMs = options.authorityMs ?? waits.authorityMs;
  const clients = {
    core: new Client({
      ...baseOptions(options, waits.stateMs),
      profiles: [
        new ExecutionProfile('default', profile(levels, waits.stateMs)),
        new ExecutionProfile('authority', {
          ...profile(levels, authorityMs),
          retry: new policies.retry.FallthroughRetryPolicy(),
        }),
        new ExecutionProfile('state', profile(levels, waits.stateMs)),
      ],
    }),
    read: new Client({
      ...baseOptions(options, waits.scanMs),
      policies: {
        reconnection: reconnection(),
        speculativeExecution: new policies.speculativeExecution.ConstantSpeculativeExecutionPolicy(
          waits.speculateMs,
          2,
        ),
      },
      profiles: [
        new ExecutionProfile('default', profile(levels, waits.scanMs)),
        new ExecutionProfile('load', profile(levels, authorityMs)),
        new ExecutionProfile('scan', profile(levels, waits.scanMs)),
      ],
    }),
    metrics: new Client({
      ...baseOptions(options, waits.metricsMs),
      pooling: {
        heartBeatInterval: waits.heartbeatMs,
        coreConnectionsPerHost: { [types.distance.local]: 2 },
      },
      profiles: [new ExecutionProfile('default', profile(levels, waits.metricsMs))],
    }),
  };
  for (const [name, client] of Object.entries(clients)) reportOf(client, name, logger);
  return clients;
}

/** Returns the client of the migrator: no keyspace yet, patient, one request at a time. */
export function makeSchemaClient(
  options: Omit<CassandraOptions, 'cluster' | 'keyspace'>,
): DriverClient {
  return new Client({
    ...baseOptions({ ...options, keyspace: '' }, waits.scanMs),
    isMetadataSyncEnabled: false,
    socketOptions: { connectTimeout: waits.connectMs, readTimeout: 30_000 },
    protocolOptions: { port: options.port ?? 9042, maxSchemaAgreementWaitSeconds: 30 },
  });
}

function baseOptions(
  options: Omit<CassandraOptions, 'cluster'>,
  readTimeoutMs: number,
): cassandra.ClientOptions {
  const levels = levelsOf(options.serial);
  const { credentials, tls } = options;
  return {
    contactPoints: [...options.contactPoints],
    localDataCenter: options.localDataCenter,
    ...(options.keyspace === '' ? {} : { keyspace: options.keyspace }),
    ...(credentials === undefined
      ? {}
      : {
          authProvider: new auth.PlainTextAuthProvider(credentials.username, credentials.password),
        }),
    ...(tls === undefined ? {} : { sslOptions: tls }),
    protocolOptions: { port: options.port ?? 9042 },
    queryOptions: {
      prepare: true,
      isIdempotent: true,
      consistency: levels.quorum,
      serialConsistency: levels.serial,
    },
    policies: { reconnection: reconnection() },
    pooling: { heartBeatInterval: waits.heartbeatMs },
    socketOptions: {
      connectTimeout: waits.connectMs,
      readTimeout: readTimeoutMs,
      defunctReadTimeoutThreshold: defunctTimeouts,
    },
    ...{ monitorReporting: { enabled: false } },
  };
}

function reconnection(): cassandra.policies.reconnection.ReconnectionPolicy {
  return new policies.reconnection.ConstantReconnectionPolicy(waits.reconnectMs);
}

function profile(
  levels: Levels,
  readTimeout: number,
): ConstructorParameters<typeof ExecutionProfile>[1] {
  return { consistency: levels.quorum, serialConsistency: levels.serial, readTimeout };
}

function reportOf(client: DriverClient, name: string, logger: Logger): void {
  client.on('hostDown', (host: cassandra.Host) => {
    logger.warn('cassandra.host-down', { client: name, host: host.address });
  });
  client.on('hostUp', (host: cassandra.Host) => {
    logger.info('cassandra.host-up', { client: name, host: host.address });
  });
  client.on('log', (level: string, from: string, message: string) => {
    if (level !== 'error' && level !== 'warning') return;
    logger.debug('cassandra.driver', { client: name, level, from, message });
  });
}
