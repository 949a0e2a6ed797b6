// How poll slots end, as they are stored in ticks, and the account over a range: every scheduled slot of every zone ends
// in exactly one of ran, failed, skipped or lost (design.md §4). Pure; the API reads ticks and schedule and asks here.
// Must not know actors or timers.
import type { ProbeObserved, WireMetric } from '../check/types.ts';
import { type Observation, observation } from '../observation/observation.ts';
import type { SlotsInFlight } from './messages.ts';

/** Why a slot was not run. */
export type SkipReason = 'disabled' | 'maintenance' | 'coalesced' | 'over-limit' | 'fenced';

/** How a slot ended, decoded. `from` and `to` (both included) where one record stands for a run of slots. */
export type SlotRecord =
  | {
      readonly outcome: 'ran';
      readonly atMs: number;
      readonly durationMs: number;
      readonly available: boolean;
      readonly status: string;
      readonly errorClass: string | null;
      readonly metrics: readonly WireMetric[];
    }
  | { readonly outcome: 'failed'; readonly why: string; readonly message: string }
  | { readonly outcome: 'skipped'; readonly why: string; readonly toMs: number }
  | { readonly outcome: 'lost'; readonly toMs: number };

/** Codes of the first position of a tick's value. Frozen: stored rows depend on them. */
const codes = { ran: 1, failed: 2, skipped: 3, lost: 4 } as const;

/** What a tick tells of an answer. */
type RanAnswer = Pick<
  ProbeObserved,
  'startedAtMs' | 'durationMs' | 'available' | 'status' | 'errorClass' | 'metrics'
>;

/** `[1, atMs, durationMs, available, status, errorClass, name, type, value, unit, name, …]`. */
export function ranTick(answer: RanAnswer): readonly unknown[] {
  const { startedAtMs, durationMs, available, status, errorClass } = answer;
  const tick = [codes.ran, startedAtMs, durationMs, available ? 1 : 0, status, errorClass];
  for (const [name, type, value, unit] of answer.metrics) tick.push(name, type, value, unit);
  return tick;
}

/** `[2, why, message]`. */
export function failedTick(why: string, message: string): readonly unknown[] {
  return [codes.failed, why, message];
}

/** `[3, why, toMs]`, stored at the first slot that was skipped. */
export function skippedTick(why: SkipReason, toMs: number): readonly unknown[] {
  return [codes.skipped, why, toMs];
}

/** `[4, toMs]`, stored at the first slot that was lost. */
export function lostTick(toMs: number): readonly unknown[] {
  return [codes.lost, toMs];
}

/** Returns the record in a tick's value, or null for a value of another layout (a newer version's). */
export function decodeTick(value: unknown): SlotRecord | null {
  if (!Array.isArray(value)) return null;
  const [code, first, second] = value as readonly unknown[];
  if (code === codes.ran) return ranRecord(value);
  if (code === codes.failed && typeof first === 'string') {
    return { outcome: 'failed', why: first, message: typeof second === 'string' ? second : '' };
  }
  if (code === codes.skipped && typeof first === 'string' && isNumber(second)) {
    return { outcome: 'skipped', why: first, toMs: second };
  }
  if (code === codes.lost && isNumber(first)) return { outcome: 'lost', toMs: first };
  return null;
}

const isNumber = (value: unknown): value is number => Number.isFinite(value);

function ranRecord(value: readonly unknown[]): SlotRecord | null {
  const [, atMs, durationMs, available, status, errorClass] = value;
  if (!isNumber(atMs) || !isNumber(durationMs) || typeof status !== 'string') return null;
  return {
    outcome: 'ran',
    atMs,
    durationMs,
    available: available === 1,
    status,
    errorClass: typeof errorClass === 'string' ? errorClass : null,
    metrics: metricsOf(value.slice(6)),
  };
}

function metricsOf(flat: readonly unknown[]): readonly WireMetric[] {
  const metrics: WireMetric[] = [];
  for (let at = 0; at + 3 < flat.length; at += 4) {
    const metric = flat.slice(at, at + 4);
    if (isMetric(metric)) metrics.push(metric);
  }
  return metrics;
}

