// What becomes of an intent: I19, I21, I22, I23, I24. Written against reliability.md §5 and the attempt schedule of the
// channels (0, 2, 5, 15, 30 s, 1, 2, 5, 10, 30 min, then hourly to 24 h, six-hourly to 72 h, each ± 20 %).
import {
  documentKind,
  type Facts,
  type IntentRow,
  type Of,
  placeOf,
  rowKind,
  type Violation,
} from './facts.ts';

const denseMs = [0, 2_000, 5_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000];
const hourMs = 3_600_000;
/** One attempt at one receiver. */
const attemptMs = 30_000;
const retryAfterMaxMs = hourMs;

function pauseMs(attempt: number): { min: number; max: number } {
  const nominalMs = denseMs[attempt];
  if (nominalMs !== undefined) return { min: nominalMs * 0.79, max: nominalMs * 1.21 };
  return { min: hourMs * 0.79, max: 6 * hourMs * 1.21 };
}

interface Attempt {
  readonly start: Of<'page.start'>;
  end: Of<'page.end'> | null;
  isDoubtful: boolean;
}

interface Fate {
  readonly intent: IntentRow;
  readonly attempts: Attempt[];
  outcome: { readonly what: string; readonly t: number } | null;
}

function fatesOf(facts: Facts): Map<string, Fate> {
  const fates = new Map<string, Fate>();
  for (const [id, intent] of facts.intents) fates.set(id, { intent, attempts: [], outcome: null });
  for (const event of facts.events) {
    if (event.kind === 'page.start')
      fates.get(event.id)?.attempts.push({ start: event, end: null, isDoubtful: false });
    else if (event.kind === 'page.end') {
      const open = fates
        .get(event.id)
        ?.attempts.findLast((one) => one.end === null && one.start.run === event.run);
      if (open === undefined) continue;
      open.end = event;
      // Behind a pause the answer and the end of its time may come in either order.
      open.isDoubtful = event.mono - open.start.mono >= attemptMs;
    }
  }
  for (const row of facts.rows) {
    if (row.kind !== rowKind.outcome) continue;
    const { intent, outcome } = row.body as { intent: string; outcome: string };
    const fate = fates.get(intent);
    if (fate !== undefined) fate.outcome = { what: outcome, t: row.t };
  }
  return fates;
}

function wasDelivered(fate: Fate): boolean {
  return fate.attempts.some((attempt) => attempt.end?.delivered === true);
}

/** I28: a deleted alarm sends nothing, so what it owed is withdrawn; of no other. */
function wasWithdrawn(facts: Facts, { intent, outcome }: Fate): boolean {
  const versions = facts.documents.get(placeOf(intent.key, documentKind.alarm, intent.alarm)) ?? [];
  const gone = versions.find((version) => version.body === null);
  return outcome?.what === 'withdrawn' && gone !== undefined && gone.t <= outcome.t;
}

/** I28: 5 s after an alarm was deleted nothing of it is sent any more. */
export function deletedSendsNothing(facts: Facts): Violation[] {
  return facts.pages.flatMap((page) => {
    const versions = facts.documents.get(placeOf(page.key, documentKind.alarm, page.alarm)) ?? [];
    const gone = versions.find((version) => version.body === null);
    if (gone === undefined) return [];
    const slackMs =
      5_000 +
      facts.awayMs(gone.t, page.t) +
      (facts.overlaps(facts.storeFaults, gone.t, page.t) ? 60_000 : 0);
    return page.t <= gone.t + slackMs
      ? []
      : [
          {
            id: 'I28',
            t: page.t,
            text: `${page.key} ${page.alarm} #${page.n}: sent ${Math.round(page.t - gone.t)} ms after the alarm was deleted`,
          },
        ];
  });
}

/** I19, I23, I24: everything owed is tried, in time, and comes to an end that is recorded. */
export function attempted(facts: Facts): Violation[] {
  const found: Violation[] = [];
  const endT = facts.events.at(-1)?.t ?? 0;
  for (const fate of fatesOf(facts).values()) {
    const { intent, attempts } = fate;
    const place = `${intent.key} ${intent.alarm} #${intent.n} ${intent.channel}`;
    const [first] = attempts;
    if (wasWithdrawn(facts, fate)) continue;
    if (first === undefined) {
      if (intent.row.t < endT - 12_000)
        found.push({ id: 'I19', t: intent.row.t, text: `${place}: committed and never tried` });
      continue;
    }
    const late = lateness(facts, fate);
    if (late !== null) found.push({ ...late, text: `${place}: ${late.text}` });
    found.push(...ended(facts, fate, { place, endT }));
  }
  return found;
}

