// An entity actor after its shard was loaded: documents, soft state and the log's tail made into state, timers armed, the
// newest ticks asked for. Then, when those are read: what `previous` needs, which slots were lost, and the slot that fell
// due in the gap. Must not know how anything is stored.

import type { LoadedActor } from '../../runtime/behaviour.ts';
import { documentKinds, rowKinds, type TicksOf } from '../../runtime/effect.ts';
import type { ActorKey } from '../../runtime/ids.ts';
import type { LogRow, StoredDocument } from '../../runtime/ports.ts';
import { criteriaFingerprint } from '../alarm/alarm.ts';
import type { TransitionBody } from '../alarm/transition.ts';
import type { AlarmZone } from '../alarm/zones.ts';
import { type PollSchedule, slotAfter, slotAtOrBefore } from '../check/poll-schedule.ts';
import type { AlarmDoc, CheckDoc, EntityDoc } from '../resources.ts';
import type { RecentChange } from '../tenant/idempotency.ts';
import type { EntitySignal } from './messages.ts';
import { armed, scheduleOf, started, tick } from './polling.ts';
import { reported, reportTimer } from './report.ts';
import { decodeTick, lostTick, observationOf } from './slots.ts';
import { readSoftState, withSoftAlarm, withSoftCheck, writtenBehindMs } from './soft-state.ts';
import {
  type AlarmState,
  type CheckState,
  checkOf,
  type EntityState,
  emptyState,
  newAlarm,
  newCheck,
  type Stored,
  withCheck,
  withZone,
  zoneOf,
} from './state.ts';
import type { EntityContext, Turn } from './turn.ts';

/** Body of a stored entity, check or alarm. */
export interface StoredBody<Doc> {
  readonly doc: Doc;
  readonly madeBy: number;
  /** The last change with an `Idempotency-Key` and its outcome; null: it had none. */
  readonly last: RecentChange | null;
}

/** Body of a configuration row. */
export interface ConfigBody {
  readonly change: string;
  readonly id: string;
  readonly txnId: string;
  readonly last: RecentChange | null;
}

/** Returns the state of an actor from what the store holds of it; no effects. */
export function loadedState(
  key: ActorKey,
  loaded: LoadedActor,
  context: EntityContext,
): EntityState {
  const empty = emptyState(key, context.nowMs);
  const entity = storedOf<EntityDoc>(loaded.documents, documentKinds.entity)[0] ?? null;
  const soft = readSoftState(loaded.soft?.body);
  const recent = recentOf(loaded, soft?.recent ?? []);
  if (entity === null) return { ...empty, recent };
  const remade = remadeIn(loaded.tail);
  const isOurs = (one: { readonly id: string }) => !remade.has(one.id);
  const softChecks = new Map(soft?.checks.filter(isOurs).map((check) => [check.id, check]));
  const softAlarms = new Map(soft?.alarms.filter(isOurs).map((alarm) => [alarm.id, alarm]));
  const checks = storedOf<CheckDoc>(loaded.documents, documentKinds.check).map((stored) =>
    withSoftCheck(newCheck(stored, context.nowMs), softChecks.get(stored.doc.id), context),
  );
  const alarms = storedOf<AlarmDoc>(loaded.documents, documentKinds.alarm).map((stored) =>
    withSoftAlarm(newAlarm(stored, context), softAlarms.get(stored.doc.id), context),
  );
  const folded = {
    ...empty,
    entity,
    checks,
    alarms: foldedAlarms(alarms, loaded.tail, context),
    recent,
  };
  const configured = folded.alarms.map((alarm) => configuredOnly(folded, alarm));
  // Where there are none, all entities share the one empty list.
  return {
    ...folded,
    alarms: configured.length === 0 ? empty.alarms : configured,
    recent: recent.length === 0 ? empty.recent : recent,
  };
}

function storedOf<Doc extends { readonly id: string }>(
  documents: readonly StoredDocument[],
  kind: number,
): readonly Stored<Doc>[] {
  return documents
    .filter((one) => one.kind === kind && one.body !== null)
    .map((one) => {
      const { doc, madeBy } = one.body as StoredBody<Doc>;
      return { doc: compact(doc), madeBy, rev: one.rev };
    })
    .sort((a, b) => (a.doc.id < b.doc.id ? -1 : 1));
}

/**
 * Returns an equal document that stands alone: what a decoder made holds the whole record that its texts were cut from, and
 * room for more fields. 600 bytes less for each entity, kept for as long as it is in memory.
 */
function compact<Doc>(doc: Doc): Doc {
  return JSON.parse(JSON.stringify(doc)) as Doc;
}

const ownKinds: ReadonlySet<number> = new Set([
  documentKinds.entity,
  documentKinds.check,
  documentKinds.alarm,
]);

