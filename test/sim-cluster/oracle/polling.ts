// When polls start in a cluster: I4, I6, I7 with the bounds of the fault classes. Written against reliability.md §3.1, §5.
import type { CheckDoc } from '../../sim/oracle/checks.ts';
import type { Violation } from '../../sim/oracle/facts.ts';
import { type ClusterFacts, type FaultSpan, violation } from './facts.ts';

interface Start {
  readonly t: number;
  readonly run: number;
  readonly slot: number;
}

interface Version {
  readonly t: number;
  readonly doc: CheckDoc | null;
}

interface Polled {
  readonly starts: ReadonlyMap<string, readonly Start[]>;
  readonly versions: ReadonlyMap<string, readonly Version[]>;
}

const checkKind = 1;
/** Clocks may run 5 % slow. */
const rateSlack = 1.06;
const smallMs = 600;
/** F_node: 3 s hard, from the fault to all checks polling. */
const failOverMs = 3_000;

const cache = new WeakMap<ClusterFacts, Polled>();

function polledOf(facts: ClusterFacts): Polled {
  const known = cache.get(facts);
  if (known !== undefined) return known;
  const starts = new Map<string, Start[]>();
  const versions = new Map<string, Version[]>();
  for (const event of facts.events) {
    if (event.kind === 'probe.start') {
      const [, slot = '0', zone = '', check = '', key = ''] = event.id.split('|').reverse();
      const place = `${key} ${check} ${zone}`;
      starts.set(place, [
        ...(starts.get(place) ?? []),
        { t: event.t, run: event.run, slot: Number(slot) },
      ]);
    } else if (event.kind === 'commit' && event.applied) {
      for (const row of event.rows) {
        for (const { kind, id, body } of row.documents) {
          const place = `${row.key} ${id}`;
          const doc = body === null ? null : (body as { doc: CheckDoc }).doc;
          if (kind === checkKind)
            versions.set(place, [...(versions.get(place) ?? []), { t: event.t, doc }]);
          // An entity that is deleted takes its checks along.
          if (kind === 0 && body === null) {
            for (const [other, own] of versions) {
              if (other.startsWith(`${row.key} `)) own.push({ t: event.t, doc: null });
            }
          }
        }
      }
    }
  }
  const polled = { starts, versions };
  cache.set(facts, polled);
  return polled;
}

/** The settings of a check if they stood still in [from, to] and it was polled then; else null. */
function steady(
  polled: Polled,
  place: string,
  span: { from: number; to: number },
): CheckDoc | null {
  const [key = '', check = '', zone = ''] = place.split(' ');
  const versions = polled.versions.get(`${key} ${check}`) ?? [];
  const isChanged = versions.some((one) => one.t > span.from - 30_000 && one.t <= span.to);
  const doc = versions.findLast((one) => one.t <= span.from)?.doc ?? null;
  if (isChanged || doc === null || doc.disabled || !doc.monitoring_zones_poll.includes(zone))
    return null;
  return doc;
}

/** I6: between starts no more than 1.1 × period, and F where a node died or hangs and nothing else is wrong. */
export function gapBound(facts: ClusterFacts): Violation[] {
  const found: Violation[] = [];
  const polled = polledOf(facts);
  for (const [place, starts] of polled.starts) {
    for (let at = 0; at + 1 < starts.length; at++) {
      const [from, to] = [starts[at] as Start, starts[at + 1] as Start];
      const doc = steady(polled, place, { from: from.t, to: to.t });
      if (doc === null) continue;
      const allowedMs = allowance(facts, doc.period * 1_000, { from: from.t, to: to.t });
      if (to.t - from.t <= allowedMs) continue;
      const text = `${place}: ${Math.round(to.t - from.t)} ms between starts of ${from.run} and ${to.run}, ${Math.round(allowedMs)} allowed`;
      found.push(violation('I6', to.t, text));
    }
  }
  return found;
}

/** Faults that polling does not suffer from by themselves. */
const harmless = new Set(['receiver', 'start', 'fenced', 'frames', 'relay']);

function allowance(
  facts: ClusterFacts,
  periodMs: number,
  span: { from: number; to: number },
): number {
  const regularMs = periodMs * 1.1 * rateSlack + smallMs;
  const isTouching = (fault: FaultSpan): boolean =>
    fault.from <= span.to && fault.to >= span.from - periodMs - 5_000;
  const faults = facts.faults.filter((fault) => !harmless.has(fault.kind) && isTouching(fault));
  if (faults.length === 0) return regularMs;
  const isClean = (fault: FaultSpan): boolean =>
    (fault.kind === 'end' && !fault.what.endsWith('last')) ||
    (fault.kind === 'pause' && fault.to - fault.from > 2_500);
  const [only] = faults;
  const view = facts.viewAt(span.from);
  if (faults.length > 1 || only === undefined || !isClean(only) || (view?.members.length ?? 0) < 3)
    return Number.POSITIVE_INFINITY;
  // Of a planned end nothing is missed.
  if (only.what.endsWith(' stop')) return regularMs;
  const isQuiet = !facts.isDisturbed(only.from - 6_000, only.from + 5_000, (one) => one === only);
  return isQuiet ? regularMs + failOverMs : Number.POSITIVE_INFINITY;
}

/** I7: at most two slots of (check, zone) start in one period. */
export function noStorm(facts: ClusterFacts): Violation[] {
  const found: Violation[] = [];
  const polled = polledOf(facts);
  const stepped = facts.faults.filter((fault) => fault.kind === 'wall');
  for (const [place, all] of polled.starts) {
    // A slot that two nodes run is one slot.
    const starts = all.filter(
      (one, at) => all.findIndex((other) => other.slot === one.slot) === at,
    );
    for (let at = 0; at + 2 < starts.length; at++) {
      const [from, to] = [starts[at] as Start, starts[at + 2] as Start];
      const doc = steady(polled, place, { from: from.t, to: to.t });
      if (doc === null || stepped.some((one) => one.from <= to.t)) continue;
      if (to.t - from.t >= doc.period * 1_000 * 0.9) continue;
      found.push(violation('I7', to.t, `${place}: three slots in ${Math.round(to.t - from.t)} ms`));
    }
  }
  return found;
}

/** I4: after quiescence every check was polled within its period. */
export function polledAgain(facts: ClusterFacts): Violation[] {
  if (facts.ground.mode !== 'liveness') return [];
  const endT = facts.events.find((one) => one.kind === 'heads' && one.when === 'end')?.t;
  if (endT === undefined) return [];
  const found: Violation[] = [];
  const polled = polledOf(facts);
  for (const [place, versions] of polled.versions) {
    const last = versions.findLast((one) => one.t <= endT);
    if (last === undefined || last.doc === null || last.doc.disabled || last.t > endT - 40_000)
      continue;
    for (const zone of last.doc.monitoring_zones_poll) {
      const starts = polled.starts.get(`${place} ${zone}`) ?? [];
      const t = starts.findLast((one) => one.t <= endT)?.t ?? 0;
      if (endT - t <= last.doc.period * 1_100 * rateSlack + smallMs) continue;
      found.push(
        violation(
          'I4',
          endT,
          `${place} ${zone}: not polled for ${Math.round(endT - t)} ms at the end`,
        ),
      );
    }
  }
  return found;
}
