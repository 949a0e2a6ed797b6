// The rules of one node's judge that hold for several as they stand: I12, I13, I14, I15, I18, I19, I20, I22, I26 to I30, I35.
// What they take for an absence of the node is here any time in which something was wrong, and a while behind it.
import {
  durableAnswers,
  idempotent,
  noLostUpdate,
  noResurrection,
  recordedHistory,
} from '../../sim/oracle/configuration.ts';
import {
  attempted,
  deletedSendsNothing,
  orderedLines,
  patientRetries,
} from '../../sim/oracle/delivery.ts';
import { gaplessTransitions, nothingMissed } from '../../sim/oracle/evaluation.ts';
import { evidenced } from '../../sim/oracle/evidence.ts';
import { type Facts, factsOf, type Run, type Violation } from '../../sim/oracle/facts.ts';
import { outboxAtomic, stableIds } from '../../sim/oracle/intents.ts';
import { keptOutcomes } from '../../sim/oracle/outcomes.ts';
import type { TraceEvent } from '../../sim/trace.ts';
import type { ClusterFacts, Span } from './facts.ts';

const rules: readonly ((facts: Facts) => Violation[])[] = [
  gaplessTransitions,
  outboxAtomic,
  stableIds,
  attempted,
  deletedSendsNothing,
  patientRetries,
  orderedLines,
  noLostUpdate,
  noResurrection,
  durableAnswers,
  idempotent,
  keptOutcomes,
  recordedHistory,
];

/** Rules that say something only where nothing was wrong for long. */
const calmRules: readonly ((facts: Facts) => Violation[])[] = [evidenced, nothingMissed];

/** Behind a fault: fail-over, a tick round, the re-read of copies. */
const behindMs = 35_000;
const calmMs = 60_000;

/** Returns what the rules of one node say of a cluster's run. */
export function actorRules(facts: ClusterFacts): Violation[] {
  const single = singleOf(facts);
  const broken = rules.flatMap((rule) => rule(single));
  const calm = calmRules
    .flatMap((rule) => rule(single))
    .filter(({ t }) => !isWrong(single.storeFaults, t - calmMs, t) && !wasMoved(facts, t));
  return [...broken, ...calm];
}

function singleOf(facts: ClusterFacts): Facts {
  const { mode, healT, truth } = facts.ground;
  const events = facts.events as unknown as readonly TraceEvent[];
  const base = factsOf(events, { mode, healT, truth, lateWrites: true });
  const wrong = facts.faults
    .filter((fault) => fault.kind !== 'receiver')
    .map(({ from, to }) => ({
      from: from - 2_000,
      to: Math.min(to, healT + 1_000_000) + behindMs,
    }));
  const runs = [...facts.runs.values()].map((run) => ({ ...run, startMono: 0 }) as unknown as Run);
  return {
    ...base,
    runs,
    storeFaults: wrong,
    awayMs: (from, to) => overlapMs(wrong, from, to),
    runAt: (t) => runs.findLast((run) => run.startT <= t && run.endT >= t) ?? null,
    restartsIn: (from, to) => runs.filter((run) => run.startT >= from && run.startT <= to),
  };
}

function isWrong(spans: readonly Span[], from: number, to: number): boolean {
  return spans.some((span) => span.from <= to && span.to >= from);
}

/** Some shard was handed over or claimed lately: what one owner saw is not all that counts. */
function wasMoved({ events }: ClusterFacts, t: number): boolean {
  return events.some(
    (event) => event.kind === 'claim' && event.applied && event.t > t - calmMs && event.t <= t,
  );
}

function overlapMs(spans: readonly Span[], from: number, to: number): number {
  let ms = 0;
  let countedT = from;
  for (const span of spans) {
    const endT = Math.min(span.to, to);
    ms += Math.max(0, endT - Math.max(span.from, countedT));
    countedT = Math.max(countedT, endT);
  }
  return ms;
}
