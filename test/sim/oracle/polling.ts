// When polls start: I4, I6, I7, I8, I28 for checks. Written against reliability.md §5; F is the time that the process was away,
// and behind a restart the rule of F_cold: all checks run again within one period from the time it is ready.
import { type CheckDoc, checkAt, checkChanged, isChanging } from './checks.ts';
import { documentKind, type Facts, type Poll, placeOf, type Violation } from './facts.ts';
import { wasReloaded } from './reloads.ts';

/** Clocks may run 5 % fast or slow. */
const rateSlack = 1.06;
const smallMs = 400;

/** I6 and I4 (the last gap): never longer than 1.1 × period + F. */
export function gapBound(facts: Facts): Violation[] {
  const found: Violation[] = [];
  for (const [place, polls] of facts.polls) {
    const [key = '', check = '', zone = ''] = place.split(' ');
    for (let at = 0; at + 1 < polls.length; at++) {
      const [from, to] = [polls[at] as Poll, polls[at + 1] as Poll];
      if (checkChanged(facts, { key, check }, from.t - 30_000, to.t)) continue;
      const period = (checkAt(facts, key, check, from.t)?.period ?? 0) * 1000;
      if (period === 0) continue;
      const dueT = latestStart(facts, from, { toT: to.t, period });
      if (to.t > dueT) {
        const text = `${place}: ${Math.round(to.t - from.t)} ms between starts, ${Math.round(dueT - from.t)} allowed`;
        found.push({ id: 'I6', t: to.t, text });
      }
    }
    found.push(...lastGap(facts, { place, key, check, zone, polls }));
  }
  return [...found, ...neverPolled(facts)];
}

function lastGap(
  facts: Facts,
  of: {
    place: string;
    key: string;
    check: string;
    zone: string;
    polls: readonly Poll[];
  },
): Violation[] {
  const { lastT } = facts;
  const last = of.polls.findLast((poll) => poll.t <= lastT);
  const doc = checkAt(facts, of.key, of.check, lastT);
  if (last === undefined || doc === null || doc.disabled) return [];
  if (!doc.monitoring_zones_poll.includes(of.zone)) return [];
  if (checkChanged(facts, of, last.t - 30_000, lastT)) return [];
  const dueT = latestStart(facts, last, { toT: lastT, period: doc.period * 1000 });
  if (lastT <= dueT) return [];
  const text = `${of.place}: not polled for ${Math.round(lastT - last.t)} ms at the end, ${Math.round(dueT - last.t)} allowed`;
  return [{ id: facts.ground.mode === 'liveness' ? 'I4' : 'I6', t: lastT, text }];
}

/** Latest allowed start behind `from`. */
function latestStart(facts: Facts, from: Poll, of: { toT: number; period: number }): number {
  // Without a store an actor whose decision was not taken starts over, at the latest 30 s after the store is back: there is
  // no journal on one node yet (mode NO-STORE of §4.1).
  const faults = facts.storeFaults.filter(
    (span) => span.to >= from.t - 45_000 && span.from <= of.toT,
  );
  const storeMs = faults.reduce(
    (sum, span) => sum + Math.min(span.to, of.toT) - Math.max(span.from, from.t - 45_000),
    0,
  );
  const regularMs =
    of.period * 1.1 * rateSlack + smallMs + (faults.length > 0 ? storeMs + 45_000 : 0);
  const restarts = facts.restartsIn(from.t, of.toT);
  const last = restarts.at(-1);
  if (last === undefined) {
    // What a new owner catches up may be under way when the next one is due: that one is left out. A prober may stay silent;
    // then the slot ends at its deadline.
    const beforeT = from.t - of.period - 5_000;
    const isCaughtUp = facts.restartsIn(beforeT, from.t).length + facts.awayMs(beforeT, from.t) > 0;
    const deadlineMs = from.timeoutMs * rateSlack + 1_500 + smallMs;
    const busyMs = isCaughtUp ? Math.min((from.end?.t ?? of.toT) - from.t, deadlineMs) : 0;
    return from.t + busyMs + regularMs + facts.awayMs(from.t, of.toT);
  }
  // Still loading: not due yet.
  if (last.readyT > of.toT) return Number.MAX_SAFE_INTEGER;
  const coldT = last.readyT + regularMs + facts.awayMs(last.readyT, of.toT);
  const isShort = facts.awayMs(from.t, of.toT) < of.period;
  const isQuiet = !facts.overlaps(facts.storeFaults, from.t - 5_000, of.toT);
  // Slots that lead or trail the wall clock tell a new owner nothing of the gap.
  if (!isShort || !isQuiet || facts.wallSteps.some((t) => t <= of.toT) || isOff(from)) return coldT;
  // Its tick is stored, so the slot that fell due in the gap is run when it is back.
  return wasStored(facts, from, restarts[0]?.startT ?? 0)
    ? Math.min(coldT, from.t + regularMs + facts.awayMs(from.t, of.toT) + 2_000)
    : coldT;
}

