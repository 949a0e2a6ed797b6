// Metrics, plots and rollups: routes of v1.0 that this build does not have yet.
import { array, listOf, object, text, whole } from '../json-schema.ts';
import type { Route } from '../route.ts';
import { notBuilt } from '../unbuilt.ts';
import { read, test } from './define.ts';

const tag = 'metrics';
const metric = object({ name: text, type: text, unit: text });
const plots = notBuilt('Plots');
const range = {
  from: whole,
  to: whole,
  points: whole,
  resolution: text,
  select: { type: 'array', items: text },
} as const;

export const metricRoutes: readonly Route[] = [
  read({
    path: '/entities/:entity/checks/:check/metrics',
    id: 'listMetrics',
    tag,
    summary: 'Metrics of a check (not built yet)',
    role: 'read',
    returns: listOf(metric),
    handle: notBuilt('Metric lists'),
  }),
  read({
    path: '/entities/:entity/checks/:check/metrics/:metric/plot',
    id: 'plotMetric',
    tag,
    summary: 'Plot of a metric (not built yet)',
    role: 'read',
    query: range,
    returns: listOf(object({ timestamp: whole, numPoints: whole })),
    handle: plots,
  }),
  read({
    path: '/views/metric_list',
    id: 'viewMetricList',
    tag,
    summary: 'Metrics of all checks (not built yet)',
    role: 'read',
    returns: listOf(object({ entity_id: text, checks: array(object({})) })),
    handle: notBuilt('Metric lists'),
  }),
  test({
    path: '/__experiments/multiplot',
    id: 'multiplot',
    tag,
    summary: 'Plots of several metrics (not built yet)',
    takes: object({ metrics: array(object({})) }),
    query: range,
    returns: object({ metrics: array(object({})) }),
    handle: plots,
  }),
];
