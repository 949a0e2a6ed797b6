// Changes of an entity's alarms. New criteria start counting anew but keep the state; a disabled alarm forgets its zones.
// Must not know how attributes are validated or criteria evaluated.
import { assert } from '../../runtime/assert.ts';
import { type AlarmReferences, createAlarm, updateAlarm } from '../alarm/alarm.ts';
import { accepted, missing, type Outcome, refused } from '../refusal.ts';
import type { AlarmDoc } from '../resources.ts';
import { builtInPlanId, type TenantDocuments } from '../tenant/documents.ts';
import { freeId } from './check-changes.ts';
import { committed, deleted, madeByOf, written } from './commit.ts';
import type { EntityChange } from './messages.ts';
import { reported } from './report.ts';
import {
  type AlarmState,
  alarmOf,
  checkOf,
  childKey,
  entityIdOf,
  exists,
  newAlarm,
  withAlarm,
} from './state.ts';
import type { Turn } from './turn.ts';

/** An entity holds at most so many alarms: its soft state stays below the codec's limit. */
const alarmsMax = 1000;

type Of<Kind extends EntityChange['kind']> = Extract<EntityChange, { readonly kind: Kind }>;

function referencesOf(turn: Turn, documents: TenantDocuments): AlarmReferences {
  return {
    entity: entityIdOf(turn.state),
    hasCheck: (id) => checkOf(turn.state, id) !== null,
    hasPlan: (id) => id === builtInPlanId || documents.plans.has(id),
  };
}

const notYet = () =>
  refused(
    'systemFailureError',
    'Try again',
    "The tenant's documents are not loaded on this node yet",
  );

export function alarmCreated(turn: Turn, message: Of<'alarm.create'>): Outcome<unknown> {
  const { state, context } = turn;
  assert(exists(state), 'what does not exist was refused before');
  const madeBy = madeByOf(message.change);
  const { id, isFree } = freeId(message.id, madeBy, state.alarms);
  if (!isFree) return accepted({ id });
  if (state.alarms.length >= alarmsMax) {
    return refused(
      'limitReached',
      'Limit has been reached',
      `An entity has at most ${alarmsMax} alarms`,
    );
  }
  if (context.documents === null) return notYet();
  const valid = createAlarm(message.attributes, referencesOf(turn, context.documents));
  if (!valid.ok) return valid;
  const { nowMs } = context;
  const doc = {
    id,
    ...valid.value,
    entity_id: entityIdOf(state),
    created_at: nowMs,
    updated_at: nowMs,
  };
  const alarm = newAlarm({ doc, madeBy, rev: 1 }, context);
  turn.state = withAlarm(state, alarm);
  const { kind, change } = message;
  committed(turn, { kind, id, change, value: { id }, written: [written('alarm', alarm)] });
  reported(turn);
  return accepted({ id });
}

export function alarmUpdated(turn: Turn, message: Of<'alarm.update'>): Outcome<unknown> {
  const { state, context } = turn;
  const before = alarmOf(state, message.id);
  if (before === null) return missing('Alarm', childKey(state, message.id));
  if (context.documents === null) return notYet();
  const valid = updateAlarm(before.doc, message.attributes, referencesOf(turn, context.documents));
  if (!valid.ok) return valid;
  const { id, entity_id, created_at } = before.doc;
  const doc: AlarmDoc = { id, ...valid.value, entity_id, created_at, updated_at: context.nowMs };
  const alarm = recounted(turn, before, { ...before, doc, rev: before.rev + 1 });
  turn.state = withAlarm(state, alarm);
  const { kind, change } = message;
  committed(turn, { kind, id, change, value: { id }, written: [written('alarm', alarm)] });
  if (doc.notification_plan_id !== before.doc.notification_plan_id) reported(turn);
  return accepted({ id });
}

function recounted(turn: Turn, before: AlarmState, after: AlarmState): AlarmState {
  const isSame =
    before.doc.criteria === after.doc.criteria && before.doc.disabled === after.doc.disabled;
  if (isSame) return after;
  return { ...after, zones: [], error: null, startedMonoMs: turn.context.monoMs };
}

export function alarmDeleted(turn: Turn, message: Of<'alarm.delete'>): Outcome<unknown> {
  const alarm = alarmOf(turn.state, message.id);
  if (alarm === null) return missing('Alarm', childKey(turn.state, message.id));
  const alarms = turn.state.alarms.filter((one) => one !== alarm);
  turn.state = { ...turn.state, alarms };
  const value = { checks: [], alarms: [message.id] };
  const { kind, id, change } = message;
  committed(turn, { kind, id, change, value, written: [deleted('alarm', alarm)] });
  reported(turn);
  return accepted(value);
}
