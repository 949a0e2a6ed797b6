// What became of each slot: I10. A slot ends in exactly one way, and the record says what the prober said.
import { checkAt, checkChanged } from './checks.ts';
import type { Facts, Of, Poll, Violation } from './facts.ts';
import { wasReloaded } from './reloads.ts';

type Tick = Of<'ticks'>['rows'][number] & { readonly t: number; readonly run: number };

const code = { ran: 1, failed: 2, skipped: 3, lost: 4 };
/** A prober may answer until so long behind its timeout. */
const graceMs = 1_500;

function ticksOf(facts: Facts): Map<string, Tick[]> {
  const ticks = new Map<string, Tick[]>();
  for (const event of facts.events) {
    if (event.kind !== 'ticks') continue;
    for (const row of event.rows) {
      const place = `${row.key} ${row.check} ${row.zone}`;
      const own = ticks.get(place) ?? [];
      ticks.set(place, own);
      own.push({ ...row, t: event.t, run: event.run });
    }
  }
  return ticks;
}

/** I10: the record of a slot is true, single, and there. */
export function honestSlots(facts: Facts): Violation[] {
  const found: Violation[] = [];
  const ticks = ticksOf(facts);
  for (const [place, own] of ticks) {
    const bySlot = new Map<number, Tick[]>();
    for (const tick of own) bySlot.set(tick.slot, [...(bySlot.get(tick.slot) ?? []), tick]);
    for (const tick of own) found.push(...untrue(facts, place, tick));
    for (const [slot, same] of bySlot) found.push(...twofold(facts, place, slot, same));
    found.push(...overruled(facts, place, own));
    found.push(...holes(facts, place, own));
  }
  return [...found, ...unrecorded(facts, ticks)];
}

function untrue(facts: Facts, place: string, tick: Tick): Violation[] {
  const polls = (facts.polls.get(place) ?? []).filter((poll) => poll.slot === tick.slot);
  const [kind, , , available] = tick.value;
  const text = `${place} slot ${tick.slot}`;
  if (kind === code.ran) {
    const said = polls.filter((poll) => poll.end?.observed === true && poll.end.t <= tick.t);
    if (said.length === 0)
      return [{ id: 'I10', t: tick.t, text: `${text}: booked as ran, but nothing was observed` }];
    if (!said.some((poll) => poll.end?.available === (available === 1))) {
      return [{ id: 'I10', t: tick.t, text: `${text}: booked with another result than observed` }];
    }
  }
  if (kind === code.failed && tick.value[1] !== 'no-target') {
    const poll = polls.find((one) => one.run === tick.run);
    const end = poll?.end;
    const inTime =
      poll !== undefined &&
      end?.observed === true &&
      end.mono - poll.mono < poll.timeoutMs + graceMs - 100;
    if (inTime && facts.awayMs(poll.t, end.t) === 0) {
      return [
        { id: 'I10', t: tick.t, text: `${text}: booked as failed, but it was observed in time` },
      ];
    }
  }
  return [];
}

/**
 * One slot, one end. What a dead process had asked for may land behind its end, when the next owner, who could not know of
 * it, has run the slot again: the store keeps one of the two, and both are true.
 */
function twofold(facts: Facts, place: string, slot: number, same: readonly Tick[]): Violation[] {
  const endT = (tick: Tick): number =>
    facts.runs.find((run) => run.run === tick.run)?.endT ?? Number.MAX_SAFE_INTEGER;
  const own = same.filter((tick) => tick.value[0] !== code.lost && tick.t <= endT(tick));
  const other = own.findIndex(
    (tick, at) => !own.slice(0, at).every((one) => isSameEnd(facts, place, [one, tick])),
  );
  if (other < 0) return [];
  const ends = [...new Set(own.map((tick) => JSON.stringify(tick.value)))];
  const text = `${place} slot ${slot} ended in ${ends.length} ways: ${ends.join(' and ').slice(0, 200)}`;
  return [{ id: 'I10', t: same.at(-1)?.t ?? 0, text }];
}

/** A change waits so long in the client, its records in the process. */
const askedAgainMs = 90_000;

/** A new owner has read the newest ticks within so long; polling does not wait for it. */
const ticksReadMs = 250;

/**
 * True where both records say the same, or the later one's owner could not know of the earlier: the store did not tell it
 * in time, or the actor started over from the store in between and what it had decided was refused.
 */
function isSameEnd(facts: Facts, place: string, [one, next]: readonly [Tick, Tick]): boolean {
  if (JSON.stringify(one.value) === JSON.stringify(next.value)) return true;
  const startOf = (tick: Tick): number | null =>
    facts.polls.get(place)?.find((poll) => poll.run === tick.run && poll.slot === tick.slot)?.t ??
    null;
  if (one.run !== next.run) {
    const owner = facts.runs.find((run) => run.run === next.run);
    const [startT, readyT] = [owner?.startT ?? 0, owner?.readyT ?? 0];
    const againT = startOf(next) ?? startT;
    return againT < readyT + ticksReadMs || facts.overlaps(facts.storeFaults, startT, againT);
  }
  const isSkipped = one.value[0] === code.skipped && one.value[1] === next.value[1];
  const fromT = isSkipped ? one.t - askedAgainMs : (startOf(one) ?? one.t);
  return wasReloaded(facts, one.key, fromT, next.t);
}

