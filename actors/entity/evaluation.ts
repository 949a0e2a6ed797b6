// From an observation to alarm states: criteria per alarm, counting per zone, consistency over the zones, and where the
// state changes the transition's rows. An observation that comes before the tenant's documents waits for them, the newest
// per check and zone. Must not know probes or how rows are stored.
import {
  type Transition,
  type TransitionSettings,
  transition,
  type ZoneEvidence,
} from '../alarm/transition.ts';
import {
  type AlarmZone,
  ageLimitMs,
  counted,
  decided,
  type Quorum,
  zonesNeeded,
} from '../alarm/zones.ts';
import {
  type Criteria,
  CriteriaError,
  consecutiveCountOf,
  criteriaCache,
} from '../criteria/criteria.ts';
import type { AlarmStateName } from '../resources.ts';
import type { TenantDocuments } from '../tenant/documents.ts';
import { builtInPlanId } from '../tenant/documents.ts';
import {
  type AlarmState,
  alarmsOfCheck,
  type CheckState,
  checkOf,
  exists,
  type WaitingObservation,
  withAlarm,
  withCheck,
  withZone,
  zoneOf,
} from './state.ts';
import { saved, startTimer, type Turn } from './turn.ts';

const retryMs = 250;

/** Evaluates an observation that came in now, or lets it wait where the node has no documents of the tenant yet. */
export function evaluated(turn: Turn, came: WaitingObservation): void {
  if (turn.context.documents !== null) {
    evaluateNow(turn, came, turn.context.documents);
    return;
  }
  const isOther = (one: WaitingObservation) => one.check !== came.check || one.zone !== came.zone;
  turn.state = { ...turn.state, waiting: [...turn.state.waiting.filter(isOther), came] };
  waitOn(turn);
}

/** Evaluates what waits once the documents are there; else asks again in a moment. To be called in every step. */
export function drained(turn: Turn): void {
  const { waiting } = turn.state;
  if (waiting.length === 0) return;
  const { documents } = turn.context;
  if (documents === null) {
    waitOn(turn);
    return;
  }
  turn.state = { ...turn.state, waiting: [] };
  turn.effects.push({ type: 'cancelTimer', id: 'waiting' });
  for (const came of waiting) evaluateNow(turn, came, documents);
}

function waitOn(turn: Turn): void {
  // Nothing was read: any message lets the waiting observations be tried again.
  const message = { kind: 'ticks.read', ticks: [], of: [] } as const;
  startTimer(turn, 'waiting', turn.context.monoMs + retryMs, message);
}

/** Returns the compiled criteria of an alarm, or the error of criteria that this version cannot compile. */
export function criteriaOf(source: string | null): Criteria | CriteriaError {
  try {
    return criteriaCache.get(source);
  } catch (error) {
    if (error instanceof CriteriaError) return error;
    throw error;
  }
}

function evaluateNow(turn: Turn, came: WaitingObservation, documents: TenantDocuments): void {
  const check = checkOf(turn.state, came.check);
  if (check === null || zoneOf(check, came.zone) === null) return;
  let looksBack = false;
  for (const before of alarmsOfCheck(turn.state, came.check)) {
    if (before.doc.disabled) continue;
    const criteria = criteriaOf(before.doc.criteria);
    const alarm = planChecked(turn, before, documents);
    if (criteria instanceof CriteriaError) {
      broken(turn, alarm, criteria);
    } else {
      looksBack ||= criteria.usesPrevious;
      evaluateAlarm({ turn, came, check, criteria, documents }, alarm);
    }
  }
  if (looksBack && came.previous !== null) keepPrevious(turn, came);
}

/** Criteria that look back are explained with the observation before. */
function keepPrevious(turn: Turn, came: WaitingObservation): void {
  const check = checkOf(turn.state, came.check);
  const zone = check === null ? null : zoneOf(check, came.zone);
  if (check === null || zone?.seen !== came.seen) return;
  turn.state = withCheck(turn.state, withZone(check, { ...zone, before: came.previous }));
}

function broken(turn: Turn, alarm: AlarmState, error: CriteriaError): void {
  const sinceMs = alarm.error?.sinceMs ?? turn.context.nowMs;
  turn.state = withAlarm(turn.state, { ...alarm, error: { sinceMs, text: error.message } });
  turn.effects.push({ type: 'count', name: 'evaluations_failed', by: 1 });
}

function planChecked(turn: Turn, alarm: AlarmState, documents: TenantDocuments): AlarmState {
  const plan = alarm.doc.notification_plan_id;
  const isThere = plan === builtInPlanId || documents.plans.has(plan);
  if (isThere === (alarm.planMissingMs === 0)) return alarm;
  return { ...alarm, planMissingMs: isThere ? 0 : turn.context.nowMs };
}

interface Evaluating {
  readonly turn: Turn;
  readonly came: WaitingObservation;
  readonly check: CheckState;
  readonly criteria: Criteria;
  readonly documents: TenantDocuments;
}

