// The contract between the prober's loop and one protocol: what a probe is given, and what it returns.
// Types and metric makers only. Must not know queues, IPC or other protocols.

import type { ProbeRequest, WireMetric } from '../../actors/check/types.ts';
import type { Cancellation } from '../cancellation.ts';
import type { Connection, ConnectOptions, ResolvedTarget, ResolveOptions } from '../egress/dial.ts';
import type { MatchSubject, Pattern } from './pattern.ts';
import type { Pinger } from './pinger.ts';

type ProbeConnect = Omit<
  ConnectOptions,
  'purpose' | 'family' | 'timeoutMs' | 'signal' | 'admit'
> & {
  readonly purpose?: 'probe' | 'smtp';
};
type ProbeResolve = Pick<ResolveOptions, 'host' | 'port'>;

/** Everything one attempt may use. The family, deadline and limits per destination are built in. */
export interface ProbeContext {
  readonly request: ProbeRequest;
  /** Aborts at the total deadline; every socket and timer of the attempt ends with it. */
  readonly signal: Cancellation;
  /** Monotonic start of the attempt, ms. */
  readonly startedMs: number;
  /** Returns what is left of the total deadline, at least 1 ms. */
  remainingMs(): number;
  /** Returns a guarded connection; it is destroyed when the attempt ends. */
  connect(options: ProbeConnect): Promise<Connection>;
  /** Returns validated addresses for protocols with their own socket. */
  resolve(options: ProbeResolve): Promise<ResolvedTarget>;
  /** Finds the first match, off the main loop where it could be expensive. */
  match(pattern: Pattern, subject: string): Promise<MatchSubject | null>;
  readonly pinger: Pinger;
  /** Sent by HTTP probes. */
  readonly userAgent: string;
}

/** The target is available; otherwise a probe throws a `ProbeError`. */
export interface ProbeSeen {
  readonly status: string;
  readonly metrics: readonly WireMetric[];
  readonly address: string | null;
  /** Port that answered, for the self-test; null for echo replies. */
  readonly port: number | null;
  readonly debugBody?: string;
}

/** One protocol: one file and one line in registry.ts. */
export type Probe = (context: ProbeContext) => Promise<ProbeSeen>;

const uint32Max = 0xffff_ffff;
const int32Max = 0x7fff_ffff;

const whole = (value: number, max: number): number =>
  Math.max(0, Math.min(max, Math.round(Number.isFinite(value) ? value : 0)));

/** Returns a length in whole milliseconds. */
export function milliseconds(name: string, value: number): WireMetric {
  return [name, 'I', whole(value, uint32Max), 'milliseconds'];
}

/** Returns an unsigned number of `unit`. */
export function unsigned(name: string, value: number, unit: string): WireMetric {
  return [name, 'I', whole(value, uint32Max), unit];
}

/** Returns a count of `unit` that the contract calls int32. */
export function count(name: string, value: number, unit: string): WireMetric {
  return [name, 'i', whole(value, int32Max), unit];
}

/** Returns a text; clean and cut it before. */
export function text(name: string, value: string): WireMetric {
  return [name, 's', value, 'unknown'];
}
