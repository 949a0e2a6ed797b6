// The way of a request before its handler: who asks, may they, how often, for which tenant. In this order: 401, 403 (tenant),
// 429, 403 (role). Makes the Call. Must not know Fastify's lifecycle (server.ts) or the wire (respond.ts).
import type { FastifyRequest } from 'fastify';
import { demandRole, demandTenant, type Principal, tooMany } from './authenticate.ts';
import type { Call } from './call.ts';
import { ApiError, badRequest, notFound } from './errors.ts';
import type { ApiPorts } from './ports.ts';
import type { RateCharge, RateClass, RateLimits } from './rate-limits.ts';
import type { AnswerContext } from './respond.ts';
import type { Route } from './route.ts';
import type { Services } from './services.ts';
import { tenantIdForm } from './user.ts';

/** What is known of a request from its first byte on; filled as it is admitted. */
export interface RequestState {
  readonly txnId: string;
  readonly origin: string;
  readonly query: URLSearchParams;
  readonly jsonp: string | null;
  charge: RateCharge;
  call: Call | null;
}

export interface AdmitPorts {
  readonly ports: ApiPorts;
  readonly services: Services;
  readonly rates: RateLimits;
}

const callbackForm = /^[A-Za-z_$][\w$]{0,63}(\.[A-Za-z_$][\w$]{0,63}){0,3}$/;

/** Returns the state of a request that has just come in. Never throws. */
export function beginRequest(
  ports: ApiPorts,
  request: FastifyRequest,
  txnId: string,
): RequestState {
  const query = queryOf(request.raw.url ?? '');
  const callback = request.method === 'GET' && query !== noQuery ? query.get('jsonp') : null;
  return {
    txnId,
    origin: originOf(ports, request),
    query,
    jsonp: callback !== null && callbackForm.test(callback) ? callback : null,
    charge: { ...noCharge(ports, 'global') },
    call: null,
  };
}

/** Admits a request to its route, or throws the ApiError that refuses it. Fills `state.charge` and `state.call`. */
export async function admit(
  { ports, services, rates }: AdmitPorts,
  state: RequestState,
  request: FastifyRequest,
  route: Route,
): Promise<void> {
  if (request.method === 'GET' && state.query.has('jsonp') && state.jsonp === null) {
    throw badRequest('The JSONP callback is not a valid name');
  }
  const principal =
    route.role === 'public'
      ? null
      : await services.authenticator.principal(tokenOf(request, state), request.ip);
  const params = request.params as Readonly<Record<string, string>>;
  state.call = {
    ports,
    services,
    rates,
    route,
    params,
    query: state.query,
    headers: request.headers,
    url: request.raw.url ?? '/',
    address: request.ip,
    body: {},
    bodyBytes: null,
    txnId: state.txnId,
    origin: state.origin,
    principal,
  };
  if (principal === null) return;
  demandTenantRule(route, principal, params['tenant'] ?? '');
  state.charge = chargeOf(rates, principal, route.rate);
  if (state.charge.refused) {
    throw tooMany('Rate limit has been reached', state.charge.resetSeconds);
  }
  demandRole(principal, route.role);
}

/** A named tenant's id must be one: with a slash in it, it would be the key of another actor. */
function demandTenantRule(route: Route, principal: Principal, inPath: string): void {
  if (route.tenant === 'path') demandTenant(principal, inPath);
  if (route.tenant === 'named' && !tenantIdForm.test(inPath)) {
    demandRole(principal, route.role);
    throw notFound('Account', inPath.slice(0, 80));
  }
}

function chargeOf(rates: RateLimits, principal: Principal, type: RateClass): RateCharge {
  return rates.charge(principal.tenant, type, principal.documents.limits.rate[type]);
}

function noCharge(ports: ApiPorts, type: RateClass): RateCharge {
  const limit = ports.tenantLimits.rate[type];
  return { type, limit, used: 0, refused: false, resetSeconds: 1 };
}

/** The header; the query only for JSONP, which can send no header. */
function tokenOf(request: FastifyRequest, state: RequestState): string | undefined {
  const header = request.headers['x-auth-token'];
  if (typeof header === 'string' && header !== '') return header;
  if (state.jsonp === null) return undefined;
  for (const [name, value] of state.query) {
    if (name.toLowerCase() === 'x-auth-token') return value;
  }
  return undefined;
}

/** Most requests have no query; nobody writes to it. */
const noQuery = new URLSearchParams();

function queryOf(url: string): URLSearchParams {
  const at = url.indexOf('?');
  return at === -1 ? noQuery : new URLSearchParams(url.slice(at + 1));
}

/** Links name the host that the client used; a forwarded host is never believed. */
function originOf(ports: ApiPorts, request: FastifyRequest): string {
  if (ports.node.publicUrl !== null) return ports.node.publicUrl;
  const host = request.headers.host ?? '';
  if (/^[A-Za-z0-9._\-:[\]]{1,255}$/.test(host)) return `${request.protocol}://${host}`;
  const { localAddress, localPort } = request.socket;
  return `${request.protocol}://${localAddress ?? 'localhost'}:${localPort ?? 80}`;
}

/** Returns what respond.ts needs of the request. */
export function answerContext(
  ports: ApiPorts,
  state: RequestState,
  request: FastifyRequest,
): AnswerContext {
  const accepted = request.headers['accept-encoding'];
  return {
    method: request.method,
    txnId: state.txnId,
    nodeId: ports.node.id,
    charge: state.charge,
    acceptEncoding: typeof accepted === 'string' ? accepted : '',
    hasOrigin: request.headers.origin !== undefined,
    jsonp: state.jsonp,
  };
}

/** The 414 of a URL that is too long, or null. */
export function urlFault(ports: ApiPorts, request: FastifyRequest): ApiError | null {
  const length = request.raw.url?.length ?? 0;
  if (length <= ports.limits.urlBytesMax) return null;
  const message = `The URL is longer than ${ports.limits.urlBytesMax} bytes`;
  return new ApiError('requestTooLargeError', message, { status: 414 });
}
