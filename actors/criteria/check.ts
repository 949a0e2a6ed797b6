// The rules that criteria must keep beyond the grammar (alarm-language.md §2.1): sizes, known functions, regular
// expressions that compile. Must not know evaluation.
import type { CallNode, CompareNode, OperandNode, Program, StringNode } from './ast.ts';
import { CriteriaError } from './errors.ts';
import {
  conditionalsMax,
  consecutiveCountMax,
  metricNameLengthMax,
  regexCountMax,
  sourceLengthMax,
  stringLengthMax,
} from './limits.ts';
import { compileRegexes, type RegexSet } from './regex.ts';

/** What the compiler needs besides the tree: the search that belongs to each pattern's node. */
export type Searches = ReadonlyMap<StringNode, (text: string) => boolean>;

/** Refuses a text that is too long, before it is parsed. Throws `CriteriaError` of stage `check`. */
export function checkSource(source: string): void {
  if (source.length > sourceLengthMax) {
    const message = `criteria have at most ${sourceLengthMax} characters`;
    throw new CriteriaError(message, 'check', source, sourceLengthMax);
  }
}

/** Returns the searches of all patterns, or throws `CriteriaError` of stage `check` at the first broken rule. */
export function checkProgram(program: Program, source: string): Searches {
  const refuse = (at: number, message: string): never => {
    throw new CriteriaError(message, 'check', source, at);
  };
  for (const setting of program.settings) {
    if (setting.kind === 'consecutive' && setting.count > consecutiveCountMax) {
      refuse(setting.at, `consecutiveCount is 1 to ${consecutiveCountMax}`);
    }
  }
  const surplus = program.ifs[conditionalsMax];
  if (surplus !== undefined) refuse(surplus.at, `at most ${conditionalsMax} if statements`);
  const comparisons = program.ifs.flatMap((statement) => statement.comparisons);
  for (const comparison of comparisons) checkComparison(comparison, refuse);
  return checkRegexes(comparisons, refuse);
}

type Refuse = (at: number, message: string) => never;

function checkComparison({ left, operator, right }: CompareNode, refuse: Refuse): void {
  checkOperand(left, refuse);
  if (right.kind === 'number') return;
  if (right.kind !== 'string') {
    checkOperand(right, refuse);
    return;
  }
  const isPattern = operator === 'regex' || operator === 'nregex';
  if (!isPattern && right.value.length > stringLengthMax) {
    refuse(right.at, `a string compared with a metric has at most ${stringLengthMax} characters`);
  }
}

function checkOperand(operand: OperandNode, refuse: Refuse): void {
  const names = operand.kind === 'metric' ? [operand] : operand.parameters;
  for (const part of names) {
    if (part.kind === 'metric' && part.name.length > metricNameLengthMax) {
      refuse(part.at, `the name of a metric has at most ${metricNameLengthMax} characters`);
    }
  }
  if (operand.kind === 'call') checkCall(operand, refuse);
}

function checkCall({ at, name, parameters }: CallNode, refuse: Refuse): void {
  if (name === 'previous' || name === 'rate') {
    if (parameters.length !== 1 || parameters[0]?.kind !== 'metric') {
      refuse(at, `${name} takes one metric`);
    }
  } else if (name === 'percentage') {
    if (parameters.length !== 2) refuse(at, 'percentage takes two metrics or numbers');
  } else {
    refuse(at, `unknown function ${name.slice(0, 32)}: there are previous, rate and percentage`);
  }
}

function checkRegexes(comparisons: readonly CompareNode[], refuse: Refuse): Searches {
  const nodes: StringNode[] = [];
  for (const { operator, right } of comparisons) {
    const isPattern = operator === 'regex' || operator === 'nregex';
    if (isPattern && right.kind === 'string') nodes.push(right);
  }
  const surplus = nodes[regexCountMax];
  if (surplus !== undefined) {
    refuse(surplus.at, `at most ${regexCountMax} regular expressions in an alarm`);
  }
  const result = compileRegexes(nodes.map((node) => node.value));
  if ('message' in result) return refuse(nodes[result.index]?.at ?? 0, result.message);
  return pairs(nodes, result);
}

function pairs(nodes: readonly StringNode[], { searches }: RegexSet): Searches {
  const found = new Map<StringNode, (text: string) => boolean>();
  nodes.forEach((node, index) => {
    const search = searches[index];
    if (search !== undefined) found.set(node, search);
  });
  return found;
}
