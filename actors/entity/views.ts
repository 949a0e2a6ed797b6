// Entity, check and alarm as the API serves them: the stored document with the suppressions that touch it now.
// Must not know timers or observations.
import { marksForAlarm, marksForCheck, marksForEntity } from '../tenant/suppression.ts';
import type { AlarmView, CheckView, EntityView, LatestAlarmState } from './messages.ts';
import { type AlarmState, type CheckState, entityIdOf, type LiveEntityState } from './state.ts';
import type { EntityContext } from './turn.ts';

export function entityView(state: LiveEntityState, context: EntityContext): EntityView {
  const { doc } = state.entity;
  return { ...doc, ...marksForEntity(context.documents, doc.id, context.nowMs) };
}

export function checkView(
  state: LiveEntityState,
  check: CheckState,
  context: EntityContext,
): CheckView {
  const target = { entity: entityIdOf(state), check: check.doc.id };
  const marks = marksForCheck(context.documents, target, context.nowMs);
  return { ...check.doc, collectors: [], confd_name: null, confd_hash: null, ...marks };
}

export function alarmView(
  state: LiveEntityState,
  alarm: AlarmState,
  context: EntityContext,
): AlarmView {
  const { doc } = alarm;
  const target = {
    entity: entityIdOf(state),
    check: doc.check_id,
    alarm: doc.id,
    plan: doc.notification_plan_id,
  };
  const marks = marksForAlarm(context.documents, target, context.nowMs);
  return { ...doc, confd_name: null, confd_hash: null, ...marks };
}

export function latestAlarmState(state: LiveEntityState, alarm: AlarmState): LatestAlarmState {
  return {
    timestamp: alarm.n === 0 ? null : alarm.sinceMs,
    entity_id: entityIdOf(state),
    alarm_id: alarm.doc.id,
    alarm_label: alarm.doc.label,
    check_id: alarm.doc.check_id,
    status: alarm.status,
    state: alarm.state,
    previous_state: alarm.previous,
    analyzed_by_monitoring_zone_id: alarm.analyzedBy,
    alarm_changelog_id: alarm.changelogId,
  };
}
