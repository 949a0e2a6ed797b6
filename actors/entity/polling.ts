// The poll slots of an entity's checks: arming timers, starting probes, and how each slot ends. Every slot of every zone
// ends in exactly one tick. Must not know alarms: what an observation means is evaluation.ts.

import { probeTarget } from '../check/check.ts';
import {
  dueSlot,
  firstSlot,
  nextSlot,
  type PlannedSlot,
  type PollSchedule,
  pollSchedule,
  slotAtOrBefore,
} from '../check/poll-schedule.ts';
import type { ProbeAnswer, ProbeFailed, ProbeObserved, ProbeRequest } from '../check/types.ts';
import { observation } from '../observation/observation.ts';
import type { CheckDoc } from '../resources.ts';
import { evaluated } from './evaluation.ts';
import { failedTick, ranTick, type SkipReason, skippedTick } from './slots.ts';
import {
  type CheckState,
  checkOf,
  type EntityState,
  exists,
  withCheck,
  withZone,
  type ZoneState,
  zoneOf,
} from './state.ts';
import { saved, startTimer, type Turn } from './turn.ts';

/** How long after a check's timeout its probers may still answer, ms. */
const answerGraceMs = 1500;
/** Slots in a row without *ran* in any zone after which the check shows `not-being-checked`. */
export const quietSlotsMax = 3;
const metricsMax = 200;
const statusCharactersMax = 256;

/** Returns the schedule of one of the entity's checks. */
export function scheduleOf(state: EntityState, check: CheckDoc): PollSchedule {
  return pollSchedule(state.key, check.id, check.period * 1000);
}

/** Arms the timer of a check for its next slot; slots up to that one are taken as passed over. */
export function armed(turn: Turn, check: CheckState): CheckState {
  const schedule = scheduleOf(turn.state, check.doc);
  const planned = firstSlot(schedule, check.lastMs, turn.context);
  return planTimer(turn, { ...check, lastMs: planned.slotAtMs - schedule.periodMs }, planned);
}

/** Arms the timer of a new check: its first slot runs at once, under the name of the slot that is just over. */
export function armedAtOnce(turn: Turn, check: CheckState): CheckState {
  const { nowMs, monoMs } = turn.context;
  const slotAtMs = slotAtOrBefore(scheduleOf(turn.state, check.doc), nowMs);
  const planned = { slotAtMs, dueMonoMs: monoMs - (nowMs - slotAtMs) };
  return planTimer(turn, { ...check, sinceMs: slotAtMs }, planned);
}

function planTimer(turn: Turn, check: CheckState, planned: PlannedSlot): CheckState {
  const { id } = check.doc;
  startTimer(turn, slotTimer(id), planned.dueMonoMs, { kind: 'slot.due', check: id });
  return { ...check, nextMs: planned.slotAtMs, dueMonoMs: planned.dueMonoMs };
}

/** The id itself: a text of its own would be 64 bytes for each check. */
const slotTimer = (check: string) => check;
const deadlineTimer = (check: string, slotAtMs: number) => `deadline:${check}:${slotAtMs}`;

/** Stops polling a check: its timers go, results under way are ignored. */
export function disarmed(turn: Turn, check: CheckState): CheckState {
  turn.effects.push({ type: 'cancelTimer', id: slotTimer(check.doc.id) });
  const slots = new Set(check.zones.map((zone) => zone.inFlightMs).filter((slot) => slot !== 0));
  for (const slot of slots) {
    turn.effects.push({ type: 'cancelTimer', id: deadlineTimer(check.doc.id, slot) });
  }
  const zones = check.zones.map((zone) => ({ ...zone, inFlightMs: 0 }));
  return { ...check, nextMs: 0, dueMonoMs: 0, zones };
}

/** A check's timer fired: arms the next slot, then starts this one in every zone that is free. */
export function slotIsDue(turn: Turn, id: string): void {
  const before = checkOf(turn.state, id);
  if (before === null || before.nextMs === 0 || before.doc.disabled) return;
  const schedule = scheduleOf(turn.state, before.doc);
  const planned = { slotAtMs: before.nextMs, dueMonoMs: before.dueMonoMs };
  if (turn.context.monoMs < planned.dueMonoMs) {
    // Fired before the check was changed, read behind that: the slot that is armed now is still to come.
    turn.state = withCheck(turn.state, planTimer(turn, before, planned));
    return;
  }
  const due = dueSlot(schedule, planned, before.lastMs, turn.context.nowMs);
  const { missed } = due;
  if (missed !== null) {
    for (const zone of before.zones) {
      const value = skippedTick('coalesced', missed.toMs);
      tick(turn, id, { zone: zone.zone, slotAtMs: missed.fromMs, value });
    }
    turn.effects.push({ type: 'count', name: 'slots_late', by: 1 });
  }
  const ran = { slotAtMs: due.slotAtMs, dueMonoMs: before.dueMonoMs };
  const next = planTimer(turn, before, nextSlot(schedule, ran, turn.context));
  const quietSlots = before.quietSlots + 1;
  if (quietSlots === quietSlotsMax + 1) {
    turn.effects.push({ type: 'count', name: 'checks_unobserved', by: 1 });
  }
  started(turn, { ...next, lastMs: due.slotAtMs, quietSlots }, due.slotAtMs);
}

