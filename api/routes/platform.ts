// What is no tenant's: discovery, the page's files, health, metrics, the served descriptions. No token needed, but for the
// JSON home, which names the tenant.
import { createHash } from 'node:crypto';
import { type Answer, ok } from '../answer.ts';
import { type Call, tenantOfCall } from '../call.ts';
import { array, flag, object, text, texts } from '../json-schema.ts';
import type { ApiPorts, WebFile } from '../ports.ts';
import type { Route } from '../route.ts';
import { read } from './define.ts';

const open = {
  method: 'GET',
  tag: 'platform',
  role: 'public',
  tenant: 'none',
  rate: 'global',
  audit: 'none',
  query: {},
  body: null,
  own: true,
} as const;

const health = object({ status: text, reasons: texts });
const version = object({ id: text, status: text, links: array(object({})) });

export interface Described {
  readonly describe: () => unknown;
  readonly routes: readonly Route[];
}

/** Returns the routes that are no tenant's. `described`: the OpenAPI document, and the routes for the JSON home. */
export function platformRoutes(ports: ApiPorts, described: Described): readonly Route[] {
  return [
    {
      ...open,
      path: '/',
      id: 'discover',
      summary: 'The page, or for other clients the versions served',
      response: { status: 200, schema: object({ versions: array(version) }) },
      handle: async (call) => (wantsPage(call) ? pageFile(call, '/') : discovery(call)),
    },
    {
      ...open,
      path: '/v1.0',
      id: 'discoverVersion',
      summary: 'The versions served',
      response: { status: 200, schema: object({ versions: array(version) }) },
      handle: async (call) => discovery(call),
    },
    {
      ...open,
      path: '/openapi.json',
      id: 'getOpenApi',
      summary: 'This description',
      response: { status: 200, schema: object({ openapi: text }) },
      handle: async () => ok(described.describe()),
    },
    {
      ...open,
      path: '/livez',
      id: 'getLive',
      summary: 'Is the process alive?',
      response: { status: 200, schema: health },
      handle: async (call) => healthAnswer(call.ports.health().live, []),
    },
    {
      ...open,
      path: '/readyz',
      id: 'getReady',
      summary: 'Does the node take its part? If not, why',
      response: { status: 200, schema: object({ ...health.properties, ready: flag }) },
      handle: async (call) => {
        const { ready, reasons } = call.ports.health();
        return healthAnswer(ready, reasons);
      },
    },
    {
      ...open,
      path: '/metrics',
      id: 'getNodeMetrics',
      summary: 'Metrics of this node in the Prometheus text format',
      response: { status: 200, schema: { type: 'string' }, type: 'text/plain' },
      handle: async (call) => {
        const { type, text: body } = await call.ports.metricsText();
        return { kind: 'bytes', status: 200, type, bytes: Buffer.from(body) };
      },
    },
    read({
      path: '/__experiments/json_home',
      id: 'getJsonHome',
      tag: 'platform',
      summary: 'The routes as a JSON home document',
      role: 'read',
      returns: object({ resources: object({}) }),
      handle: async (call) => ok(jsonHome(call, described.routes)),
    }),
    ...[...ports.web.keys()].filter((path) => path !== '/').map(pageRoute),
  ];
}

function pageRoute(path: string): Route {
  return {
    ...open,
    tag: 'page',
    path,
    id: `page ${path}`,
    summary: 'A file of the page',
    response: { status: 200, schema: { type: 'string' } },
    handle: async (call) => pageFile(call, path),
  };
}

function wantsPage(call: Call): boolean {
  const accept = call.headers['accept'];
  return typeof accept === 'string' && accept.includes('text/html') && call.ports.web.has('/');
}

function discovery(call: Call): Answer {
  const { origin, ports } = call;
  return ok({
    product: 'tocsin',
    version: ports.node.version,
    versions: [{ id: 'v1.0', status: 'CURRENT', links: [{ rel: 'self', href: `${origin}/v1.0` }] }],
    links: [
      { rel: 'identity', href: `${origin}/v2.0/tokens` },
      { rel: 'describedby', href: `${origin}/openapi.json` },
    ],
  });
}

function healthAnswer(isGood: boolean, reasons: readonly string[]): Answer {
  const body = { status: isGood ? 'ok' : 'not ready', ready: isGood, reasons };
  return { kind: 'json', status: isGood ? 200 : 503, body };
}

const pageHeaders = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self' data:; " +
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'",
  'Strict-Transport-Security': 'max-age=31536000',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-cache',
} as const;

const tags = new WeakMap<WebFile, string>();

function pageFile(call: Call, path: string): Answer {
  const file = call.ports.web.get(path) as WebFile;
  const tag = tags.get(file) ?? entityTag(file);
  tags.set(file, tag);
  const headers = { ...pageHeaders, ETag: tag };
  if (call.headers['if-none-match'] === tag) return { kind: 'empty', status: 304, headers };
  return { kind: 'bytes', status: 200, type: file.type, bytes: file.bytes, headers };
}

/** Weak: the same bytes go out plain or compressed. */
function entityTag(file: WebFile): string {
  const hash = createHash('sha256').update(file.bytes).digest('base64url');
  return `W/"${hash.slice(0, 22)}"`;
}

function jsonHome(call: Call, routes: readonly Route[]): unknown {
  const base = `/v1.0/${tenantOfCall(call)}`;
  const allowed = new Map<string, string[]>();
  for (const { path, method } of routes) {
    if (!path.startsWith('/v1.0/:tenant')) continue;
    const template = path.replace('/v1.0/:tenant', base).replace(/:(\w+)/g, '{$1}');
    allowed.set(template, [...(allowed.get(template) ?? []), method]);
  }
  const resources = [...allowed].map(([template, allow]) => [
    `${call.origin}${template}`,
    {
      [template.includes('{') ? 'href-template' : 'href']: template,
      hints: { allow },
    },
  ]);
  return { resources: Object.fromEntries(resources) };
}
