// A whole node in process for the API's tests: the real runtime, actors, host and memory store; probes are scripted, the
// notifier's receivers too. Owns set-up and tear-down; tests talk to it through HTTP or `app.inject`.
import { checkTypes } from '../../actors/check/catalogue.ts';
import type { ProbeAnswer, ProbeRequest } from '../../actors/check/types.ts';
import { entityBehaviour } from '../../actors/entity/entity.ts';
import { notificationLogBody } from '../../actors/notify/log-body.ts';
import type { NotificationDoc, Role } from '../../actors/resources.ts';
import type { TenantDocuments } from '../../actors/tenant/documents.ts';
import { tenantBehaviour } from '../../actors/tenant/tenant.ts';
import { bootstrapAdmin, type FirstAdmin } from '../../api/bootstrap.ts';
import { type ApiLimits, type ApiPorts, defaultApiLimits, type WebFile } from '../../api/ports.ts';
import { type Api, createApi } from '../../api/server.ts';
import { tenantLimits } from '../../api/tenant-limits.ts';
import { ownChange, putToken } from '../../api/token-issue.ts';
import { createShardHost } from '../../cluster/host.ts';
import { type Catalog, createCatalog } from '../../runtime/catalog.ts';
import { systemClock, systemRandom } from '../../runtime/clock.ts';
import { DocumentsCache } from '../../runtime/documents.ts';
import { type ActorKey, entityOf, epoch, nodeId, shardOf } from '../../runtime/ids.ts';
import { createMeter } from '../../runtime/meter.ts';
import type { HistoryRecord, Logger, ProbeLink, Store } from '../../runtime/ports.ts';
import { createRouter, type Router } from '../../runtime/router.ts';
import { timerWheel } from '../../runtime/timers.ts';
import { createMemoryStore } from '../../store/memory/store.ts';

export const zoneIds = ['mzaaa', 'mzbbb', 'mzccc'] as const;
export const adminKey = 'k'.repeat(40);

