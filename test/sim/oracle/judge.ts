// The judge: all rules over the trace of one run, and whether the run says anything at all. Imports nothing of the product.
import type { TraceEvent } from '../trace.ts';
import {
  durableAnswers,
  idempotent,
  noLostUpdate,
  noResurrection,
  recordedHistory,
} from './configuration.ts';
import {
  attempted,
  boundedDuplicates,
  deletedSendsNothing,
  orderedLines,
  patientRetries,
} from './delivery.ts';
import { gaplessTransitions, honestConditions, nothingMissed } from './evaluation.ts';
import { evidenced } from './evidence.ts';
import { type Facts, factsOf, type Ground, type Violation } from './facts.ts';
import { outboxAtomic, stableIds } from './intents.ts';
import { namedInTime } from './names.ts';
import { keptOutcomes } from './outcomes.ts';
import { silentWhenFenced, singleCommitter } from './ownership.ts';
import { deletedIsSilent, gapBound, noStorm, steadyRate, wallIndependence } from './polling.ts';
import { nothingBroken, restingGauges } from './resources.ts';
import { honestSlots } from './slots.ts';

const rules: readonly ((facts: Facts) => Violation[])[] = [
  singleCommitter,
  silentWhenFenced,
  gapBound,
  noStorm,
  steadyRate,
  wallIndependence,
  namedInTime,
  deletedIsSilent,
  honestSlots,
  gaplessTransitions,
  evidenced,
  nothingMissed,
  honestConditions,
  outboxAtomic,
  stableIds,
  attempted,
  deletedSendsNothing,
  patientRetries,
  boundedDuplicates,
  orderedLines,
  noLostUpdate,
  noResurrection,
  durableAnswers,
  idempotent,
  keptOutcomes,
  recordedHistory,
  restingGauges,
  nothingBroken,
];

export interface Verdict {
  readonly violations: readonly Violation[];
  readonly polls: number;
  readonly transitions: number;
  readonly intents: number;
  readonly pages: number;
  readonly crashes: number;
  /** False: too little happened for the run to count. */
  readonly isValid: boolean;
}

/** Returns what the rules say, in order of time. */
export function judge(events: readonly TraceEvent[], ground: Ground): Verdict {
  const facts = factsOf(events, ground);
  const violations = rules.flatMap((rule) => rule(facts)).sort((left, right) => left.t - right.t);
  const polls = facts.pollOf.size;
  const transitions = facts.transitions.length;
  return {
    violations,
    polls,
    transitions,
    intents: facts.intents.size,
    pages: facts.pages.length,
    crashes: facts.runs.length - 1,
    isValid: polls >= 100 && transitions >= 3,
  };
}
