// The only reader of settings: tocsin.yaml, then the environment, then flags → Config. Refuses what it does not know.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { clusterOf, printableCluster } from './cluster.ts';
import { ConfigError } from './errors.ts';
import { type Config, settings } from './schema.ts';
import type { Setting } from './settings.ts';

export interface Sources {
  /** process.env of the caller. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Arguments behind the role: `--listen=…`, `--min-period 5`. */
  readonly flags: readonly string[];
  /** Folder of tocsin.yaml and base of relative paths. */
  readonly folder: string;
}

const fileName = 'tocsin.yaml';
/** All settings with long lists have some KB; the parser of YAML is slow on large nonsense. */
const fileCharsMax = 65_536;
/** Variables that belong to other programs of the project (command line, tests). */
const foreignVariables = [
  'TOCSIN_URL',
  'TOCSIN_TOKEN',
  'TOCSIN_TENANT',
  'TOCSIN_USER',
  'TOCSIN_API_KEY',
  'TOCSIN_CA',
  'TOCSIN_TEST_NATS',
  'TOCSIN_TEST_CASSANDRA',
];

/** Returns the settings of a node. Throws `ConfigError` with the setting's name, its source and what is expected. */
export function loadConfig(sources: Sources): Config {
  const texts = new Map<string, { text: string; source: string }>();
  for (const setting of settings) {
    if (setting.fallback !== null)
      texts.set(setting.key, { text: setting.fallback, source: 'default' });
  }
  for (const [key, text] of readFile(sources.folder)) texts.set(key, { text, source: fileName });
  for (const [key, text] of readEnvironment(sources.environment))
    texts.set(key, { text, source: 'environment' });
  for (const [key, text] of readFlags(sources.flags)) texts.set(key, { text, source: 'flag' });
  return build((key) => {
    const entry = texts.get(key);
    return entry === undefined || entry.text === '' ? null : checked(key, entry);
  }, sources.folder);
}

/** Returns the settings as printed at start: secrets replaced. */
export function printable(config: Config): Record<string, unknown> {
  const smtp =
    config.smtp === null
      ? null
      : { ...config.smtp, password: config.smtp.password === null ? null : '(set)' };
  const cluster = config.cluster === null ? null : printableCluster(config.cluster);
  return { ...config, adminApiKey: config.adminApiKey === null ? null : '(set)', smtp, cluster };
}

function settingOf(key: string): Setting {
  const setting = settings.find((candidate) => candidate.key === key);
  if (setting === undefined) throw new ConfigError('CF_UNKNOWN_KEY', `unknown setting ${key}`);
  return setting;
}

function readFile(folder: string): [string, string][] {
  const path = resolve(folder, fileName);
  if (!existsSync(path)) return [];
  let content: unknown;
  try {
    const text = readFileSync(path, 'utf8');
    if (text.length > fileCharsMax) throw new Error(`longer than ${fileCharsMax} characters`);
    content = flatYaml(text);
  } catch (cause) {
    throw new ConfigError(
      'CF_UNREADABLE',
      `${fileName} cannot be read: ${(cause as Error).message}`,
      cause,
    );
  }
  if (content === null || content === undefined) return [];
  if (typeof content !== 'object' || Array.isArray(content)) {
    throw new ConfigError('CF_UNREADABLE', `${fileName} is not a mapping of settings`);
  }
  return Object.entries(content).map(([key, value]) => {
    if (!settings.some((setting) => setting.key === key)) {
      throw new ConfigError('CF_UNKNOWN_KEY', `${fileName}: unknown setting ${key}`);
    }
    return [key, fileText(key, value)];
  });
}

/** Returns what a YAML text holds: names with values or lists. Refused before it is built: nested keys cost time without end. */
function flatYaml(text: string): unknown {
  // Read where there is a file only: a tenth of the start.
  const yaml = createRequire(import.meta.url)('yaml') as typeof import('yaml');
  const { isCollection, isMap, isSeq } = yaml;
  const document = yaml.parseDocument(text);
  const [fault] = document.errors;
  if (fault !== undefined) throw fault;
  const { contents } = document;
  const isFlat = (node: unknown): boolean =>
    !isCollection(node) || (isSeq(node) && !node.items.some(isCollection));
  const items = isMap(contents) ? contents.items : [];
  const nested = items.find(({ key, value }) => isCollection(key) || !isFlat(value));
  if (nested !== undefined) throw new Error('a setting is a name with a value or a list of values');
  return document.toJS();
}

