// Changes of an entity's checks: creating polls at once, updating goes on without repeating slots, deleting takes the
// check's alarms along. Must not know how attributes are validated.
import { assert } from '../../runtime/assert.ts';
import { createCheck, updateCheck } from '../check/check.ts';
import { slotAfter, slotAtOrBefore } from '../check/poll-schedule.ts';
import { accepted, missing, type Outcome, refused } from '../refusal.ts';
import type { CheckDoc } from '../resources.ts';
import { committed, deleted, madeByOf, written } from './commit.ts';
import type { EntityChange } from './messages.ts';
import { armed, armedAtOnce, disarmed, scheduleOf, tick } from './polling.ts';
import { reported } from './report.ts';
import { skippedTick } from './slots.ts';
import {
  alarmsOfCheck,
  type CheckState,
  checkOf,
  childKey,
  type EntityState,
  exists,
  newCheck,
  newZone,
  withCheck,
  zoneIds,
  zoneOf,
} from './state.ts';
import type { Turn } from './turn.ts';

/** An entity holds at most so many checks: its soft state stays below the codec's limit. */
const checksMax = 500;

type Of<Kind extends EntityChange['kind']> = Extract<EntityChange, { readonly kind: Kind }>;

export function checkCreated(turn: Turn, message: Of<'check.create'>): Outcome<unknown> {
  const { state, context, setting } = turn;
  assert(exists(state), 'what does not exist was refused before');
  const madeBy = madeByOf(message.change);
  const id = freeId(message.id, madeBy, state.checks);
  if (!id.isFree) return accepted({ id: id.id });
  if (state.checks.length >= checksMax) {
    return refused(
      'limitReached',
      'Limit has been reached',
      `An entity has at most ${checksMax} checks`,
    );
  }
  const valid = createCheck(message.attributes, state.entity.doc, setting.checkRules);
  if (!valid.ok) return valid;
  const { nowMs } = context;
  const doc = { id: id.id, ...valid.value, created_at: nowMs, updated_at: nowMs };
  const fresh = newCheck({ doc, madeBy, rev: 1 }, nowMs);
  const check = doc.disabled ? fresh : armedAtOnce(turn, fresh);
  turn.state = withCheck(turn.state, check);
  const value = { id: id.id };
  const { kind, change } = message;
  committed(turn, { kind, id: id.id, change, value, written: [written('check', check)] });
  reported(turn);
  return accepted(value);
}

/**
 * Returns an id for a new object: the candidate, with a counter where an older object has it. Not free where the same
 * request made an object before: that is its outcome.
 */
export function freeId(
  candidate: string,
  madeBy: number,
  items: readonly { readonly doc: { readonly id: string }; readonly madeBy: number }[],
): { readonly id: string; readonly isFree: boolean } {
  let id = candidate;
  for (let counter = 2; ; counter += 1) {
    const taken = items.find((item) => item.doc.id === id);
    if (taken === undefined) return { id, isFree: true };
    if (taken.madeBy === madeBy) return { id, isFree: false };
    id = `${candidate}${counter}`;
  }
}

export function checkUpdated(turn: Turn, message: Of<'check.update'>): Outcome<unknown> {
  const { state, context, setting } = turn;
  assert(exists(state), 'what does not exist was refused before');
  const before = checkOf(state, message.id);
  if (before === null) return missing('Check', childKey(state, message.id));
  const valid = updateCheck(before.doc, message.attributes, state.entity.doc, setting.checkRules);
  if (!valid.ok) return valid;
  const { id, created_at } = before.doc;
  const doc: CheckDoc = { id, ...valid.value, created_at, updated_at: context.nowMs };
  const check = rearmed(turn, before, { ...before, doc, rev: before.rev + 1 });
  turn.state = onlyConfigured(withCheck(turn.state, check), check);
  const { kind, change } = message;
  committed(turn, { kind, id, change, value: { id }, written: [written('check', check)] });
  return accepted({ id });
}

