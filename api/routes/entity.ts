// Entities: create, list, read, change, delete.
import type { EntityView } from '../../actors/entity/messages.ts';
import { actorKey } from '../../runtime/ids.ts';
import { type Answer, gone, named, ok } from '../answer.ts';
import { ask, type Call, entityKey, linkTo, param, tenantOfCall } from '../call.ts';
import { changeOf } from '../change.ts';
import { createObject } from '../create.ts';
import { chosenPage, entityPage } from '../entity-list.ts';
import {
  flag,
  hash,
  instant,
  listOf,
  object,
  pageQueryById,
  text,
  textOrNull,
  texts,
} from '../json-schema.ts';
import { envelope, pageRequest } from '../page.ts';
import { valuesOf } from '../query.ts';
import type { Route } from '../route.ts';
import { create, read, remove, update } from './define.ts';

export const entitySchema = object({
  id: text,
  label: { type: 'string', minLength: 1, maxLength: 255 },
  ip_addresses: hash,
  metadata: hash,
  agent_id: textOrNull,
  managed: flag,
  uri: textOrNull,
  active_suppressions: texts,
  scheduled_suppressions: texts,
  created_at: instant,
  updated_at: instant,
});

const tag = 'entities';

export const entityRoutes: readonly Route[] = [
  read({
    path: '/entities',
    id: 'listEntities',
    tag,
    summary: 'List entities',
    role: 'read',
    query: pageQueryById,
    returns: listOf(entitySchema),
    handle: list,
  }),
  create({
    path: '/entities',
    id: 'createEntity',
    tag,
    summary: 'Create an entity',
    takes: { ...entitySchema, required: ['label'] },
    handle: async (call) => {
      const tenant = tenantOfCall(call);
      const id = await createObject(call, {
        kind: 'entity',
        owner: (candidate) => actorKey(`${tenant}/${candidate}`),
        reserve: (candidate) => ({ what: 'entity', entity: candidate }),
      });
      return named(201, id, linkTo(call, `/entities/${id}`));
    },
  }),
  read({
    path: '/entities/:entity',
    id: 'getEntity',
    tag,
    summary: 'Read an entity',
    role: 'read',
    returns: entitySchema,
    handle: async (call) =>
      ok(
        await ask<EntityView>(call, entityKey(call, param(call, 'entity')), { kind: 'entity.get' }),
      ),
  }),
  update({
    path: '/entities/:entity',
    id: 'updateEntity',
    tag,
    summary: 'Change an entity',
    takes: entitySchema,
    handle: async (call) => {
      const id = param(call, 'entity');
      const message = { kind: 'entity.update', attributes: call.body, change: changeOf(call) };
      await ask(call, entityKey(call, id), message);
      return named(204, id, linkTo(call, `/entities/${id}`));
    },
  }),
  remove({
    path: '/entities/:entity',
    id: 'deleteEntity',
    tag,
    summary: 'Delete an entity with its checks and alarms',
    handle: async (call) => {
      const key = entityKey(call, param(call, 'entity'));
      await ask(call, key, { kind: 'entity.delete', change: changeOf(call) });
      return gone();
    },
  }),
];

async function list(call: Call): Promise<Answer> {
  const request = pageRequest(call);
  const chosen = valuesOf(call.query, 'id');
  const page =
    chosen.length === 0
      ? await entityPage<EntityView>(call, request, 'entity.get')
      : await chosenPage<EntityView>(call, chosen, request, 'entity.get');
  return envelope(call, page.items, request, page.next, page.extra);
}
