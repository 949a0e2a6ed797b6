// What the tenant's entities hold (checks, alarms, the plans they name), counted from their reports, and places reserved
// for what is about to be created. Immutable; entities are spread over buckets so that a report copies one bucket only.
// Must not know how entities report or what the limits are.
import { murmur3 } from '../../runtime/ids.ts';

/** Last report of one entity. */
export interface Holding {
  readonly checks: number;
  /** Alarm id → plan id. */
  readonly alarms: ReadonlyMap<string, string>;
}

export interface Holdings {
  readonly buckets: readonly ReadonlyMap<string, Holding>[];
  readonly entities: number;
  readonly checks: number;
  readonly alarms: number;
}

const bucketsTotal = 256;
const empty: ReadonlyMap<string, Holding> = new Map();

export const noHoldings: Holdings = {
  buckets: Array.from({ length: bucketsTotal }, () => empty),
  entities: 0,
  checks: 0,
  alarms: 0,
};

/** Returns the last report of an entity, or null for one that is unknown or gone. */
export function holdingOf(holdings: Holdings, entity: string): Holding | null {
  return holdings.buckets[bucketOf(entity)]?.get(entity) ?? null;
}

/** Returns the holdings with an entity's report replaced; null: the entity is gone. The same object if nothing changed. */
export function withHolding(holdings: Holdings, entity: string, next: Holding | null): Holdings {
  const before = holdingOf(holdings, entity);
  if (sameHolding(before, next)) return holdings;
  const position = bucketOf(entity);
  const bucket = new Map(holdings.buckets[position]);
  if (next === null) bucket.delete(entity);
  else bucket.set(entity, next);
  return {
    buckets: holdings.buckets.with(position, bucket),
    entities: holdings.entities + Number(next !== null) - Number(before !== null),
    checks: holdings.checks + (next?.checks ?? 0) - (before?.checks ?? 0),
    alarms: holdings.alarms + (next?.alarms.size ?? 0) - (before?.alarms.size ?? 0),
  };
}

export interface AlarmOfPlan {
  readonly entity: string;
  readonly alarm: string;
}

/** Returns the alarms that name a plan, by entity and alarm id. */
export function alarmsOfPlan(holdings: Holdings, plan: string): readonly AlarmOfPlan[] {
  const found: AlarmOfPlan[] = [];
  for (const [entity, holding] of everyHolding(holdings)) {
    for (const [alarm, named] of holding.alarms) {
      if (named === plan) found.push({ entity, alarm });
    }
  }
  return found.sort((a, b) => compare(a.entity, b.entity) || compare(a.alarm, b.alarm));
}

/** Returns how many alarms name each plan; plans without alarms are left out. */
export function alarmCounts(holdings: Holdings): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const [, holding] of everyHolding(holdings)) {
    for (const plan of holding.alarms.values()) counts.set(plan, (counts.get(plan) ?? 0) + 1);
  }
  return counts;
}

/** Bytes of soft state given to holdings: below the codec's 1 MiB. About 8,000 entities of six alarms. */
const snapshotCharactersMax = 800_000;

/** Returns the holdings as data: one text `entity checks plan=alarm,alarm …` each. What does not fit is left to the hourly reports. */
export function holdingsToData(holdings: Holdings): readonly string[] {
  const lines: string[] = [];
  let left = snapshotCharactersMax;
  for (const [entity, holding] of everyHolding(holdings)) {
    const byPlan = new Map<string, string[]>();
    for (const [alarm, plan] of holding.alarms) {
      const alarms = byPlan.get(plan);
      if (alarms === undefined) byPlan.set(plan, [alarm]);
      else alarms.push(alarm);
    }
    const plans = [...byPlan].map(([plan, alarms]) => `${plan}=${alarms.join(',')}`);
    const line = [entity, holding.checks, ...plans].join(' ');
    left -= line.length + 4;
    if (left < 0) break;
    lines.push(line);
  }
  return lines;
}

/** Returns the holdings of `holdingsToData`; anything else gives none. */
export function holdingsFromData(lines: unknown): Holdings {
  const buckets = Array.from({ length: bucketsTotal }, () => new Map<string, Holding>());
  const totals = { entities: 0, checks: 0, alarms: 0 };
  if (!Array.isArray(lines)) return noHoldings;
  for (const line of lines) {
    const [entity = '', checksText, ...plans] = String(line).split(' ');
    const holding = { checks: Number(checksText) || 0, alarms: alarmsOf(plans) };
    buckets[bucketOf(entity)]?.set(entity, holding);
    totals.entities += 1;
    totals.checks += holding.checks;
    totals.alarms += holding.alarms.size;
  }
  return { buckets, ...totals };
}

function alarmsOf(plans: readonly string[]): ReadonlyMap<string, string> {
  const alarms = new Map<string, string>();
  for (const text of plans) {
    const [plan = '', ids = ''] = text.split('=');
    for (const alarm of ids.split(',')) alarms.set(alarm, plan);
  }
  return alarms;
}

function* everyHolding(holdings: Holdings): Generator<[string, Holding]> {
  for (const bucket of holdings.buckets) yield* bucket;
}

function sameHolding(before: Holding | null, next: Holding | null): boolean {
  if (before === null || next === null) return before === next;
  if (before.checks !== next.checks || before.alarms.size !== next.alarms.size) return false;
  for (const [alarm, plan] of next.alarms) if (before.alarms.get(alarm) !== plan) return false;
  return true;
}

function bucketOf(entity: string): number {
  return murmur3(Buffer.from(entity, 'utf8')) % bucketsTotal;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