export interface LogLine {
  readonly level: string;
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface Stack {
  readonly api: Api;
  readonly url: string;
  readonly admin: FirstAdmin;
  readonly store: Store;
  readonly ports: ApiPorts;
  readonly logs: LogLine[];
  /** Requests that reached the probers. */
  readonly probed: ProbeRequest[];
  readonly tested: NotificationDoc[];
  /** Makes a token of these roles in a tenant (default: the administrator's). */
  token(roles: readonly Role[], tenant?: string): Promise<string>;
  publish(record: HistoryRecord): void;
  close(): Promise<void>;
}

export interface StackOptions {
  readonly limits?: Partial<ApiLimits>;
  readonly mode?: 'open' | 'contract';
  readonly web?: ReadonlyMap<string, WebFile>;
  readonly answer?: (request: ProbeRequest) => ProbeAnswer | null;
  readonly ports?: (ports: ApiPorts) => Partial<ApiPorts>;
}

/** The answer of a healthy target. */
export function observed(request: ProbeRequest): ProbeAnswer {
  return {
    id: request.id,
    startedAtMs: Date.now(),
    durationMs: 12,
    outcome: 'observed',
    available: true,
    status: 'code=200,rt=0.012s,bytes=2',
    errorClass: null,
    metrics: [
      ['code', 's', '200', 'unknown'],
      ['duration', 'I', 12, 'milliseconds'],
    ],
    address: '192.0.2.1',
    debugInfo: request.debug ? { body: '<html>' } : null,
  };
}

function memoryLogger(logs: LogLine[]): Logger {
  const at =
    (level: string) =>
    (event: string, fields: object = {}) => {
      if (logs.length < 10_000) logs.push({ level, event, fields: { ...fields } });
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

interface Node {
  readonly store: Store;
  readonly router: Router;
  readonly catalog: Catalog;
  readonly documents: DocumentsCache;
  readonly host: ReturnType<typeof createShardHost>;
  stop(): Promise<void>;
}

async function startNode(
  logger: Logger,
  meter: ReturnType<typeof createMeter>,
  probes: ProbeLink<ProbeRequest, ProbeAnswer>,
  limits: ApiPorts['tenantLimits'],
): Promise<Node> {
  const clock = systemClock();
  const random = systemRandom();
  const timers = timerWheel({ clock, meter });
  const store = createMemoryStore();
  const documents = new DocumentsCache({ meter });
  const entity = entityBehaviour({
    zones: zoneIds.map((id) => ({ id })),
    minPeriodMs: 1_000,
    supportedTypes: new Set(['remote.http', 'remote.tcp', 'remote.ping', 'remote.dns']),
    channelTypes: new Set(['webhook', 'email']),
    qualifiedNames: false,
    clusterName: 'test',
    nodeName: 'node1',
  });
  const tenant = tenantBehaviour({ limits });
  const host = createShardHost({
    store,
    node: nodeId('node1'),
    incarnation: 'i1',
    clock,
    random,
    logger,
    meter,
    notifier: {
      deliver: async () => ({ delivered: true, message: 'Success' }),
      receiverOf: () => 'receiver',
    },
    onLost: () => undefined,
    retryDelayMs: () => 1_000,
    logBody: (intent, line) => notificationLogBody(intent, line, 'node1'),
  });
  const { directory } = host;
  const catalog: Catalog = createCatalog({
    behaviourOf: (key) => (entityOf(key) === null ? tenant : entity),
    load: (key) => host.load(key),
    reload: (key) => host.reload(key),
    onQuarantine: () => undefined,
    ports: {
      clock,
      random,
      logger,
      meter,
      timers,
      decisions: host.decisions,
      softStates: host.softStates,
      ticks: host.ticks,
      probes: probes as ProbeLink<unknown, unknown>,
      documents,
      mayAct: (key) => host.mayAct(key),
      epochOf: (key) => directory.lookup(shardOf(key))?.epoch ?? epoch(0),
      send: (to, message) => router.tell(to, message, 'system'),
      publishDocuments: (name, rev, copy) => documents.set(name, rev, copy),
    },
  });
  const router: Router = createRouter({
    node: 'node1',
    catalog,
    directory,
    transport: null,
    clock,
    timers,
    random,
    logger,
    meter,
    simulateRemote: true,
  });
  await host.start((key, stored) => catalog.activate(key, stored));
  return {
    store,
    router,
    catalog,
    documents,
    host,
    stop: async () => {
      await catalog.drain();
      router.stop();
      await host.stop(2_000);
      timers.stop();
      await store.close();
    },
  };
}

/** Starts a node with an administrator, listening on a free port. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const logs: LogLine[] = [];
  const logger = memoryLogger(logs);
  const meter = createMeter();
  const probed: ProbeRequest[] = [];
  const tested: NotificationDoc[] = [];
  const probe: ProbeLink<ProbeRequest, ProbeAnswer> = {
    submit: (request, done) => {
      probed.push(request);
      const answer = (options.answer ?? observed)(request);
      if (answer !== null) setImmediate(() => done(answer));
    },
  };
  const limits = tenantLimits(options.mode ?? 'open', { cores: 2, memoryBytes: 2 ** 32 });
  const node = await startNode(logger, meter, probe, limits);
  const base: ApiPorts = {
    router: node.router,
    documents: async (tenant) =>
      (node.documents.get(tenant)?.documents ?? null) as TenantDocuments | null,
    history: node.store.history,
    accounts: node.store.accounts,
    states: node.store.states,
    samples: node.store.samples,
    events: node.host.events,
    probe,
    testNotification: async (notification) => {
      tested.push(notification);
      return { status: 'success', message: 'Success: Webhook successfully executed' };
    },
    clock: systemClock(),
    random: systemRandom(),
    logger,
    meter,
    metricsText: async () => ({ type: meter.contentType, text: await meter.text() }),
    zones: () =>
      zoneIds.map((id) => ({
        id,
        label: id,
        country_code: 'ZZ',
        source_ips: ['127.0.0.1/32', '::1/128'],
      })),
    checkTypes,
    node: { id: 'node1', version: '1.0.0', publicUrl: null },
    release: async (key: ActorKey) => {
      if (node.catalog.describe(key)?.quarantine == null) return false;
      await node.catalog.release(key);
      return true;
    },
    health: () => ({ live: true, ready: true, reasons: [] }),
    findings: () => [],
    tenantLimits: limits,
    limits: { ...defaultApiLimits, ...options.limits },
    tls: null,
    web: options.web ?? new Map(),
    workers: null,
  };
  const ports: ApiPorts = { ...base, ...options.ports?.(base) };
  const admin = (await bootstrapAdmin(base, { apiKey: adminKey })) as FirstAdmin;
  const api = await createApi(ports);
  const { url } = await api.listen({ host: '127.0.0.1', port: 0 });
  return {
    api,
    url,
    admin,
    store: node.store,
    ports,
    logs,
    probed,
    tested,
    token: async (roles, tenant = admin.tenantId) => {
      const change = ownChange(`test-${Math.random()}`, 'test', '/test');
      const holder = { tenant, user: 'tester', roles };
      return (await putToken(base, holder, { lifeMs: 3_600_000, change })).text;
    },
    publish: (record) => node.host.events.publish(record),
    close: async () => {
      await api.close();
      await node.stop();
    },
  };
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of all shapes
  readonly body: any;
}

/** Calls the API over a socket; `path` behind `/v1.0/{tenant}` unless it starts with `/v`. */
export async function call(
  stack: Stack,
  method: string,
  path: string,
  options: {
    readonly body?: unknown;
    readonly token?: string | null;
    readonly headers?: Record<string, string>;
  } = {},
): Promise<Reply> {
  const target = /^\/(v\d|$|openapi|livez|readyz|metrics)/.test(path)
    ? path
    : `/v1.0/${stack.admin.tenantId}${path}`;
  const token = options.token === undefined ? stack.admin.token : options.token;
  const answer = await fetch(`${stack.url}${target}`, {
    method,
    redirect: 'manual',
    headers: {
      ...(token === null ? {} : { 'X-Auth-Token': token }),
      ...(options.body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...options.headers,
    },
    ...(options.body === undefined
      ? {}
      : { body: typeof options.body === 'string' ? options.body : JSON.stringify(options.body) }),
  });
  const text = await answer.text();
  const isJson = answer.headers.get('content-type')?.startsWith('application/json') === true;
  return {
    status: answer.status,
    headers: answer.headers,
    text,
    body: isJson && text !== '' ? JSON.parse(text) : null,
  };
}

/** Creates an object and returns its id; throws where it is refused. */
export async function make(stack: Stack, path: string, body: unknown): Promise<string> {
  const reply = await call(stack, 'POST', path, { body });
  const id = reply.headers.get('x-object-id');
  if (reply.status !== 201 || id === null)
    throw new Error(`${path}: ${reply.status} ${reply.text}`);
  return id;
}

/** Waits until `look` gives a value. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  withinMs = 10_000,
): Promise<T> {
  const untilMs = Date.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > untilMs) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
