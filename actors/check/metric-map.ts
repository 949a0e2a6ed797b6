// The metrics of an observation in the API's form, with native values: live state, webhooks, alarm history.
import type { Observation } from '../observation/observation.ts';

export type MetricMap = Readonly<
  Record<string, { readonly type: string; readonly data: number | string; readonly unit: string }>
>;

/** Returns the metrics by name; of two of one name the last. */
export function metricMap(seen: Observation): MetricMap {
  return Object.fromEntries(
    seen.shape.names.map((name, position) => [
      name,
      {
        type: seen.shape.types[position] ?? 's',
        data: seen.values[position] ?? '',
        unit: seen.shape.units[position] ?? 'unknown',
      },
    ]),
  );
}
