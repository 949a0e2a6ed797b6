// Evaluates compiled criteria on one observation (alarm-language.md §5). Pure: same observation, same verdict.
// Must not know zones, counts or alarm states.
import type { Observation } from '../observation/observation.ts';
import { type Comparison, outcome } from './compare.ts';
import type { Branch, Compiled } from './compile.ts';
import { numberOf } from './value.ts';
import { cutStatus, type Verdict, type VerdictReason } from './verdict.ts';

const unavailable: VerdictReason = Object.freeze({ kind: 'unavailable' });
const noCriteria: VerdictReason = Object.freeze({ kind: 'no-criteria' });
const noMatch: VerdictReason = Object.freeze({ kind: 'no-match' });

/** Returns the verdict on an observation, given the zone's preceding one or null. Never throws. */
export function evaluateCriteria(
  criteria: Compiled,
  seen: Observation,
  previous: Observation | null,
): Verdict {
  if (!seen.available) {
    return { state: 'CRITICAL', status: cutStatus(seen.status), reason: unavailable };
  }
  const { branches, fallback } = criteria;
  for (const branch of branches) {
    const result = branch.test(seen, previous);
    if (result === outcome.yes) return branch.returns.verdict(seen);
    if (result >= outcome.missing) return failedVerdict(criteria, branch, seen, previous);
  }
  if (fallback !== null) return fallback.verdict(seen);
  const reason = branches.length === 0 ? noCriteria : noMatch;
  return { state: 'OK', status: cutStatus(seen.status), reason };
}

/** What one comparison of a condition came to; null: it was not evaluated. */
export type Traced = ReturnType<Comparison['test']> | null;

/** Returns what each comparison of a branch came to, left to right, with the short cuts of an evaluation. */
export function traceBranch(
  { comparisons }: Branch,
  seen: Observation,
  previous: Observation | null,
): Traced[] {
  let isOver = false;
  let groupHolds = true;
  return comparisons.map(({ joinedBy, test }) => {
    if (joinedBy === '||') {
      isOver ||= groupHolds;
      groupHolds = true;
    }
    if (isOver || !groupHolds) return null;
    const result = test(seen, previous);
    groupHolds = result === outcome.yes;
    isOver = result >= outcome.missing;
    return result;
  });
}

function failedVerdict(
  criteria: Compiled,
  branch: Branch,
  seen: Observation,
  previous: Observation | null,
): Verdict {
  const results = traceBranch(branch, seen, previous);
  const index = results.findIndex((result) => result !== null && result >= outcome.missing);
  const comparison = branch.comparisons[index];
  const line = criteria.lineOf(comparison?.at ?? 0);
  if (results[index] === outcome.missing) {
    const metric = comparison?.metrics.find((name) => !seen.shape.index.has(name)) ?? '';
    const reason: VerdictReason = { kind: 'missing-metric', metric, line };
    return { state: 'CRITICAL', status: cutStatus(`Metric '${metric}' not found`), reason };
  }
  const metric = comparison?.metrics.find((name) => !isNumber(name, seen, previous)) ?? '';
  const reason: VerdictReason = { kind: 'type-mismatch', metric, line };
  return { state: 'CRITICAL', status: cutStatus(`Metric '${metric}' is not a number`), reason };
}

/** Whether a metric is a number now and, where it is known, was one before. */
function isNumber(name: string, seen: Observation, previous: Observation | null): boolean {
  return [seen, previous].every((run) => {
    const index = run?.shape.index.get(name);
    const value = index === undefined ? undefined : run?.values[index];
    return value === undefined || numberOf(value) !== undefined;
  });
}
