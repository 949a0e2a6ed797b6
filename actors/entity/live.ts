// The live state of an entity, from its owner's memory: what each zone saw last and how old that is, what each alarm made
// of it, and what impairs monitoring. Must not know how any of it came about.
import { metricMap } from '../check/metric-map.ts';
import { conditionsOf } from './conditions.ts';
import { collectorState } from './evaluation.ts';
import type { LiveAlarm, LiveCheck, LiveState, LiveZone } from './messages.ts';
import type { AlarmState, CheckState, LiveEntityState, ZoneState } from './state.ts';
import type { EntityContext } from './turn.ts';
import { entityView } from './views.ts';

/** Returns the entity's live state; `node`: the one that answers, its owner. */
export function liveState(state: LiveEntityState, context: EntityContext, node: string): LiveState {
  const ages = state.checks.flatMap((check) =>
    check.zones.flatMap((zone) => (zone.seen === null ? [] : context.monoMs - zone.seenMonoMs)),
  );
  return {
    entity: entityView(state, context),
    node,
    epoch: context.epoch,
    age: ages.length === 0 ? null : Math.round(Math.min(...ages)),
    committed: context.committed,
    checks: state.checks.map((check) => liveCheck(check, context)),
    alarms: state.alarms.map((alarm) => liveAlarm(alarm, context)),
    conditions: conditionsOf(state, context),
  };
}

function liveCheck(check: CheckState, context: EntityContext): LiveCheck {
  const { doc } = check;
  return {
    id: doc.id,
    label: doc.label,
    type: doc.type,
    disabled: doc.disabled,
    period: doc.period,
    next_slot: check.nextMs === 0 ? null : check.nextMs,
    in_flight: check.zones.filter((zone) => zone.inFlightMs !== 0).length,
    zones: check.zones.map((zone) => liveZone(zone, context)),
  };
}

function liveZone(zone: ZoneState, context: EntityContext): LiveZone {
  const { seen, failure } = zone;
  return {
    monitoring_zone_id: zone.zone,
    collector_state: collectorState(zone),
    observation:
      seen === null
        ? null
        : {
            slot: seen.slotAtMs,
            timestamp: seen.atMs,
            age: Math.round(context.monoMs - zone.seenMonoMs),
            available: seen.available,
            status: seen.status,
            metrics: metricMap(seen),
          },
    failure:
      failure === null
        ? null
        : { slot: failure.slotAtMs, why: failure.why, message: failure.message },
  };
}

function liveAlarm(alarm: AlarmState, context: EntityContext): LiveAlarm {
  return {
    id: alarm.doc.id,
    label: alarm.doc.label,
    check_id: alarm.doc.check_id,
    disabled: alarm.doc.disabled,
    state: alarm.state,
    previous_state: alarm.previous,
    status: alarm.status,
    transitions: alarm.n,
    since_ms: alarm.n === 0 ? null : alarm.sinceMs,
    zones: alarm.zones.map((zone) => ({
      monitoring_zone_id: zone.zone,
      computed: zone.computed,
      confirmed: zone.confirmed,
      run: zone.run,
      age: Math.round(context.monoMs - zone.cameMonoMs),
    })),
  };
}
