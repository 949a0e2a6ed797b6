// Suppressions: quiet times of notification plans, entities, checks and alarms.
import type { SuppressionDoc } from '../../actors/resources.ts';
import { gone, named, ok } from '../answer.ts';
import { ask, linkTo, param, tenantKey } from '../call.ts';
import { changeOf } from '../change.ts';
import { createObject } from '../create.ts';
import {
  instant,
  listOf,
  object,
  pageQueryById,
  text,
  textOrNull,
  texts,
  wholeOrNull,
} from '../json-schema.ts';
import { pageOf } from '../page.ts';
import type { Route } from '../route.ts';
import { create, read, remove, update } from './define.ts';

const schema = object({
  id: text,
  label: textOrNull,
  notification_plans: texts,
  entities: texts,
  checks: texts,
  alarms: texts,
  start_time: instant,
  end_time: wholeOrNull,
  created_at: instant,
  updated_at: instant,
});

const tag = 'suppressions';

export const suppressionRoutes: readonly Route[] = [
  read({
    path: '/suppressions',
    id: 'listSuppressions',
    tag,
    summary: 'List suppressions',
    role: 'read',
    query: pageQueryById,
    returns: listOf(schema),
    handle: async (call) => {
      const all = await ask<readonly SuppressionDoc[]>(call, tenantKey(call), {
        kind: 'suppression.list',
      });
      return pageOf(call, all, (one) => one.id, { filterById: true });
    },
  }),
  create({
    path: '/suppressions',
    id: 'createSuppression',
    tag,
    summary: 'Create a suppression',
    takes: schema,
    handle: async (call) => {
      const id = await createObject(call, { kind: 'suppression', owner: () => tenantKey(call) });
      return named(201, id, linkTo(call, `/suppressions/${id}`));
    },
  }),
  read({
    path: '/suppressions/:suppression',
    id: 'getSuppression',
    tag,
    summary: 'Read a suppression',
    role: 'read',
    returns: schema,
    handle: async (call) =>
      ok(
        await ask<SuppressionDoc>(call, tenantKey(call), {
          kind: 'suppression.get',
          id: param(call, 'suppression'),
        }),
      ),
  }),
  update({
    path: '/suppressions/:suppression',
    id: 'updateSuppression',
    tag,
    summary: 'Change a suppression; after its start its end only',
    takes: schema,
    handle: async (call) => {
      const id = param(call, 'suppression');
      await ask(call, tenantKey(call), {
        kind: 'suppression.update',
        id,
        attributes: call.body,
        change: changeOf(call),
      });
      return named(204, id, linkTo(call, `/suppressions/${id}`));
    },
  }),
  remove({
    path: '/suppressions/:suppression',
    id: 'deleteSuppression',
    tag,
    summary: 'Delete a suppression; an active one ends at once',
    handle: async (call) => {
      const id = param(call, 'suppression');
      const message = { kind: 'suppression.delete', id, change: changeOf(call) };
      await ask(call, tenantKey(call), message);
      return gone();
    },
  }),
];
