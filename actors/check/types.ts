// The types that the owner of a check and a prober share: what to probe, and what was seen.
// The only file of actors/ that prober/ may import. Types only; no behaviour, no Node types.
// Metric names, type letters and units follow Cloud Monitoring v1.0 (remote check types).

/** Type letter of a metric: int32, uint32, int64, uint64, double, string. */
export type MetricType = 'i' | 'I' | 'l' | 'L' | 'n' | 's';

/** One metric on the wire: name, type letter, value, unit. Numbers are finite. */
export type WireMetric = readonly [
  name: string,
  type: MetricType,
  value: number | string,
  unit: string,
];

export type IpFamily = 'IPv4' | 'IPv6';

/** One attempt to run a check from one zone. Everything that the prober needs, and nothing else. */
export interface ProbeRequest {
  /** Correlates the answer; unique per attempt within the asking node. */
  readonly id: string;
  readonly zone: string;
  /** Check type, for example `remote.http`. */
  readonly type: string;
  /** Validated details of the check, defaults filled in. */
  readonly details: Readonly<Record<string, unknown>>;
  /** Host name or address literal; `target_alias` is resolved to its address before. */
  readonly target: string;
  /** Family wanted where `target` is a name; null: IPv4. */
  readonly resolver: IpFamily | null;
  /** Total deadline of the attempt in ms, counted from its start in the prober. 1..1,800,000. */
  readonly timeoutMs: number;
  /** True: the answer carries `debugInfo` (remote.http: the body, at most 512 KB). */
  readonly debug: boolean;
}

/**
 * Why an attempt made no observation. `unknown` is never "target down": the slot ends as *failed*.
 * `local-network`: the zone's self-test failed; `no-prober`: died, missing or silent until the deadline;
 * `unsupported`: this prober cannot run the type (no way to ping); `overloaded`: its queue is full.
 */
export type ProbeFailure =
  | 'local-network'
  | 'no-prober'
  | 'unsupported'
  | 'overloaded'
  | 'internal';

interface ProbeAnswerBase {
  readonly id: string;
  /** Wall clock of the prober at the start of the attempt, epoch ms. For display only. */
  readonly startedAtMs: number;
  /** Length of the attempt by the monotonic clock, ms. */
  readonly durationMs: number;
}

/** The check ran: `available` false is a fact about the target, with the reason in `status`. */
export interface ProbeObserved extends ProbeAnswerBase {
  readonly outcome: 'observed';
  readonly available: boolean;
  /** Status text of the check run, at most 256 characters, for example `code=200,rt=0.150s,bytes=1500`. */
  readonly status: string;
  /** Stable error class where `available` is false (docs/errors.md lists them), else null. */
  readonly errorClass: string | null;
  /** Empty where `available` is false. At most 200. */
  readonly metrics: readonly WireMetric[];
  /** Address literal that was probed, or null where none was reached. */
  readonly address: string | null;
  readonly debugInfo: { readonly body: string } | null;
}

/** No observation was made. */
export interface ProbeFailed extends ProbeAnswerBase {
  readonly outcome: 'failed';
  readonly failure: ProbeFailure;
  /** Clear text for people, at most 256 characters. */
  readonly message: string;
}

export type ProbeAnswer = ProbeObserved | ProbeFailed;
