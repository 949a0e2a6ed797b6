// Answers of a tenant actor to questions, from memory. Pure; changes nothing.
import { accepted, missing, type Outcome } from '../refusal.ts';
import type { PlanDoc } from '../resources.ts';
import type { TenantDocuments } from './documents.ts';
import { alarmCounts, alarmsOfPlan, type Holdings } from './holding.ts';
import type { PlanView, TenantQuery, Usage } from './messages.ts';
import { preparedTest } from './notification-change.ts';
import { marksForPlan } from './suppression.ts';

const queryKinds: ReadonlySet<string> = new Set<TenantQuery['kind']>([
  'account.get',
  'limits.get',
  'usage.get',
  'notification.get',
  'notification.list',
  'plan.get',
  'plan.list',
  'suppression.get',
  'suppression.list',
  'plan.alarmCounts',
  'plan.alarms',
  'notification.prepareTest',
]);

/** True for a message that asks and changes nothing. */
export function isTenantQuery(message: { readonly kind: string }): message is TenantQuery {
  return queryKinds.has(message.kind);
}

/** Returns the answer to a question; lists are in id order. */
export function answer(
  documents: TenantDocuments,
  holdings: Holdings,
  query: TenantQuery,
  nowMs: number,
): Outcome<unknown> {
  switch (query.kind) {
    case 'account.get':
      return accepted(documents.account);
    case 'limits.get':
      return accepted(documents.limits);
    case 'usage.get':
      return accepted(usageOf(holdings));
    case 'notification.get':
      return found(documents.notifications, query.id, 'Notification');
    case 'notification.list':
      return accepted(inIdOrder(documents.notifications));
    case 'notification.prepareTest':
      return preparedTest(documents, query.id, query.attributes);
    case 'suppression.get':
      return found(documents.suppressions, query.id, 'Suppression');
    case 'suppression.list':
      return accepted(inIdOrder(documents.suppressions));
    default:
      return answerAboutPlans(documents, holdings, query, nowMs);
  }
}

function answerAboutPlans(
  documents: TenantDocuments,
  holdings: Holdings,
  query: Extract<TenantQuery, { kind: `plan.${string}` }>,
  nowMs: number,
): Outcome<unknown> {
  const view = (plan: PlanDoc): PlanView => ({
    ...plan,
    ...marksForPlan(documents, plan.id, nowMs),
  });
  switch (query.kind) {
    case 'plan.list':
      return accepted(inIdOrder(documents.plans).map(view));
    case 'plan.alarmCounts':
      return accepted(countsOf(documents, holdings));
    case 'plan.get': {
      const plan = found(documents.plans, query.id, 'NotificationPlan');
      return plan.ok ? accepted(view(plan.value)) : plan;
    }
    case 'plan.alarms': {
      const plan = found(documents.plans, query.id, 'NotificationPlan');
      return plan.ok ? accepted(alarmsOfPlan(holdings, query.id)) : plan;
    }
  }
}

function usageOf(holdings: Holdings): Usage {
  const { checks, alarms, entities } = holdings;
  return { checks, alarms, entities, agents: 0 };
}

/** Every plan of the tenant, those without alarms too. */
function countsOf(documents: TenantDocuments, holdings: Holdings) {
  const counts = alarmCounts(holdings);
  return inIdOrder(documents.plans).map(({ id }) => ({
    notification_plan_id: id,
    alarm_count: counts.get(id) ?? 0,
  }));
}

function found<Doc>(docs: ReadonlyMap<string, Doc>, id: string, type: string): Outcome<Doc> {
  const doc = docs.get(id);
  return doc === undefined ? missing(type, id) : accepted(doc);
}

function inIdOrder<Doc extends { readonly id: string }>(docs: ReadonlyMap<string, Doc>): Doc[] {
  return [...docs.values()].sort((a, b) => (a.id < b.id ? -1 : Number(a.id > b.id)));
}
