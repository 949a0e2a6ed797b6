// What a transition rests on: I13 and I14. Written against reliability.md §5 and alarm-language.md §6: enough configured zones,
// each confirmed by observations in a row, none older than its limit.
import { alarmAt, type Meaning, meaningOf } from './alarms.ts';
import { type CheckDoc, checkAt, checkChanged } from './checks.ts';
import {
  changedIn,
  documentKind,
  type Evidence,
  type Facts,
  type Poll,
  placeOf,
  type TransitionRow,
  type Violation,
} from './facts.ts';
import { lastReload, memoryEndT } from './reloads.ts';

/** State of one observation. */
function stateOf(poll: Poll, meaning: Meaning): string {
  if (poll.end?.available !== true) return 'CRITICAL';
  return meaning.seesDuration && poll.end.durationMs > 1_000 ? 'WARNING' : 'OK';
}

/** I13 and I14: enough configured zones, each backed by what its prober saw, recently; and the truth was so. */
export function evidenced(facts: Facts): Violation[] {
  return facts.transitions.flatMap((one) => {
    const alarm =
      alarmAt(facts, one.key, one.alarm, one.decidedT) ??
      alarmAt(facts, one.key, one.alarm, one.row.t);
    if (alarm === null) return [];
    const versions = facts.documents.get(placeOf(one.key, documentKind.alarm, one.alarm));
    // Which of two versions decided is not to be seen from outside.
    if (changedIn(versions, one.decidedT - 100, one.row.t)) return [];
    if (checkChanged(facts, one, one.decidedT - 5_000, one.row.t)) return [];
    return judgeOne(facts, one, meaningOf(alarm.criteria));
  });
}

function judgeOne(facts: Facts, one: TransitionRow, meaning: Meaning): Violation[] {
  const doc = checkAt(facts, one.key, one.check, one.decidedT);
  if (doc === null) return [];
  const zones = doc.monitoring_zones_poll;
  const bad = (text: string): Violation => ({
    id: 'I13',
    t: one.row.t,
    text: `${one.key} ${one.alarm} #${one.n} ${one.state}: ${text}`,
  });
  const agreeing = one.evidence.filter(
    (zone) => zone.confirmed === one.state && !zone.stale && zones.includes(zone.zone),
  );
  const down = one.evidence.filter((zone) => zone.collector === 'DOWN').length;
  const needed = neededOf(meaning.level, zones.length, down);
  if (agreeing.length < needed)
    return [bad(`${agreeing.length} of ${zones.length} zones agree, ${needed} are needed`)];
  const found: Violation[] = [];
  for (const zone of agreeing) {
    const why = unbacked(facts, one, { zone, meaning, periodMs: doc.period * 1000 });
    if (why !== null) found.push(bad(`zone ${zone.zone} slot ${zone.slot}: ${why}`));
  }
  if (
    one.state === 'CRITICAL' &&
    found.length === 0 &&
    !wasEverDown(facts, one, { agreeing, meaning, periodMs: doc.period * 1000 })
  ) {
    found.push({
      id: 'I14',
      t: one.row.t,
      text: `${one.key} ${one.alarm} #${one.n}: CRITICAL while the target was up`,
    });
  }
  return found;
}

function neededOf(level: string, total: number, down: number): number {
  if (level === 'ONE' || total === 1) return 1;
  return level === 'ALL' ? Math.max(1, total - down) : Math.floor(total / 2) + 1;
}

/** Answers behind the deadline of their slot are no observations; where both waited for a pause to end, either may be first. */
function isSeen(facts: Facts, poll: Poll): boolean {
  return poll.end?.observed === true && (isInTime(poll) || facts.awayMs(poll.t, poll.end.t) > 0);
}

function isInTime(poll: Poll): boolean {
  return poll.end !== null && poll.end.mono - poll.mono <= poll.timeoutMs + 1_500;
}

