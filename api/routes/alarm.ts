// Alarms of an entity: create, list, read, change, delete, and trying criteria on observations.
import type { AlarmView } from '../../actors/entity/messages.ts';
import { gone, named, ok } from '../answer.ts';
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
  state,
  text,
  textOrNull,
  texts,
} from '../json-schema.ts';
import { pageOf } from '../page.ts';
import type { Route } from '../route.ts';
import { testAlarm } from '../test-alarm.ts';
import { create, read, remove, test, update } from './define.ts';

export const alarmSchema = object({
  id: text,
  entity_id: text,
  check_id: text,
  notification_plan_id: text,
  criteria: { type: ['string', 'null'], maxLength: 16_384 },
  label: textOrNull,
  disabled: flag,
  metadata: hash,
  confd_name: textOrNull,
  confd_hash: textOrNull,
  active_suppressions: texts,
  scheduled_suppressions: texts,
  created_at: instant,
  updated_at: instant,
});

const tag = 'alarms';
const base = '/entities/:entity/alarms';

export const alarmRoutes: readonly Route[] = [
  read({
    path: base,
    id: 'listAlarms',
    tag,
    summary: 'List the alarms of an entity',
    role: 'read',
    query: pageQueryById,
    returns: listOf(alarmSchema),
    handle: async (call) => {
      const alarms = await ask<readonly AlarmView[]>(call, owner(call), { kind: 'alarm.list' });
      return pageOf(call, alarms, (alarm) => alarm.id, { filterById: true });
    },
  }),
  create({
    path: base,
    id: 'createAlarm',
    tag,
    summary: 'Create an alarm',
    takes: { ...alarmSchema, required: ['check_id', 'notification_plan_id'] },
    handle: async (call) => {
      const entity = param(call, 'entity');
      const key = owner(call);
      const id = await createObject(call, {
        kind: 'alarm',
        owner: () => key,
        reserve: () => ({ what: 'alarm', entity }),
      });
      return named(201, id, linkTo(call, `/entities/${entity}/alarms/${id}`));
    },
  }),
  read({
    path: `${base}/:alarm`,
    id: 'getAlarm',
    tag,
    summary: 'Read an alarm',
    role: 'read',
    returns: alarmSchema,
    handle: async (call) =>
      ok(await ask<AlarmView>(call, owner(call), { kind: 'alarm.get', id: param(call, 'alarm') })),
  }),
  update({
    path: `${base}/:alarm`,
    id: 'updateAlarm',
    tag,
    summary: 'Change an alarm',
    takes: alarmSchema,
    handle: async (call) => {
      const id = param(call, 'alarm');
      const message = { kind: 'alarm.update', id, attributes: call.body, change: changeOf(call) };
      await ask(call, owner(call), message);
      return named(204, id, linkTo(call, `/entities/${param(call, 'entity')}/alarms/${id}`));
    },
  }),
  remove({
    path: `${base}/:alarm`,
    id: 'deleteAlarm',
    tag,
    summary: 'Delete an alarm',
    handle: async (call) => {
      const id = param(call, 'alarm');
      await ask(call, owner(call), { kind: 'alarm.delete', id, change: changeOf(call) });
      return gone();
    },
  }),
  test({
    path: '/entities/:entity/test-alarm',
    id: 'testAlarm',
    tag,
    summary: 'Evaluate criteria over observations: the state changes',
    takes: object({ criteria: textOrNull, check_data: array(object({})) }, [
      'criteria',
      'check_data',
    ]),
    rate: 'test_alarm',
    returns: array(object({ timestamp: instant, state, status: text })),
    handle: async (call) => {
      const changes = await testAlarm(call.ports, call.body);
      await ask(call, owner(call), { kind: 'entity.get' });
      return ok(changes);
    },
  }),
];

function owner(call: Call) {
  return entityKey(call, param(call, 'entity'));
}