/** Starts a slot in the check's zones (`only`: in these); a zone that is still busy skips it. */
export function started(
  turn: Turn,
  check: CheckState,
  slotAtMs: number,
  only?: ReadonlySet<string>,
): void {
  let isAnyStarted = false;
  const zones = check.zones.map((zone) => {
    if (only !== undefined && !only.has(zone.zone)) return zone;
    if (zone.inFlightMs !== 0) {
      skipped(turn, check.doc.id, zone.zone, slotAtMs, 'coalesced');
      return zone;
    }
    const request = probeRequest(turn, check.doc, zone.zone, slotAtMs);
    if (request === null) return targetless(turn, check, zone, slotAtMs);
    isAnyStarted = true;
    turn.effects.push({ type: 'probe', request });
    return { ...zone, inFlightMs: slotAtMs };
  });
  turn.state = withCheck(turn.state, { ...check, zones });
  if (!isAnyStarted) return;
  const { id, timeout } = check.doc;
  const dueMonoMs = turn.context.monoMs + timeout * 1000 + answerGraceMs;
  // One timer for all zones of the slot.
  const message = { kind: 'slot.deadline', check: id, zone: '', slotAtMs } as const;
  startTimer(turn, deadlineTimer(id, slotAtMs), dueMonoMs, message);
}

function targetless(turn: Turn, check: CheckState, zone: ZoneState, slotAtMs: number): ZoneState {
  const message = `The entity has no address '${check.doc.target_alias ?? ''}'`;
  const failure = { slotAtMs, why: 'no-target', message };
  tick(turn, check.doc.id, { zone: zone.zone, slotAtMs, value: failedTick('no-target', message) });
  counted(turn, 'failed');
  return failing(turn, zone, failure);
}

/** Returns the request of one attempt; null where the check has no target just now. */
function probeRequest(
  turn: Turn,
  check: CheckDoc,
  zone: string,
  slotAtMs: number,
): ProbeRequest | null {
  const { state, context } = turn;
  const target = exists(state) ? probeTarget(check, state.entity.doc) : null;
  if (target === null) return null;
  return {
    id: [state.key, check.id, zone, slotAtMs, context.epoch].join('|'),
    zone,
    type: check.type,
    details: check.details,
    target,
    resolver: check.target_resolver,
    timeoutMs: check.timeout * 1000,
    debug: false,
  };
}

interface Attempt {
  readonly check: CheckState;
  readonly zone: ZoneState;
  readonly slotAtMs: number;
}

/** Returns the attempt under way that an id names; null where it ended, or its check or zone is gone. */
function attemptOf(turn: Turn, id: string): Attempt | null {
  const [epoch, slot, zoneId, checkId] = id.split('|').reverse();
  const check = checkOf(turn.state, checkId ?? '');
  const zone = check === null ? null : zoneOf(check, zoneId ?? '');
  const slotAtMs = Number(slot);
  if (check === null || zone === null || zone.inFlightMs !== slotAtMs || slotAtMs === 0)
    return null;
  return Number(epoch) === turn.context.epoch ? { check, zone, slotAtMs } : null;
}

/** A prober answered: the slot ends as *ran* or *failed*. An answer that nothing waits for is counted and ignored. */
export function answered(turn: Turn, answer: ProbeAnswer): void {
  const attempt = attemptOf(turn, answer.id);
  if (attempt === null) {
    turn.effects.push({ type: 'count', name: 'probe_answers_late', by: 1 });
    return;
  }
  if (answer.outcome === 'observed') ran(turn, attempt, answer);
  else failed(turn, attempt, answer.failure, answer.message);
}

