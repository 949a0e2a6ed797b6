// The local probers of a node's zones as one link: a request goes to its zone's process. Owns no probe logic.
import type { ProbeAnswer, ProbeRequest } from '../actors/check/types.ts';
import { type LocalProber, type LocalProberOptions, startLocalProber } from './local.ts';

export interface ZoneProbersOptions extends Omit<LocalProberOptions, 'zone' | 'onLog'> {
  readonly zones: readonly string[];
  readonly onLog?: (event: string, fields: Readonly<Record<string, unknown>>) => void;
  /** Wall clock, epoch ms. */
  readonly nowMs: () => number;
}

export interface ZoneProbers {
  /** Resolves when every zone's prober is ready. */
  start(): Promise<void>;
  stop(deadlineMs: number): Promise<void>;
  submit(request: ProbeRequest, done: (answer: ProbeAnswer) => void): void;
  running(): readonly LocalProber[];
}

/** Returns the probers of these zones, not yet started. A request for another zone fails as `no-prober`. */
export function zoneProbers(options: ZoneProbersOptions): ZoneProbers {
  const probers = new Map<string, LocalProber>();
  const { zones, onLog, nowMs, ...shared } = options;
  const missing = (request: ProbeRequest): ProbeAnswer => ({
    id: request.id,
    outcome: 'failed',
    failure: 'no-prober',
    message: `no prober of this node runs zone ${request.zone}`,
    startedAtMs: nowMs(),
    durationMs: 0,
  });
  return {
    start: async () => {
      for (const zone of zones) {
        const log = (event: string, fields: object) => onLog?.(event, { zone, ...fields });
        probers.set(zone, startLocalProber({ ...shared, zone, onLog: log }));
      }
      await Promise.all([...probers.values()].map((prober) => prober.ready));
    },
    stop: async (deadlineMs) => {
      await Promise.all([...probers.values()].map((prober) => prober.stop(deadlineMs)));
    },
    submit: (request, done) => {
      const prober = probers.get(request.zone);
      if (prober === undefined) queueMicrotask(() => done(missing(request)));
      else prober.submit(request, done);
    },
    running: () => [...probers.values()],
  };
}
