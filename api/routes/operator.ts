// Tenants of the installation, for operators: list, create, limits. Own routes: unknown body keys are refused.
import type { AccountDoc, LimitsDoc } from '../../actors/resources.ts';
import { type Answer, named, ok } from '../answer.ts';
import { ask, type Call, param, tenantKey } from '../call.ts';
import { changeOf, seedOf } from '../change.ts';
import { badRequest, invalidKey, notFound } from '../errors.ts';
import {
  array,
  listOf,
  object,
  pageQuery,
  text,
  texts,
  whole,
  wholeOrNull,
} from '../json-schema.ts';
import { objectId } from '../object-id.ts';
import { pageOf } from '../page.ts';
import type { Route } from '../route.ts';
import type { Method } from '../route-facts.ts';
import { createTenant, tenantItem } from '../tenant-create.ts';
import { tenantIdForm } from '../user.ts';
import { change, read } from './define.ts';

const tenant = object({ id: text, label: text, created_at: wholeOrNull });
const rates = object({
  global: whole,
  test_check: whole,
  test_alarm: whole,
  test_notification: whole,
  traceroute: whole,
});
const limits = object({ checks: whole, alarms: whole, entities: whole, rate: rates });
const tag = 'operator';

/** A route without a tenant in its path, for operators. */
function installation(route: Route, path: string): Route {
  return { ...route, path: `/v1.0/operator${path}`, tenant: 'none', role: 'operator', own: true };
}

/** A route of one tenant, named in the path, for operators. */
export function ofTenant(route: Route, path: string): Route {
  return { ...route, path: `/v1.0/operator/tenants/:tenant${path}`, tenant: 'named', own: true };
}

export function operatorRow(
  method: Exclude<Method, 'GET'>,
  row: Parameters<typeof change>[1],
): Route {
  return { ...change(method, row), role: 'operator' };
}

export const operatorRoutes: readonly Route[] = [
  installation(
    read({
      path: '',
      id: 'listTenants',
      tag,
      summary: 'List tenants',
      role: 'operator',
      query: pageQuery,
      returns: listOf(tenant),
      handle: listTenants,
    }),
    '/tenants',
  ),
  installation(
    operatorRow('POST', {
      path: '',
      id: 'createTenant',
      tag,
      summary: 'Create a tenant',
      role: 'operator',
      takes: object({ id: text, label: text }),
      status: 201,
      audit: 'api',
      handle: makeTenant,
    }),
    '/tenants',
  ),
  installation(
    read({
      path: '',
      id: 'getFindings',
      tag,
      summary: 'What is wrong or set unwisely on any node, and which nodes did not answer',
      role: 'operator',
      returns: object({
        findings: array(object({ node: text, level: text, topic: text, text })),
        answered_by: text,
        unreachable: texts,
      }),
      handle: async (call) => ok(await call.ports.findings()),
    }),
    '/doctor',
  ),
  ofTenant(
    read({
      path: '',
      id: 'getTenantLimits',
      tag,
      summary: 'Read the limits of a tenant',
      role: 'operator',
      returns: limits,
      handle: async (call) =>
        ok(await ask<LimitsDoc>(call, tenantKey(call), { kind: 'limits.get' })),
    }),
    '/limits',
  ),
  ofTenant(
    operatorRow('PUT', {
      path: '',
      id: 'updateTenantLimits',
      tag,
      summary: 'Change the limits of a tenant',
      role: 'operator',
      takes: limits,
      status: 204,
      audit: 'actor',
      handle: updateLimits,
    }),
    '/limits',
  ),
];

const tenantsMax = 1_000;

async function listTenants(call: Call): Promise<Answer> {
  const records = await call.ports.accounts.listTenants(tenantsMax);
  return pageOf(call, records.map(tenantItem), (one) => one.id);
}

async function makeTenant(call: Call): Promise<Answer> {
  const { id, label } = call.body;
  const seed = seedOf(changeOf(call));
  const wanted = id === undefined ? derivedId(seed) : id;
  if (typeof wanted !== 'string' || !tenantIdForm.test(wanted)) {
    throw invalidKey('id', 'Must be 1 to 64 of a-z, 0-9, :, ., _, - and not "operator"');
  }
  if (label !== undefined && (typeof label !== 'string' || label.length > 255)) {
    throw invalidKey('label', 'String is not in range (0..255)');
  }
  const isNew = await createTenant(call.ports, {
    tenant: wanted,
    label: label ?? wanted,
    limits: call.ports.tenantLimits,
    change: changeOf(call),
  });
  if (!isNew) throw badRequest('The tenant exists', `Tenant "${wanted}" exists`);
  return named(201, wanted, `${call.origin}/v1.0/operator/tenants/${wanted}/limits`);
}

/** Digits, as tenant ids normally are. */
function derivedId(seed: string): string {
  const letters = objectId('installation', 'entity', seed, 0);
  const digits = [...letters].map((letter) => letter.charCodeAt(0) % 10).join('');
  return `1${digits}`;
}

async function updateLimits(call: Call): Promise<Answer> {
  const key = tenantKey(call);
  const before = await ask<LimitsDoc>(call, key, { kind: 'limits.get' });
  const message = {
    kind: 'limits.update',
    limits: mergedLimits(before, call),
    change: changeOf(call),
  };
  await ask(call, key, message);
  const id = param(call, 'tenant');
  return named(204, id, `${call.origin}/v1.0/operator/tenants/${id}/limits`);
}

function mergedLimits(before: LimitsDoc, call: Call): LimitsDoc {
  const { checks, alarms, entities, rate } = call.body;
  const given = (typeof rate === 'object' && rate !== null ? rate : {}) as Record<string, unknown>;
  const unknown = Object.keys(given).find((type) => !Object.hasOwn(before.rate, type));
  if (unknown !== undefined) throw invalidKey(`rate.${unknown}`, 'Unknown key');
  const rateAfter = Object.entries(before.rate).map(([type, limit]) => [
    type,
    limitOf(`rate.${type}`, given[type], limit),
  ]);
  return {
    checks: limitOf('checks', checks, before.checks),
    alarms: limitOf('alarms', alarms, before.alarms),
    entities: limitOf('entities', entities, before.entities),
    rate: Object.fromEntries(rateAfter) as LimitsDoc['rate'],
  };
}

function limitOf(key: string, given: unknown, before: number): number {
  if (given === undefined) return before;
  if (typeof given === 'number' && Number.isSafeInteger(given) && given >= 0) return given;
  throw invalidKey(key, 'Invalid integer');
}

/** Throws 404 where the tenant in the path does not exist. */
export async function demandKnownTenant(call: Call): Promise<AccountDoc> {
  const documents = await call.ports.documents(param(call, 'tenant'));
  if (documents === null) throw notFound('Account', param(call, 'tenant').slice(0, 80));
  return documents.account;
}
