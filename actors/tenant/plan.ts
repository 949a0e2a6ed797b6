// Which channels a notification plan gives for a state, and the built-in plan and notification that every tenant has.
// Owns the look-up in the node's copy of the tenant's documents; must not know alarms or delivery.
import type { AlarmStateName, NotificationDoc, PlanDoc } from '../resources.ts';
import { builtInNotificationId, builtInPlanId, type TenantDocuments } from './documents.ts';

/** The channel to the account's technical contacts. Always listed, never stored, immutable. */
export const builtInNotification: NotificationDoc = {
  id: builtInNotificationId,
  label: 'Technical Contacts - Email',
  type: 'technicalContactsEmail',
  details: {},
  metadata: null,
  created_at: 0,
  updated_at: 0,
};

/** The plan that tells the technical contacts of every state. Always listed, never stored, immutable. */
export const builtInPlan: PlanDoc = {
  id: builtInPlanId,
  label: 'Technical Contacts - Email',
  critical_state: [builtInNotificationId],
  warning_state: [builtInNotificationId],
  ok_state: [builtInNotificationId],
  metadata: null,
  created_at: null,
  updated_at: null,
};

export interface PlanChannels {
  /** The plan that applies: the named one, or the built-in one where that is missing. */
  readonly plan: PlanDoc;
  /** True: the named plan does not exist; the alarm shows the condition `plan-missing`. */
  readonly missing: boolean;
  /** Each channel once, in the plan's order; none for the state UNKNOWN. */
  readonly notifications: readonly NotificationDoc[];
}

/** Returns the plan and the channels that a transition to `state` notifies. Channels that are gone are left out. */
export function channelsFor(
  documents: TenantDocuments,
  planId: string,
  state: AlarmStateName,
): PlanChannels {
  const named = planId === builtInPlanId ? builtInPlan : documents.plans.get(planId);
  const plan = named ?? builtInPlan;
  const notifications: NotificationDoc[] = [];
  for (const id of new Set(idsFor(plan, state))) {
    const channel =
      id === builtInNotificationId ? builtInNotification : documents.notifications.get(id);
    if (channel !== undefined) notifications.push(channel);
  }
  return { plan, missing: named === undefined, notifications };
}

function idsFor(plan: PlanDoc, state: AlarmStateName): readonly string[] {
  switch (state) {
    case 'CRITICAL':
      return plan.critical_state;
    case 'WARNING':
      return plan.warning_state;
    case 'OK':
      return plan.ok_state;
    default:
      return [];
  }
}