function lateness(facts: Facts, { intent, attempts }: Fate): Violation | null {
  const first = attempts[0] as Attempt;
  const ackT = facts.ackedT(intent.row.shard, intent.row.seq) ?? intent.row.t;
  const waitedMs = first.start.t - ackT;
  if (waitedMs <= 5_000) return null;
  if (facts.awayMs(ackT, first.start.t) > 0 || facts.restartsIn(ackT, first.start.t).length > 0)
    return null;
  if (facts.overlaps(facts.storeFaults, ackT - 30_000, first.start.t)) return null;
  const own = facts.events.filter((event) => event.kind === 'fault' && event.fault === 'receiver');
  // Attempts of before a pause take their time behind it.
  const fromT = ackT - 90_000 - facts.awayMs(ackT - 600_000, ackT);
  const others = facts.pages.filter((page) => page.t >= fromT && page.t <= first.start.t);
  // An older one of its line, or a queue before its own receiver, explains a wait; another receiver does not.
  const isOwnTrouble = others.some(
    (page) => page.receiver === first.start.receiver && !isAnsweredSoon(facts, page),
  );
  if (isOwnTrouble) return null;
  const id = own.length > 0 ? 'I24' : 'I19';
  return { id, t: first.start.t, text: `first tried ${Math.round(waitedMs)} ms after its commit` };
}

function isAnsweredSoon(facts: Facts, page: Of<'page.start'>): boolean {
  const end = facts.events.find(
    (event) => event.kind === 'page.end' && event.id === page.id && event.t >= page.t,
  );
  return end?.kind === 'page.end' && end.delivered && end.t - page.t < 1_000;
}

function ended(facts: Facts, fate: Fate, of: { place: string; endT: number }): Violation[] {
  const { attempts, outcome } = fate;
  const last = attempts.at(-1) as Attempt;
  if (wasDelivered(fate)) return [];
  if (outcome?.what === 'superseded') {
    // One that was under way at a dead owner has failed as well.
    const died = (run: number) =>
      facts.runs.some((one) => one.run === run && one.endT <= outcome.t);
    const isTried = attempts.some((one) => one !== last || one.end !== null || died(one.start.run));
    return isTried
      ? []
      : [{ id: 'I19', t: outcome.t, text: `${of.place}: superseded without a failed attempt` }];
  }
  if (outcome?.what === 'undeliverable') {
    const first = attempts[0] as Attempt;
    const isFinal = attempts.some((one) => one.end?.final === true);
    return isFinal || outcome.t - first.start.t >= 60 * hourMs
      ? []
      : [
          {
            id: 'I23',
            t: outcome.t,
            text: `${of.place}: given up after ${Math.round((outcome.t - first.start.t) / 1000)} s`,
          },
        ];
  }
  if (outcome?.what === 'delivered') {
    return [{ id: 'I19', t: outcome.t, text: `${of.place}: recorded as delivered, and never was` }];
  }
  const lastT = last.end?.t ?? last.start.t;
  // A new owner knows of the pause by the wall clock only: where that was set back, it waits no longer than one pause anew.
  const owner = facts.restartsIn(lastT, of.endT).at(-1);
  const isAnew = owner !== undefined && facts.wallSteps.some((t) => t <= owner.startT);
  const dueT =
    (isAnew ? owner.readyT : lastT) +
    Math.max(pauseMs(last.start.attempt).max, retryAfterMaxMs / 60) +
    60_000 +
    facts.awayMs(lastT, of.endT);
  if (of.endT <= dueT || facts.overlaps(facts.storeFaults, lastT, dueT)) return [];
  return [
    {
      id: 'I23',
      t: lastT,
      text: `${of.place}: not delivered, not recorded, not tried again since ${Math.round(lastT)}`,
    },
  ];
}

