// The sides of a comparison as closures: metrics, `previous`, `rate`, `percentage` and literals. A side may have no
// value, for one of three reasons. Must not know operators.
// - missing: the observation lacks a metric that the side names. That holds for `previous(metric['x'])` too, which
//   names x: an x that is gone must not stay silent.
// - unknown: there is no preceding observation, it was not available, or it lacks the metric.
// - mismatch: a number is needed and the metric's text is none.
import type { Observation } from '../observation/observation.ts';
import type { CallNode, MetricNode, NumberNode, OperandNode } from './ast.ts';
import { metricReader, numberOf, type Value } from './value.ts';

export const missing: unique symbol = Symbol('missing');
export const unknown: unique symbol = Symbol('unknown');
export const mismatch: unique symbol = Symbol('mismatch');
export type Lack = typeof missing | typeof unknown | typeof mismatch;

/** Returns the value of a side, or why it has none. */
export type ReadOperand = (seen: Observation, previous: Observation | null) => Value | Lack;

/** Returns the reader of an operand. Function names and parameters were checked before. */
export function compileOperand(node: OperandNode | NumberNode): ReadOperand {
  if (node.kind === 'number') return () => node.value;
  if (node.kind === 'metric') return readMetricOf(node);
  if (node.name === 'previous') return readPrevious(metricOf(node));
  if (node.name === 'rate') return readRate(metricOf(node));
  return readPercentage(node);
}

/** Returns the metrics that an operand names, in order. */
export function metricsOf(node: OperandNode | NumberNode): readonly MetricNode[] {
  if (node.kind === 'number') return [];
  if (node.kind === 'metric') return [node];
  return node.parameters.filter((part) => part.kind === 'metric');
}

const metricOf = (node: CallNode): string => metricsOf(node)[0]?.name ?? '';

function readMetricOf({ name }: MetricNode): ReadOperand {
  const read = metricReader(name);
  return (seen) => read(seen) ?? missing;
}

/** The metric in the preceding observation, unless the current one lacks it. */
function readPrevious(name: string): ReadOperand {
  const readNow = metricReader(name);
  const readBefore = metricReader(name);
  return (seen, previous) => {
    if (readNow(seen) === undefined) return missing;
    if (previous === null || !previous.available) return unknown;
    return readBefore(previous) ?? unknown;
  };
}

/** Change per second since the preceding observation; negative after a counter's reset. */
function readRate(name: string): ReadOperand {
  const readNow = metricReader(name);
  const readBefore = metricReader(name);
  return (seen, previous) => {
    const now = readNow(seen);
    if (now === undefined) return missing;
    const after = numberOf(now);
    if (after === undefined) return mismatch;
    if (previous === null || !previous.available) return unknown;
    const earlier = readBefore(previous);
    const before = earlier === undefined ? undefined : numberOf(earlier);
    const elapsedMs = seen.atMs - previous.atMs;
    if (before === undefined || !(elapsedMs > 0)) return unknown;
    return (after - before) / (elapsedMs / 1000);
  };
}

/** `a · 100 / b`; 0 where b is 0. */
function readPercentage({ parameters }: CallNode): ReadOperand {
  const [part, whole] = parameters.map(compileOperand);
  return (seen, previous) => {
    const upper = part?.(seen, previous) ?? missing;
    const lower = whole?.(seen, previous) ?? missing;
    if (typeof upper === 'symbol') return upper;
    if (typeof lower === 'symbol') return lower;
    const a = numberOf(upper);
    const b = numberOf(lower);
    if (a === undefined || b === undefined) return mismatch;
    return b === 0 ? 0 : (a * 100) / b;
  };
}
