// Questions to an entity, answered from memory without changing anything. Must not know how answers are sent.
import { never } from '../../runtime/assert.ts';
import { createCheck, probeTarget, updateCheck } from '../check/check.ts';
import type { ProbeRequest } from '../check/types.ts';
import { accepted, invalid, missing, type Outcome, parentMissing } from '../refusal.ts';
import type { CheckDoc } from '../resources.ts';
import { explained } from './explain.ts';
import { liveState } from './live.ts';
import type { EntityOverview, EntityQuery, SlotsInFlight } from './messages.ts';
import { scheduleOf } from './polling.ts';
import {
  type AlarmState,
  alarmOf,
  type CheckState,
  checkOf,
  childKey,
  type EntityState,
  entityIdOf,
  exists,
  type LiveEntityState,
  zoneIds,
} from './state.ts';
import type { EntityContext, EntitySetting } from './turn.ts';
import { alarmView, checkView, entityView, latestAlarmState } from './views.ts';

const queries: ReadonlySet<string> = new Set<EntityQuery['kind']>([
  'entity.get',
  'check.get',
  'check.list',
  'alarm.get',
  'alarm.list',
  'entity.overview',
  'entity.live',
  'alarm.explain',
  'check.prepareTest',
  'check.slots',
]);

/** True for a message that changes nothing. */
export function isEntityQuery(message: { readonly kind: string }): message is EntityQuery {
  return queries.has(message.kind);
}

export interface Asked {
  readonly state: EntityState;
  readonly context: EntityContext;
  readonly setting: EntitySetting;
}

/** Returns the answer to a question; `notFoundError` or `parentNotFoundError` for what does not exist. */
export function answerTo(query: EntityQuery, asked: Asked): Outcome<unknown> {
  const { state, context } = asked;
  if (!exists(state)) {
    const id = entityIdOf(state);
    return query.kind.startsWith('entity.') ? missing('Entity', id) : parentMissing('Entity', id);
  }
  switch (query.kind) {
    case 'entity.get':
      return accepted(entityView(state, context));
    case 'entity.overview':
      return accepted(overview(state, context));
    case 'entity.live':
      return accepted(liveState(state, context, asked.setting.installation.nodeName));
    case 'check.list':
      return accepted(state.checks.map((check) => checkView(state, check, context)));
    case 'alarm.list':
      return accepted(state.alarms.map((alarm) => alarmView(state, alarm, context)));
    case 'check.prepareTest':
      return preparedTest({ ...asked, state }, query);
    default:
      return answerOfOne(query, state, context);
  }
}

type QueryOfOne = Extract<
  EntityQuery,
  { readonly kind: 'check.get' | 'check.slots' | 'alarm.get' | 'alarm.explain' }
>;

function answerOfOne(
  query: QueryOfOne,
  state: LiveEntityState,
  context: EntityContext,
): Outcome<unknown> {
  switch (query.kind) {
    case 'check.get':
      return withCheck(state, query.id, (check) => checkView(state, check, context));
    case 'check.slots':
      return withCheck(state, query.id, (check) => slotsInFlight(state, check));
    case 'alarm.get':
      return withAlarm(state, query.id, (alarm) => alarmView(state, alarm, context));
    case 'alarm.explain':
      return withAlarm(state, query.id, (alarm) => explained(state, alarm, context));
    default:
      return never(query, 'question');
  }
}

function withCheck(
  state: EntityState,
  id: string,
  view: (check: CheckState) => unknown,
): Outcome<unknown> {
  const check = checkOf(state, id);
  return check === null ? missing('Check', childKey(state, id)) : accepted(view(check));
}

function withAlarm(
  state: EntityState,
  id: string,
  view: (alarm: AlarmState) => unknown,
): Outcome<unknown> {
  const alarm = alarmOf(state, id);
  return alarm === null ? missing('Alarm', childKey(state, id)) : accepted(view(alarm));
}

function overview(state: LiveEntityState, context: EntityContext): EntityOverview {
  return {
    entity: entityView(state, context),
    checks: state.checks.map((check) => checkView(state, check, context)),
    alarms: state.alarms.map((alarm) => alarmView(state, alarm, context)),
    latest_alarm_states: state.alarms.map((alarm) => latestAlarmState(state, alarm)),
  };
}

function slotsInFlight(state: EntityState, check: CheckState): SlotsInFlight {
  const { periodMs, phaseMs } = scheduleOf(state, check.doc);
  return {
    period_ms: periodMs,
    phase_ms: phaseMs,
    zones: zoneIds(check.doc),
    disabled: check.doc.disabled,
    since_ms: check.sinceMs,
    in_flight: check.zones
      .filter((zone) => zone.inFlightMs !== 0)
      .map((zone) => ({ monitoring_zone_id: zone.zone, slot: zone.inFlightMs })),
  };
}

type PrepareTest = Extract<EntityQuery, { readonly kind: 'check.prepareTest' }>;

/** One request for each zone of a check that is not stored, or of a copy of a stored one. */
function preparedTest(
  asked: Asked & { readonly state: LiveEntityState },
  query: PrepareTest,
): Outcome<readonly ProbeRequest[]> {
  const { state, setting } = asked;
  const entity = state.entity.doc;
  const stored = query.id === null ? null : checkOf(state, query.id);
  if (query.id !== null && stored === null) return missing('Check', childKey(state, query.id));
  const valid =
    stored === null
      ? createCheck(query.attributes, entity, setting.checkRules)
      : updateCheck(stored.doc, query.attributes, entity, setting.checkRules);
  if (!valid.ok) return valid;
  const check: CheckDoc = { id: query.id ?? '', ...valid.value, created_at: 0, updated_at: 0 };
  const target = probeTarget(check, entity);
  if (target === null) {
    return invalid('target_alias', `Key ${check.target_alias} is not in the entity's ip_addresses`);
  }
  return accepted(
    zoneIds(check).map((zone) => ({
      id: '',
      zone,
      type: check.type,
      details: check.details,
      target,
      resolver: check.target_resolver,
      timeoutMs: check.timeout * 1000,
      debug: query.debug && check.type === 'remote.http',
    })),
  );
}
