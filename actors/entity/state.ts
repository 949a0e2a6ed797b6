// The state of an entity actor: documents, and per check and zone what polling and alarms need. Immutable; made to be
// small at rest (design.md §14): records in arrays, no closures, criteria compiled in a shared cache, not here.
// Owns the layout and the ways to look up and replace; must not know messages, effects or rules.
import { type ActorKey, entityOf, tenantOf } from '../../runtime/ids.ts';
import type { AlarmZone } from '../alarm/zones.ts';
import type { Observation } from '../observation/observation.ts';
import type { AlarmDoc, AlarmStateName, CheckDoc, EntityDoc } from '../resources.ts';
import type { RecentChange } from '../tenant/idempotency.ts';

/** A document as stored. */
export interface Stored<Doc> {
  readonly doc: Doc;
  /** Grows by one with each change. */
  readonly rev: number;
  /** Fingerprint of the request that made it: a repeat without `Idempotency-Key` finds it. */
  readonly madeBy: number;
}

/** Why the newest slot of a zone made no observation. */
export interface ZoneFailure {
  readonly slotAtMs: number;
  readonly why: string;
  readonly message: string;
  /** Since when slot after slot failed for this reason, epoch ms. */
  readonly sinceMs: number;
}

/** One check in one configured zone. */
export interface ZoneState {
  readonly zone: string;
  readonly seen: Observation | null;
  /** The one before, kept where an alarm's criteria look back; else null. */
  readonly before: Observation | null;
  /** When `seen` came in. */
  readonly seenMonoMs: number;
  readonly seenAtMs: number;
  readonly failure: ZoneFailure | null;
  /** Slot whose probe is under way; 0: none. */
  readonly inFlightMs: number;
}

export interface CheckState extends Stored<CheckDoc> {
  /** Newest slot that was started or passed over; 0: none. */
  readonly lastMs: number;
  /** Planned slot and when it is due; 0: none (disabled). */
  readonly nextMs: number;
  readonly dueMonoMs: number;
  /** No slot before it is lost: the check did not exist or was not loaded as enabled. */
  readonly sinceMs: number;
  /** Slots that fell due since one was *ran* in any zone. */
  readonly quietSlots: number;
  /** Wall time since when no zone made an observation. */
  readonly quietSinceMs: number;
  /** One for each of `monitoring_zones_poll`, in that order. */
  readonly zones: readonly ZoneState[];
}

export interface AlarmState extends Stored<AlarmDoc> {
  readonly state: AlarmStateName;
  readonly previous: AlarmStateName;
  readonly status: string;
  /** Number of the last transition; 0: never evaluated. */
  readonly n: number;
  /** Epoch ms of the last transition; 0: none. */
  readonly sinceMs: number;
  readonly changelogId: string | null;
  readonly analyzedBy: string | null;
  /** When counting began (load, creation, new criteria): nothing can be missing before. */
  readonly startedMonoMs: number;
  /** Zones that were evaluated since, configured or not; by order of their first result. */
  readonly zones: readonly AlarmZone[];
  /** Since when the plan is missing, epoch ms; 0: it is there. */
  readonly planMissingMs: number;
  /** Why the criteria could not be evaluated, and since when; null: they could. */
  readonly error: { readonly sinceMs: number; readonly text: string } | null;
}

/** An observation that waits for the tenant's documents; the newest per check and zone. */
export interface WaitingObservation {
  readonly check: string;
  readonly zone: string;
  readonly seen: Observation;
  readonly previous: Observation | null;
  readonly cameMonoMs: number;
  readonly cameAtMs: number;
}

export interface EntityState {
  readonly key: ActorKey;
  /** null: the entity does not exist (yet, or any more). */
  readonly entity: Stored<EntityDoc> | null;
  /** By id. */
  readonly checks: readonly CheckState[];
  /** By id. */
  readonly alarms: readonly AlarmState[];
  readonly waiting: readonly WaitingObservation[];
  readonly recent: readonly RecentChange[];
  /** When this activation was loaded. */
  readonly loadedAtMs: number;
}