function ran(turn: Turn, attempt: Attempt, given: ProbeObserved): void {
  const { slotAtMs, zone } = attempt;
  const { startedAtMs, durationMs, available, errorClass } = given;
  const status = given.status.slice(0, statusCharactersMax);
  const metrics = given.metrics.slice(0, metricsMax);
  const value = ranTick({ startedAtMs, durationMs, available, status, errorClass, metrics });
  tick(turn, attempt.check.doc.id, { zone: zone.zone, slotAtMs, value });
  counted(turn, 'ran');
  const isNews = zone.seen === null || slotAtMs > zone.seen.slotAtMs;
  const { nowMs, monoMs } = turn.context;
  const seen = observation(
    { slotAtMs, atMs: startedAtMs, available, status },
    metrics,
    zone.seen?.shape,
  );
  const after: ZoneState = isNews
    ? {
        zone: zone.zone,
        seen,
        before: null,
        seenMonoMs: monoMs,
        seenAtMs: nowMs,
        failure: null,
        inFlightMs: 0,
      }
    : { ...zone, failure: null, inFlightMs: 0 };
  const check = withZone(attempt.check, after);
  turn.state = withCheck(turn.state, { ...check, quietSlots: 0, quietSinceMs: nowMs });
  ended(turn, attempt);
  saved(turn, 'later');
  if (isNews) {
    const came = { check: check.doc.id, zone: zone.zone, seen, previous: zone.seen };
    evaluated(turn, { ...came, cameMonoMs: monoMs, cameAtMs: nowMs });
  }
}

function failed(
  turn: Turn,
  attempt: Attempt,
  why: ProbeFailed['failure'] | 'no-answer',
  message: string,
): void {
  const text = message.slice(0, statusCharactersMax);
  const { check, zone, slotAtMs } = attempt;
  tick(turn, check.doc.id, { zone: zone.zone, slotAtMs, value: failedTick(why, text) });
  counted(turn, 'failed');
  const after = failing(turn, zone, { slotAtMs, why, message: text });
  turn.state = withCheck(turn.state, withZone(check, { ...after, inFlightMs: 0 }));
  ended(turn, attempt);
  saved(turn, 'later');
}

function failing(
  turn: Turn,
  zone: ZoneState,
  failure: Omit<NonNullable<ZoneState['failure']>, 'sinceMs'>,
): ZoneState {
  const sinceMs = zone.failure?.why === failure.why ? zone.failure.sinceMs : turn.context.nowMs;
  return { ...zone, failure: { ...failure, sinceMs } };
}

/** The probe of an attempt was not started: this node may not act for the shard just now. */
export function fenced(turn: Turn, id: string): void {
  const attempt = attemptOf(turn, id);
  if (attempt === null) return;
  const { check, zone, slotAtMs } = attempt;
  skipped(turn, check.doc.id, zone.zone, slotAtMs, 'fenced');
  const message = 'This node could not act for the entity at that time';
  const after = failing(turn, zone, { slotAtMs, why: 'fenced', message });
  turn.state = withCheck(turn.state, withZone(check, { ...after, inFlightMs: 0 }));
  ended(turn, attempt);
}

/** The deadline of a slot passed: zones that have not answered (`zone` empty: all) end as *failed*. */
export function deadlinePassed(turn: Turn, id: string, zone: string, slotAtMs: number): void {
  const waiting = checkOf(turn.state, id)?.zones.filter((one) => one.inFlightMs === slotAtMs) ?? [];
  for (const one of waiting) {
    const check = checkOf(turn.state, id);
    if (check === null || (zone !== '' && one.zone !== zone)) continue;
    const seconds = (check.doc.timeout * 1000 + answerGraceMs) / 1000;
    failed(
      turn,
      { check, zone: one, slotAtMs },
      'no-answer',
      `No answer from the zone within ${seconds} s`,
    );
  }
}

/** The last zone of a slot ended: its deadline needs no timer any more. */
function ended(turn: Turn, attempt: Attempt): void {
  const zones = checkOf(turn.state, attempt.check.doc.id)?.zones ?? [];
  if (zones.some((zone) => zone.inFlightMs === attempt.slotAtMs)) return;
  const id = deadlineTimer(attempt.check.doc.id, attempt.slotAtMs);
  turn.effects.push({ type: 'cancelTimer', id });
}

function skipped(turn: Turn, check: string, zone: string, slotAtMs: number, why: SkipReason): void {
  tick(turn, check, { zone, slotAtMs, value: skippedTick(why, slotAtMs) });
  counted(turn, 'skipped');
}

/** Adds a tick to what this step appends. */
export function tick(
  turn: Turn,
  check: string,
  of: { readonly zone: string; readonly slotAtMs: number; readonly value: unknown },
): void {
  turn.ticks.push({ check, ...of });
}

function counted(turn: Turn, outcome: 'ran' | 'failed' | 'skipped'): void {
  turn.effects.push({ type: 'count', name: 'slots', by: 1, label: outcome });
}
