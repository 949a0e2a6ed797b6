// The parser of criteria: recursive descent over the PEG of alarm-language.md §2 (ordered choice, greedy, no way back
// into a finished repetition), so a text is accepted exactly when the service accepted it. Errors are reported at the
// furthest failure. The grammar does not nest, so the parser's stack is a few calls deep whatever the input is, and
// each character is looked at a bounded number of times.
import type {
  AlarmLevel,
  CallNode,
  CompareNode,
  ConsistencyLevel,
  IfNode,
  MetricNode,
  NumberNode,
  NumericOperator,
  OperandNode,
  Program,
  RegexOperator,
  ReturnNode,
  SettingNode,
  StringNode,
} from './ast.ts';
import { CriteriaError, tokenAt } from './errors.ts';
import { readFunctionName, readMetric, readNumber, readString, readWhole, Scanner } from './lex.ts';

const numericOperators: readonly NumericOperator[] = ['>=', '<=', '>', '<', '==', '!='];
const equalityOperators = ['==', '!='] as const;
const regexOperators: readonly RegexOperator[] = ['nregex', 'regex'];
const levels: readonly ConsistencyLevel[] = ['ONE', 'QUORUM', 'ALL'];
const states: readonly AlarmLevel[] = ['CRITICAL', 'OK', 'WARNING'];

/** A parsed text. `steps` counts the characters looked at: at most a small constant times the length. */
export interface Parsed {
  readonly program: Program;
  readonly steps: number;
}

/** Returns the syntax tree of a criteria text, or throws `CriteriaError` of stage `parse`. Linear in the text. */
export function parseCriteria(source: string): Parsed {
  const scanner = new Scanner(source);
  scanner.space();
  const settings = repeat(scanner, readSetting);
  const ifs = repeat(scanner, readIf);
  const returns = repeat(scanner, readReturn);
  if (scanner.at < source.length) throw parseError(scanner);
  return { program: { settings, ifs, returns }, steps: scanner.steps };
}

/** Describes the furthest failure of a scanner. */
function parseError(scanner: Scanner): CriteriaError {
  const { position, wanted } = scanner.failure;
  const found = tokenAt(scanner.source, position);
  const place = found === '' ? 'the end' : `'${found}'`;
  const message = `expected ${wanted.join(' or ')} but found ${place}`;
  return new CriteriaError(message, 'parse', scanner.source, position);
}

type Read<T> = (scanner: Scanner) => T | null;

/** `{ part ws }`: as many as there are. */
function repeat<T>(scanner: Scanner, read: Read<T>): T[] {
  const parts: T[] = [];
  for (;;) {
    const part = attempt(scanner, read);
    if (part === null) return parts;
    parts.push(part);
    if (!scanner.space()) return parts;
  }
}

/** Reads, or goes back to where it began. */
function attempt<T>(scanner: Scanner, read: Read<T>): T | null {
  const start = scanner.at;
  const part = read(scanner);
  if (part === null) scanner.at = start;
  return part;
}

function readSetting(scanner: Scanner): SettingNode | null {
  const at = scanner.at;
  if (!scanner.literal(':set') || !scanner.space()) return null;
  const name = scanner.oneOf(['consistencyLevel', 'consecutiveCount', 'dimensionFilter'] as const);
  if (name === null) return null;
  if (!scanner.space() || !scanner.literal('=') || !scanner.space()) return null;
  if (name === 'consistencyLevel') {
    const level = scanner.oneOf(levels);
    return level === null ? null : { kind: 'consistency', at, level };
  }
  const valueAt = scanner.at;
  if (name === 'consecutiveCount') {
    const count = readWhole(scanner);
    return count === null ? null : { kind: 'consecutive', at: valueAt, count };
  }
  const filter = readString(scanner);
  return filter === null ? null : { kind: 'dimension', at, filter };
}

function readIf(scanner: Scanner): IfNode | null {
  const at = scanner.at;
  if (!scanner.literal('if') || !scanner.space() || !scanner.literal('(')) return null;
  const comparisons: CompareNode[] = [];
  let joinedBy: CompareNode['joinedBy'] = null;
  do {
    const comparison = scanner.space() ? readCondition(scanner, joinedBy) : null;
    if (comparison === null) return null;
    comparisons.push(comparison);
    joinedBy = scanner.oneOf(['&&', '||'] as const);
  } while (joinedBy !== null);
  if (!scanner.literal(')') || !scanner.space() || !scanner.literal('{')) return null;
  const returns = scanner.space() ? readReturn(scanner) : null;
  if (returns === null || !scanner.space() || !scanner.literal('}')) return null;
  return { at, comparisons, returns };
}

