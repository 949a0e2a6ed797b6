// Creating, changing and ending suppressions: the time windows and what may still change when (v1.0, suppressions).
// Pure; must not know what a suppression holds back (suppression.ts).
import { invalid, missing, refused } from '../refusal.ts';
import type { SuppressionDoc } from '../resources.ts';
import {
  type Attributes,
  array,
  integer,
  matching,
  type Schema,
  sameJson,
  string,
  validateAttributes,
} from '../validate.ts';
import { freshId, resourcesMax, tooLarge } from './attribute.ts';
import type { TenantDocuments } from './documents.ts';
import { edit, type Judged } from './edit.ts';
import type { TenantChange } from './messages.ts';
import { suppressionPhase } from './suppression.ts';

type Change = Extract<TenantChange, { kind: `suppression.${string}` }>;

/** An instant may lie this far in the past. */
const slackMs = 60_000;
const instantMax = 8_640_000_000_000_000;
const ids = { rule: array(string(1, 255), { max: 512 }), default: [] } as const;
const pairs = {
  rule: array(matching(/^[^:\s]{1,255}:[^:\s]{1,255}$/, 'Invalid key'), { max: 512 }),
  default: [],
} as const;

const schema: Schema = {
  label: { rule: string(1, 255) },
  notification_plans: ids,
  entities: ids,
  checks: pairs,
  alarms: pairs,
  start_time: { rule: integer(0, instantMax) },
  end_time: { rule: integer(0, instantMax) },
};

type Fields = Pick<
  SuppressionDoc,
  'label' | 'notification_plans' | 'entities' | 'checks' | 'alarms'
> & { readonly start_time: number | null; readonly end_time: number | null };

/** Judges one change of a suppression. Deleting an active one ends it at once. */
export function judgeSuppression(
  documents: TenantDocuments,
  message: Change,
  nowMs: number,
): Judged {
  if (message.kind === 'suppression.create') return create(documents, message, nowMs);
  const { id } = message;
  const current = documents.suppressions.get(id);
  if (current === undefined) return missing('Suppression', id);
  if (message.kind === 'suppression.delete') {
    return edit({ value: null, status: 204, suppressions: { [id]: null } });
  }
  return update(current, message.attributes, nowMs);
}

function create(
  documents: TenantDocuments,
  message: Extract<Change, { kind: 'suppression.create' }>,
  nowMs: number,
): Judged {
  const valid = validateAttributes(schema, message.attributes, 'create');
  if (!valid.ok) return valid;
  const given = valid.value as unknown as Fields;
  const id = freshId(message.id, documents.suppressions);
  const created: SuppressionDoc = {
    ...given,
    id,
    start_time: instant(given.start_time ?? 0, nowMs),
    end_time: given.end_time === null ? null : instant(given.end_time, nowMs),
    created_at: nowMs,
    updated_at: nowMs,
  };
  const room = roomFor(documents, nowMs);
  const refusal = misplaced(created, null, nowMs) ?? tooLarge(created);
  if (refusal !== null) return refusal;
  if (room === null)
    return refused('limitReached', `Limit of ${resourcesMax} suppressions has been reached`);
  return edit({ value: { id }, status: 201, suppressions: { ...room, [id]: created } });
}

function update(current: SuppressionDoc, attributes: Attributes, nowMs: number): Judged {
  const valid = validateAttributes(schema, attributes, 'update', { ...current });
  if (!valid.ok) return valid;
  const given = valid.value as unknown as Fields;
  const { id } = current;
  const changed: SuppressionDoc = {
    ...current,
    ...given,
    start_time: startOf(current, attributes, given, nowMs),
    end_time: given.end_time === null ? null : instant(given.end_time, nowMs),
    updated_at: nowMs,
  };
  const refusal =
    mutated(current, changed, nowMs) ?? misplaced(changed, current, nowMs) ?? tooLarge(changed);
  if (refusal !== null) return refusal;
  return edit({ value: { id }, status: 204, suppressions: { [id]: changed } });
}

function startOf(
  current: SuppressionDoc,
  attributes: Attributes,
  given: Fields,
  nowMs: number,
): number {
  if (attributes['start_time'] === undefined) return current.start_time;
  return instant(given.start_time ?? 0, nowMs);
}

/** 0 means now. */
function instant(atMs: number, nowMs: number): number {
  return atMs === 0 ? nowMs : atMs;
}

/** A suppression that has started changes its end only; equal values may be sent again. */
function mutated(current: SuppressionDoc, changed: SuppressionDoc, nowMs: number) {
  if (suppressionPhase(current, nowMs) === 'scheduled' || current.start_time > nowMs) return null;
  const keys = [
    'label',
    'notification_plans',
    'entities',
    'checks',
    'alarms',
    'start_time',
  ] as const;
  const key = keys.find((one) => !sameJson(current[one], changed[one]));
  if (key === undefined) return null;
  return invalid(key, 'Only end_time can be changed after the suppression has started');
}

/** Only instants that are new are compared with the clock: those of `before` were in time when they came. */
function misplaced(one: SuppressionDoc, before: SuppressionDoc | null, nowMs: number) {
  const lists = [one.notification_plans, one.entities, one.checks, one.alarms];
  if (lists.every((list) => list.length === 0)) {
    return refused(
      'badRequest',
      'Validation error',
      'At least one of notification_plans, entities, checks, alarms must be given',
    );
  }
  const earliestMs = nowMs - slackMs;
  if (one.start_time < earliestMs && one.start_time !== before?.start_time) {
    return invalid('start_time', 'Timestamp is in the past');
  }
  if (one.end_time === null) return null;
  if (one.end_time < earliestMs && one.end_time !== before?.end_time) {
    return invalid('end_time', 'Timestamp is in the past');
  }
  return one.end_time < one.start_time
    ? invalid('end_time', 'end_time is before start_time')
    : null;
}

/** Returns what has to go for one more: nothing, the suppression that ended first, or null where none has ended. */
function roomFor(documents: TenantDocuments, nowMs: number): Record<string, null> | null {
  if (documents.suppressions.size < resourcesMax) return {};
  const ended = [...documents.suppressions.values()]
    .filter((one) => suppressionPhase(one, nowMs) === 'ended')
    .sort((a, b) => (a.end_time ?? 0) - (b.end_time ?? 0));
  return ended[0] === undefined ? null : { [ended[0].id]: null };
}
