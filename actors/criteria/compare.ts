// Comparisons as closures that answer a small number, so that evaluating allocates nothing. The most frequent shapes,
// a metric against a literal, have closures of their own; all others read both sides first. What decides, in this
// order: a missing metric, an unknown value (the comparison is false, whatever the operator), a text that is no number.
import { assert } from '../../runtime/assert.ts';
import type { Observation } from '../observation/observation.ts';
import type { CompareNode, NumericOperator, StringNode } from './ast.ts';
import type { Searches } from './check.ts';
import {
  compileOperand,
  type Lack,
  metricsOf,
  mismatch,
  missing,
  type ReadOperand,
  unknown,
} from './operand.ts';
import { metricReader, numberOf, renderValue, type Value } from './value.ts';

/** 0 false, 1 true, 2 false because unknown, 3 a metric is missing, 4 a text is no number. */
export type Outcome = 0 | 1 | 2 | 3 | 4;
export const outcome = { no: 0, yes: 1, unknown: 2, missing: 3, mismatch: 4 } as const;

export type Test = (seen: Observation, previous: Observation | null) => Outcome;

/** One comparison, ready to be evaluated and to be explained. */
export interface Comparison {
  readonly test: Test;
  readonly left: ReadOperand;
  readonly right: ReadOperand;
  /** Metrics it names, in order. */
  readonly metrics: readonly string[];
  readonly at: number;
  /** Its source text. */
  readonly text: string;
  readonly joinedBy: '&&' | '||' | null;
}

/** Returns the compiled form of a checked comparison. */
export function compileComparison(
  node: CompareNode,
  source: string,
  searches: Searches,
): Comparison {
  const { left, right, at, joinedBy } = node;
  const leftRead = compileOperand(left);
  const rightRead = right.kind === 'string' ? () => right.value : compileOperand(right);
  const named =
    right.kind === 'string' ? metricsOf(left) : [...metricsOf(left), ...metricsOf(right)];
  return {
    test: compileTest(node, leftRead, rightRead, searches),
    left: leftRead,
    right: rightRead,
    metrics: named.map((metric) => metric.name),
    at,
    text: source.slice(at, node.end),
    joinedBy,
  };
}

function compileTest(
  { left, operator, right }: CompareNode,
  leftRead: ReadOperand,
  rightRead: ReadOperand,
  searches: Searches,
): Test {
  if (operator === 'regex' || operator === 'nregex') {
    return matchTest(leftRead, searchOf(right, searches), operator === 'regex');
  }
  if (right.kind === 'number' && left.kind === 'metric') {
    return numberTest(left.name, operator, right.value);
  }
  if (right.kind === 'string') {
    return textTest(leftRead, right.value, operator === '==');
  }
  const isEquality = operator === '==' || operator === '!=';
  if (isEquality && right.kind !== 'number') {
    return sameTest(leftRead, rightRead, operator === '==');
  }
  return orderTest(leftRead, rightRead, operator);
}

function searchOf(node: CompareNode['right'], searches: Searches): (text: string) => boolean {
  const search = searches.get(node as StringNode);
  assert(search !== undefined, 'every pattern was compiled by the checks');
  return search;
}

function compareNumbers(a: number, operator: NumericOperator, b: number): boolean {
  switch (operator) {
    case '>':
      return a > b;
    case '<':
      return a < b;
    case '>=':
      return a >= b;
    case '<=':
      return a <= b;
    case '==':
      return a === b;
    case '!=':
      return a !== b;
  }
}

/** A metric against a number. */
function numberTest(name: string, operator: NumericOperator, literal: number): Test {
  const read = metricReader(name);
  return (seen) => {
    const value = read(seen);
    if (typeof value === 'number') return compareNumbers(value, operator, literal) ? 1 : 0;
    if (value === undefined) return outcome.missing;
    const number = numberOf(value);
    if (number === undefined) return outcome.mismatch;
    return compareNumbers(number, operator, literal) ? 1 : 0;
  };
}

/** A side against a string: as texts. */
function textTest(read: ReadOperand, literal: string, wantsEqual: boolean): Test {
  return (seen, previous) => {
    const value = read(seen, previous);
    if (typeof value === 'symbol') return lackOutcome(value);
    return (renderValue(value) === literal) === wantsEqual ? 1 : 0;
  };
}

function matchTest(
  read: ReadOperand,
  search: (text: string) => boolean,
  wantsMatch: boolean,
): Test {
  return (seen, previous) => {
    const value = read(seen, previous);
    if (typeof value === 'symbol') return lackOutcome(value);
    return search(renderValue(value)) === wantsMatch ? 1 : 0;
  };
}

/** Two sides for equality: as texts, which for two numbers is the same as numerically. */
function sameTest(left: ReadOperand, right: ReadOperand, wantsEqual: boolean): Test {
  return (seen, previous) => {
    const a = left(seen, previous);
    const b = right(seen, previous);
    if (typeof a === 'symbol' || typeof b === 'symbol') return worseOutcome(a, b);
    const isEqual = typeof a === typeof b ? a === b : renderValue(a) === renderValue(b);
    return isEqual === wantsEqual ? 1 : 0;
  };
}

/** Two sides as numbers. */
function orderTest(left: ReadOperand, right: ReadOperand, operator: NumericOperator): Test {
  return (seen, previous) => {
    const a = left(seen, previous);
    const b = right(seen, previous);
    if (typeof a === 'symbol' || typeof b === 'symbol') return worseOutcome(a, b);
    const aNumber = numberOf(a);
    const bNumber = numberOf(b);
    if (aNumber === undefined || bNumber === undefined) return outcome.mismatch;
    return compareNumbers(aNumber, operator, bNumber) ? 1 : 0;
  };
}

function lackOutcome(lack: Lack): Outcome {
  if (lack === missing) return outcome.missing;
  return lack === unknown ? outcome.unknown : outcome.mismatch;
}

function worseOutcome(a: Value | Lack, b: Value | Lack): Outcome {
  if (a === missing || b === missing) return outcome.missing;
  if (a === unknown || b === unknown) return outcome.unknown;
  return a === mismatch || b === mismatch ? outcome.mismatch : outcome.no;
}
