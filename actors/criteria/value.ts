// Values of metrics: how a number is written as text, when a text is a number, and access by name without hashing.
// A value's JavaScript type decides, not its type letter: who makes observations decodes numbers that came as text.
// Numbers are doubles, so integers are exact up to 2^53.
import type { MetricShape, Observation } from '../observation/observation.ts';
import { numberTextLengthMax } from './limits.ts';

export type Value = number | string;

/** Returns a value as text: numbers in their shortest decimal form, without a trailing `.0`. */
export const renderValue = (value: Value): string =>
  typeof value === 'number' ? String(value) : value;

const completeNumber = /^[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** Returns the number that a value is or that its whole text is, else undefined. */
export function numberOf(value: Value): number | undefined {
  if (typeof value === 'number') return value;
  if (value.length > numberTextLengthMax || !completeNumber.test(value)) return undefined;
  const number = Number(value);
  return Number.isFinite(number) ? number : undefined;
}

/** Returns the value of one metric in an observation, undefined where it lacks it. */
export type ReadMetric = (seen: Observation) => Value | undefined;

/**
 * Returns a reader of one metric. It remembers the metric's place in the last shape it saw: observations of a check
 * share their shape, so that no name is looked up on the hot path.
 */
export function metricReader(name: string): ReadMetric {
  let shape: MetricShape | null = null;
  let index = -1;
  return (seen) => {
    if (seen.shape !== shape) {
      shape = seen.shape;
      index = shape.index.get(name) ?? -1;
    }
    return index < 0 ? undefined : seen.values[index];
  };
}
