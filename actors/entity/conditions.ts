// What stands beside an entity's alarm states: conditions that say that monitoring itself is impaired. Derived when asked,
// from ages and counts, so that nothing has to be set or cleared in time. Must not know messages.
import { isFresh, type Quorum, zonesNeeded, zonesReporting } from '../alarm/zones.ts';
import { CriteriaError } from '../criteria/criteria.ts';
import { builtInPlanId } from '../tenant/documents.ts';
import { criteriaOf, quorumOf } from './evaluation.ts';
import type { Condition } from './messages.ts';
import { quietSlotsMax } from './polling.ts';
import { type AlarmState, type CheckState, checkOf, type EntityState } from './state.ts';
import type { EntityContext } from './turn.ts';

/** Returns all conditions of an entity: its own, those of its checks, then those of its alarms, by id. */
export function conditionsOf(state: EntityState, context: EntityContext): readonly Condition[] {
  return [
    ...quarantined(context),
    ...state.checks.flatMap((check) => checkConditions(check)),
    ...state.alarms.flatMap((alarm) => alarmConditions(state, alarm, context)),
  ];
}

/** Returns the conditions that an alarm is impaired by: its own and its check's. */
export function conditionsOfAlarm(
  state: EntityState,
  alarm: AlarmState,
  context: EntityContext,
): readonly Condition[] {
  const check = checkOf(state, alarm.doc.check_id);
  const ofCheck = check === null ? [] : checkConditions(check);
  return [...quarantined(context), ...ofCheck, ...alarmConditions(state, alarm, context)];
}

function quarantined({ quarantine }: EntityContext): readonly Condition[] {
  if (quarantine === undefined) return [];
  const text = `The entity is in quarantine, nothing of it runs until an operator releases it: ${quarantine.reason}`;
  const of = { check_id: null, alarm_id: null };
  return [{ name: 'quarantined', since_ms: quarantine.atMs, ...of, text }];
}

function checkConditions(check: CheckState): readonly Condition[] {
  const { doc } = check;
  if (doc.disabled) return [];
  const conditions: Condition[] = [];
  const of = { check_id: doc.id, alarm_id: null };
  if (check.quietSlots > quietSlotsMax) {
    const reasons = new Set(check.zones.flatMap((zone) => zone.failure?.message ?? []));
    const why = reasons.size === 0 ? '' : `: ${[...reasons].join('; ')}`;
    const text = `No zone has observed check ${doc.id} for ${check.quietSlots - 1} periods${why}`;
    conditions.push({ name: 'not-being-checked', since_ms: check.quietSinceMs, ...of, text });
  }
  const offline = check.zones.filter((zone) => zone.failure?.why === 'local-network');
  if (offline.length > 0) {
    const zones = offline.map((zone) => zone.zone).join(', ');
    const sinceMs = Math.min(...offline.map((zone) => zone.failure?.sinceMs ?? 0));
    const text = `The prober's own network fails in ${zones}: nothing is known of the target from there`;
    conditions.push({ name: 'local-network', since_ms: sinceMs, ...of, text });
  }
  return conditions;
}

function alarmConditions(
  state: EntityState,
  alarm: AlarmState,
  context: EntityContext,
): readonly Condition[] {
  const check = checkOf(state, alarm.doc.check_id);
  if (check === null || check.doc.disabled || alarm.doc.disabled) return [];
  const of = { check_id: check.doc.id, alarm_id: alarm.doc.id };
  const conditions: Condition[] = [];
  const criteria = criteriaOf(alarm.doc.criteria);
  if (criteria instanceof CriteriaError) {
    const text = `The criteria cannot be evaluated: ${criteria.message}`;
    const sinceMs = alarm.error?.sinceMs ?? state.loadedAtMs;
    conditions.push({ name: 'evaluation-error', since_ms: sinceMs, ...of, text });
  } else {
    const short = insufficient(alarm, quorumOf(check, criteria, context.monoMs), context);
    if (short !== null) conditions.push({ name: 'insufficient-zones', ...short, ...of });
  }
  const plan = alarm.doc.notification_plan_id;
  if (isPlanMissing(alarm, context)) {
    const text = `Notification plan ${plan} does not exist: ${builtInPlanId} is used`;
    const sinceMs = alarm.planMissingMs === 0 ? context.nowMs : alarm.planMissingMs;
    conditions.push({ name: 'plan-missing', since_ms: sinceMs, ...of, text });
  }
  return conditions;
}

function isPlanMissing(alarm: AlarmState, context: EntityContext): boolean {
  const plan = alarm.doc.notification_plan_id;
  if (context.documents === null) return alarm.planMissingMs !== 0;
  return plan !== builtInPlanId && !context.documents.plans.has(plan);
}

/** Fewer zones report than the consistency level needs: the alarm cannot change. Null: enough, or too early to say. */
function insufficient(
  alarm: AlarmState,
  quorum: Quorum,
  context: EntityContext,
): { readonly since_ms: number; readonly text: string } | null {
  const needed = zonesNeeded(quorum);
  const reporting = zonesReporting(alarm.zones, quorum);
  const waitedMs = context.monoMs - alarm.startedMonoMs;
  if (reporting >= needed || waitedMs <= quorum.ageLimitMs) return null;
  const ages = alarm.zones.map((zone) => quorum.monoMs - zone.cameMonoMs).sort((a, b) => a - b);
  const decisiveMs = Math.min(ages[needed - 1] ?? waitedMs, waitedMs);
  const silent = quorum.total - alarm.zones.filter((zone) => isFresh(zone, quorum)).length;
  const text = `${reporting} of ${quorum.total} zones report, ${needed} are needed (${silent} without a fresh observation): the state cannot change`;
  return { since_ms: Math.round(context.nowMs - (decisiveMs - quorum.ageLimitMs)), text };
}
