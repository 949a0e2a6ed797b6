// The syntax tree of criteria: what the parser makes, the checks inspect and the compiler turns into closures.
// Types only. `at` is a 0-based position in the source, in UTF-16 units.

export type AlarmLevel = 'OK' | 'WARNING' | 'CRITICAL';
export type ConsistencyLevel = 'ONE' | 'QUORUM' | 'ALL';

export type NumericOperator = '>=' | '<=' | '>' | '<' | '==' | '!=';
export type RegexOperator = 'regex' | 'nregex';
type Operator = NumericOperator | RegexOperator;

export interface MetricNode {
  readonly kind: 'metric';
  readonly at: number;
  readonly name: string;
}

export interface NumberNode {
  readonly kind: 'number';
  readonly at: number;
  readonly value: number;
}

export interface StringNode {
  readonly kind: 'string';
  readonly at: number;
  /** The text that is meant, escapes resolved. */
  readonly value: string;
}

export interface CallNode {
  readonly kind: 'call';
  readonly at: number;
  readonly name: string;
  readonly parameters: readonly (MetricNode | NumberNode)[];
}

export type OperandNode = MetricNode | CallNode;

export interface CompareNode {
  readonly at: number;
  /** Position after its last character. */
  readonly end: number;
  readonly left: OperandNode;
  readonly operator: Operator;
  readonly right: OperandNode | NumberNode | StringNode;
  /** How it is joined to the comparison before it; null for the first. */
  readonly joinedBy: '&&' | '||' | null;
}

export interface ReturnNode {
  readonly at: number;
  readonly state: AlarmLevel;
  readonly message: string | null;
}

export interface IfNode {
  readonly at: number;
  readonly comparisons: readonly CompareNode[];
  readonly returns: ReturnNode;
}

export type SettingNode =
  | { readonly kind: 'consistency'; readonly at: number; readonly level: ConsistencyLevel }
  | { readonly kind: 'consecutive'; readonly at: number; readonly count: number }
  | { readonly kind: 'dimension'; readonly at: number; readonly filter: string };

export interface Program {
  readonly settings: readonly SettingNode[];
  readonly ifs: readonly IfNode[];
  readonly returns: readonly ReturnNode[];
}