/** A value of the file as text: a scalar, or a list of scalars. */
function fileText(key: string, value: unknown): string {
  const parts: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (parts.some((part) => typeof part === 'object' && part !== null)) {
    const expected = 'a value or a list of values is wanted';
    throw new ConfigError('CF_BAD_VALUE', `${fileName}: ${key}: ${expected}`);
  }
  return parts.map((part) => String(part ?? '')).join(',');
}

function readEnvironment(environment: Sources['environment']): [string, string][] {
  const found: [string, string][] = [];
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith('TOCSIN_') || text === undefined || foreignVariables.includes(name))
      continue;
    const setting = settings.find((candidate) => candidate.variable === name);
    if (setting === undefined)
      throw new ConfigError('CF_UNKNOWN_KEY', `environment: unknown setting ${name}`);
    found.push([setting.key, text]);
  }
  return found;
}

function readFlags(flags: readonly string[]): [string, string][] {
  const found: [string, string][] = [];
  for (let at = 0; at < flags.length; at++) {
    const flag = flags[at] as string;
    const parts = /^--([a-z-]+)(?:=(.*))?$/s.exec(flag);
    const key = parts?.[1]?.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
    const setting = settings.find((candidate) => candidate.key === key);
    if (parts === null || setting === undefined) {
      throw new ConfigError('CF_UNKNOWN_KEY', `unknown flag ${flag.slice(0, 80)}`);
    }
    const next = flags[at + 1];
    if (parts[2] !== undefined) found.push([setting.key, parts[2]]);
    else if (setting.type === 'boolean' && (next === undefined || next.startsWith('--')))
      found.push([setting.key, 'true']);
    else if (next === undefined)
      throw new ConfigError('CF_BAD_VALUE', `flag ${flag} wants a value`);
    else {
      found.push([setting.key, next]);
      at++;
    }
  }
  return found;
}

function checked(key: string, entry: { text: string; source: string }): string {
  const setting = settingOf(key);
  const text = entry.text.trim();
  const wrong = (expected: string) => {
    const shown = setting.type === 'secret' ? '(secret)' : JSON.stringify(text.slice(0, 80));
    return new ConfigError(
      'CF_BAD_VALUE',
      `${setting.variable} (${entry.source}) is ${shown}: ${expected}`,
    );
  };
  if (setting.type === 'integer') {
    const [least, most] = setting.range ?? [0, Number.MAX_SAFE_INTEGER];
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most)
      throw wrong(`a whole number from ${least} to ${most} is wanted`);
  }
  if (setting.type === 'boolean' && !['true', 'false', '1', '0'].includes(text))
    throw wrong('true or false is wanted');
  if (setting.type === 'choice' && !setting.choices?.includes(text))
    throw wrong(`one of ${setting.choices?.join(', ')} is wanted`);
  return text;
}

function build(read: (key: string) => string | null, folder: string): Config {
  const text = (key: string) => read(key) ?? '';
  const list = (key: string) =>
    text(key)
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '');
  const flag = (key: string) => ['true', '1'].includes(text(key));
  const path = (key: string) => resolve(folder, text(key));
  const maxEntities = read('maxEntities');
  const cluster = clusterOf({ read, list, path });
  return {
    ...listenOf(text('listen'), { tls: read('tlsCert') !== null, plain: flag('allowPlainHttp') }),
    dataFolder: path('data'),
    zones: zonesOf(list('zones')),
    minPeriodMs: Number(text('minPeriod')) * 1000,
    egress: (read('egress') ?? (cluster === null ? 'local' : 'public')) as Config['egress'],
    limits: text('limits') as Config['limits'],
    adminApiKey: keyOf(read('adminApiKey')),
    node: nodeOf(text('node')),
    logLevel: text('logLevel') as Config['logLevel'],
    anchors: list('anchors'),
    egressAllow: list('egressAllow'),
    egressDeny: list('egressDeny'),
    tls: tlsOf(
      read('tlsCert') === null ? null : path('tlsCert'),
      read('tlsKey') === null ? null : path('tlsKey'),
    ),
    smtp: smtpOf(read, flag, path),
    technicalContacts: list('technicalContacts'),
    maxEntities: maxEntities === null ? null : Number(maxEntities),
    cluster,
    publicUrl: urlOf(read('publicUrl')),
  };
}