/** Makes polling follow the new document: no slot is run twice, none of the new schedule is left out. */
function rearmed(turn: Turn, before: CheckState, after: CheckState): CheckState {
  const zones = zoneIds(after.doc);
  const isSameZones =
    zones.length === before.zones.length && zones.every((zone) => zoneOf(before, zone) !== null);
  const isSame =
    before.doc.period === after.doc.period &&
    before.doc.disabled === after.doc.disabled &&
    isSameZones;
  if (isSame) return after;
  dropped(turn, before, after);
  const check = { ...after, zones: zones.map((zone) => zoneOf(before, zone) ?? newZone(zone)) };
  if (after.doc.disabled)
    return { ...disarmed(turn, check), sinceMs: sinceOf(turn, before, after) };
  if (before.doc.disabled) pauseEnded(turn, check);
  const { nowMs } = turn.context;
  const since = { sinceMs: nowMs, quietSlots: 0, quietSinceMs: nowMs };
  return armed(turn, { ...check, ...since });
}

function sinceOf(turn: Turn, before: CheckState, after: CheckState): number {
  const isKept = before.doc.disabled && before.doc.period === after.doc.period;
  return isKept ? before.sinceMs : turn.context.nowMs;
}

/** Slots under way that nobody waits for any more: the check is disabled, or no longer run in that zone. */
function dropped(turn: Turn, before: CheckState, after: CheckState): void {
  const zones = new Set(zoneIds(after.doc));
  for (const zone of before.zones) {
    const isKept = zones.has(zone.zone) && !after.doc.disabled;
    if (zone.inFlightMs === 0 || isKept) continue;
    const value = skippedTick('disabled', zone.inFlightMs);
    tick(turn, before.doc.id, { zone: zone.zone, slotAtMs: zone.inFlightMs, value });
  }
}

/** The slots in which the check was disabled, as one tick for each zone. */
function pauseEnded(turn: Turn, check: CheckState): void {
  if (check.lastMs === 0) return;
  const schedule = scheduleOf(turn.state, check.doc);
  const fromMs = slotAfter(schedule, check.lastMs);
  const toMs = slotAtOrBefore(schedule, turn.context.nowMs);
  if (toMs < fromMs) return;
  for (const zone of check.zones) {
    tick(turn, check.doc.id, {
      zone: zone.zone,
      slotAtMs: fromMs,
      value: skippedTick('disabled', toMs),
    });
  }
}

/** Results of zones that the check no longer has don't count in its alarms. */
function onlyConfigured(state: EntityState, check: CheckState): EntityState {
  const alarms = state.alarms.map((alarm) => {
    if (alarm.doc.check_id !== check.doc.id) return alarm;
    const zones = alarm.zones.filter((zone) => zoneOf(check, zone.zone) !== null);
    return zones.length === alarm.zones.length ? alarm : { ...alarm, zones };
  });
  return { ...state, alarms };
}

/** Deletes a check with its alarms. */
export function checkDeleted(turn: Turn, message: Of<'check.delete'>): Outcome<unknown> {
  const check = checkOf(turn.state, message.id);
  if (check === null) return missing('Check', childKey(turn.state, message.id));
  disarmed(turn, check);
  const alarms = alarmsOfCheck(turn.state, message.id);
  turn.state = {
    ...turn.state,
    checks: turn.state.checks.filter((one) => one.doc.id !== message.id),
    alarms: turn.state.alarms.filter((one) => one.doc.check_id !== message.id),
    waiting: turn.state.waiting.filter((one) => one.check !== message.id),
  };
  const value = { checks: [message.id], alarms: alarms.map((alarm) => alarm.doc.id) };
  const gone = [deleted('check', check), ...alarms.map((alarm) => deleted('alarm', alarm))];
  const { kind, id, change } = message;
  committed(turn, { kind, id, change, value, written: gone });
  reported(turn);
  return accepted(value);
}