/** An entity that exists. */
export interface LiveEntityState extends EntityState {
  readonly entity: Stored<EntityDoc>;
}

const nothing: readonly never[] = [];

/** Returns the state of an actor of which nothing is stored. */
export function emptyState(key: ActorKey, loadedAtMs: number): EntityState {
  return {
    key,
    entity: null,
    checks: nothing,
    alarms: nothing,
    waiting: nothing,
    recent: nothing,
    loadedAtMs,
  };
}

/** True where the entity exists. */
export function exists(state: EntityState): state is LiveEntityState {
  return state.entity !== null;
}

export function tenantIdOf(state: EntityState): string {
  return tenantOf(state.key);
}

export function entityIdOf(state: EntityState): string {
  return entityOf(state.key) ?? '';
}

/** Object key in messages of the API: `enX:chY`. */
export function childKey(state: EntityState, id: string): string {
  return `${entityIdOf(state)}:${id}`;
}

export function checkOf(state: EntityState, id: string): CheckState | null {
  return state.checks.find((check) => check.doc.id === id) ?? null;
}

export function alarmOf(state: EntityState, id: string): AlarmState | null {
  return state.alarms.find((alarm) => alarm.doc.id === id) ?? null;
}

export function alarmsOfCheck(state: EntityState, check: string): readonly AlarmState[] {
  return state.alarms.filter((alarm) => alarm.doc.check_id === check);
}

export function zoneOf(check: CheckState, zone: string): ZoneState | null {
  return check.zones.find((one) => one.zone === zone) ?? null;
}

/** Returns the state with a check added or replaced. */
export function withCheck(state: EntityState, check: CheckState): EntityState {
  return { ...state, checks: placed(state.checks, check) };
}

/** Returns the state with an alarm added or replaced. */
export function withAlarm(state: EntityState, alarm: AlarmState): EntityState {
  return { ...state, alarms: placed(state.alarms, alarm) };
}

/** Returns the check with one zone replaced. */
export function withZone(check: CheckState, zone: ZoneState): CheckState {
  return { ...check, zones: check.zones.map((one) => (one.zone === zone.zone ? zone : one)) };
}

function placed<Item extends { readonly doc: { readonly id: string } }>(
  items: readonly Item[],
  item: Item,
): readonly Item[] {
  const position = items.findIndex((one) => one.doc.id >= item.doc.id);
  if (position === -1) return [...items, item];
  if (items[position]?.doc.id === item.doc.id) return items.with(position, item);
  return items.toSpliced(position, 0, item);
}

/** Returns a zone of which nothing is known. */
export function newZone(zone: string): ZoneState {
  return {
    zone,
    seen: null,
    before: null,
    seenMonoMs: 0,
    seenAtMs: 0,
    failure: null,
    inFlightMs: 0,
  };
}

/** Returns a check that was never polled; its timer is not armed. Field by field: a spread would leave room for more. */
export function newCheck(stored: Stored<CheckDoc>, nowMs: number): CheckState {
  return {
    doc: stored.doc,
    rev: stored.rev,
    madeBy: stored.madeBy,
    lastMs: 0,
    nextMs: 0,
    dueMonoMs: 0,
    sinceMs: nowMs,
    quietSlots: 0,
    quietSinceMs: nowMs,
    zones: zoneIds(stored.doc).map(newZone),
  };
}

/** Returns an alarm that was never evaluated. */
export function newAlarm(stored: Stored<AlarmDoc>, now: { readonly monoMs: number }): AlarmState {
  return {
    doc: stored.doc,
    rev: stored.rev,
    madeBy: stored.madeBy,
    state: 'UNKNOWN',
    previous: 'UNKNOWN',
    status: '',
    n: 0,
    sinceMs: 0,
    changelogId: null,
    analyzedBy: null,
    startedMonoMs: now.monoMs,
    zones: nothing,
    planMissingMs: 0,
    error: null,
  };
}

/** Zone ids of a check; agent checks have none. */
export function zoneIds(check: CheckDoc): readonly string[] {
  return check.monitoring_zones_poll ?? nothing;
}