function urlOf(text: string | null): string | null {
  if (text === null) return null;
  if (!/^https?:\/\/[^/\s?#]+$/.test(text) || !URL.canParse(text))
    throw new ConfigError(
      'CF_BAD_VALUE',
      'TOCSIN_PUBLIC_URL: a URL without a path is wanted, for example https://tocsin1.example.com:7420',
    );
  return text;
}

function listenOf(
  text: string,
  guard: { tls: boolean; plain: boolean },
): { listenHost: string; listenPort: number } {
  const parts = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(parts?.[3]);
  if (parts === null || port > 65535) {
    throw new ConfigError(
      'CF_BAD_VALUE',
      `TOCSIN_LISTEN is ${JSON.stringify(text)}: host:port is wanted, for example 127.0.0.1:7420`,
    );
  }
  const host = (parts[1] ?? parts[2]) as string;
  const isLoopback = host === 'localhost' || host === '::1' || /^127\./.test(host);
  if (!isLoopback && !guard.tls && !guard.plain) {
    throw new ConfigError(
      'CF_BAD_VALUE',
      `TOCSIN_LISTEN is ${text}: beyond loopback set TOCSIN_TLS_CERT and TOCSIN_TLS_KEY, or TOCSIN_ALLOW_PLAIN_HTTP=true behind a proxy that ends TLS`,
    );
  }
  return { listenHost: host, listenPort: port };
}

function zonesOf(zones: readonly string[]): readonly string[] {
  const bad = zones.find((zone) => !/^[a-z]{2}[A-Za-z0-9_-]{1,30}$/.test(zone));
  if (
    bad !== undefined ||
    zones.length === 0 ||
    zones.length > 16 ||
    new Set(zones).size !== zones.length
  ) {
    throw new ConfigError(
      'CF_BAD_VALUE',
      `TOCSIN_ZONES: 1 to 16 different zone ids like mzlocal are wanted${bad === undefined ? '' : `, not ${JSON.stringify(bad)}`}`,
    );
  }
  return zones;
}

function nodeOf(text: string): string {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(text)) {
    throw new ConfigError(
      'CF_BAD_VALUE',
      'TOCSIN_NODE: 1 to 64 letters, digits, - and _ are wanted',
    );
  }
  return text;
}

function keyOf(text: string | null): string | null {
  if (text !== null && !/^[\x21-\x7e]{16,128}$/.test(text)) {
    throw new ConfigError(
      'CF_BAD_VALUE',
      'TOCSIN_ADMIN_API_KEY: 16 to 128 printable characters without blanks are wanted',
    );
  }
  return text;
}

function tlsOf(certFile: string | null, keyFile: string | null): Config['tls'] {
  if ((certFile === null) !== (keyFile === null)) {
    throw new ConfigError('CF_BAD_VALUE', 'TOCSIN_TLS_CERT and TOCSIN_TLS_KEY go together');
  }
  return certFile === null || keyFile === null ? null : { certFile, keyFile };
}

function smtpOf(
  read: (key: string) => string | null,
  flag: (key: string) => boolean,
  path: (key: string) => string,
): Config['smtp'] {
  const host = read('smtpHost');
  if (host === null) return null;
  const from = read('smtpFrom');
  if (from === null)
    throw new ConfigError('CF_BAD_VALUE', 'TOCSIN_SMTP_FROM is wanted beside TOCSIN_SMTP_HOST');
  return {
    host,
    from,
    port: Number(read('smtpPort')),
    secure: flag('smtpSecure'),
    requireTls: flag('smtpRequireTls'),
    user: read('smtpUser'),
    password: read('smtpPassword'),
    caFile: read('smtpCa') === null ? null : path('smtpCa'),
  };
}