/** A new owner must not call lost what the store says has run. */
function overruled(facts: Facts, place: string, own: readonly Tick[]): Violation[] {
  if (facts.ground.lateWrites) return [];
  const found: Violation[] = [];
  for (const lost of own) {
    if (lost.value[0] !== code.lost) continue;
    const toMs = Number(lost.value[1]);
    const startT = facts.runs.find((run) => run.run === lost.run)?.startT ?? 0;
    const wrong = own.find(
      (tick) =>
        tick.value[0] === code.ran &&
        tick.t < startT &&
        tick.slot >= lost.slot &&
        tick.slot <= toMs,
    );
    if (wrong !== undefined && !facts.overlaps(facts.storeFaults, startT - 10_000, lost.t)) {
      found.push({
        id: 'I10',
        t: lost.t,
        text: `${place} slot ${wrong.slot}: called lost, but it had run`,
      });
    }
  }
  return found;
}

/** Every scheduled slot between two records has a record. */
function holes(facts: Facts, place: string, own: readonly Tick[]): Violation[] {
  const [key = '', check = ''] = place.split(' ');
  const items = own
    .map((tick) => ({
      from: tick.slot,
      to:
        tick.value[0] === code.skipped
          ? Number(tick.value[2])
          : tick.value[0] === code.lost
            ? Number(tick.value[1])
            : tick.slot,
      t: tick.t,
    }))
    .sort((left, right) => left.from - right.from || left.to - right.to);
  let last = items[0];
  for (const item of items) {
    if (last === undefined) break;
    const period = (checkAt(facts, key, check, item.t)?.period ?? 0) * 1000;
    const [fromT, toT] = [Math.min(last.t, item.t) - 2 * period - 30_000, Math.max(last.t, item.t)];
    const isPlain =
      period > 0 &&
      !checkChanged(facts, { key, check }, fromT, toT) &&
      !facts.overlaps(facts.storeFaults, fromT, toT) &&
      // Where slots and wall clock disagree, a new owner cannot tell the gap: the report shows it by the schedule.
      !facts.wallSteps.some((t) => t <= toT);
    if (isPlain && isUntold(facts, place, { from: last.to + period, to: item.from, period })) {
      return [
        {
          id: 'I10',
          t: item.t,
          text: `${place}: nothing is known of the slots between ${last.to} and ${item.from}`,
        },
      ];
    }
    if (item.to > last.to) last = item;
  }
  return [];
}

/**
 * True where some slot in [from, to) left no trace. One that was under way, or not yet written, when its owner died may
 * stand between two records (the later of them was skipped, its zone being busy): the report calls it lost by the schedule.
 */
function isUntold(
  facts: Facts,
  place: string,
  of: { readonly from: number; readonly to: number; readonly period: number },
): boolean {
  for (let slot = of.from; slot < of.to; slot += of.period) {
    const polls = (facts.polls.get(place) ?? []).filter((poll) => poll.slot === slot);
    if (!polls.some((poll) => diedUnwritten(facts, poll))) return true;
  }
  return false;
}

/** What is observed is written within a second, and a little. */
const writtenMs = 2_500;

function diedUnwritten(facts: Facts, poll: Poll): boolean {
  const endT = facts.runs.find((run) => run.run === poll.run)?.endT ?? Number.MAX_SAFE_INTEGER;
  const overT = Math.min(poll.end?.t ?? endT, poll.t + poll.timeoutMs * 1.1) + writtenMs;
  // Nor is it written where its check was changed or deleted meanwhile.
  return endT < overT || checkChanged(facts, poll, poll.t, overT);
}

/** Each started poll has its record, unless the process died with it or nobody wants it any more. */
function unrecorded(facts: Facts, ticks: ReadonlyMap<string, readonly Tick[]>): Violation[] {
  const violations: Violation[] = [];
  for (const [place, polls] of facts.polls) {
    const slots = new Set((ticks.get(place) ?? []).map((tick) => tick.slot));
    for (const poll of polls) {
      const overT = poll.t + poll.timeoutMs * 1.1 + graceMs + 8_000;
      if (slots.has(poll.slot) || !livedUntil(facts, poll, overT)) continue;
      if (checkChanged(facts, poll, poll.t, overT)) continue;
      if (facts.overlaps(facts.storeFaults, poll.t, overT)) continue;
      violations.push({
        id: 'I10',
        t: poll.t,
        text: `${place} slot ${poll.slot}: started, and never recorded`,
      });
    }
  }
  return violations;
}

function livedUntil(facts: Facts, poll: Poll, t: number): boolean {
  const run = facts.runs.find((one) => one.run === poll.run);
  return (
    run !== undefined &&
    run.endT > t &&
    facts.awayMs(Math.max(poll.t, run.readyT), t) === 0 &&
    t < facts.lastT
  );
}
