// Class M, samples, in memory: ticks of each (check, zone) in slot order; writing a slot again overwrites it.
import type { TickRow } from '../../runtime/ports.ts';
import { sweepRowsMax, tickKeepMs } from '../limits.ts';
import type { SampleOperations } from '../operations.ts';
import { bySlotAndZone, lowerBound, putInOrder } from '../order.ts';

type Zones = Map<string, TickRow[]>;

/** Returns the operations, and the sweep of ticks past their keep. */
export function memorySamples(): SampleOperations & { sweepTicks(nowMs: number): number } {
  const checks = new Map<string, Zones>();
  return {
    appendTicks: (rows) => {
      for (const row of rows) append(checks, row);
    },
    lastTicks: (of, notBeforeMs) => {
      const found: TickRow[] = [];
      for (const series of of) {
        const last = checks.get(checkPlace(series))?.get(series.zone)?.at(-1);
        if (last !== undefined && last.slotAtMs >= notBeforeMs) found.push(copyTick(last));
      }
      return found;
    },
    readTicks: (query) => {
      const found: TickRow[] = [];
      for (const ticks of checks.get(checkPlace(query))?.values() ?? []) {
        const from = lowerBound(ticks, (tick) => tick.slotAtMs - query.fromMs);
        const to = lowerBound(ticks, (tick) => tick.slotAtMs - query.toMs);
        found.push(...ticks.slice(from, to));
      }
      return found.sort(bySlotAndZone).slice(0, query.limit).map(copyTick);
    },
    sweepTicks: (nowMs) => sweep(checks, nowMs - tickKeepMs),
  };
}

function append(checks: Map<string, Zones>, row: TickRow): void {
  const place = checkPlace(row);
  const zones: Zones = checks.get(place) ?? new Map();
  checks.set(place, zones);
  const ticks = zones.get(row.zone) ?? [];
  zones.set(row.zone, ticks);
  putInOrder(ticks, row, (left, right) => left.slotAtMs - right.slotAtMs);
}

function sweep(checks: Map<string, Zones>, beforeMs: number): number {
  let swept = 0;
  for (const [place, zones] of checks) {
    for (const [zone, ticks] of zones) {
      const expired = lowerBound(ticks, (tick) => tick.slotAtMs - beforeMs);
      const taken = Math.min(expired, sweepRowsMax - swept);
      ticks.splice(0, taken);
      swept += taken;
      if (ticks.length === 0) zones.delete(zone);
    }
    if (zones.size === 0) checks.delete(place);
    if (swept >= sweepRowsMax) break;
  }
  return swept;
}

function checkPlace(of: { shard: number; key: string; check: string }): string {
  return `${of.shard}\n${of.key}\n${of.check}`;
}

function copyTick(tick: TickRow): TickRow {
  return { ...tick, value: new Uint8Array(tick.value) };
}