function recentOf(loaded: LoadedActor, soft: readonly RecentChange[]): readonly RecentChange[] {
  const found = new Map(soft.map((one) => [one.key, one]));
  const add = (last: RecentChange | null | undefined) => {
    if (last !== null && last !== undefined) found.set(last.key, last);
  };
  for (const one of loaded.documents) {
    if (ownKinds.has(one.kind)) add((one.body as StoredBody<unknown> | null)?.last);
  }
  for (const row of loaded.tail)
    if (row.kind === rowKinds.config) add((row.body as ConfigBody).last);
  return [...found.values()].sort((a, b) => a.atMs - b.atMs).slice(-recentMax);
}

const recentMax = 64;

/** Ids of objects made in the tail: what soft state and earlier rows say of these ids is of older objects. */
function remadeIn(tail: readonly LogRow[]): ReadonlySet<string> {
  return new Set(tail.flatMap((row) => madeIn(row) ?? []));
}

function madeIn(row: LogRow): string | null {
  if (row.kind !== rowKinds.config) return null;
  const { change, id } = row.body as ConfigBody;
  return change.endsWith('.create') ? id : null;
}

/** Committed transitions that the soft state does not know yet, of the alarms that are there now. */
function foldedAlarms(
  alarms: readonly AlarmState[],
  tail: readonly LogRow[],
  context: EntityContext,
): readonly AlarmState[] {
  const loaded = new Map(alarms.map((alarm) => [alarm.doc.id, alarm]));
  const known = new Map(loaded);
  for (const row of tail) {
    const made = loaded.get(madeIn(row) ?? '');
    if (made !== undefined) known.set(made.doc.id, made);
    if (row.kind !== rowKinds.transition) continue;
    const body = row.body as TransitionBody;
    const alarm = known.get(body.alarm);
    if (alarm !== undefined && body.n > alarm.n)
      known.set(body.alarm, folded(alarm, body, context));
  }
  return [...known.values()];
}

function folded(alarm: AlarmState, body: TransitionBody, context: EntityContext): AlarmState {
  const isSame = body.of === criteriaFingerprint(alarm.doc.criteria) && !alarm.doc.disabled;
  const zones = new Map(alarm.zones.map((zone) => [zone.zone, zone]));
  for (const seen of body.evidence) {
    const before = zones.get(seen.zone);
    if (seen.slot === 0 || (before !== undefined && before.slotAtMs > seen.slot)) continue;
    const ageMs = seen.age ?? 0;
    // An age that began when the owner before loaded it would make an old result young once more.
    const cameAtMs = Math.min(seen.came ?? Number.MAX_SAFE_INTEGER, body.atMs - ageMs);
    const wallAgeMs = context.nowMs - cameAtMs;
    // As with soft state: what is that old waits for a new observation.
    const isOld = wallAgeMs > body.settings.ageLimitMs + writtenBehindMs;
    const zone: AlarmZone = {
      zone: seen.zone,
      computed: seen.computed,
      confirmed: seen.confirmed,
      run: seen.run,
      status: seen.status,
      slotAtMs: seen.slot,
      cameMonoMs: context.monoMs - (isOld ? wallAgeMs : seen.stale ? ageMs : 0),
      cameAtMs,
    };
    zones.set(seen.zone, zone);
  }
  return {
    ...alarm,
    state: body.state,
    previous: body.previous,
    status: body.status,
    n: body.n,
    sinceMs: body.atMs,
    changelogId: body.log,
    analyzedBy: body.zone,
    zones: isSame ? [...zones.values()] : alarm.zones,
  };
}

/** Results of zones that the check no longer has don't count. */
function configuredOnly(state: EntityState, alarm: AlarmState): AlarmState {
  const check = checkOf(state, alarm.doc.check_id);
  const zones = alarm.zones.filter((zone) => check !== null && zoneOf(check, zone.zone) !== null);
  return zones.length === alarm.zones.length ? alarm : { ...alarm, zones };
}

/** Arms what a loaded entity does by itself: polling, the report to its tenant, and reading its newest ticks. */
export function activated(turn: Turn): void {
  if (turn.state.entity === null) return;
  const of: TicksOf[] = [];
  for (const loaded of turn.state.checks) {
    const check = loaded.doc.disabled ? loaded : armed(turn, loaded);
    turn.state = withCheck(turn.state, check);
    const [id, passedMs] = [check.doc.id, check.lastMs];
    for (const { zone } of check.zones) of.push({ check: id, zone, passedMs });
  }
  if (of.length > 0) turn.effects.push({ type: 'readTicks', of });
  reportTimer(turn);
  reported(turn);
}

type TicksRead = Extract<EntitySignal, { readonly kind: 'ticks.read' }>;
type NewestTick = TicksRead['ticks'][number];

