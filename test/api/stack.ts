// A whole node in process for the API's tests: the real runtime, actors, host and memory store; probes are scripted, the
// notifier's receivers too. Owns set-up and tear-down; tests talk to it through HTTP or `app.inject`.
import type { ProbeAnswer, ProbeRequest } from '../../actors/check/types.ts';
import type { NotificationDoc, Role } from '../../actors/resources.ts';
import { bootstrapAdmin, type FirstAdmin } from '../../api/bootstrap.ts';
import { type ApiLimits, type ApiPorts, defaultApiLimits, type WebFile } from '../../api/ports.ts';
import { type Api, createApi } from '../../api/server.ts';
import { tenantLimits } from '../../api/tenant-limits.ts';
import { ownChange, putToken } from '../../api/token-issue.ts';
import type { Catalog } from '../../runtime/catalog.ts';
import type { HistoryRecord, Logger, ProbeLink, Store } from '../../runtime/ports.ts';
import { createMemoryStore } from '../../store/memory/store.ts';
import { startNode } from './node.ts';

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
  readonly catalog: Catalog;
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

export function memoryLogger(logs: LogLine[]): Logger {
  const at =
    (level: string) =>
    (event: string, fields: object = {}) => {
      if (logs.length < 10_000) logs.push({ level, event, fields: { ...fields } });
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** Returns probers that note what they are asked; null: they stay silent. */
export function scriptedProbe(
  probed: ProbeRequest[],
  answerOf: (request: ProbeRequest) => ProbeAnswer | null,
): ProbeLink<ProbeRequest, ProbeAnswer> {
  return {
    submit: (request, done) => {
      probed.push(request);
      const answer = answerOf(request);
      if (answer !== null) setImmediate(() => done(answer));
    },
  };
}

/** Starts a node with an administrator, listening on a free port. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const logs: LogLine[] = [];
  const logger = memoryLogger(logs);
  const probed: ProbeRequest[] = [];
  const tested: NotificationDoc[] = [];
  const store = createMemoryStore();
  const node = await startNode({
    ...{ name: 'node1', incarnation: 'i1', store, logger, tested, cluster: null },
    limits: tenantLimits(options.mode ?? 'open', { cores: 2, memoryBytes: 2 ** 32 }),
    probe: scriptedProbe(probed, options.answer ?? observed),
  });
  const base: ApiPorts = {
    ...node.ports,
    limits: { ...defaultApiLimits, ...options.limits },
    web: options.web ?? new Map(),
  };
  const ports: ApiPorts = { ...base, ...options.ports?.(base) };
  const admin = (await bootstrapAdmin(base, { apiKey: adminKey })) as FirstAdmin;
  const api = await createApi(ports);
  const { url } = await api.listen({ host: '127.0.0.1', port: 0 });
  return {
    api,
    url,
    admin,
    store,
    ports,
    catalog: node.catalog,
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
      await store.close();
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