/** Its slot is named for another time than it ran at: clocks disagree, or it was made then. */
function isOff(poll: Poll): boolean {
  return Math.abs(poll.wall - poll.slot) > 1_500;
}

function wasStored(facts: Facts, poll: Poll, beforeT: number): boolean {
  return facts.events.some(
    (event) =>
      event.kind === 'ticks' &&
      event.t < beforeT &&
      event.rows.some(
        (row) =>
          row.key === poll.key &&
          row.check === poll.check &&
          row.zone === poll.zone &&
          row.slot === poll.slot,
      ),
  );
}

/** A check that was made or changed starts within one period. */
function neverPolled(facts: Facts): Violation[] {
  const found: Violation[] = [];
  for (const [place, versions] of facts.documents) {
    const [key = '', kind, check = ''] = place.split(' ');
    if (Number(kind) !== documentKind.check) continue;
    versions.forEach((version, at) => {
      const untilT = Math.min(versions[at + 1]?.t ?? facts.lastT, facts.lastT);
      if (version.body === null || version.t >= untilT) return;
      const { doc } = version.body as { doc: CheckDoc };
      if (doc.disabled) return;
      const periodMs = doc.period * 1000;
      const restart = facts.restartsIn(version.t, untilT).at(-1);
      const fromT = Math.max(version.t, restart?.readyT ?? 0);
      const dueT = fromT + periodMs * 1.1 * rateSlack + 5_000 + facts.awayMs(fromT, untilT);
      if (restart !== undefined && restart.readyT > untilT) return;
      if (untilT <= dueT) return;
      for (const zone of doc.monitoring_zones_poll) {
        const polls = facts.polls.get(`${key} ${check} ${zone}`) ?? [];
        if (polls.some((poll) => poll.t >= version.t - 30_000 && poll.t <= untilT)) continue;
        found.push({
          id: 'I4',
          t: untilT,
          text: `${key} ${check} ${zone}: never polled after its change at ${version.t}`,
        });
      }
    });
  }
  return found;
}

/** I7: at most two starts of (check, zone) in one period, whatever happened. */
export function noStorm(facts: Facts): Violation[] {
  const found: Violation[] = [];
  for (const [place, all] of facts.polls) {
    const [key = '', check = ''] = place.split(' ');
    // A slot that was cut off with its owner is run again by the next one (I10): that is no second slot.
    const polls = all.filter(
      (poll, at) => all[at + 1]?.slot !== poll.slot || all[at + 1]?.run === poll.run,
    );
    for (let at = 0; at + 2 < polls.length; at++) {
      const [from, to] = [polls[at] as Poll, polls[at + 2] as Poll];
      const doc = checkAt(facts, key, check, from.t);
      if (doc === null || checkChanged(facts, { key, check }, from.t - 10_000, to.t)) continue;
      // A new owner follows the wall clock again: where that was stepped, its first slot may come early, once.
      const isAnew =
        from.run !== to.run || facts.overlaps(facts.storeFaults, from.t - 60_000, to.t);
      const isStepped = isAnew && (facts.wallSteps.some((t) => t <= to.t) || isOff(from));
      if (isStepped) continue;
      if (to.t - from.t < doc.period * 1000 * 0.9) {
        found.push({
          id: 'I7',
          t: to.t,
          text: `${place}: three starts in ${Math.round(to.t - from.t)} ms`,
        });
      }
    }
  }
  return found;
}

