// The Meter port over prom-client, its only importer here. Counting adds to a number; prom-client sees the numbers when they
// are asked for. Must not know what is counted. Counters are `tocsin_<name>_total`, gauges `tocsin_<name>`.
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { assert } from './assert.ts';
import { meterLimits } from './limits.ts';
import type { Meter } from './ports.ts';

export interface ProcessMeter extends Meter {
  /** All metrics in the Prometheus text format. */
  text(): Promise<string>;
  readonly contentType: string;
  /** Value of a counter so far, all labels together unless one is named. */
  counted(name: string, label?: string): number;
}

/** Values of one counter by label; '' is the one without. */
type Counts = Map<string, number>;

/** Returns a meter of its own registry. `processMetrics`: also CPU, memory, event loop delay and collections of this process. */
export function createMeter(options: { readonly processMetrics?: boolean } = {}): ProcessMeter {
  const registry = new Registry();
  const counters = new Map<string, Counts>();
  const gauges = new Map<string, () => number>();
  if (options.processMetrics === true) {
    collectDefaultMetrics({
      register: registry,
      prefix: 'tocsin_',
      eventLoopMonitoringPrecision: meterLimits.loopSampleMs,
    });
  }
  return {
    count(name, by, label = '') {
      const counts = counters.get(name) ?? addCounter(registry, counters, name);
      const known = counts.has(label) || counts.size < meterLimits.labels ? label : 'other';
      counts.set(known, (counts.get(known) ?? 0) + by);
    },
    gauge(name, read) {
      if (!gauges.has(name)) addGauge(registry, gauges, name);
      gauges.set(name, read);
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
    counted(name, label) {
      const counts = counters.get(name);
      if (counts === undefined) return 0;
      if (label !== undefined) return counts.get(label) ?? 0;
      return [...counts.values()].reduce((sum, value) => sum + value, 0);
    },
  };
}

function addCounter(registry: Registry, counters: Map<string, Counts>, name: string): Counts {
  assertName(name);
  const counts: Counts = new Map();
  counters.set(name, counts);
  new Counter({
    name: `tocsin_${name}_total`,
    help: sentence(name),
    labelNames: ['kind'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [label, value] of counts) this.inc(label === '' ? {} : { kind: label }, value);
    },
  });
  return counts;
}

function addGauge(registry: Registry, gauges: Map<string, () => number>, name: string): void {
  assertName(name);
  new Gauge({
    name: `tocsin_${name}`,
    help: sentence(name),
    registers: [registry],
    collect() {
      this.set(gauges.get(name)?.() ?? 0);
    },
  });
}

function assertName(name: string): void {
  assert(/^[a-z][a-z0-9_]*$/.test(name), 'a metric has a name of small letters, digits and _');
}

function sentence(name: string): string {
  const words = name.replaceAll('_', ' ');
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}.`;
}
