// One observation: what a check run saw from one zone, in the compact form that alarms are evaluated on.
// Names, types and units of a run's metrics are one interned `MetricShape`, shared by all runs of the same shape,
// so that an observation at rest is an array of values. Must not know zones' quorum or alarm states.
import type { MetricType, WireMetric } from '../check/types.ts';

/** Names, types and units of the metrics of a check run; interned, so equal shapes are the same object. */
export interface MetricShape {
  readonly names: readonly string[];
  readonly types: readonly MetricType[];
  readonly units: readonly string[];
  /** Position of a metric by its name. */
  readonly index: ReadonlyMap<string, number>;
}

/** One check run of one zone. `values[i]` belongs to `shape.names[i]`. */
export interface Observation {
  /** The scheduled slot, epoch ms; observations of a zone are ordered by it. */
  readonly slotAtMs: number;
  /** Wall clock of the probe's start, epoch ms: for display, `rate` and the API's `timestamp`. */
  readonly atMs: number;
  readonly available: boolean;
  readonly status: string;
  readonly shape: MetricShape;
  readonly values: readonly (number | string)[];
}

const shapesMax = 4096;
const shapes = new Map<string, MetricShape>();

/**
 * Returns the interned shape of these metrics. The cache is bounded (4096 shapes, the oldest is dropped):
 * a dropped shape still works, it is only no longer shared.
 */
function metricShape(
  names: readonly string[],
  types: readonly MetricType[],
  units: readonly string[],
): MetricShape {
  const key = `${names.join('\u0000')}\u0001${types.join('')}\u0001${units.join('\u0000')}`;
  const known = shapes.get(key);
  if (known !== undefined) return known;
  const index = new Map(names.map((name, position) => [name, position]));
  const shape: MetricShape = { names, types, units, index };
  if (shapes.size >= shapesMax) {
    const oldest = shapes.keys().next();
    if (!oldest.done) shapes.delete(oldest.value);
  }
  shapes.set(key, shape);
  return shape;
}

function isShapeOf(shape: MetricShape, metrics: readonly WireMetric[]): boolean {
  const { names, types, units } = shape;
  return (
    names.length === metrics.length &&
    metrics.every(
      ([name, type, , unit], at) => name === names[at] && type === types[at] && unit === units[at],
    )
  );
}

/**
 * Returns an observation built from metrics as they come over the wire. `like`: the shape that they probably have, the one of
 * the run before: found without looking it up.
 */
export function observation(
  run: Omit<Observation, 'shape' | 'values'>,
  metrics: readonly WireMetric[],
  like?: MetricShape,
): Observation {
  return {
    slotAtMs: run.slotAtMs,
    atMs: run.atMs,
    available: run.available,
    status: run.status,
    shape:
      like !== undefined && isShapeOf(like, metrics)
        ? like
        : metricShape(
            metrics.map((metric) => metric[0]),
            metrics.map((metric) => metric[1]),
            metrics.map((metric) => metric[3]),
          ),
    values: metrics.map((metric) => metric[2]),
  };
}

/** Returns the metrics of an observation as they go over the wire. */
export function wireMetrics(seen: Observation): WireMetric[] {
  return seen.shape.names.map((name, position) => [
    name,
    seen.shape.types[position] ?? 's',
    seen.values[position] ?? '',
    seen.shape.units[position] ?? 'unknown',
  ]);
}
