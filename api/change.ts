// What travels with a change of configuration: who, why, the request's hash and its audit part with secrets taken out.
// Owns what counts as a secret in a request. Must not know where the audit is written.
import { createHash } from 'node:crypto';
import type { Change } from '../actors/change.ts';
import { type Call, param } from './call.ts';
import { badRequest } from './errors.ts';

const payloadCharactersMax = 16_384;
const headersKept = ['host', 'user-agent', 'content-type', 'accept'] as const;
const parametersDropped = new Set(['x-auth-token', 'jsonp']);

/** Keys whose values are secrets wherever they stand in a body. */
const secretKeys =
  /^(password|auth_password|apikey|api_key|service_key|routing_key|token|webhook_token|signing_secret|secret|authorization|cookie)$/i;

/** Returns the change that this request makes. Throws 400 for a bad Idempotency-Key, `_who` or `_why`. */
export function changeOf(call: Call): Change {
  const path = call.url.split('?')[0] ?? '';
  const hash = createHash('sha256').update(`${call.route.method} ${path}\n`);
  if (call.bodyBytes !== null) hash.update(call.bodyBytes);
  return {
    txnId: call.txnId,
    who: note(call, '_who') ?? call.principal?.user ?? null,
    why: note(call, '_why'),
    idempotencyKey: idempotencyKey(call),
    requestHash: hash.digest('hex'),
    audit: auditPart(call, path),
  };
}

/** Returns the text that a new object's id is derived from. */
export function seedOf(change: Change): string {
  return change.idempotencyKey ?? change.txnId;
}

function note(call: Call, name: string): string | null {
  const text = call.query.get(name);
  if (text === null || text === '') return null;
  if (text.length > 512) throw badRequest(`'${name}' is longer than 512 characters`);
  return text;
}

function idempotencyKey(call: Call): string | null {
  const key = call.headers['idempotency-key'];
  if (key === undefined) return null;
  if (typeof key === 'string' && /^[\x20-\x7e]{1,128}$/.test(key)) return key;
  throw badRequest('Idempotency-Key must be 1 to 128 printable ASCII characters');
}

function auditPart(call: Call, path: string): Change['audit'] {
  const headers: Record<string, string> = {};
  for (const name of headersKept) {
    const value = call.headers[name];
    if (typeof value === 'string') headers[name] = value.slice(0, 512);
  }
  // `who` is what the client says; this is who asked.
  if (call.principal !== null) headers['x-user-name'] = call.principal.user;
  return {
    method: call.route.method,
    url: redactedPath(call, path),
    app: appOf(call.route.path),
    query: queryPart(call.query),
    headers,
    payload: payloadOf(call),
  };
}

/** Collections that an audit record can name. */
const apps = new Set([
  'account',
  'entities',
  'checks',
  'alarms',
  'notifications',
  'notification_plans',
  'suppressions',
  'alarm_examples',
  'monitoring_zones',
  'agent_tokens',
  'agent_installers',
  'agents',
  'tenants',
  'users',
]);

/** The resource in a route's path: its last segment that names a collection. */
function appOf(path: string): string {
  if (path.includes('/test-notification')) return 'notifications';
  if (path.includes('/multiplot')) return 'rollups';
  const segments = path.split('/').filter((segment) => apps.has(segment));
  return segments.at(-1) ?? 'account';
}

function redactedPath(call: Call, path: string): string {
  const token = param(call, 'token');
  return token === '' ? path : path.replace(token, '[redacted]');
}

function queryPart(query: URLSearchParams): Readonly<Record<string, string>> | null {
  const kept: Record<string, string> = {};
  for (const [name, value] of query) {
    if (parametersDropped.has(name.toLowerCase()) || name === '__proto__') continue;
    kept[name.slice(0, 128)] = value.slice(0, 512);
  }
  return Object.keys(kept).length === 0 ? null : kept;
}

function payloadOf(call: Call): string {
  if (Object.keys(call.body).length === 0) return '';
  const text = JSON.stringify(call.body, (key, value: unknown) =>
    secretKeys.test(key) && value !== null && value !== '' ? '[redacted]' : value,
  );
  return text.length > payloadCharactersMax ? `${text.slice(0, payloadCharactersMax)}…` : text;
}
