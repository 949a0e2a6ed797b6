// Creating, changing and deleting notification plans. Pure; the built-in plan is immutable, a plan in use stays.
import { missing, refused, requiredMissing } from '../refusal.ts';
import type { PlanDoc } from '../resources.ts';
import { type Attributes, array, type Schema, string, validateAttributes } from '../validate.ts';
import { freshId, full, metadata, tooLarge } from './attribute.ts';
import { builtInPlanId, type TenantDocuments } from './documents.ts';
import { edit, type Judged } from './edit.ts';
import { alarmsOfPlan, type Holdings } from './holding.ts';
import type { TenantChange } from './messages.ts';

type Change = Extract<TenantChange, { kind: `plan.${string}` }>;

const channels = { rule: array(string(1, 255), { max: 512, unique: true }), default: [] } as const;

const schema: Schema = {
  label: { rule: string(1, 255), required: true },
  critical_state: channels,
  warning_state: channels,
  ok_state: channels,
  metadata: { rule: metadata },
};

type Validated = Pick<
  PlanDoc,
  'label' | 'critical_state' | 'warning_state' | 'ok_state' | 'metadata'
>;

/** Judges one change of a plan. Deletion is refused (403) while alarms of the tenant name the plan. */
export function judgePlan(
  documents: TenantDocuments,
  holdings: Holdings,
  message: Change,
  nowMs: number,
): Judged {
  if (message.kind === 'plan.create') return create(documents, message, nowMs);
  const current = documents.plans.get(message.id);
  if (current === undefined) return missing('NotificationPlan', message.id);
  if (message.id === builtInPlanId) {
    return refused(
      'forbiddenError',
      `Notification plan "${message.id}" is built in and cannot be changed or removed`,
    );
  }
  return message.kind === 'plan.update'
    ? update(documents, current, message.attributes, nowMs)
    : remove(holdings, message.id);
}

function create(
  documents: TenantDocuments,
  message: Extract<Change, { kind: 'plan.create' }>,
  nowMs: number,
): Judged {
  const valid = validateAttributes(schema, message.attributes, 'create');
  if (!valid.ok) return valid;
  const id = freshId(message.id, documents.plans);
  const fields = valid.value as unknown as Validated;
  const created: PlanDoc = { ...fields, id, created_at: nowMs, updated_at: nowMs };
  const refusal =
    full('notification plans', documents.plans) ??
    unknownChannel(documents, created) ??
    tooLarge(created);
  if (refusal !== null) return refusal;
  return edit({ value: { id }, status: 201, plans: { [id]: created } });
}

function update(
  documents: TenantDocuments,
  current: PlanDoc,
  attributes: Attributes,
  nowMs: number,
): Judged {
  const valid = validateAttributes(schema, attributes, 'update', { ...current });
  if (!valid.ok) return valid;
  const { id } = current;
  const changed = { ...current, ...(valid.value as unknown as Validated), updated_at: nowMs };
  const refusal = unknownChannel(documents, changed) ?? tooLarge(changed);
  if (refusal !== null) return refusal;
  return edit({ value: { id }, status: 204, plans: { [id]: changed } });
}

/** Alarms named in the refusal, at most: the text goes into a header-sized message. */
const namedAlarmsMax = 100;

function remove(holdings: Holdings, id: string): Judged {
  const users = alarmsOfPlan(holdings, id).map((one) => one.alarm);
  if (users.length === 0) return edit({ value: null, status: 204, plans: { [id]: null } });
  return refused(
    'forbiddenError',
    `Notification plans cannot be removed while alarms are using it: ${users.slice(0, namedAlarmsMax).join(' ')}`,
  );
}

function unknownChannel(documents: TenantDocuments, plan: PlanDoc) {
  const ids = [...plan.critical_state, ...plan.warning_state, ...plan.ok_state];
  const unknown = ids.find((id) => !documents.notifications.has(id));
  return unknown === undefined ? null : requiredMissing('Notification', unknown);
}