/** Its check was disabled, or no longer run in its zone, while it was under way: its answer may not have counted. */
function wasUnwanted(facts: Facts, poll: Poll): boolean {
  const versions = facts.documents.get(placeOf(poll.key, documentKind.check, poll.check)) ?? [];
  return versions.some(({ t, body }) => {
    if (t < poll.t || t > (poll.end?.t ?? poll.t) + 10_000 || body === null) return false;
    const { doc } = body as { doc: CheckDoc };
    return doc.disabled || !doc.monitoring_zones_poll.includes(poll.zone);
  });
}

interface Backing {
  readonly zone: Evidence;
  readonly meaning: Meaning;
  readonly periodMs: number;
}

/** When what the owner remembered of this observation ended. */
function forgottenT(facts: Facts, poll: Poll): number {
  return memoryEndT(facts, poll.key, poll.run, poll.end?.t ?? poll.t);
}

/**
 * Seen right before its owner ended: nobody may remember it. Runs of counts are stored within 250 ms of a change, later
 * while the store is away or slow; calm soft state within a minute.
 */
function isMaybeLost(facts: Facts, poll: Poll): boolean {
  const seenT = poll.end?.t ?? 0;
  const endT = forgottenT(facts, poll);
  // A paused process writes nothing, nor does a store that is away take it.
  const leftMs = endT - seenT - facts.awayMs(seenT, endT) - unwellMs(facts, seenT, endT);
  return (
    leftMs < 1_500 ||
    (leftMs < 200_000 && facts.overlaps(facts.storeFaults, seenT - 35_000, seenT + 2_000))
  );
}

/** How long the store was away, slow or in doubt in [from, to]. */
function unwellMs(facts: Facts, from: number, to: number): number {
  let ms = 0;
  let countedT = from;
  for (const span of facts.storeFaults) {
    const endT = Math.min(span.to, to);
    ms += Math.max(0, endT - Math.max(span.from, countedT));
    countedT = Math.max(countedT, endT);
  }
  return ms;
}

/** Why the observations do not carry what the evidence says; null: they do. */
function unbacked(facts: Facts, one: TransitionRow, of: Backing): string | null {
  const { zone, meaning } = of;
  const all = (facts.polls.get(`${one.key} ${one.check} ${zone.zone}`) ?? []).filter(
    (poll) => isSeen(facts, poll) && (poll.end?.t ?? 0) <= one.decidedT,
  );
  const polls = all.filter((poll) => poll.slot <= zone.slot);
  // A slot whose record died with its owner is run again by the next one: either observation may be the one that counts.
  const own = polls.filter((poll) => poll.slot === zone.slot);
  if (own.length === 0) return 'nothing was observed in that slot';
  const alike = own.filter((poll) => stateOf(poll, meaning) === zone.computed);
  if (alike.length === 0) return `${zone.computed} is not what was observed`;
  const old = alike.map((poll) => tooOld(facts, one, poll, of));
  if (!old.includes(null)) return old[0] ?? null;
  const wanted = polls.filter((poll) => !wasUnwanted(facts, poll));
  const isRun = [polls, polls.filter(isInTime), wanted, wanted.filter(isInTime)].some((some) =>
    wasConfirmed(facts, some, one, of),
  );
  return isRun ? null : `${one.state} was not observed ${meaning.count} times in a row`;
}

/** Why an observation no longer counts; null: it does. */
function tooOld(facts: Facts, one: TransitionRow, poll: Poll, of: Backing): string | null {
  const limitMs = 1.5 * of.meaning.count * of.periodMs * 1.06 + 1_000;
  const run = facts.runAt(one.decidedT);
  const seenT = poll.end?.t ?? 0;
  // A new owner counts what it loaded as seen when it loaded it, if it was not older than limit + 90 s then. So does an
  // actor that started over in place: a commit that the store did not take drops its memory, and it is loaded as behind a
  // take-over (alarm-language.md §6 "new owner, restart"). Only the newest load counts: there the wait is looked at again.
  const again = lastReload(facts, one.key, one.decidedT);
  const isAgain = again !== null && run !== null && again.t >= run.startT;
  const load = isAgain ? again : run && { t: run.startT, mono: run.startMono };
  const isOwn = load === null || (poll.run === run?.run && (!isAgain || seenT > load.t));
  const isFresh = isOwn
    ? one.decidedMono - (poll.end?.mono ?? 0) <= limitMs
    : one.decidedMono - load.mono <= limitMs + 60_000 &&
      (load.t - seenT <= limitMs + 90_000 || facts.wallSteps.length > 0);
  if (isFresh) return null;
  return `seen ${Math.round(one.decidedT - seenT)} ms before, ${Math.round(limitMs)} allowed`;
}

