// One request as a handler sees it: who asks, what for, and the ports to answer with. Owns asking actors and naming objects.
// Must not know Fastify or the wire.
import type { Outcome } from '../actors/refusal.ts';
import { type ActorKey, actorKey } from '../runtime/ids.ts';
import type { AskOptions } from '../runtime/message.ts';
import { askActor, type Question } from './actor-ask.ts';
import type { Principal } from './authenticate.ts';
import type { Attributes } from './body.ts';
import { ApiError, notFound, ofRefusal } from './errors.ts';
import type { ApiPorts } from './ports.ts';
import type { RateLimits } from './rate-limits.ts';
import type { RouteFacts } from './route-facts.ts';
import type { Services } from './services.ts';

export interface Call {
  readonly ports: ApiPorts;
  readonly services: Services;
  readonly rates: RateLimits;
  readonly route: RouteFacts;
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Path with query, as requested. */
  readonly url: string;
  readonly address: string;
  readonly body: Attributes;
  readonly bodyBytes: Buffer | null;
  readonly txnId: string;
  /** `https://host:port` of absolute links. */
  readonly origin: string;
  /** null on public routes only. */
  readonly principal: Principal | null;
}

const idForm = /^[A-Za-z0-9_.:@-]{1,64}$/;

/** Returns who asks; a public route has nobody and must not call this. */
export function principalOf(call: Call): Principal {
  if (call.principal === null) throw new ApiError('unauthorizedError', 'A token is needed');
  return call.principal;
}

/** Returns the tenant that the request acts in: the token's, or the one that an operator named. */
export function tenantOfCall(call: Call): string {
  return call.route.tenant === 'named' ? param(call, 'tenant') : principalOf(call).tenant;
}

/** Returns a path parameter; a route's handler names only what its path holds. */
export function param(call: Call, name: string): string {
  return call.params[name] ?? '';
}

/** Returns the tenant actor's key. */
export function tenantKey(call: Call): ActorKey {
  return actorKey(tenantOfCall(call));
}

/** Returns the key of an entity; throws the 404 of `type` for a text that cannot be an id. */
export function entityKey(call: Call, entity: string): ActorKey {
  if (!idForm.test(entity)) throw notFound('Entity', entity.slice(0, 80));
  return actorKey(`${tenantOfCall(call)}/${entity}`);
}

/** Asks an actor and returns the accepted value; throws the ApiError of a refusal, `TocsinError` where nobody answered. */
export function ask<Value>(
  call: Call,
  key: ActorKey,
  message: Question,
  options?: AskOptions,
): Promise<Value> {
  return askActor(call.ports, key, message, options);
}

/** As `ask`, with null for what does not exist. */
export async function askOrNull<Value>(
  call: Call,
  key: ActorKey,
  message: Question,
): Promise<Value | null> {
  const outcome = await call.ports.router.ask<Outcome<Value>>(key, message);
  if (outcome.ok) return outcome.value;
  const { type } = outcome.error;
  if (type === 'notFoundError' || type === 'parentNotFoundError') return null;
  throw ofRefusal(outcome.error);
}

/** Returns the absolute URL of a path below the tenant's base. */
export function linkTo(call: Call, path: string): string {
  return `${call.origin}/v1.0/${tenantOfCall(call)}${path}`;
}
