// Tells how a verdict came about: every statement in order, what each comparison compared and came to, and which return
// was taken. Follows the same short cuts as evaluate.ts, from which it takes the outcomes.
import type { Observation } from '../observation/observation.ts';
import type { AlarmLevel } from './ast.ts';
import { type Comparison, type Outcome, outcome } from './compare.ts';
import type { Branch, Compiled } from './compile.ts';
import { evaluateCriteria, type Traced, traceBranch } from './evaluate.ts';
import { explainedValueLengthMax } from './limits.ts';
import type { ReadOperand } from './operand.ts';
import type { Value } from './value.ts';
import { cutText } from './verdict.ts';

/** `unknown`: false because nothing precedes; `skipped`: not evaluated, it could not change the answer. */
export type ExplainedResult =
  | 'true'
  | 'false'
  | 'unknown'
  | 'missing'
  | 'type-mismatch'
  | 'skipped';

export interface ExplainedComparison {
  readonly line: number;
  /** Source text. */
  readonly text: string;
  readonly joinedBy: '&&' | '||' | null;
  /** Values compared, texts cut to 256 code points; null: none, or not evaluated. */
  readonly left: Value | null;
  readonly right: Value | null;
  readonly result: ExplainedResult;
}

/** One statement: an `if`, or the first top-level `return` (which has no comparisons). */
export interface ExplainStep {
  readonly kind: 'if' | 'return';
  readonly line: number;
  readonly comparisons: readonly ExplainedComparison[];
  /** What its return would answer. */
  readonly returns: { readonly line: number; readonly state: AlarmLevel };
  /** True: this return made the verdict. */
  readonly isTaken: boolean;
}

/**
 * Returns the statements of criteria as they were evaluated, in order; those after the decision have all comparisons
 * `skipped`. Empty where the observation was not available: criteria are not consulted then.
 */
export function explainCriteria(
  criteria: Compiled,
  seen: Observation,
  previous: Observation | null,
): ExplainStep[] {
  if (!seen.available) return [];
  const { reason } = evaluateCriteria(criteria, seen, previous);
  const steps: ExplainStep[] = [];
  let isDecided = false;
  for (const branch of criteria.branches) {
    const result: Outcome = isDecided ? outcome.no : branch.test(seen, previous);
    const traced: Traced[] = isDecided
      ? branch.comparisons.map(() => null)
      : traceBranch(branch, seen, previous);
    const isTaken: boolean = result === outcome.yes;
    steps.push(explainBranch(criteria, branch, { seen, previous, traced, isTaken }));
    isDecided ||= isTaken || result >= outcome.missing;
  }
  const { fallback } = criteria;
  if (fallback !== null) {
    const { line, state } = fallback;
    const isTaken = reason.kind === 'default-return';
    steps.push({ kind: 'return', line, comparisons: [], returns: { line, state }, isTaken });
  }
  return steps;
}

interface Run {
  readonly seen: Observation;
  readonly previous: Observation | null;
  readonly traced: readonly Traced[];
  readonly isTaken: boolean;
}

function explainBranch(criteria: Compiled, branch: Branch, run: Run): ExplainStep {
  const { line, state } = branch.returns;
  return {
    kind: 'if',
    line: branch.line,
    comparisons: branch.comparisons.map((comparison, index) =>
      explainComparison(criteria, comparison, run.traced[index] ?? null, run),
    ),
    returns: { line, state },
    isTaken: run.isTaken,
  };
}

const results: readonly ExplainedResult[] = [
  'false',
  'true',
  'unknown',
  'missing',
  'type-mismatch',
];

function explainComparison(
  criteria: Compiled,
  comparison: Comparison,
  traced: Traced,
  { seen, previous }: Run,
): ExplainedComparison {
  const show = (read: ReadOperand): Value | null => {
    const value = traced === null ? null : read(seen, previous);
    if (typeof value === 'symbol') return null;
    return typeof value === 'string' ? cutText(value, explainedValueLengthMax) : value;
  };
  return {
    line: criteria.lineOf(comparison.at),
    text: comparison.text,
    joinedBy: comparison.joinedBy,
    left: show(comparison.left),
    right: show(comparison.right),
    result: traced === null ? 'skipped' : (results[traced] ?? 'false'),
  };
}
