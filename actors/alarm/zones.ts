// From zone results to an alarm's state: consecutive counting per zone, ageing, and the consistency levels over the
// configured zones (alarm-language.md §6). Pure and allocation-light: it runs for every observation.
// Must not know criteria, plans or where time comes from.
import type { AlarmStateName } from '../resources.ts';

export type ConsistencyLevel = 'ONE' | 'QUORUM' | 'ALL';

/** What one alarm knows of one zone. */
export interface AlarmZone {
  readonly zone: string;
  /** State of the zone's newest observation. */
  readonly computed: AlarmStateName;
  /** State that was last computed `count` times in a row; UNKNOWN: none yet. */
  readonly confirmed: AlarmStateName;
  /** How often in a row `computed` was computed; stops at the count, where it no longer matters. */
  readonly run: number;
  readonly status: string;
  /** Slot of the newest observation that was evaluated. */
  readonly slotAtMs: number;
  /** When that observation came in: monotonic (ages) and wall clock (ages over a restart). */
  readonly cameMonoMs: number;
  readonly cameAtMs: number;
}

/** One evaluated observation of a zone. */
export interface ZoneResult {
  readonly zone: string;
  readonly state: AlarmStateName;
  readonly status: string;
  readonly slotAtMs: number;
  readonly cameMonoMs: number;
  readonly cameAtMs: number;
}

/** Returns the zone after a result: `before` null for its first. `count`: results in a row that confirm a state. */
export function counted(before: AlarmZone | null, result: ZoneResult, count: number): AlarmZone {
  const isSame = before !== null && before.computed === result.state;
  const run = isSame ? Math.min(before.run + 1, count) : 1;
  return {
    zone: result.zone,
    computed: result.state,
    confirmed: run >= count ? result.state : (before?.confirmed ?? 'UNKNOWN'),
    run,
    status: result.status,
    slotAtMs: result.slotAtMs,
    cameMonoMs: result.cameMonoMs,
    cameAtMs: result.cameAtMs,
  };
}

/** How long an observation counts, ms: 1.5 × count × period. */
export function ageLimitMs(count: number, periodMs: number): number {
  return 1.5 * count * periodMs;
}

/** What decides besides the zones' results. */
export interface Quorum {
  readonly level: ConsistencyLevel;
  /** Number of the check's configured zones. */
  readonly total: number;
  /** Configured zones whose collector is known to be down: they leave the total under ALL. */
  readonly down: ReadonlySet<string>;
  readonly ageLimitMs: number;
  readonly monoMs: number;
}

/** True where the zone's observation is young enough to count. */
export function isFresh(zone: AlarmZone, quorum: Quorum): boolean {
  return quorum.monoMs - zone.cameMonoMs <= quorum.ageLimitMs;
}

/** Returns how many zones must report (and, for a change, agree). */
export function zonesNeeded(quorum: Pick<Quorum, 'level' | 'total' | 'down'>): number {
  if (quorum.level === 'ONE') return 1;
  if (quorum.level === 'QUORUM') return Math.floor(quorum.total / 2) + 1;
  return Math.max(1, quorum.total - quorum.down.size);
}

/**
 * Returns the alarm's state after an observation of `arrived` was counted in; `zones` holds configured zones only.
 * `current` where nothing decides: too few zones report or agree, or the observation is not confirmed (ONE).
 */
export function decided(
  zones: readonly AlarmZone[],
  arrived: AlarmZone,
  quorum: Quorum,
  current: AlarmStateName,
): AlarmStateName {
  if (quorum.level === 'ONE' || quorum.total === 1) {
    return arrived.computed === arrived.confirmed && isFresh(arrived, quorum)
      ? arrived.confirmed
      : current;
  }
  return agreed(zones, quorum) ?? current;
}

function agreed(zones: readonly AlarmZone[], quorum: Quorum): AlarmStateName | null {
  let ok = 0;
  let warning = 0;
  let critical = 0;
  for (const zone of zones) {
    if (!isFresh(zone, quorum) || leftOut(zone, quorum)) continue;
    if (zone.confirmed === 'OK') ok += 1;
    else if (zone.confirmed === 'WARNING') warning += 1;
    else if (zone.confirmed === 'CRITICAL') critical += 1;
  }
  const needed = zonesNeeded(quorum);
  if (critical >= needed) return 'CRITICAL';
  if (warning >= needed) return 'WARNING';
  return ok >= needed ? 'OK' : null;
}

function leftOut(zone: AlarmZone, quorum: Quorum): boolean {
  return quorum.level === 'ALL' && quorum.down.has(zone.zone);
}

/** Returns how many zones report: their observations are fresh and they are in the total. */
export function zonesReporting(zones: readonly AlarmZone[], quorum: Quorum): number {
  let reporting = 0;
  for (const zone of zones) if (isFresh(zone, quorum) && !leftOut(zone, quorum)) reporting += 1;
  return reporting;
}