/** The newest stored ticks came, once after loading: they tell what the former owner did last. */
export function ticksRead(turn: Turn, { ticks, of }: TicksRead): void {
  const byCheck = grouped(ticks);
  const passed = new Map(of.map((one) => [one.check, one.passedMs]));
  for (const [id, newest] of byCheck) {
    const check = checkOf(turn.state, id);
    if (check === null) continue;
    if (check.doc.disabled) covered(turn, check, newest);
    else resumed(turn, check, { newest, passedMs: passed.get(id) ?? 0 });
  }
}

function grouped(ticks: readonly NewestTick[]): Map<string, NewestTick[]> {
  const groups = new Map<string, NewestTick[]>();
  for (const one of ticks) groups.set(one.check, [...(groups.get(one.check) ?? []), one]);
  return groups;
}

/** Soft state may be older than the last slots of a check that was then disabled: they are not skipped once it is enabled. */
function covered(turn: Turn, check: CheckState, newest: readonly NewestTick[]): void {
  const lastMs = Math.max(check.lastMs, ...newest.map(coveredUntil));
  turn.state = withCheck(turn.state, { ...check, lastMs });
}

interface Former {
  readonly newest: readonly NewestTick[];
  /** The slot below the first one that was armed: where slots lead the wall clock it is above it. */
  readonly passedMs: number;
}

function resumed(turn: Turn, loaded: CheckState, { newest, passedMs }: Former): void {
  const schedule = scheduleOf(turn.state, loaded.doc);
  const gapEndMs = slotAtOrBefore(schedule, turn.state.loadedAtMs);
  let check = loaded;
  for (const one of newest) check = remembered(turn, check, one);
  const coveredMs = new Map(newest.map((one) => [one.zone, coveredUntil(one)]));
  // Slots of a clock that was ahead: go above them.
  check = { ...check, lastMs: Math.max(check.lastMs, ...coveredMs.values()) };
  turn.state = withCheck(turn.state, check);
  // Changed since it was loaded: slots before that are under another schedule.
  if (check.sinceMs > turn.state.loadedAtMs) return;
  const late = lateZones(check, schedule, { gapEndMs, coveredMs, monoMs: turn.context.monoMs });
  const passedOverMs = Math.max(gapEndMs, passedMs, ...coveredMs.values());
  for (const [zone, untilMs] of coveredMs) {
    const busyMs = zoneOf(check, zone)?.inFlightMs;
    const nextMs = late.has(zone) ? gapEndMs : busyMs || Number.MAX_SAFE_INTEGER;
    const fromMs = slotAfter(schedule, untilMs);
    const toMs = Math.min(passedOverMs, nextMs - schedule.periodMs);
    if (toMs < fromMs || busyMs === undefined) continue;
    tick(turn, check.doc.id, { zone, slotAtMs: fromMs, value: lostTick(toMs) });
    const by = (toMs - fromMs) / schedule.periodMs + 1;
    turn.effects.push({ type: 'count', name: 'slots', by, label: 'lost' });
  }
  if (late.size > 0) started(turn, check, gapEndMs, late);
}

/** What the zone saw last, where that is newer than what soft state knows: `previous` and `rate` look at it. */
function remembered(turn: Turn, check: CheckState, one: NewestTick): CheckState {
  const zone = zoneOf(check, one.zone);
  const seen = zone === null ? null : observationOf(one.slotAtMs, one.value);
  if (zone === null || seen === null) return check;
  if (zone.seen !== null && zone.seen.slotAtMs >= seen.slotAtMs) return check;
  const { nowMs, monoMs } = turn.context;
  const ageMs = Math.max(0, nowMs - seen.atMs);
  return withZone(check, {
    ...zone,
    seen,
    before: null,
    seenAtMs: seen.atMs,
    seenMonoMs: monoMs - ageMs,
  });
}

function coveredUntil(one: NewestTick): number {
  const record = decodeTick(one.value);
  return record !== null && 'toMs' in record ? Math.max(one.slotAtMs, record.toMs) : one.slotAtMs;
}

interface Gap {
  readonly gapEndMs: number;
  readonly coveredMs: ReadonlyMap<string, number>;
  readonly monoMs: number;
}

/**
 * Zones in which the slot that fell due in the gap is still to be run: after a short gap (at most two slots missing), and
 * if the next regular slot has not fallen due. After a longer one every check waits for its next slot: no herd.
 */
function lateZones(check: CheckState, schedule: PollSchedule, gap: Gap): ReadonlySet<string> {
  const late = new Set<string>();
  const isStill = check.lastMs <= gap.gapEndMs && check.dueMonoMs > gap.monoMs;
  if (!isStill) return late;
  for (const zone of check.zones) {
    const coveredMs = gap.coveredMs.get(zone.zone);
    if (coveredMs === undefined || zone.inFlightMs !== 0) continue;
    const missing = (gap.gapEndMs - coveredMs) / schedule.periodMs;
    if (missing > 0 && missing <= 2) late.add(zone.zone);
  }
  return late;
}
