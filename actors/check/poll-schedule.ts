// When a check is polled: a pure function of (entity, check, period), so phase survives fail-over and nothing is stored.
// Slots are named by the wall clock and due by the monotonic clock: a wall clock that is stepped gives no slot twice, no
// blind hour and no storm. Follows clustering.md §12. Must not know zones, probes or timers.
import { type ActorKey, murmur3 } from '../../runtime/ids.ts';

export interface PollSchedule {
  readonly periodMs: number;
  /** 0 ≤ phaseMs < periodMs: slots are at k · period + phase, epoch ms. */
  readonly phaseMs: number;
}

/** Both clocks at one moment. */
export interface Instant {
  readonly nowMs: number;
  readonly monoMs: number;
}

/** The next slot and when it is due. */
export interface PlannedSlot {
  readonly slotAtMs: number;
  readonly dueMonoMs: number;
}

/** What to do when a slot falls due. */
export interface DueSlot {
  /** The slot to run now. */
  readonly slotAtMs: number;
  /** Slots that were passed over (a pause, or the wall clock stepped forward): they are not run. Null: none. */
  readonly missed: { readonly fromMs: number; readonly toMs: number } | null;
}

/** Returns the schedule of a check. Frozen: stored slots depend on it. */
export function pollSchedule(entity: ActorKey, check: string, periodMs: number): PollSchedule {
  return { periodMs, phaseMs: murmur3(Buffer.from(`${entity}/${check}`, 'utf8')) % periodMs };
}

/** Returns the newest slot at or before `atMs`. */
export function slotAtOrBefore(schedule: PollSchedule, atMs: number): number {
  const { periodMs, phaseMs } = schedule;
  return Math.floor((atMs - phaseMs) / periodMs) * periodMs + phaseMs;
}

/** Returns the first slot after `atMs`. */
export function slotAfter(schedule: PollSchedule, atMs: number): number {
  return slotAtOrBefore(schedule, atMs) + schedule.periodMs;
}

/** Returns how much longer or shorter than the period an interval may be while slots and wall clock disagree, ms. */
export function meltMs(periodMs: number): number {
  return Math.min(periodMs / 20, 1000);
}

/**
 * Returns the first slot of an owner that has just loaded the check, `lastMs` being the newest slot known to have been
 * run (0: none). Due by the wall rule, within one period; its name is above `lastMs` even where that leads the clock.
 */
export function firstSlot(schedule: PollSchedule, lastMs: number, now: Instant): PlannedSlot {
  const wallMs = slotAfter(schedule, now.nowMs);
  const aboveMs = lastMs === 0 ? 0 : slotAfter(schedule, lastMs);
  return { slotAtMs: Math.max(wallMs, aboveMs), dueMonoMs: now.monoMs + (wallMs - now.nowMs) };
}

/**
 * Returns which slot to run now that `planned` is due. `lastMs`: the newest slot that was run or passed over (0: none).
 * Where the wall clock shows later slots, the newest of them is run, once, and those before it are missed.
 */
export function dueSlot(
  schedule: PollSchedule,
  planned: PlannedSlot,
  lastMs: number,
  nowMs: number,
): DueSlot {
  const floorMs = Math.max(planned.slotAtMs, lastMs === 0 ? 0 : slotAfter(schedule, lastMs));
  const slotAtMs = Math.max(floorMs, slotAtOrBefore(schedule, nowMs));
  const fromMs = lastMs === 0 ? floorMs : slotAfter(schedule, lastMs);
  const toMs = slotAtMs - schedule.periodMs;
  return { slotAtMs, missed: toMs >= fromMs ? { fromMs, toMs } : null };
}

/**
 * Returns the slot after `ran`, whose own due time was `dueMonoMs`. The interval between due times is the period, longer
 * or shorter by at most `meltMs` while the slot's name and the wall clock disagree; after a pause the due times that
 * passed are left out, so two starts are never caught up at once.
 */
export function nextSlot(schedule: PollSchedule, ran: PlannedSlot, now: Instant): PlannedSlot {
  const { periodMs } = schedule;
  const slotAtMs = ran.slotAtMs + periodMs;
  const passed = Math.max(0, Math.floor((now.monoMs - ran.dueMonoMs) / periodMs));
  const regularMonoMs = ran.dueMonoMs + (passed + 1) * periodMs;
  const wallMonoMs = now.monoMs + (slotAtMs - now.nowMs);
  const melt = meltMs(periodMs);
  const error = Math.max(-melt, Math.min(melt, beyondNoise(wallMonoMs - regularMonoMs)));
  return { slotAtMs, dueMonoMs: Math.max(now.monoMs + 1, regularMonoMs + error) };
}

/** The wall clock is read in whole ms: to follow it more closely would shake every interval by as much. */
const wallNoiseMs = 1;

const beyondNoise = (errorMs: number): number => (Math.abs(errorMs) <= wallNoiseMs ? 0 : errorMs);