/** How many periods are counted together, and how many starts they may hold: 1.3 × as many. */
const rateWindow = { periods: 10, starts: 13 };

/** I7 over a longer time: on one owner that nothing disturbs, starts come at the rate of the schedule (no second timer). */
export function steadyRate(facts: Facts): Violation[] {
  const found: Violation[] = [];
  for (const [place, polls] of facts.polls) {
    const [key = '', check = ''] = place.split(' ');
    for (let at = 0; at + rateWindow.starts < polls.length; at++) {
      const [from, to] = [polls[at] as Poll, polls[at + rateWindow.starts] as Poll];
      const doc = checkAt(facts, key, check, from.t);
      const isSteady = from.run === to.run && facts.awayMs(from.t, to.t) === 0;
      if (doc === null || !isSteady) continue;
      if (to.t - from.t >= rateWindow.periods * doc.period * 1_000) continue;
      if (checkChanged(facts, { key, check }, from.t - 10_000, to.t)) continue;
      const text = `${place}: ${rateWindow.starts + 1} starts in ${Math.round(to.t - from.t)} ms`;
      found.push({ id: 'I7', t: to.t, text });
      break;
    }
  }
  return found;
}

/** I8: slots strictly increase on one owner, and undisturbed gaps stay within 1 s of the period. */
export function wallIndependence(facts: Facts): Violation[] {
  const found: Violation[] = [];
  for (const [place, polls] of facts.polls) {
    const [key = '', check = ''] = place.split(' ');
    for (let at = 0; at + 1 < polls.length; at++) {
      const [from, to] = [polls[at] as Poll, polls[at + 1] as Poll];
      if (from.run !== to.run) continue;
      // An actor that started over goes on above what was recorded: the slot that was cut off with it is run again.
      const isAgain = to.slot === from.slot && wasReloaded(facts, key, from.t, to.t);
      if (to.slot <= from.slot && !isAgain) {
        found.push({ id: 'I8', t: to.t, text: `${place}: slot ${to.slot} after ${from.slot}` });
      }
      const periodMs = (checkAt(facts, key, check, from.t)?.period ?? 0) * 1000;
      if (periodMs === 0) continue;
      if (checkChanged(facts, { key, check }, from.t - periodMs * 1.2, to.t)) continue;
      if (facts.awayMs(from.t - periodMs * 1.2, to.t) > 0) continue;
      // An actor that starts over from the store goes by the wall clock again.
      if (facts.overlaps(facts.storeFaults, from.t - 60_000, to.t)) continue;
      const offMs = Math.abs(to.mono - from.mono - periodMs);
      if (offMs > 1_000 + smallMs) {
        found.push({
          id: 'I8',
          t: to.t,
          text: `${place}: a gap ${Math.round(offMs)} ms off its period`,
        });
      }
    }
  }
  return found;
}

/** I28: a deleted or disabled check starts no poll 5 s after the answer. */
export function deletedIsSilent(facts: Facts): Violation[] {
  const found: Violation[] = [];
  for (const [place, polls] of facts.polls) {
    const [key = '', check = ''] = place.split(' ');
    const versions = facts.documents.get(placeOf(key, documentKind.check, check)) ?? [];
    for (const poll of polls) {
      const before = versions.filter((version) => version.t <= poll.t);
      const last = before.at(-1);
      const off =
        last === undefined || last.body === null || (last.body as { doc: CheckDoc }).doc.disabled;
      // A new check polls while its commit is under way.
      if (!off || last === undefined) continue;
      const slackMs =
        5_000 +
        facts.awayMs(last.t, poll.t) +
        (facts.overlaps(facts.storeFaults, last.t, poll.t) ? 15_000 : 0);
      const isOnSoon = isChanging(facts, poll, poll.t, poll.t);
      if (poll.t > last.t + slackMs && !isOnSoon) {
        found.push({
          id: 'I28',
          t: poll.t,
          text: `${place}: polled ${Math.round(poll.t - last.t)} ms after it was switched off`,
        });
      }
    }
  }
  return found;
}
