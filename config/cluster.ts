// Settings of a node among nodes: which cluster, where its NATS servers and its Cassandra are, as whom it speaks to them.
// None of them is needed by a node alone.
import { ConfigError } from './errors.ts';
import type { Setting } from './settings.ts';

export const clusterSettings = [
  {
    key: 'cluster',
    variable: 'TOCSIN_CLUSTER',
    type: 'text',
    fallback: null,
    meaning:
      'Name of the cluster that this node joins: letters, digits, - and _. None: a node alone on the embedded store.',
  },
  {
    key: 'nats',
    variable: 'TOCSIN_NATS',
    type: 'list',
    fallback: '',
    meaning: 'Every NATS server of the cluster, host:port each; 1 to 9.',
  },
  {
    key: 'natsUser',
    variable: 'TOCSIN_NATS_USER',
    type: 'text',
    fallback: null,
    meaning: 'User of this node at the NATS servers.',
  },
  {
    key: 'natsPassword',
    variable: 'TOCSIN_NATS_PASSWORD',
    type: 'secret',
    fallback: null,
    meaning: 'Its password.',
  },
  {
    key: 'natsCa',
    variable: 'TOCSIN_NATS_CA',
    type: 'text',
    fallback: null,
    meaning: "PEM file of the NATS servers' certificate authority; set: TLS is required.",
  },
  {
    key: 'natsCert',
    variable: 'TOCSIN_NATS_CERT',
    type: 'text',
    fallback: null,
    meaning: 'PEM file of the client certificate for the NATS servers.',
  },
  {
    key: 'natsKey',
    variable: 'TOCSIN_NATS_KEY',
    type: 'text',
    fallback: null,
    meaning: 'PEM file of its key.',
  },
  {
    key: 'cassandra',
    variable: 'TOCSIN_CASSANDRA',
    type: 'list',
    fallback: '',
    meaning: 'Contact points of Cassandra, host:port each; 1 to 9.',
  },
  {
    key: 'cassandraKeyspace',
    variable: 'TOCSIN_CASSANDRA_KEYSPACE',
    type: 'text',
    fallback: 'tocsin',
    meaning: 'Keyspace: lower-case letters, digits and _. Made at first start where the role may.',
  },
  {
    key: 'cassandraDatacenter',
    variable: 'TOCSIN_CASSANDRA_DATACENTER',
    type: 'text',
    fallback: 'datacenter1',
    meaning: 'Name of the local datacenter in Cassandra.',
  },
  {
    key: 'cassandraReplicas',
    variable: 'TOCSIN_CASSANDRA_REPLICAS',
    type: 'integer',
    fallback: '3',
    range: [1, 9],
    meaning: 'Replicas of each row where the keyspace is made; 1 only to try things out.',
  },
  {
    key: 'cassandraUser',
    variable: 'TOCSIN_CASSANDRA_USER',
    type: 'text',
    fallback: null,
    meaning: 'User name at Cassandra.',
  },
  {
    key: 'cassandraPassword',
    variable: 'TOCSIN_CASSANDRA_PASSWORD',
    type: 'secret',
    fallback: null,
    meaning: 'Its password.',
  },
  {
    key: 'cassandraCa',
    variable: 'TOCSIN_CASSANDRA_CA',
    type: 'text',
    fallback: null,
    meaning: "PEM file of Cassandra's certificate authority; set: TLS is required.",
  },
  {
    key: 'cassandraCert',
    variable: 'TOCSIN_CASSANDRA_CERT',
    type: 'text',
    fallback: null,
    meaning: 'PEM file of the client certificate for Cassandra.',
  },
  {
    key: 'cassandraKey',
    variable: 'TOCSIN_CASSANDRA_KEY',
    type: 'text',
    fallback: null,
    meaning: 'PEM file of its key.',
  },
  {
    key: 'serial',
    variable: 'TOCSIN_SERIAL',
    type: 'choice',
    fallback: 'local',
    choices: ['local', 'global'],
    meaning:
      'Where decisions are agreed on: local: in one region. global: over all regions. The same on all nodes, for good.',
  },
  {
    key: 'failureZone',
    variable: 'TOCSIN_FAILURE_ZONE',
    type: 'text',
    fallback: 'zone1',
    meaning: 'What this node dies together with (rack, hall, data centre); a label in the view.',
  },
  {
    key: 'weight',
    variable: 'TOCSIN_WEIGHT',
    type: 'integer',
    fallback: '4',
    range: [0, 16],
    meaning: "This node's share of the shards, in proportion to the others'; 0: none.",
  },
  {
    key: 'publicUrl',
    variable: 'TOCSIN_PUBLIC_URL',
    type: 'text',
    fallback: null,
    meaning:
      'URL under which others reach the API of this node; default: the address it listens on.',
  },
] as const satisfies readonly Setting[];

/** Certificate files of a client. */
interface ClientTls {
  readonly caFile: string;
  readonly certFile: string | null;
  readonly keyFile: string | null;
}

