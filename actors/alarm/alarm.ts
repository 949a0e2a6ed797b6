// An alarm's attributes: validation of create and partial update (api.md §9.6), criteria included.
// Must not know the alarm's state or how a plan is resolved.
import { murmur3 } from '../../runtime/ids.ts';
import { CriteriaError, criteriaCache } from '../criteria/criteria.ts';
import { accepted, type Outcome, refused, requiredMissing } from '../refusal.ts';
import type { AlarmDoc } from '../resources.ts';
import {
  type Attributes,
  boolean,
  hash,
  type Schema,
  string,
  validateAttributes,
} from '../validate.ts';

/** An alarm without what the server sets. */
export type AlarmAttributes = Omit<AlarmDoc, 'id' | 'entity_id' | 'created_at' | 'updated_at'>;

/** What an alarm's body may refer to. */
export interface AlarmReferences {
  readonly entity: string;
  readonly hasCheck: (id: string) => boolean;
  readonly hasPlan: (id: string) => boolean;
}

const criteriaCharactersMax = 16_384;

const schema: Schema = {
  check_id: { rule: string(1, 255), required: true, immutable: true },
  notification_plan_id: { rule: string(1, 255), required: true },
  criteria: { rule: string(1, criteriaCharactersMax) },
  label: { rule: string(1, 255) },
  disabled: { rule: boolean, default: false },
  metadata: { rule: hash({ k: [1, 255], max: 256 }) },
};

/**
 * Returns a new alarm's attributes, or the refusal: `badRequest` naming the key, `requiredNotFoundError` for an unknown
 * check or plan, `alarmParseError` for criteria that don't compile.
 */
export function createAlarm(
  attributes: Attributes,
  known: AlarmReferences,
): Outcome<AlarmAttributes> {
  const valid = validateAttributes(schema, attributes, 'create');
  return valid.ok ? referring(valid.value as unknown as AlarmAttributes, null, known) : valid;
}

/** Returns the alarm's attributes after a partial update; refusals as `createAlarm`. A plan that went is kept if not sent. */
export function updateAlarm(
  current: AlarmDoc,
  attributes: Attributes,
  known: AlarmReferences,
): Outcome<AlarmAttributes> {
  const {
    id: _id,
    entity_id: _entity,
    created_at: _created,
    updated_at: _updated,
    ...kept
  } = current;
  const valid = validateAttributes(schema, attributes, 'update', kept);
  return valid.ok ? referring(valid.value as unknown as AlarmAttributes, current, known) : valid;
}

function referring(
  alarm: AlarmAttributes,
  current: AlarmDoc | null,
  known: AlarmReferences,
): Outcome<AlarmAttributes> {
  if (!known.hasCheck(alarm.check_id)) {
    return requiredMissing('Check', `${known.entity}:${alarm.check_id}`);
  }
  const plan = alarm.notification_plan_id;
  if (plan !== current?.notification_plan_id && !known.hasPlan(plan)) {
    return requiredMissing('NotificationPlan', plan);
  }
  return alarm.criteria === current?.criteria ? accepted(alarm) : compiling(alarm);
}

function compiling(alarm: AlarmAttributes): Outcome<AlarmAttributes> {
  try {
    criteriaCache.get(alarm.criteria);
    return accepted(alarm);
  } catch (error) {
    if (!(error instanceof CriteriaError)) throw error;
    return refused('alarmParseError', 'Alarm criteria could not be parsed', {
      input: error.input,
      error_position: error.position,
      error_line: error.line,
      error_column: error.column,
      error_token: error.token,
      message: error.message,
    });
  }
}

/** Returns the fingerprint of criteria, by which stored results are known to be theirs; 0: no criteria. */
export function criteriaFingerprint(criteria: string | null): number {
  return criteria === null ? 0 : murmur3(Buffer.from(criteria, 'utf8'));
}