/** One comparison, perhaps in one pair of parentheses. */
function readCondition(scanner: Scanner, joinedBy: CompareNode['joinedBy']): CompareNode | null {
  const isWrapped = scanner.literal('(');
  if (isWrapped && !scanner.space()) return null;
  const comparison = readComparison(scanner, joinedBy);
  if (comparison === null) return null;
  if (isWrapped && !(scanner.space() && scanner.literal(')'))) return null;
  return scanner.space() ? comparison : null;
}

function readComparison(scanner: Scanner, joinedBy: CompareNode['joinedBy']): CompareNode | null {
  const at = scanner.at;
  const left = readOperand(scanner);
  if (left === null || !scanner.space()) return null;
  const rest =
    attempt(scanner, (inner) => readRest(inner, numericOperators, [readNumberNode, readOperand])) ??
    attempt(scanner, (inner) =>
      readRest(inner, equalityOperators, [readStringNode, readOperand]),
    ) ??
    attempt(scanner, (inner) => readRest(inner, regexOperators, [readStringNode]));
  return rest === null ? null : { at, end: scanner.at, left, ...rest, joinedBy };
}

type RightNode = CompareNode['right'];

/** An operator and the first of the alternatives after it. */
function readRest<O extends CompareNode['operator']>(
  scanner: Scanner,
  operators: readonly O[],
  alternatives: readonly Read<RightNode>[],
): { operator: O; right: RightNode } | null {
  const operator = scanner.oneOf(operators);
  if (operator === null || !scanner.space()) return null;
  for (const read of alternatives) {
    const right = attempt(scanner, read);
    if (right !== null) return { operator, right };
  }
  return null;
}

function readOperand(scanner: Scanner): OperandNode | null {
  return attempt(scanner, readCall) ?? readMetricNode(scanner);
}

function readCall(scanner: Scanner): CallNode | null {
  const at = scanner.at;
  const name = readFunctionName(scanner);
  if (name === null || !scanner.literal('(')) return null;
  const parameters: (MetricNode | NumberNode)[] = [];
  do {
    if (!scanner.space()) return null;
    const parameter = readMetricNode(scanner) ?? readNumberNode(scanner);
    if (parameter === null || !scanner.space()) return null;
    parameters.push(parameter);
  } while (scanner.literal(','));
  return scanner.literal(')') ? { kind: 'call', at, name, parameters } : null;
}

function readMetricNode(scanner: Scanner): MetricNode | null {
  const at = scanner.at;
  const name = readMetric(scanner);
  return name === null ? null : { kind: 'metric', at, name };
}

function readNumberNode(scanner: Scanner): NumberNode | null {
  const at = scanner.at;
  const value = readNumber(scanner);
  return value === null ? null : { kind: 'number', at, value };
}

function readStringNode(scanner: Scanner): StringNode | null {
  const at = scanner.at;
  const value = readString(scanner);
  return value === null ? null : { kind: 'string', at, value };
}

type Returned = Pick<ReturnNode, 'state' | 'message'>;

function readReturn(scanner: Scanner): ReturnNode | null {
  const at = scanner.at;
  if (!scanner.literal('return ') || !scanner.space()) return null;
  const returned = attempt(scanner, readNewForm) ?? attempt(scanner, readReturned);
  return returned === null ? null : { at, ...returned };
}

/** `new AlarmStatus(…);` */
function readNewForm(scanner: Scanner): Returned | null {
  if (!scanner.literal('new') || !scanner.space()) return null;
  if (!scanner.literal('AlarmStatus(') || !scanner.space()) return null;
  const returned = readReturned(scanner);
  if (returned === null || !scanner.space() || !scanner.literal(')')) return null;
  return scanner.space() && scanner.literal(';') ? returned : null;
}

/** `STATE` or `STATE, 'message'`. */
function readReturned(scanner: Scanner): Returned | null {
  const state = scanner.oneOf(states);
  if (state === null) return null;
  const message = attempt(scanner, (inner) =>
    inner.space() && inner.literal(',') && inner.space() ? readString(inner) : null,
  );
  return { state, message };
}
