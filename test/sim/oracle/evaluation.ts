// What alarms decide: I12, I13, I14, I15, I16 and the recovery half of I42. Written against reliability.md §5 and
// alarm-language.md §6: a zone's state counts while its observation is younger than 1.5 × count × period.
import {
  changedIn,
  documentKind,
  type Evidence,
  type Facts,
  type Poll,
  placeOf,
  type TransitionRow,
  type Violation,
  versionAt,
} from './facts.ts';
import { checkAt } from './polling.ts';

interface AlarmDoc {
  readonly check_id: string;
  readonly criteria: string | null;
  readonly disabled: boolean;
}

export interface Meaning {
  readonly count: number;
  readonly level: string;
  readonly seesDuration: boolean;
}

/** What the simulation's criteria mean. */
export function meaningOf(criteria: string | null): Meaning {
  const text = criteria ?? '';
  return {
    count: Number(/consecutiveCount=(\d)/.exec(text)?.[1] ?? 1),
    level: /consistencyLevel=(\w+)/.exec(text)?.[1] ?? 'QUORUM',
    seesDuration: text.includes('duration'),
  };
}

/** State of one observation. */
function stateOf(poll: Poll, meaning: Meaning): string {
  if (poll.end?.available !== true) return 'CRITICAL';
  return meaning.seesDuration && poll.end.durationMs > 1_000 ? 'WARNING' : 'OK';
}

export function alarmAt(facts: Facts, key: string, alarm: string, t: number): AlarmDoc | null {
  const found = versionAt(facts.documents.get(placeOf(key, documentKind.alarm, alarm)), t);
  return found === null ? null : (found.body as { doc: AlarmDoc }).doc;
}

export function byAlarm(facts: Facts): Map<string, TransitionRow[]> {
  const alarms = new Map<string, TransitionRow[]>();
  for (const one of facts.transitions) {
    const place = `${one.key} ${one.alarm}`;
    alarms.set(place, [...(alarms.get(place) ?? []), one]);
  }
  return alarms;
}

