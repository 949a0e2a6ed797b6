// An entity's soft state as data for the codec, and back: what polling and alarms saw last, so that a new owner goes on
// with unfinished runs. Owns the layout (version 1); must not know timers or documents' bodies.
import { criteriaFingerprint } from '../alarm/alarm.ts';
import { type AlarmZone, ageLimitMs } from '../alarm/zones.ts';
import { CriteriaError, consecutiveCountOf } from '../criteria/criteria.ts';
import { type Observation, observation, wireMetrics } from '../observation/observation.ts';
import type { AlarmStateName, CheckDoc } from '../resources.ts';
import type { RecentChange } from '../tenant/idempotency.ts';
import { criteriaOf } from './evaluation.ts';
import type { SoftObservation } from './soft-observation.ts';
import {
  type AlarmState,
  type CheckState,
  checkOf,
  type EntityState,
  type ZoneFailure,
  type ZoneState,
} from './state.ts';
import type { EntityContext } from './turn.ts';

export const softVersion = 1;

/** Soft state may be this old by the wall clock (60 s, jittered): zone states older than that beside their limit wait. */
export const writtenBehindMs = 90_000;

interface SoftZone {
  readonly z: string;
  readonly o: SoftObservation | null;
  readonly b: SoftObservation | null;
  /** Wall clock when `o` came in. */
  readonly t: number;
  readonly f: ZoneFailure | null;
}

interface SoftCheck {
  readonly id: string;
  readonly last: number;
  readonly since: number;
  readonly quiet: readonly [slots: number, sinceMs: number];
  readonly zones: readonly SoftZone[];
}

type SoftAlarmZone = readonly [
  zone: string,
  computed: AlarmStateName,
  confirmed: AlarmStateName,
  run: number,
  status: string,
  slot: number,
  cameAtMs: number,
];

interface SoftAlarm {
  readonly id: string;
  /** Fingerprint of the criteria that the zones were evaluated by. */
  readonly of: number;
  /** Ageing limit, ms, so that loading compiles nothing. */
  readonly limit: number;
  readonly state: AlarmStateName;
  readonly previous: AlarmStateName;
  readonly status: string;
  readonly n: number;
  readonly since: number;
  readonly log: string | null;
  readonly by: string | null;
  readonly planMissing: number;
  readonly error: AlarmState['error'];
  readonly zones: readonly SoftAlarmZone[];
}

export interface SoftState {
  readonly v: typeof softVersion;
  readonly checks: readonly SoftCheck[];
  readonly alarms: readonly SoftAlarm[];
  readonly recent: readonly RecentChange[];
}

/** Returns the soft state as data, or null where the entity does not exist. */
export function softStateOf(state: EntityState): SoftState | null {
  if (state.entity === null) return null;
  return {
    v: softVersion,
    checks: state.checks.map(softCheck),
    alarms: state.alarms.map((alarm) => softAlarm(state, alarm)),
    recent: state.recent,
  };
}

function softCheck(check: CheckState): SoftCheck {
  return {
    id: check.doc.id,
    last: check.lastMs,
    since: check.sinceMs,
    quiet: [check.quietSlots, check.quietSinceMs],
    zones: check.zones.map((zone) => ({
      z: zone.zone,
      o: softObservation(zone.seen),
      b: softObservation(zone.before),
      t: zone.seenAtMs,
      f: zone.failure,
    })),
  };
}

/** Returns an observation as data. */
export function softObservation(seen: Observation | null): SoftObservation | null {
  if (seen === null) return null;
  return [seen.slotAtMs, seen.atMs, seen.available, seen.status, wireMetrics(seen)];
}

function softAlarm(state: EntityState, alarm: AlarmState): SoftAlarm {
  const zones = alarm.zones.map(
    (zone): SoftAlarmZone => [
      zone.zone,
      zone.computed,
      zone.confirmed,
      zone.run,
      zone.status,
      zone.slotAtMs,
      zone.cameAtMs,
    ],
  );
  return {
    id: alarm.doc.id,
    of: criteriaFingerprint(alarm.doc.criteria),
    limit: limitOf(state, alarm),
    state: alarm.state,
    previous: alarm.previous,
    status: alarm.status,
    n: alarm.n,
    since: alarm.sinceMs,
    log: alarm.changelogId,
    by: alarm.analyzedBy,
    planMissing: alarm.planMissingMs,
    error: alarm.error,
    zones,
  };
}