function isMetric(metric: readonly unknown[]): metric is WireMetric {
  const [name, type, value, unit] = metric;
  if (typeof name !== 'string' || typeof type !== 'string' || typeof unit !== 'string')
    return false;
  return typeof value === 'string' || typeof value === 'number';
}

/** Returns the observation in a tick of slot `slotAtMs`, or null where the slot made none. */
export function observationOf(slotAtMs: number, value: unknown): Observation | null {
  const record = decodeTick(value);
  if (record?.outcome !== 'ran') return null;
  const { atMs, available, status } = record;
  return observation({ slotAtMs, atMs, available, status }, record.metrics);
}

/** A tick as read from the store. */
export interface ReadTick {
  readonly zone: string;
  readonly slotAtMs: number;
  readonly value: unknown;
}

export type SlotOutcome = 'ran' | 'failed' | 'skipped' | 'lost' | 'pending';

/** One slot of one zone, or a run of slots that ended alike without being started (`skipped`, `lost`). */
export interface SlotItem {
  readonly monitoring_zone_id: string;
  readonly slot: number;
  readonly outcome: SlotOutcome;
  /** Reason of *failed* and *skipped*, else null. */
  readonly why: string | null;
  /** First and last slot that the item stands for. */
  readonly from: number;
  readonly to: number;
  /** How many slots that are. */
  readonly slots: number;
  /** Of *ran*: what the run saw; of *failed*: its message. */
  readonly status: string | null;
  readonly available: boolean | null;
  readonly timestamp: number | null;
  readonly duration: number | null;
}

export type SlotSums = Readonly<Record<SlotOutcome, number>>;

export interface SlotReport {
  /** By zone, then slot. */
  readonly items: readonly SlotItem[];
  readonly sums: SlotSums;
  readonly zones: readonly ({ readonly monitoring_zone_id: string } & SlotSums)[];
}

export interface SlotRange {
  /** fromMs ≤ slot < toMs. */
  readonly fromMs: number;
  readonly toMs: number;
  /** Slots due in the last `graceMs` before it may still be on their way to the store: *pending*, not *lost*. */
  readonly nowMs: number;
}

/** At most so many scheduled slots are accounted at once, over all zones. */
export const reportSlotsMax = 100_000;
const graceMs = 5_000;

/**
 * Returns the account of a check's slots in a range: each slot of each zone that the schedule names, or that has a tick,
 * in exactly one item. Slots that nothing tells of are *lost*; before `schedule.since_ms` only what ticks tell counts.
 * The range is cut at its end to `reportSlotsMax` slots.
 */
export function slotReport(
  ticks: readonly ReadTick[],
  schedule: SlotsInFlight,
  range: SlotRange,
): SlotReport {
  const zones = [...new Set([...schedule.zones, ...ticks.map((tick) => tick.zone)])];
  const newestMs = ticks.reduce((newest, tick) => Math.max(newest, tick.slotAtMs), range.nowMs);
  const slotsMax = Math.floor(reportSlotsMax / Math.max(1, zones.length));
  const endMs = Math.min(newestMs + 1, range.fromMs + slotsMax * schedule.period_ms);
  const bounded = { ...range, toMs: Math.min(range.toMs, endMs) };
  const reports = zones.map((zone) => {
    const own = ticks.filter((tick) => tick.zone === zone);
    const items = zoneItems({ zone, schedule, range: bounded }, own);
    return { zone, items, sums: summed(items) };
  });
  const items = reports.flatMap((report) => report.items);
  return {
    items,
    sums: summed(items),
    zones: reports.map((report) => ({ monitoring_zone_id: report.zone, ...report.sums })),
  };
}

interface ZoneRange {
  readonly zone: string;
  readonly schedule: SlotsInFlight;
  readonly range: SlotRange;
}

function zoneItems(of: ZoneRange, ticks: readonly ReadTick[]): readonly SlotItem[] {
  const found = new Map<number, SlotItem>();
  // Ranges first, so that a slot's own record stands before a range that covers it.
  for (const tick of ticks) addRange(of, found, tick);
  for (const tick of ticks) addSingle(of, found, tick);
  for (const one of of.schedule.in_flight) {
    const isHere = one.monitoring_zone_id === of.zone && inRange(of.range, one.slot);
    if (isHere && !found.has(one.slot)) found.set(one.slot, item(of.zone, one.slot, 'pending'));
  }
  if (of.schedule.zones.includes(of.zone)) addUntold(of, found);
  return joined(
    [...found.values()].sort((a, b) => a.slot - b.slot),
    of.schedule.period_ms,
  );
}