/** Attempts keep the pauses of the schedule: no faster. */
export function patientRetries(facts: Facts): Violation[] {
  const found: Violation[] = [];
  for (const { intent, attempts } of fatesOf(facts).values()) {
    for (let at = 0; at + 1 < attempts.length; at++) {
      const [one, next] = [attempts[at] as Attempt, attempts[at + 1] as Attempt];
      if (one.start.run !== next.start.run || one.end === null) continue;
      const waitedMs = next.start.t - one.end.t;
      if (waitedMs < pauseMs(one.start.attempt).min * 0.94 - 50) {
        const text = `${intent.key} ${intent.alarm} #${intent.n} ${intent.channel}: tried again after ${Math.round(waitedMs)} ms`;
        found.push({ id: 'I21', t: next.start.t, text });
      }
    }
  }
  return found;
}

/** I21: what a receiver took is not sent again, but for a crash right behind it. */
export function boundedDuplicates(facts: Facts): Violation[] {
  const found: Violation[] = [];
  for (const { intent, attempts, outcome } of fatesOf(facts).values()) {
    const place = `${intent.key} ${intent.alarm} #${intent.n} ${intent.channel}`;
    const taken = attempts.find(
      (attempt) => attempt.end?.delivered === true && !attempt.isDoubtful,
    );
    for (const again of attempts) {
      if (taken?.end == null || again.start.t <= taken.end.t) continue;
      const run = facts.runs.find((one) => one.run === taken.start.run);
      const marginMs =
        10_000 +
        (facts.overlaps(facts.storeFaults, taken.end.t, (run?.endT ?? 0) + 1) ? 300_000 : 0);
      const isCrash = again.start.run !== taken.start.run;
      // A process that stood still had no time to mark it.
      const livedMs =
        (run?.endT ?? 0) - taken.end.t - facts.awayMs(taken.end.t, run?.endT ?? taken.end.t);
      if (isCrash && run !== undefined && livedMs <= marginMs) continue;
      found.push({
        id: 'I21',
        t: again.start.t,
        text: `${place}: sent again ${Math.round(again.start.t - taken.end.t)} ms after it was delivered`,
      });
    }
    for (const again of attempts) {
      if (outcome === null || again.start.t <= outcome.t + 1) continue;
      const isKnown = facts.ackedT(intent.row.shard, intent.row.seq) !== null;
      if (isKnown)
        found.push({
          id: 'I21',
          t: again.start.t,
          text: `${place}: sent again after it was recorded as ${outcome.what}`,
        });
    }
  }
  return found;
}

/** I22: per line in order, none behind a newer one; and when all is quiet the last state is what was delivered. */
export function orderedLines(facts: Facts): Violation[] {
  const found: Violation[] = [];
  const newest = new Map<string, number>();
  for (const page of facts.pages) {
    const line = `${page.key} ${page.alarm} ${page.channel}`;
    const before = newest.get(line) ?? 0;
    if (page.n < before)
      found.push({ id: 'I22', t: page.t, text: `${line}: #${page.n} sent after #${before}` });
    newest.set(line, Math.max(before, page.n));
  }
  return facts.ground.mode === 'liveness' ? [...found, ...converged(facts)] : found;
}

function converged(facts: Facts): Violation[] {
  const found: Violation[] = [];
  const last = new Map<string, Fate>();
  for (const fate of fatesOf(facts).values()) {
    const { key, alarm, channel, n } = fate.intent;
    const line = `${key} ${alarm} ${channel}`;
    if (n > (last.get(line)?.intent.n ?? 0)) last.set(line, fate);
  }
  for (const [line, fate] of last) {
    if (wasDelivered(fate) || wasWithdrawn(facts, fate) || fate.intent.row.t > facts.lastT - 20_000)
      continue;
    const attempt = fate.attempts.at(-1);
    const failedT = attempt?.end?.t ?? attempt?.start.t ?? 0;
    const restartT = facts.restartsIn(failedT, facts.lastT).at(-1)?.readyT ?? 0;
    const nextT = Math.max(
      failedT + pauseMs(attempt?.start.attempt ?? 0).max + 45_000,
      restartT + 45_000,
    );
    if (nextT > facts.lastT) continue;
    found.push({
      id: 'I22',
      t: facts.lastT,
      text: `${line}: the last state #${fate.intent.n} was not delivered when all was quiet`,
    });
  }
  return found;
}
