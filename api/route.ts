// A route of the API as data: everything that the server, the served description and the tests need to know of it.
// A table of such routes is the only way to add one; `checkRoutes` refuses a table with a hole.
import { TocsinError } from '../runtime/errors.ts';
import type { Answer } from './answer.ts';
import type { Call } from './call.ts';
import type { RouteFacts } from './route-facts.ts';

export interface Route extends RouteFacts {
  readonly handle: (call: Call) => Promise<Answer>;
}

/** Names in a path: what they are, for the description. A path with another name is refused. */
export const pathParameters: Readonly<Record<string, string>> = {
  tenant: 'Id of the tenant',
  entity: 'Id of an entity',
  check: 'Id of a check',
  alarm: 'Id of an alarm',
  type: 'Id of a type',
  notification: 'Id of a notification',
  plan: 'Id of a notification plan',
  suppression: 'Id of a suppression',
  zone: 'Id of a monitoring zone',
  example: 'Id of an alarm example',
  item: 'Id of a history item',
  agent: 'Id of an agent',
  connection: 'Id of a connection',
  token: 'A token',
  installer: 'Id of an installer',
  metric: 'Name of a metric',
  user: 'Name of a user',
};

const parts = ['method', 'path', 'id', 'tag', 'summary', 'role', 'tenant'] as const;
const moreParts = ['rate', 'audit', 'query', 'body', 'response', 'own', 'handle'] as const;

/** Throws `AP_ROUTE_INCOMPLETE` where a route lacks a part, or two have one id or one method and path. */
export function checkRoutes(routes: readonly Route[]): void {
  const seen = new Set<string>();
  for (const route of routes) {
    const fault = faultOf(route) ?? repeated(route, seen);
    if (fault === null) continue;
    const name = `${route.method ?? '?'} ${route.path ?? '?'}`;
    throw new TocsinError('AP_ROUTE_INCOMPLETE', `route ${name}: ${fault}`);
  }
}

/** Returns the names in a path. */
export function namesIn(path: string): readonly string[] {
  return [...path.matchAll(/:(\w+)/g)].map((match) => match[1] as string);
}

function faultOf(route: Route): string | null {
  for (const part of [...parts, ...moreParts]) {
    if (route[part] === undefined || route[part] === '') return `lacks ${part}`;
  }
  const names = namesIn(route.path);
  const unknown = names.find((name) => pathParameters[name] === undefined);
  if (unknown !== undefined) return `unknown path parameter ${unknown}`;
  if (names.includes('tenant') === (route.tenant === 'none')) return 'tenant rule and path differ';
  if (route.tenant === 'named' && route.role !== 'operator') return 'only operators name a tenant';
  if (route.method === 'GET') return route.audit === 'none' ? null : 'a read has no audit record';
  if (route.role === 'public') return null;
  return route.audit === 'none' ? 'a change needs an audit rule' : null;
}

function repeated(route: Route, seen: Set<string>): string | null {
  const place = `${route.method} ${route.path}`;
  if (seen.has(place)) return 'is there twice';
  if (seen.has(route.id)) return `operation id ${route.id} is there twice`;
  seen.add(place);
  seen.add(route.id);
  return null;
}