function addRange(of: ZoneRange, found: Map<number, SlotItem>, tick: ReadTick): void {
  const record = decodeTick(tick.value);
  if (record === null || !('toMs' in record)) return;
  const why = record.outcome === 'skipped' ? record.why : null;
  const { period_ms: periodMs } = of.schedule;
  const behindMs = Math.max(0, of.range.fromMs - tick.slotAtMs);
  const firstMs = tick.slotAtMs + Math.ceil(behindMs / periodMs) * periodMs;
  const endMs = Math.min(record.toMs + 1, of.range.toMs);
  for (let slot = firstMs; slot < endMs; slot += periodMs) {
    const before = found.get(slot);
    if (before === undefined || before.outcome === 'lost') {
      found.set(slot, item(of.zone, slot, record.outcome, why));
    }
  }
}

function addSingle(of: ZoneRange, found: Map<number, SlotItem>, tick: ReadTick): void {
  const record = decodeTick(tick.value);
  if (!inRange(of.range, tick.slotAtMs) || record === null) return;
  if (record.outcome === 'failed') {
    const failed = item(of.zone, tick.slotAtMs, 'failed', record.why);
    found.set(tick.slotAtMs, { ...failed, status: record.message });
  }
  if (record.outcome !== 'ran') return;
  found.set(tick.slotAtMs, {
    ...item(of.zone, tick.slotAtMs, 'ran'),
    status: record.status,
    available: record.available,
    timestamp: record.atMs,
    duration: record.durationMs,
  });
}

/** Scheduled slots of which neither store nor owner tells. */
function addUntold(of: ZoneRange, found: Map<number, SlotItem>): void {
  const { period_ms: periodMs, phase_ms: phaseMs, since_ms: sinceMs, disabled } = of.schedule;
  const fromMs = Math.max(of.range.fromMs, sinceMs);
  const firstMs = Math.ceil((fromMs - phaseMs) / periodMs) * periodMs + phaseMs;
  // A slot is started at most a period after the wall clock shows it, and its tick is written behind.
  const pendingMs = of.range.nowMs - periodMs - graceMs;
  for (let slot = firstMs; slot < of.range.toMs; slot += periodMs) {
    if (found.has(slot)) continue;
    if (disabled) found.set(slot, item(of.zone, slot, 'skipped', 'disabled'));
    else found.set(slot, item(of.zone, slot, slot > pendingMs ? 'pending' : 'lost'));
  }
}

function item(
  zone: string,
  slot: number,
  outcome: SlotOutcome,
  why: string | null = null,
): SlotItem {
  return {
    monitoring_zone_id: zone,
    slot,
    outcome,
    why,
    from: slot,
    to: slot,
    slots: 1,
    status: null,
    available: null,
    timestamp: null,
    duration: null,
  };
}

/** Neighbours that were skipped or lost alike become one item. */
function joined(items: readonly SlotItem[], periodMs: number): readonly SlotItem[] {
  const result: SlotItem[] = [];
  for (const next of items) {
    const last = result.at(-1);
    const isRun = next.outcome === 'skipped' || next.outcome === 'lost';
    const isAlike = last?.outcome === next.outcome && last.why === next.why;
    if (last !== undefined && isRun && isAlike && next.from === last.to + periodMs) {
      result[result.length - 1] = { ...last, to: next.to, slots: last.slots + 1 };
    } else {
      result.push(next);
    }
  }
  return result;
}

function summed(items: readonly SlotItem[]): SlotSums {
  const sums = { ran: 0, failed: 0, skipped: 0, lost: 0, pending: 0 };
  for (const one of items) sums[one.outcome] += one.slots;
  return sums;
}

function inRange(range: SlotRange, slot: number): boolean {
  return slot >= range.fromMs && slot < range.toMs;
}