interface Login {
  readonly user: string;
  readonly password: string;
}

export interface ClusterConfig {
  readonly name: string;
  readonly nats: {
    readonly servers: readonly string[];
    readonly login: Login | null;
    readonly tls: ClientTls | null;
  };
  readonly cassandra: {
    readonly contactPoints: readonly string[];
    readonly keyspace: string;
    readonly datacenter: string;
    readonly replicas: number;
    readonly login: Login | null;
    readonly tls: ClientTls | null;
  };
  readonly serial: 'local' | 'global';
  readonly failureZone: string;
  readonly weight: number;
}

/** What reads one setting by its key. */
export interface Reader {
  readonly read: (key: string) => string | null;
  readonly list: (key: string) => readonly string[];
  readonly path: (key: string) => string;
}

/** Returns the settings of the cluster; null: a node alone. Throws `ConfigError` where they do not go together. */
export function clusterOf({ read, list, path }: Reader): ClusterConfig | null {
  const name = read('cluster');
  if (name === null) {
    const stray = ['nats', 'cassandra'].find((key) => list(key).length > 0);
    if (stray === undefined) return null;
    throw wrong(`TOCSIN_${stray.toUpperCase()} is set: TOCSIN_CLUSTER is wanted beside it`);
  }
  const tls = (prefix: string): ClientTls | null => {
    const file = (part: string) => (read(prefix + part) === null ? null : path(prefix + part));
    const [caFile, certFile, keyFile] = [file('Ca'), file('Cert'), file('Key')];
    const upper = prefix.toUpperCase();
    if ((certFile === null) !== (keyFile === null))
      throw wrong(`TOCSIN_${upper}_CERT and TOCSIN_${upper}_KEY go together`);
    if (caFile === null && certFile !== null)
      throw wrong(`TOCSIN_${upper}_CA is wanted beside TOCSIN_${upper}_CERT`);
    return caFile === null ? null : { caFile, certFile, keyFile };
  };
  const login = (prefix: string): Login | null => {
    const [user, password] = [read(`${prefix}User`), read(`${prefix}Password`)];
    const upper = prefix.toUpperCase();
    if ((user === null) !== (password === null))
      throw wrong(`TOCSIN_${upper}_USER and TOCSIN_${upper}_PASSWORD go together`);
    return user === null || password === null ? null : { user, password };
  };
  return {
    name: named('TOCSIN_CLUSTER', name, /^[A-Za-z0-9_-]{1,32}$/),
    nats: {
      servers: addresses('TOCSIN_NATS', list('nats'), 4222),
      login: login('nats'),
      tls: tls('nats'),
    },
    cassandra: {
      contactPoints: addresses('TOCSIN_CASSANDRA', list('cassandra'), 9042),
      keyspace: named(
        'TOCSIN_CASSANDRA_KEYSPACE',
        read('cassandraKeyspace') ?? '',
        /^[a-z][a-z0-9_]{0,47}$/,
      ),
      datacenter: read('cassandraDatacenter') ?? 'datacenter1',
      replicas: Number(read('cassandraReplicas')),
      login: login('cassandra'),
      tls: tls('cassandra'),
    },
    serial: read('serial') === 'global' ? 'global' : 'local',
    failureZone: named('TOCSIN_FAILURE_ZONE', read('failureZone') ?? '', /^[A-Za-z0-9_-]{1,64}$/),
    weight: Number(read('weight')),
  };
}

/** Returns the settings with their secrets replaced, as printed at start. */
export function printableCluster(cluster: ClusterConfig): ClusterConfig {
  const hidden = (login: Login | null) => (login === null ? null : { ...login, password: '(set)' });
  return {
    ...cluster,
    nats: { ...cluster.nats, login: hidden(cluster.nats.login) },
    cassandra: { ...cluster.cassandra, login: hidden(cluster.cassandra.login) },
  };
}

function addresses(variable: string, texts: readonly string[], port: number): readonly string[] {
  if (texts.length === 0 || texts.length > 9)
    throw wrong(`${variable}: 1 to 9 addresses like 10.0.0.1:${port} are wanted`);
  const full = texts.map((text) => {
    const parts = /^(\[[0-9a-fA-F:.]+\]|[^:[\]/\s]+)(?::(\d{1,5}))?$/.exec(text);
    const found = Number(parts?.[2] ?? port);
    if (parts === null || found < 1 || found > 65535)
      throw wrong(`${variable}: host:port is wanted, not ${JSON.stringify(text.slice(0, 80))}`);
    return `${parts[1]}:${found}`;
  });
  if (new Set(full).size !== full.length) throw wrong(`${variable}: an address stands there twice`);
  return full;
}

function named(variable: string, text: string, form: RegExp): string {
  if (!form.test(text))
    throw wrong(`${variable} is ${JSON.stringify(text.slice(0, 80))}: ${form.source} is wanted`);
  return text;
}

function wrong(message: string): ConfigError {
  return new ConfigError('CF_BAD_VALUE', message);
}