function evaluateAlarm(evaluating: Evaluating, alarm: AlarmState): void {
  const { turn, came, check, criteria } = evaluating;
  const position = alarm.zones.findIndex((zone) => zone.zone === came.zone);
  const before = alarm.zones[position] ?? null;
  if (before !== null && before.slotAtMs >= came.seen.slotAtMs) return;
  const verdict = criteria.evaluate(came.seen, came.previous);
  const count = consecutiveCountOf(criteria, check.doc.type);
  const result = {
    zone: came.zone,
    state: verdict.state,
    status: verdict.status,
    slotAtMs: came.seen.slotAtMs,
    cameMonoMs: came.cameMonoMs,
    cameAtMs: came.cameAtMs,
  };
  const after = counted(before, result, count);
  const zones = before === null ? [...alarm.zones, after] : alarm.zones.with(position, after);
  const next = { ...alarm, zones, error: null };
  saved(turn, isRunChanged(before, after) ? 'soon' : 'later');
  const quorum = quorumOf(check, criteria, turn.context.monoMs);
  const state = decided(zones, after, quorum, alarm.state);
  turn.state = withAlarm(turn.state, next);
  if (state !== alarm.state)
    changed(evaluating, next, { state, status: verdict.status, quorum, count });
}

function isRunChanged(before: AlarmZone | null, after: AlarmZone): boolean {
  return (
    before === null ||
    before.run !== after.run ||
    before.computed !== after.computed ||
    before.confirmed !== after.confirmed
  );
}

const noneDown: ReadonlySet<string> = new Set();

/** Returns what decides over the zones of a check at a monotonic instant. */
export function quorumOf(check: CheckState, criteria: Criteria, monoMs: number): Quorum {
  const level = criteria.settings.consistencyLevel;
  const count = consecutiveCountOf(criteria, check.doc.type);
  return {
    level,
    total: check.zones.length,
    down: level === 'ALL' ? downZones(check) : noneDown,
    ageLimitMs: ageLimitMs(count, check.doc.period * 1000),
    monoMs,
  };
}

/** Zones whose collector is known to be down: nobody probes there. */
function downZones(check: CheckState): ReadonlySet<string> {
  return new Set(
    check.zones.filter((zone) => zone.failure?.why === 'no-prober').map((zone) => zone.zone),
  );
}

interface Decision {
  readonly state: AlarmStateName;
  readonly status: string;
  readonly quorum: Quorum;
  readonly count: number;
}

function changed(evaluating: Evaluating, alarm: AlarmState, decision: Decision): void {
  const { turn, came } = evaluating;
  const n = alarm.n + 1;
  const made = transitionOf(evaluating, alarm, decision);
  if (made === null) return;
  const { nowMs } = turn.context;
  turn.state = withAlarm(turn.state, {
    ...alarm,
    state: decision.state,
    previous: alarm.state,
    status: decision.status,
    n,
    sinceMs: nowMs,
    changelogId: made.changelogId,
    analyzedBy: came.zone,
  });
  turn.effects.push({ type: 'commit', rows: made.rows });
  turn.effects.push({ type: 'count', name: 'transitions', by: 1, label: decision.state });
  saved(turn, 'soon');
}

function transitionOf(
  evaluating: Evaluating,
  alarm: AlarmState,
  decision: Decision,
): Transition | null {
  const { turn, came, check, documents } = evaluating;
  const { state, context, setting } = turn;
  if (!exists(state)) return null;
  const { quorum } = decision;
  const settings: TransitionSettings = {
    level: quorum.level,
    count: decision.count,
    total: quorum.total,
    needed: zonesNeeded(quorum),
    ageLimitMs: quorum.ageLimitMs,
  };
  return transition({
    cluster: setting.installation.clusterName,
    node: setting.installation.nodeName,
    channelTypes: setting.installation.channelTypes,
    key: state.key,
    entity: state.entity.doc,
    check: check.doc,
    alarm: alarm.doc,
    n: alarm.n + 1,
    state: decision.state,
    previous: alarm.state,
    status: decision.status,
    zone: came.zone,
    seen: came.seen,
    atMs: context.nowMs,
    settings,
    evidence: evidenceOf(check, alarm, quorum),
    documents,
  });
}

/** Returns one entry for each configured zone of a check, as an alarm saw it. */
export function evidenceOf(
  check: CheckState,
  alarm: AlarmState,
  quorum: Quorum,
): readonly ZoneEvidence[] {
  return check.zones.map((zone) => {
    const counts = alarm.zones.find((one) => one.zone === zone.zone) ?? null;
    const age = counts === null ? null : quorum.monoMs - counts.cameMonoMs;
    return {
      zone: zone.zone,
      computed: counts?.computed ?? 'UNKNOWN',
      confirmed: counts?.confirmed ?? 'UNKNOWN',
      run: counts?.run ?? 0,
      status: counts?.status ?? zone.failure?.message ?? '',
      slot: counts?.slotAtMs ?? 0,
      at: zone.seen?.atMs ?? 0,
      age,
      came: counts?.cameAtMs ?? 0,
      stale: age === null || age > quorum.ageLimitMs,
      collector: collectorState(zone),
    };
  });
}

/** DOWN: nobody probes in the zone; UNKNOWN: it was never asked, or did not answer by the deadline. */
export function collectorState(zone: CheckState['zones'][number]): 'UP' | 'DOWN' | 'UNKNOWN' {
  switch (zone.failure?.why) {
    case 'no-prober':
      return 'DOWN';
    case 'no-answer':
      return 'UNKNOWN';
    case undefined:
    case 'fenced':
    case 'no-target':
      return zone.seen === null ? 'UNKNOWN' : 'UP';
    default:
      return 'UP';
  }
}
