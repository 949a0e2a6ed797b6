// A node with two tenants: one that attacks, one that is full of canaries. Knows the operations that the node describes.
import type { TestNode } from '../integration/harness.ts';
import { type Answered, ApiClient } from './api-client.ts';

/** Stands in every text of the tenant that must not be seen. */
export const canary = 'canary-4c1f9b';

export interface Operation {
  readonly id: string;
  readonly method: string;
  /** With `{name}` for parameters. */
  readonly path: string;
  readonly role: string;
  readonly parameters: readonly string[];
  readonly query: readonly string[];
  readonly hasBody: boolean;
}

interface Described {
  readonly operationId: string;
  readonly description?: string;
  readonly parameters?: readonly { readonly in: string; readonly name: string }[];
  readonly requestBody?: unknown;
}

/** Ids by the parameter that takes them. */
export type Ids = Readonly<Record<string, readonly string[]>>;

export interface World {
  readonly client: ApiClient;
  readonly operations: readonly Operation[];
  readonly attacker: { readonly tenant: string; readonly ids: Ids };
  readonly victim: { readonly tenant: string; readonly ids: Ids; readonly token: string };
  readonly tokens: {
    readonly operator: string;
    readonly admin: string;
    readonly observer: string;
    readonly revoked: string;
  };
}

async function operationsOf(client: ApiClient): Promise<readonly Operation[]> {
  const { text } = await client.ask({ method: 'GET', path: '/openapi.json' });
  const { paths } = JSON.parse(text) as { paths: Record<string, Record<string, Described>> };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]) => ({
      id: one.operationId,
      method: method.toUpperCase(),
      path,
      role: /Role class: (\w+)/.exec(one.description ?? '')?.[1] ?? 'public',
      parameters: [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] as string),
      query: (one.parameters ?? []).flatMap(({ in: place, name }) =>
        place === 'query' ? [name] : [],
      ),
      hasBody: one.requestBody !== undefined,
    })),
  );
}

/** The node allows no connection at all: whatever is fuzzed into a check or channel goes nowhere. */
export const sealed: Readonly<Record<string, string>> = { TOCSIN_EGRESS_DENY: '0.0.0.0/0,::/0' };

/** Makes the tenants and their objects on a started node. */
export async function makeWorld(node: TestNode): Promise<World> {
  const client = new ApiClient(node.port);
  const { tenantId: attacker, token: operator } = node.admin;
  const victim = 'victim';
  const post = (path: string, body: object, token: string) => demand(client, path, body, token);
  await post('/v1.0/operator/tenants', { id: victim }, operator);
  await post('/v1.0/operator/tenants', { id: 'fuzzland' }, operator);
  const user = (tenant: string, name: string, role: string) =>
    makeUser(client, operator, { tenant, name, role });
  const admin = await user(attacker, 'attacker-admin', 'admin');
  const observer = await user(attacker, 'attacker-observer', 'observer');
  const owner = await user(victim, 'victim-admin', 'admin');
  const revoked = await user(attacker, 'attacker-gone', 'admin');
  await client.ask({ method: 'DELETE', path: `/v2.0/tokens/${revoked}`, token: revoked });
  return {
    client,
    operations: await operationsOf(client),
    attacker: { tenant: attacker, ids: await furnish(client, attacker, admin, 'mine') },
    victim: { tenant: victim, ids: await furnish(client, victim, owner, canary), token: owner },
    tokens: { operator, admin, observer, revoked },
  };
}

async function demand(
  client: ApiClient,
  path: string,
  body: object,
  token: string | null,
): Promise<Answered> {
  const headers = { 'Content-Type': 'application/json' };
  const answer = await client.ask({
    method: 'POST',
    path,
    token,
    headers,
    body: JSON.stringify(body),
  });
  if (answer.status >= 300 || answer.status <= 0) {
    throw new Error(`POST ${path}: ${answer.status} ${answer.text}`);
  }
  return answer;
}

async function makeUser(
  client: ApiClient,
  operator: string,
  wanted: { readonly tenant: string; readonly name: string; readonly role: string },
): Promise<string> {
  const { tenant, name, role } = wanted;
  const path = `/v1.0/operator/tenants/${tenant}/users`;
  const made = await demand(client, path, { name, roles: [role] }, operator);
  const { apiKey } = JSON.parse(made.text) as { apiKey: string };
  const auth = { 'RAX-KSKEY:apiKeyCredentials': { username: name, apiKey } };
  const { text } = await demand(client, '/v2.0/tokens', { auth }, null);
  const { access } = JSON.parse(text) as { access: { token: { id: string } } };
  return access.token.id;
}

/** Makes one of everything, with `mark` in every text. */
async function furnish(
  client: ApiClient,
  tenant: string,
  token: string,
  mark: string,
): Promise<Ids> {
  const base = `/v1.0/${tenant}`;
  const make = async (path: string, body: object): Promise<string> =>
    idOf(await demand(client, `${base}${path}`, body, token));
  const metadata = { note: mark };
  const entity = await make('/entities', {
    label: mark,
    ip_addresses: { main: '127.0.0.1' },
    metadata,
  });
  const notification = await make('/notifications', {
    label: mark,
    type: 'webhook',
    details: { url: `http://127.0.0.1:1/${mark}` },
    metadata,
  });
  const plan = await make('/notification_plans', {
    label: mark,
    critical_state: [notification],
    warning_state: [notification],
    ok_state: [notification],
    metadata,
  });
  const check = await make(`/entities/${entity}/checks`, {
    label: mark,
    type: 'remote.http',
    details: { url: `http://127.0.0.1:1/${mark}` },
    monitoring_zones_poll: ['mzlocal'],
    target_alias: 'main',
    period: 1,
    timeout: 1,
    metadata,
  });
  const alarm = await make(`/entities/${entity}/alarms`, {
    label: mark,
    check_id: check,
    notification_plan_id: plan,
    criteria: `return new AlarmStatus(CRITICAL, '${mark}');`,
    metadata,
  });
  const suppression = await make('/suppressions', { label: mark, alarms: [`${entity}:${alarm}`] });
  return {
    entity: [entity],
    check: [check],
    alarm: [alarm],
    notification: [notification],
    plan: [plan],
    suppression: [suppression],
  };
}

/** Returns the id of what a POST made. */
export function idOf(answer: Answered): string {
  const header = answer.headers['x-object-id'];
  return typeof header === 'string' ? header : '';
}