/** The newest observations of one state in a row, looking back. */
interface Streak {
  readonly state: string;
  readonly length: number;
}

/**
 * True where the state was observed `count` times in a row somewhere, not overturned since, in one of the histories that
 * the owner may know: of each earlier owner the newest observations may have died with their process.
 */
function wasConfirmed(
  facts: Facts,
  polls: readonly Poll[],
  one: TransitionRow,
  { meaning }: Backing,
): boolean {
  let streaks: readonly Streak[] = [{ state: '', length: 0 }];
  for (const group of byOwner(facts, polls).toReversed()) {
    const next = new Map<string, Streak>();
    const isCurrent = forgottenT(facts, group[0] as Poll) >= one.decidedT;
    for (const known of histories(facts, polls, { group, isCurrent })) {
      for (const streak of streaks) {
        const longer = lengthened(streak, known, meaning);
        if (longer.length < meaning.count) next.set(`${longer.state} ${longer.length}`, longer);
        else if (longer.state === one.state) return true;
      }
    }
    streaks = [...next.values()];
  }
  const changed = facts.documents.get(placeOf(one.key, documentKind.alarm, one.alarm)) ?? [];
  return streaks.length > 0 && changed.length > 1;
}

/** An owner's memory ends with its process, or when its actor starts over. */
function byOwner(facts: Facts, polls: readonly Poll[]): readonly (readonly Poll[])[] {
  const groups: Poll[][] = [];
  for (const poll of polls) {
    const last = groups.at(-1);
    const first = last?.[0];
    const isSame = first?.run === poll.run && forgottenT(facts, first) >= (poll.end?.t ?? poll.t);
    if (isSame) last?.push(poll);
    else groups.push([poll]);
  }
  return groups;
}

/** What of one owner's observations may be known: all of it, or less and less of its end. */
function histories(
  facts: Facts,
  polls: readonly Poll[],
  { group, isCurrent }: { group: readonly Poll[]; isCurrent: boolean },
): readonly (readonly Poll[])[] {
  const known = [group];
  for (let length = group.length; length > 0 && !isCurrent; length--) {
    if (!isMaybeLost(facts, group[length - 1] as Poll)) break;
    known.push(group.slice(0, length - 1));
  }
  // The slot that was run again: where the first observation is known, the second does not count.
  const [first] = group;
  const isAgain = polls.some((poll) => poll.slot === first?.slot && poll !== first);
  return isAgain ? [...known, ...known.map((some) => some.slice(1))] : known;
}

/** Goes back through `polls` until `count` alike were found in a row. */
function lengthened(streak: Streak, polls: readonly Poll[], meaning: Meaning): Streak {
  let { state, length } = streak;
  for (const poll of polls.toReversed()) {
    if (length >= meaning.count) break;
    const seen = stateOf(poll, meaning);
    length = seen === state ? length + 1 : 1;
    state = seen;
  }
  return { state, length };
}

function wasEverDown(
  facts: Facts,
  one: TransitionRow,
  of: { agreeing: readonly Evidence[]; meaning: Meaning; periodMs: number },
): boolean {
  const target = facts.polls.get(`${one.key} ${one.check} ${one.zone}`)?.[0]?.target ?? '';
  const spanMs =
    (of.meaning.count + 1) * of.periodMs * 3 +
    120_000 +
    facts.awayMs(one.decidedT - 900_000, one.decidedT);
  return facts.ground
    .truth(target)
    .some(
      (span) =>
        span.state === 'down' && span.from <= one.decidedT && span.to >= one.decidedT - spanMs,
    );
}