/** I12: numbers 1..m without a hole, each from the state of the one before. */
export function gaplessTransitions(facts: Facts): Violation[] {
  const found: Violation[] = [];
  for (const [place, own] of byAlarm(facts)) {
    let state = 'UNKNOWN';
    own.forEach((one, at) => {
      const t = one.row.t;
      if (one.n !== at + 1)
        found.push({ id: 'I12', t, text: `${place}: number ${one.n} is the ${at + 1}th` });
      if (one.previous !== state || one.state === state || one.state === 'UNKNOWN') {
        found.push({
          id: 'I12',
          t,
          text: `${place}: ${one.previous} → ${one.state} from ${state}`,
        });
      }
      state = one.state;
    });
  }
  return found;
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
    const checks = facts.documents.get(placeOf(one.key, documentKind.check, one.check));
    if (changedIn(checks, one.decidedT - 5_000, one.row.t)) return [];
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

/** Seen right before the end of its process: nobody may remember it. */
function isMaybeLost(facts: Facts, poll: Poll): boolean {
  const run = facts.runs.find((one) => one.run === poll.run);
  const seenT = poll.end?.t ?? 0;
  if (run === undefined || facts.restartsIn(seenT, Number.MAX_SAFE_INTEGER).length === 0)
    return false;
  const leftMs = run.endT - seenT;
  return (
    leftMs < 1_500 ||
    (leftMs < 200_000 && facts.overlaps(facts.storeFaults, seenT - 35_000, seenT + 2_000))
  );
}

function isInTime(poll: Poll): boolean {
  return poll.end !== null && poll.end.mono - poll.mono <= poll.timeoutMs + 1_500;
}

interface Backing {
  readonly zone: Evidence;
  readonly meaning: Meaning;
  readonly periodMs: number;
}

/** Why the observations do not carry what the evidence says; null: they do. */
function unbacked(
  facts: Facts,
  one: TransitionRow,
  { zone, meaning, periodMs }: Backing,
): string | null {
  const all = (facts.polls.get(`${one.key} ${one.check} ${zone.zone}`) ?? []).filter(
    (poll) => isSeen(facts, poll) && (poll.end?.t ?? 0) <= one.decidedT,
  );
  const polls = all.filter((poll) => poll.slot <= zone.slot);
  const newest = polls.filter((poll) => poll.slot === zone.slot).at(-1);
  if (newest?.end == null) return 'nothing was observed in that slot';
  if (stateOf(newest, meaning) !== zone.computed)
    return `${zone.computed} is not what was observed`;
  const limitMs = 1.5 * meaning.count * periodMs * 1.06 + 1_000;
  const run = facts.runAt(one.decidedT);
  const seenT = newest.end.t;
  const isOwn = run === null || newest.run === run.run;
  // A new owner counts what it loaded as seen when it loaded it, if it was not older than limit + 90 s then.
  const isFresh = isOwn
    ? one.decidedMono - newest.end.mono <= limitMs
    : one.decidedT - run.startT <= limitMs + 60_000 &&
      (run.startT - seenT <= limitMs + 90_000 || facts.wallSteps.length > 0);
  if (!isFresh)
    return `seen ${Math.round(one.decidedT - seenT)} ms before, ${Math.round(limitMs)} allowed`;
  const kept = polls.filter((poll) => poll.run === run?.run || !isMaybeLost(facts, poll));
  const isRun = [polls, polls.filter(isInTime), kept, kept.filter(isInTime)].some((some) =>
    runOf(facts, some, { state: one.state, meaning, one }),
  );
  return isRun ? null : `${one.state} was not observed ${meaning.count} times in a row`;
}

/** True where the state was observed `count` times in a row somewhere not overturned since. */
function runOf(
  facts: Facts,
  polls: readonly Poll[],
  of: { state: string; meaning: Meaning; one: TransitionRow },
): boolean {
  const { state, meaning } = of;
  const states = polls.map((poll) => stateOf(poll, meaning));
  for (let end = states.length; end >= meaning.count; end--) {
    const run = states.slice(end - meaning.count, end);
    if (run.every((one) => one === state)) return true;
    // Another state confirmed later would have overturned it.
    if (run.every((one) => one === run[0])) return false;
  }
  const changed = facts.documents.get(placeOf(of.one.key, documentKind.alarm, of.one.alarm)) ?? [];
  return changed.length > 1;
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

/** I15: a target that stays down becomes CRITICAL in time; and any other state that lasts is reached as well (I42). */
export function nothingMissed(facts: Facts): Violation[] {
  const found: Violation[] = [];
  const transitions = byAlarm(facts);
  for (const [place, versions] of facts.documents) {
    const [key = '', kind, alarm = ''] = place.split(' ');
    if (Number(kind) !== documentKind.alarm) continue;
    versions.forEach((version, at) => {
      if (version.body === null) return;
      const { doc } = version.body as { doc: AlarmDoc };
      const untilT = versions[at + 1]?.t ?? facts.lastT;
      if (doc.disabled) return;
      const own = transitions.get(`${key} ${alarm}`) ?? [];
      found.push(...missedBy(facts, { key, alarm, doc, fromT: version.t, untilT, own }));
    });
  }
  return found;
}

interface Watched {
  readonly key: string;
  readonly alarm: string;
  readonly doc: AlarmDoc;
  readonly fromT: number;
  readonly untilT: number;
  readonly own: readonly TransitionRow[];
}

function missedBy(facts: Facts, of: Watched): Violation[] {
  const check =
    checkAt(facts, of.key, of.doc.check_id, of.fromT) ??
    checkAt(facts, of.key, of.doc.check_id, of.untilT - 1);
  if (check === null) return [];
  const target = facts.polls.get(
    `${of.key} ${of.doc.check_id} ${check.monitoring_zones_poll[0]}`,
  )?.[0]?.target;
  if (target === undefined) return [];
  const found: Violation[] = [];
  for (const span of facts.ground.truth(target)) {
    const startT = Math.max(span.from, of.fromT);
    const current = checkAt(facts, of.key, of.doc.check_id, startT);
    if (current === null) continue;
    const dueT = dueBy(facts, of, { startT, check: current });
    if (dueT === null || dueT > Math.min(span.to, of.untilT, facts.lastT)) continue;
    const state = of.own.findLast((one) => one.row.t <= dueT)?.state ?? 'UNKNOWN';
    const wanted = wantedState(span.state, meaningOf(of.doc.criteria));
    if (state !== wanted) {
      const text = `${of.key} ${of.alarm}: ${span.state} since ${Math.round(startT)}, still ${state} at ${Math.round(dueT)} (due by then)`;
      found.push({ id: wanted === 'CRITICAL' ? 'I15' : 'I42', t: dueT, text });
    }
  }
  return found;
}

function wantedState(truth: string, meaning: Meaning): string {
  if (truth === 'down') return 'CRITICAL';
  return truth === 'slow' && meaning.seesDuration ? 'WARNING' : 'OK';
}

/** By when the alarm must show a state that began at `startT`; null: too much was disturbed to say. */
function dueBy(
  facts: Facts,
  of: Watched,
  on: { startT: number; check: { period: number; timeout: number; disabled: boolean } },
): number | null {
  if (on.check.disabled) return null;
  const meaning = meaningOf(of.doc.criteria);
  const periodMs = on.check.period * 1000;
  const baseMs = meaning.count * periodMs * 1.1 * 1.06 + on.check.timeout * 1000 + 5_000;
  let dueT = on.startT + baseMs;
  for (let round = 0; round < 2_000; round++) {
    const restarts = facts.restartsIn(on.startT, dueT);
    const closeCalls = restarts.length;
    const allMs =
      baseMs +
      facts.awayMs(on.startT, dueT) +
      closeCalls * periodMs * extraPeriods(facts, of, on.startT);
    const next = on.startT + allMs;
    if (next <= dueT + 1) break;
    dueT = next;
  }
  const [fromT, toT] = [on.startT - 5_000, dueT];
  const probers = facts.proberFaults.get('any') ?? [];
  const stale = meaning.level === 'ONE' ? 0 : 100_000;
  if (facts.overlaps(probers, fromT - stale, toT)) return null;
  if (facts.overlaps(facts.storeFaults, fromT - stale, toT)) return null;
  const checks = facts.documents.get(placeOf(of.key, documentKind.check, of.doc.check_id));
  return changedIn(checks, on.startT - 1_000, toT) ? null : dueT;
}

/** A long absence waits for the next slot; one within 250 ms of an observation may lose that one. */
function extraPeriods(facts: Facts, of: Watched, fromT: number): number {
  const ends = facts.runs.filter((run) => run.endT >= fromT).map((run) => run.endT);
  const polls = [...facts.polls].filter(([place]) =>
    place.startsWith(`${of.key} ${of.doc.check_id} `),
  );
  const isClose = ends.some((endT) =>
    polls.some(([, own]) =>
      own.some((poll) => poll.end !== null && endT - poll.end.t >= 0 && endT - poll.end.t < 800),
    ),
  );
  return isClose ? 2 : 1;
}

/** I16: at the end of a quiet time no condition says that monitoring is impaired; and none of them is ever a state. */
export function honestConditions(facts: Facts): Violation[] {
  if (facts.ground.mode !== 'liveness') return [];
  const found: Violation[] = [];
  for (const event of facts.events) {
    if (event.kind !== 'live') continue;
    const reply = event.live as {
      ok?: boolean;
      value?: { conditions?: { name: string; text: string }[] };
    } | null;
    const conditions = reply?.value?.conditions ?? [];
    if (event.when === 'end') {
      for (const { name, text } of conditions.filter((one) => one.name !== 'plan-missing')) {
        found.push({
          id: 'I16',
          t: event.t,
          text: `${event.key}: ${name} in quiet times: ${text}`,
        });
      }
    }
  }
  return [...found, ...unsaid(facts)];
}

/** Where no zone observed anything for over 4 periods, the check must say `not-being-checked`. */
function unsaid(facts: Facts): Violation[] {
  const found: Violation[] = [];
  for (const event of facts.events) {
    if (event.kind !== 'live' || event.when !== 'spot') continue;
    const reply = event.live as {
      value?: {
        conditions?: { name: string; check_id: string | null }[];
        checks?: { id: string; disabled: boolean; period: number }[];
      };
    } | null;
    for (const check of reply?.value?.checks ?? []) {
      if (check.disabled) continue;
      const spanMs = check.period * 1000 * 5.5 + 15_000;
      const versions = facts.documents.get(placeOf(event.key, documentKind.check, check.id));
      if (
        changedIn(versions, event.t - spanMs, event.t) ||
        facts.awayMs(event.t - spanMs, event.t) > 0
      )
        continue;
      const polls = [...facts.polls]
        .filter(([place]) => place.startsWith(`${event.key} ${check.id} `))
        .flatMap(([, own]) => own);
      const isSeen = polls.some(
        (poll) =>
          poll.end?.observed === true && poll.end.t > event.t - spanMs && poll.end.t <= event.t,
      );
      const isSaid = reply?.value?.conditions?.some(
        (one) => one.name === 'not-being-checked' && one.check_id === check.id,
      );
      if (!isSeen && isSaid !== true && event.t > spanMs) {
        found.push({
          id: 'I16',
          t: event.t,
          text: `${event.key} ${check.id}: observed by no zone for ${spanMs} ms, and it does not say so`,
        });
      }
    }
  }
  return found;
}
