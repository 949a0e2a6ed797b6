// From criteria text to something that can be evaluated: parse, check, and turn the tree into branches of closures
// (no eval, no generated code). Each closure runs at most once per evaluation: the cost is bounded by the text's size.
import type { Observation } from '../observation/observation.ts';
import type { ConsistencyLevel, IfNode, Program, ReturnNode } from './ast.ts';
import { checkProgram, checkSource, type Searches } from './check.ts';
import { type Comparison, compileComparison, outcome, type Test } from './compare.ts';
import { lineAt, lineStarts } from './errors.ts';
import { compileMessage } from './message.ts';
import { parseCriteria } from './parse.ts';
import { cutStatus, type Verdict, type VerdictReason } from './verdict.ts';

export interface CriteriaSettings {
  /** Default QUORUM. */
  readonly consistencyLevel: ConsistencyLevel;
  /** 1..5; null: not set, see `consecutiveCountOf`. */
  readonly consecutiveCount: number | null;
}

/** A return statement: makes the verdict where it is taken. */
interface Return {
  readonly line: number;
  readonly state: Verdict['state'];
  readonly verdict: (seen: Observation) => Verdict;
}

/** An `if` statement. `test` answers for the whole condition, never "unknown". */
export interface Branch {
  readonly line: number;
  readonly test: Test;
  readonly comparisons: readonly Comparison[];
  readonly returns: Return;
}

/** Compiled criteria, before they are given their methods. */
export interface Compiled {
  readonly settings: CriteriaSettings;
  readonly branches: readonly Branch[];
  /** The first return outside of an `if`. */
  readonly fallback: Return | null;
  /** Line of a position in the source. */
  readonly lineOf: (at: number) => number;
  readonly usesPrevious: boolean;
  readonly metricNames: readonly string[];
}

/** Returns the compiled form of a text, or throws `CriteriaError`. No text: no branches, default settings. */
export function compileSource(source: string | null): Compiled {
  const text = source ?? '';
  checkSource(text);
  const { program } = parseCriteria(text);
  const searches = checkProgram(program, text);
  const starts = lineStarts(text);
  const lineOf = (at: number) => lineAt(starts, at);
  const branches = program.ifs.map((node) => compileBranch(node, { text, searches, lineOf }));
  const [first] = program.returns;
  const names = branches.flatMap((branch) => branch.comparisons.flatMap(({ metrics }) => metrics));
  return {
    settings: settingsOf(program),
    branches,
    fallback: first === undefined ? null : compileReturn(first, lineOf(first.at), 'default-return'),
    lineOf,
    usesPrevious: program.ifs.some(usesPrevious),
    metricNames: [...new Set(names)],
  };
}

/** The last setting of a kind wins. `dimensionFilter` is accepted and ignored. */
function settingsOf(program: Program): CriteriaSettings {
  let consistencyLevel: ConsistencyLevel = 'QUORUM';
  let consecutiveCount: number | null = null;
  for (const setting of program.settings) {
    if (setting.kind === 'consistency') consistencyLevel = setting.level;
    if (setting.kind === 'consecutive') consecutiveCount = setting.count;
  }
  return { consistencyLevel, consecutiveCount };
}

function usesPrevious(node: IfNode): boolean {
  return node.comparisons
    .flatMap(({ left, right }) => [left, right])
    .some((side) => side.kind === 'call' && side.name !== 'percentage');
}

interface Context {
  readonly text: string;
  readonly searches: Searches;
  readonly lineOf: (at: number) => number;
}

function compileBranch(node: IfNode, { text, searches, lineOf }: Context): Branch {
  const comparisons = node.comparisons.map((part) => compileComparison(part, text, searches));
  return {
    line: lineOf(node.at),
    test: conditionTest(comparisons),
    comparisons,
    returns: compileReturn(node.returns, lineOf(node.returns.at), 'branch'),
  };
}

/** `&&` binds tighter than `||`; left to right, and no further than needed. */
function conditionTest(comparisons: readonly Comparison[]): Test {
  const [first] = comparisons;
  if (comparisons.length === 1 && first !== undefined) return first.test;
  const groups: Test[][] = [];
  for (const { joinedBy, test } of comparisons) {
    if (joinedBy === '&&') groups[groups.length - 1]?.push(test);
    else groups.push([test]);
  }
  return (seen, previous) => {
    for (const group of groups) {
      let all: ReturnType<Test> = outcome.yes;
      for (const test of group) {
        all = test(seen, previous);
        if (all !== outcome.yes) break;
      }
      if (all !== outcome.no && all !== outcome.unknown) return all;
    }
    return outcome.no;
  };
}

const defaultStatus = 'Matched default return statement';

function compileReturn(
  { state, message }: ReturnNode,
  line: number,
  kind: 'branch' | 'default-return',
): Return {
  const reason: VerdictReason = Object.freeze({ kind, line });
  const text = message ?? (kind === 'default-return' ? defaultStatus : null);
  if (text === null) {
    const verdict = (seen: Observation) => ({ state, status: cutStatus(seen.status), reason });
    return { line, state, verdict };
  }
  const prepared = compileMessage(text);
  if (!prepared.isConstant) {
    return { line, state, verdict: (seen) => ({ state, status: prepared.fill(seen), reason }) };
  }
  const constant = Object.freeze({ state, status: cutStatus(text), reason });
  return { line, state, verdict: () => constant };
}
