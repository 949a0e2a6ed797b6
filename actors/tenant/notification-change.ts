// Creating, changing and deleting notifications: attributes of all types, rules per type, and what uses one.
// Pure; must not know how a channel delivers.
import { isMailAddress } from '../notify/mail-address.ts';
import { accepted, invalid, missing, type Outcome, refused } from '../refusal.ts';
import type { NotificationDoc, NotificationType, PlanDoc } from '../resources.ts';
import {
  type Attributes,
  all,
  email,
  fail,
  hash,
  matching,
  oneOf,
  pass,
  type Rule,
  type Schema,
  shape,
  string,
  url,
  validateAttributes,
} from '../validate.ts';
import { freshId, full, metadata, tooLarge } from './attribute.ts';
import { builtInNotificationId, type TenantDocuments } from './documents.ts';
import { edit, type Judged } from './edit.ts';
import type { TenantChange } from './messages.ts';

type Change = Extract<TenantChange, { kind: `notification.${string}` }>;

const detailLimits = { k: [1, 255], v: [1, 4096], max: 256 } as const;
const uuid4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;

/** A mail address as the mail adapter takes it: ASCII only. */
export const mailAddress: Rule = all(email, (value) =>
  isMailAddress(value as string) ? pass(value) : fail('Invalid email'),
);

/** Details of each type; keys that a type does not name are kept. */
const detailSchemas: Readonly<Record<NotificationType, Schema>> = {
  webhook: { url: { rule: url(4096), required: true } },
  email: { address: { rule: mailAddress, required: true } },
  pagerduty: {
    service_key: { rule: matching(/^[A-Za-z0-9]{1,32}$/, 'Invalid service key'), required: true },
    service_endpoint: { rule: url(4096) },
  },
  sms: {
    phone_number: {
      rule: matching(/^\+[0-9]{6,15}$/, 'Invalid phone number'),
      required: true,
    },
  },
  victorops: {
    api_key: { rule: matching(uuid4, 'Invalid UUID'), required: true },
    routing_key: { rule: matching(/^[a-zA-Z0-9\-_.]{1,255}$/, 'Invalid routing key') },
  },
  atomHopper: { category: { rule: string(1, 255), required: true } },
  managed: {},
  technicalContactsEmail: {},
};

const types = Object.keys(detailSchemas);

const schema: Schema = {
  label: { rule: string(1, 255), required: true },
  type: { rule: oneOf(...types), required: true, immutable: true },
  details: { rule: hash(detailLimits) },
  metadata: { rule: metadata },
};

/** Judges one change of a notification. Built-ins and notifications that a plan names cannot be deleted (403). */
export function judgeNotification(
  documents: TenantDocuments,
  message: Change,
  nowMs: number,
): Judged {
  if (message.kind === 'notification.create') return create(documents, message, nowMs);
  const current = documents.notifications.get(message.id);
  if (current === undefined) return missing('Notification', message.id);
  if (message.id === builtInNotificationId) {
    return refused(
      'forbiddenError',
      `Notification "${message.id}" is built in and cannot be changed or removed`,
    );
  }
  return message.kind === 'notification.update'
    ? update(current, message, nowMs)
    : remove(documents, message.id);
}

/** Returns an unsaved notification (id '') for a test, or the stored one with this id. */
export function preparedTest(
  documents: TenantDocuments,
  id: string | null,
  attributes: Attributes,
): Outcome<NotificationDoc> {
  if (id !== null) {
    const stored = documents.notifications.get(id);
    return stored === undefined ? missing('Notification', id) : accepted(stored);
  }
  const valid = validated({ label: 'test', ...attributes });
  if (!valid.ok) return valid;
  return accepted({ ...valid.value, id: '', created_at: 0, updated_at: 0 });
}

function create(
  documents: TenantDocuments,
  message: Extract<Change, { kind: 'notification.create' }>,
  nowMs: number,
): Judged {
  const valid = validated(message.attributes);
  if (!valid.ok) return valid;
  const id = freshId(message.id, documents.notifications);
  const created = { ...valid.value, id, created_at: nowMs, updated_at: nowMs };
  const refusal = full('notifications', documents.notifications) ?? tooLarge(created);
  if (refusal !== null) return refusal;
  return edit({ value: { id }, status: 201, notifications: { [id]: created } });
}

function update(
  current: NotificationDoc,
  message: Extract<Change, { kind: 'notification.update' }>,
  nowMs: number,
): Judged {
  const { id } = current;
  const valid = validated(message.attributes, current);
  if (!valid.ok) return valid;
  const changed = { ...current, ...valid.value, updated_at: nowMs };
  const refusal = tooLarge(changed);
  if (refusal !== null) return refusal;
  return edit({ value: { id }, status: 204, notifications: { [id]: changed } });
}

function remove(documents: TenantDocuments, id: string): Judged {
  const users = [...documents.plans.values()].filter((plan) => names(plan, id));
  if (users.length === 0) return edit({ value: null, status: 204, notifications: { [id]: null } });
  const ids = users.map((plan) => plan.id).sort();
  return refused(
    'forbiddenError',
    `Notifications cannot be removed while notification plans are using it: ${ids.join(' ')}`,
  );
}

function names(plan: PlanDoc, id: string): boolean {
  return [plan.critical_state, plan.warning_state, plan.ok_state].some((ids) => ids.includes(id));
}

type Validated = Pick<NotificationDoc, 'label' | 'type' | 'details' | 'metadata'>;

function validated(attributes: Attributes, current?: NotificationDoc): Outcome<Validated> {
  const before = current === undefined ? undefined : { ...current };
  const valid = validateAttributes(schema, attributes, before ? 'update' : 'create', before);
  if (!valid.ok) return valid;
  const {
    label,
    type,
    details,
    metadata: extra,
  } = valid.value as unknown as Omit<Validated, 'details'> & {
    readonly details: Validated['details'] | null;
  };
  // Clients leave out an empty hash: required is only what a type needs.
  if (details === null && Object.keys(detailSchemas[type]).length > 0) {
    return invalid('details', 'Missing required key (details)');
  }
  const detailed = shape(detailSchemas[type], detailLimits)(details ?? {});
  if (!detailed.ok) {
    const path = detailed.key === undefined ? 'details' : `details.${detailed.key}`;
    const required = detailed.rule === 'Missing required key';
    return invalid(path, required ? `${detailed.rule} (${path})` : detailed.rule);
  }
  const kept = detailed.value as Validated['details'];
  return accepted({ label, type, details: kept, metadata: extra });
}
