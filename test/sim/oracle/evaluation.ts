// What alarms decide: I12, I15, I16 and the recovery half of I42. Written against reliability.md §5 and
// alarm-language.md §6: a zone's state counts while its observation is younger than 1.5 × count × period.
import { type AlarmDoc, type Meaning, meaningOf } from './alarms.ts';
import { checkAt, checkChanged } from './checks.ts';
import { documentKind, type Facts, type TransitionRow, type Violation } from './facts.ts';

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
    const allMs =
      baseMs +
      facts.awayMs(on.startT, dueT) +
      restarts.length * periodMs * extraPeriods(facts, of, on.startT) +
      pausesInFlight(facts, of, [on.startT, dueT]) * periodMs;
    const next = on.startT + allMs;
    if (next <= dueT + 1) break;
    dueT = next;
  }
  const [fromT, toT] = [on.startT - 5_000, dueT];
  const probers = facts.proberFaults.get('any') ?? [];
  const stale = meaning.level === 'ONE' ? 0 : 100_000;
  if (facts.overlaps(probers, fromT - stale, toT)) return null;
  if (facts.overlaps(facts.storeFaults, fromT - stale, toT)) return null;
  const place = { key: of.key, check: of.doc.check_id };
  return checkChanged(facts, place, on.startT - 1_000, toT) ? null : dueT;
}

/** Pauses that a slot was under way in: behind one its answer is too late, and the next slot counts. */
function pausesInFlight(
  facts: Facts,
  of: Watched,
  [fromT, toT]: readonly [number, number],
): number {
  const polls = [...facts.polls]
    .filter(([place]) => place.startsWith(`${of.key} ${of.doc.check_id} `))
    .flatMap(([, own]) => own);
  const pauses = facts.runs.flatMap((run) => run.pauses);
  return pauses.filter(
    (pause) =>
      pause.from >= fromT &&
      pause.from <= toT &&
      polls.some((poll) => poll.t <= pause.from && (poll.end?.t ?? pause.from) >= pause.from),
  ).length;
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
      if (
        checkChanged(facts, { key: event.key, check: check.id }, event.t - spanMs, event.t) ||
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
