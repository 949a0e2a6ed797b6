// The reference of every setting: name, default, unit, range, meaning. config/load.ts reads them, nothing else does.
// Sources, later ones win: tocsin.yaml, the environment, flags. Unknown keys are refused.

import { type ClusterConfig, clusterSettings } from './cluster.ts';
import type { Setting } from './settings.ts';

/** Every setting of a node, in the order of the documentation. */
export const settings = [
  {
    key: 'listen',
    variable: 'TOCSIN_LISTEN',
    type: 'text',
    fallback: '127.0.0.1:7420',
    meaning:
      'Address and port of API, page and metrics. Beyond loopback it needs TLS, or allowPlainHttp.',
  },
  {
    key: 'data',
    variable: 'TOCSIN_DATA',
    type: 'text',
    fallback: './data',
    meaning: 'Folder of store, journal and keys; one process at a time.',
  },
  {
    key: 'zones',
    variable: 'TOCSIN_ZONES',
    type: 'list',
    fallback: 'mzlocal',
    meaning: 'Monitoring zones for which this node runs its own prober processes; 1 to 16.',
  },
  {
    key: 'minPeriod',
    variable: 'TOCSIN_MIN_PERIOD',
    type: 'integer',
    fallback: '10',
    range: [1, 30],
    meaning: 'Shortest check period, seconds.',
  },
  {
    key: 'egress',
    variable: 'TOCSIN_EGRESS',
    type: 'choice',
    fallback: null,
    choices: ['local', 'public'],
    meaning:
      'Where probes and notifications may go. local: private and loopback targets allowed, link-local and metadata addresses never. public: global addresses only. Default: local for a node alone, public in a cluster.',
  },
  {
    key: 'limits',
    variable: 'TOCSIN_LIMITS',
    type: 'choice',
    fallback: 'open',
    choices: ['open', 'contract'],
    meaning: 'open: generous limits, sized by the machine. contract: the numbers of the v1.0 API.',
  },
  {
    key: 'adminApiKey',
    variable: 'TOCSIN_ADMIN_API_KEY',
    type: 'secret',
    fallback: null,
    meaning: "The first user's API key, 16 to 128 characters. Made at first start where not given.",
  },
  {
    key: 'node',
    variable: 'TOCSIN_NODE',
    type: 'text',
    fallback: 'node1',
    meaning: 'Name of this node: letters, digits, - and _.',
  },
  {
    key: 'logLevel',
    variable: 'TOCSIN_LOG_LEVEL',
    type: 'choice',
    fallback: 'info',
    choices: ['debug', 'info', 'warn', 'error'],
    meaning: 'Least level that is logged (JSON lines on standard error).',
  },
  {
    key: 'anchors',
    variable: 'TOCSIN_ANCHORS',
    type: 'list',
    fallback: '',
    meaning: 'Reference peers (host:port) that a prober must reach before it calls a target down.',
  },
  {
    key: 'egressAllow',
    variable: 'TOCSIN_EGRESS_ALLOW',
    type: 'list',
    fallback: '',
    meaning: 'Networks (CIDR) allowed besides the preset.',
  },
  {
    key: 'egressDeny',
    variable: 'TOCSIN_EGRESS_DENY',
    type: 'list',
    fallback: '',
    meaning: 'Networks (CIDR) denied besides the preset; wins over everything.',
  },
  {
    key: 'tlsCert',
    variable: 'TOCSIN_TLS_CERT',
    type: 'text',
    fallback: null,
    meaning: 'PEM file of the certificate chain of the API.',
  },
  {
    key: 'tlsKey',
    variable: 'TOCSIN_TLS_KEY',
    type: 'text',
    fallback: null,
    meaning: 'PEM file of its key.',
  },
  {
    key: 'allowPlainHttp',
    variable: 'TOCSIN_ALLOW_PLAIN_HTTP',
    type: 'boolean',
    fallback: 'false',
    meaning: 'Listen beyond loopback without TLS, for example behind a proxy that ends TLS.',
  },
  {
    key: 'smtpHost',
    variable: 'TOCSIN_SMTP_HOST',
    type: 'text',
    fallback: null,
    meaning: 'SMTP server for email notifications; none: email fails with a clear text.',
  },
  {
    key: 'smtpPort',
    variable: 'TOCSIN_SMTP_PORT',
    type: 'integer',
    fallback: '587',
    range: [1, 65535],
    meaning: 'Port of the SMTP server.',
  },
  {
    key: 'smtpSecure',
    variable: 'TOCSIN_SMTP_SECURE',
    type: 'boolean',
    fallback: 'false',
    meaning: 'TLS from the first byte (port 465).',
  },
  {
    key: 'smtpRequireTls',
    variable: 'TOCSIN_SMTP_REQUIRE_TLS',
    type: 'boolean',
    fallback: 'true',
    meaning: 'Refuse to send without STARTTLS.',
  },
  {
    key: 'smtpUser',
    variable: 'TOCSIN_SMTP_USER',
    type: 'text',
    fallback: null,
    meaning: 'User name at the SMTP server.',
  },
  {
    key: 'smtpPassword',
    variable: 'TOCSIN_SMTP_PASSWORD',
    type: 'secret',
    fallback: null,
    meaning: 'Password at the SMTP server.',
  },
  {
    key: 'smtpCa',
    variable: 'TOCSIN_SMTP_CA',
    type: 'text',
    fallback: null,
    meaning: "PEM file of the SMTP server's own certificate authority.",
  },
  {
    key: 'smtpFrom',
    variable: 'TOCSIN_SMTP_FROM',
    type: 'text',
    fallback: null,
    meaning: 'Sender address of notifications.',
  },
  {
    key: 'technicalContacts',
    variable: 'TOCSIN_TECHNICAL_CONTACTS',
    type: 'list',
    fallback: '',
    meaning: "Addresses of the first tenant's technical contacts, set at first start.",
  },
  {
    key: 'maxEntities',
    variable: 'TOCSIN_MAX_ENTITIES',
    type: 'integer',
    fallback: null,
    range: [1, 10_000_000],
    meaning:
      'Entities a tenant may have; by default sized by the machine (open) or 500 (contract, public egress).',
  },
  ...clusterSettings,
] as const satisfies readonly Setting[];

/** The settings, parsed. Instants and lengths carry their unit in the name. */
export interface Config {
  readonly listenHost: string;
  readonly listenPort: number;
  readonly dataFolder: string;
  readonly zones: readonly string[];
  readonly minPeriodMs: number;
  readonly egress: 'local' | 'public';
  readonly limits: 'open' | 'contract';
  readonly adminApiKey: string | null;
  readonly node: string;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  readonly anchors: readonly string[];
  readonly egressAllow: readonly string[];
  readonly egressDeny: readonly string[];
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null;
  readonly smtp: {
    readonly host: string;
    readonly port: number;
    readonly secure: boolean;
    readonly requireTls: boolean;
    readonly user: string | null;
    readonly password: string | null;
    readonly caFile: string | null;
    readonly from: string;
  } | null;
  readonly technicalContacts: readonly string[];
  readonly maxEntities: number | null;
  /** null: a node alone. */
  readonly cluster: ClusterConfig | null;
  /** null: the address it listens on. */
  readonly publicUrl: string | null;
}
