// The public surface of the alarm language: the only file of this folder that the rest of the project imports
// (besides batch.ts, for the worker pool). Criteria are compiled once and evaluated once per observation and zone;
// what becomes of the zones' verdicts is decided elsewhere (actors/alarm).
import type { Observation } from '../observation/observation.ts';
import { sourceCache } from './cache.ts';
import { type CriteriaSettings, compileSource } from './compile.ts';
import { evaluateCriteria } from './evaluate.ts';
import { type ExplainStep, explainCriteria } from './explain.ts';
import { cacheEntriesMax, cacheSourceLengthMax } from './limits.ts';
import type { Verdict } from './verdict.ts';

export type { CriteriaSettings } from './compile.ts';
export { CriteriaError, type CriteriaStage } from './errors.ts';
export type { ExplainStep } from './explain.ts';
export type { Verdict } from './verdict.ts';

/** Compiled criteria. Immutable to its users and free of any alarm's state, so that alarms share it. */
export interface Criteria {
  readonly settings: CriteriaSettings;
  /** The text it was compiled from; null: the alarm has no criteria, availability decides. */
  readonly source: string | null;
  /** True: it asks for the zone's preceding observation (`previous` or `rate`). */
  readonly usesPrevious: boolean;
  /** Metrics that its conditions name, each once. Names in messages are not among them: they are optional. */
  readonly metricNames: readonly string[];
  /** Returns the verdict on an observation; `previous`: the zone's preceding one. Pure, bounded, never throws. */
  evaluate(seen: Observation, previous: Observation | null): Verdict;
  /** Returns how that verdict comes about, statement by statement; empty where the target was not available. */
  explain(seen: Observation, previous: Observation | null): ExplainStep[];
}

/**
 * Returns the compiled form of an alarm's criteria. Throws `CriteriaError` where the text does not follow the grammar
 * (stage `parse`) or breaks a further rule (stage `check`). Takes at most some milliseconds, whatever the text.
 */
export function compileCriteria(source: string | null): Criteria {
  const compiled = compileSource(source);
  const { settings, usesPrevious, metricNames } = compiled;
  return {
    settings,
    source,
    usesPrevious,
    metricNames,
    evaluate: (seen, previous) => evaluateCriteria(compiled, seen, previous),
    explain: (seen, previous) => explainCriteria(compiled, seen, previous),
  };
}

/** Compiled criteria by source text: equal texts give the same object. At most 8,192 texts, 32 MB of them. */
export const criteriaCache = sourceCache(compileCriteria, {
  entriesMax: cacheEntriesMax,
  sourceLengthMax: cacheSourceLengthMax,
});

/**
 * Returns how often in a row a zone must come to the same state before it counts, 1..5: as the criteria set it, else 3
 * for `remote.ping` and 1 for all other check types.
 */
export function consecutiveCountOf(
  criteria: Pick<Criteria, 'settings'>,
  checkType: string,
): number {
  return criteria.settings.consecutiveCount ?? (checkType === 'remote.ping' ? 3 : 1);
}
