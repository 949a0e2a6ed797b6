// Checks of an entity: create, list, read, change, delete, and running one once from each of its zones.
import type { CheckView } from '../../actors/entity/messages.ts';
import { type Answer, gone, named, ok } from '../answer.ts';
import { ask, type Call, entityKey, linkTo, param } from '../call.ts';
import { changeOf } from '../change.ts';
import { createObject } from '../create.ts';
import {
  array,
  flag,
  hash,
  instant,
  listOf,
  object,
  pageQueryById,
  text,
  textOrNull,
  texts,
  whole,
} from '../json-schema.ts';
import { pageOf } from '../page.ts';
import { flagOf } from '../query.ts';
import type { Route } from '../route.ts';
import { create, read, remove, test, update } from './define.ts';

export const checkSchema = object({
  id: text,
  type: text,
  label: textOrNull,
  details: { type: 'object', additionalProperties: true },
  monitoring_zones_poll: { type: ['array', 'null'], items: text },
  period: whole,
  timeout: whole,
  target_alias: textOrNull,
  target_hostname: textOrNull,
  target_resolver: textOrNull,
  disabled: flag,
  collectors: texts,
  metadata: hash,
  confd_name: textOrNull,
  confd_hash: textOrNull,
  active_suppressions: texts,
  scheduled_suppressions: texts,
  created_at: instant,
  updated_at: instant,
});

const result = object({
  timestamp: instant,
  monitoring_zone_id: textOrNull,
  available: flag,
  status: text,
  metrics: { type: 'object', additionalProperties: object({ type: text, data: text, unit: text }) },
});

const tag = 'checks';
const debug = {
  debug: { type: 'string', description: '`true`: remote.http adds the body' },
} as const;
const base = '/entities/:entity/checks';

export const checkRoutes: readonly Route[] = [
  read({
    path: base,
    id: 'listChecks',
    tag,
    summary: 'List the checks of an entity',
    role: 'readChecks',
    query: pageQueryById,
    returns: listOf(checkSchema),
    handle: async (call) => {
      const checks = await ask<readonly CheckView[]>(call, owner(call), { kind: 'check.list' });
      return pageOf(call, checks, (check) => check.id, { filterById: true });
    },
  }),
  create({
    path: base,
    id: 'createCheck',
    tag,
    summary: 'Create a check',
    takes: { ...checkSchema, required: ['type'] },
    handle: async (call) => {
      const entity = param(call, 'entity');
      const key = owner(call);
      const id = await createObject(call, {
        kind: 'check',
        owner: () => key,
        reserve: () => ({ what: 'check', entity }),
      });
      return named(201, id, linkTo(call, `/entities/${entity}/checks/${id}`));
    },
  }),
  read({
    path: `${base}/:check`,
    id: 'getCheck',
    tag,
    summary: 'Read a check',
    role: 'readChecks',
    returns: checkSchema,
    handle: async (call) =>
      ok(await ask<CheckView>(call, owner(call), { kind: 'check.get', id: param(call, 'check') })),
  }),
  update({
    path: `${base}/:check`,
    id: 'updateCheck',
    tag,
    summary: 'Change a check',
    takes: checkSchema,
    handle: async (call) => {
      const id = param(call, 'check');
      const message = { kind: 'check.update', id, attributes: call.body, change: changeOf(call) };
      await ask(call, owner(call), message);
      return named(204, id, linkTo(call, `/entities/${param(call, 'entity')}/checks/${id}`));
    },
  }),
  remove({
    path: `${base}/:check`,
    id: 'deleteCheck',
    tag,
    summary: 'Delete a check with its alarms',
    handle: async (call) => {
      const id = param(call, 'check');
      await ask(call, owner(call), { kind: 'check.delete', id, change: changeOf(call) });
      return gone();
    },
  }),
  test({
    path: '/entities/:entity/test-check',
    id: 'testCheck',
    tag,
    summary: 'Run a check that is not stored, once in each zone',
    takes: { ...checkSchema, required: ['type'] },
    rate: 'test_check',
    query: debug,
    returns: array(result),
    handle: (call) => run(call, null),
  }),
  test({
    path: `${base}/:check/test`,
    id: 'testExistingCheck',
    tag,
    summary: 'Run a copy of a stored check, once in each zone',
    bodyUse: 'ignored',
    rate: 'test_check',
    query: debug,
    returns: array(result),
    handle: (call) => run(call, param(call, 'check')),
  }),
];

function owner(call: Call) {
  return entityKey(call, param(call, 'entity'));
}

async function run(call: Call, id: string | null): Promise<Answer> {
  const wantsDebug = flagOf(call.query, 'debug');
  const { testChecks } = call.services;
  const prepared = await testChecks.prepare(owner(call), {
    id,
    attributes: call.body,
    debug: wantsDebug,
  });
  return ok(await testChecks.run(prepared, wantsDebug));
}
