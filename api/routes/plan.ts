// Notification plans, their counts of alarms, and the private list of the managed support.
import { builtInPlanId } from '../../actors/tenant/documents.ts';
import type { PlanView } from '../../actors/tenant/messages.ts';
import { type Answer, gone, named, ok } from '../answer.ts';
import { ask, type Call, linkTo, param, principalOf, tenantKey } from '../call.ts';
import { changeOf } from '../change.ts';
import { createObject } from '../create.ts';
import {
  hash,
  listOf,
  object,
  pageQuery,
  pageQueryById,
  text,
  texts,
  wholeOrNull,
} from '../json-schema.ts';
import { pageOf, wholeList } from '../page.ts';
import type { Route } from '../route.ts';
import { create, read, remove, update } from './define.ts';

const states = { type: ['array', 'null'], items: text } as const;

const schema = object({
  id: text,
  label: text,
  critical_state: states,
  warning_state: states,
  ok_state: states,
  metadata: hash,
  active_suppressions: texts,
  scheduled_suppressions: texts,
  created_at: wholeOrNull,
  updated_at: wholeOrNull,
});

const tag = 'notification plans';

export const planRoutes: readonly Route[] = [
  read({
    path: '/notification_plans',
    id: 'listNotificationPlans',
    tag,
    summary: 'List notification plans',
    role: 'read',
    query: pageQueryById,
    returns: listOf(schema),
    handle: async (call) =>
      pageOf(call, await plans(call), (plan) => plan.id, { filterById: true }),
  }),
  create({
    path: '/notification_plans',
    id: 'createNotificationPlan',
    tag,
    summary: 'Create a notification plan',
    takes: { ...schema, required: ['label'] },
    handle: async (call) => {
      const id = await createObject(call, { kind: 'plan', owner: () => tenantKey(call) });
      return named(201, id, linkTo(call, `/notification_plans/${id}`));
    },
  }),
  read({
    path: '/notification_plans/:plan',
    id: 'getNotificationPlan',
    tag,
    summary: 'Read a notification plan',
    role: 'read',
    returns: schema,
    handle: async (call) =>
      ok(await ask<PlanView>(call, tenantKey(call), { kind: 'plan.get', id: param(call, 'plan') })),
  }),
  update({
    path: '/notification_plans/:plan',
    id: 'updateNotificationPlan',
    tag,
    summary: 'Change a notification plan',
    takes: schema,
    handle: async (call) => {
      const id = param(call, 'plan');
      const message = { kind: 'plan.update', id, attributes: call.body, change: changeOf(call) };
      await ask(call, tenantKey(call), message);
      return named(204, id, linkTo(call, `/notification_plans/${id}`));
    },
  }),
  remove({
    path: '/notification_plans/:plan',
    id: 'deleteNotificationPlan',
    tag,
    summary: 'Delete a notification plan that no alarm uses',
    handle: async (call) => {
      const id = param(call, 'plan');
      await ask(call, tenantKey(call), { kind: 'plan.delete', id, change: changeOf(call) });
      return gone();
    },
  }),
  read({
    path: '/private/reach/notification_plans',
    id: 'listReachNotificationPlans',
    tag,
    summary: 'Plans in the order of the managed support: its own first',
    role: 'read',
    query: pageQuery,
    returns: listOf(schema),
    handle: reach,
  }),
];

function plans(call: Call): Promise<readonly PlanView[]> {
  return ask<readonly PlanView[]>(call, tenantKey(call), { kind: 'plan.list' });
}

const managedPlanId = 'npManaged';

/** Plans with an `atomHopper` notification first and the managed one left out; without such plans the managed one first. */
async function reach(call: Call): Promise<Answer> {
  const all = await plans(call);
  const { notifications } = principalOf(call).documents;
  const isHopper = (plan: PlanView): boolean =>
    [plan.critical_state, plan.warning_state, plan.ok_state]
      .flatMap((ids) => ids ?? [])
      .some((id) => notifications.get(id)?.type === 'atomHopper');
  const first = all.filter(isHopper);
  if (first.length === 0) {
    const rank = (plan: PlanView): number => (plan.id === managedPlanId ? 0 : 1);
    return wholeList([...all].sort((a, b) => rank(a) - rank(b)));
  }
  const rest = all.filter((plan) => !isHopper(plan) && plan.id !== managedPlanId);
  const last = (plan: PlanView): number => (plan.id === builtInPlanId ? 1 : 0);
  return wholeList([...first, ...rest.sort((a, b) => last(a) - last(b))]);
}