function limitOf(state: EntityState, alarm: AlarmState): number {
  const check = checkOf(state, alarm.doc.check_id);
  const criteria = criteriaOf(alarm.doc.criteria);
  if (check === null || criteria instanceof CriteriaError) return 0;
  return ageLimitMs(consecutiveCountOf(criteria, check.doc.type), check.doc.period * 1000);
}

/** Returns soft state of this version, or null for anything else. */
export function readSoftState(body: unknown): SoftState | null {
  const soft = body as SoftState | null | undefined;
  return soft?.v === softVersion ? soft : null;
}

/** Returns a freshly loaded check with what soft state knows of it; zones that are no longer configured are left out. */
export function withSoftCheck(
  check: CheckState,
  soft: SoftCheck | undefined,
  now: EntityContext,
): CheckState {
  if (soft === undefined) return check;
  const known = new Map(soft.zones.map((zone) => [zone.z, zone]));
  return {
    ...check,
    lastMs: soft.last,
    sinceMs: Math.max(soft.since, changedAtMs(check.doc)),
    quietSlots: soft.quiet[0],
    quietSinceMs: soft.quiet[1],
    zones: check.zones.map((zone) => loadedZone(zone, known.get(zone.zone), now)),
  };
}

/**
 * Soft state may be older than the last change of an enabled check: what the new schedule names before that never was a slot.
 * While a check is disabled its slots are counted from when that began; 0: never changed.
 */
function changedAtMs({ disabled, created_at, updated_at }: CheckDoc): number {
  return disabled || updated_at === created_at ? 0 : updated_at;
}

function loadedZone(zone: ZoneState, soft: SoftZone | undefined, now: EntityContext): ZoneState {
  if (soft === undefined) return zone;
  return {
    ...zone,
    seen: loadedObservation(soft.o),
    before: loadedObservation(soft.b),
    seenAtMs: soft.t,
    seenMonoMs: now.monoMs - Math.max(0, now.nowMs - soft.t),
    failure: soft.f,
  };
}

/** Returns the observation that `softObservation` made data of. */
export function loadedObservation(soft: SoftObservation | null): Observation | null {
  if (soft === null) return null;
  const [slotAtMs, atMs, available, status, metrics] = soft;
  return observation({ slotAtMs, atMs, available, status }, metrics);
}

/**
 * Returns a freshly loaded alarm with what soft state knows of it. Ages start anew: what an owner knew counts as observed
 * now; but what was older than limit + 90 s by the wall clock waits for a new observation. Results of other criteria and
 * of disabled alarms are dropped.
 */
export function withSoftAlarm(
  alarm: AlarmState,
  soft: SoftAlarm | undefined,
  now: EntityContext,
): AlarmState {
  if (soft === undefined) return alarm;
  const isSame = soft.of === criteriaFingerprint(alarm.doc.criteria) && !alarm.doc.disabled;
  return {
    ...alarm,
    state: soft.state,
    previous: soft.previous,
    status: soft.status,
    n: soft.n,
    sinceMs: soft.since,
    changelogId: soft.log,
    analyzedBy: soft.by,
    planMissingMs: soft.planMissing,
    error: soft.error,
    zones: isSame ? soft.zones.map((zone) => loadedResult(zone, soft.limit, now)) : [],
  };
}

function loadedResult(soft: SoftAlarmZone, limitMs: number, now: EntityContext): AlarmZone {
  const [zone, computed, confirmed, run, status, slotAtMs, cameAtMs] = soft;
  const wallAgeMs = now.nowMs - cameAtMs;
  const isOld = wallAgeMs > limitMs + writtenBehindMs;
  const cameMonoMs = isOld ? now.monoMs - wallAgeMs : now.monoMs;
  return { zone, computed, confirmed, run, status, slotAtMs, cameMonoMs, cameAtMs };
}
