// What a run with real processes leaves behind, as its judge reads it: arrivals at the targets, receipts at the receiver, the
// truth, the faults. Instants are ms of the machine's monotonic clock, one clock for all processes. Imports nothing.

/** A target answered ill from `fromMs` to `toMs` (null: to the end of the run). */
export interface Outage {
  readonly check: number;
  readonly fromMs: number;
  readonly toMs: number | null;
}

/** A webhook that came in and was answered with 2xx. */
export interface Receipt {
  readonly atMs: number;
  /** Notification id: the same on every attempt. */
  readonly id: string;
  readonly check: number;
  readonly alarm: string;
  readonly state: string;
  readonly previous: string;
  /** Marked as sent while the store was away. */
  readonly unfenced: boolean;
}

/** A fault that was done to the system; `boundMs` is what it may add to a gap (0: nothing). */
export interface FaultRecord {
  readonly kind: string;
  readonly what: string;
  readonly atMs: number;
  /** When it was over; null: it stays. */
  readonly untilMs: number | null;
  readonly boundMs: number;
}

export interface History {
  readonly periodMs: number;
  readonly timeoutMs: number;
  /** Observations in a row that confirm a state. */
  readonly confirmations: number;
  /** The window that is judged. */
  readonly fromMs: number;
  readonly toMs: number;
  readonly checks: number;
  /** Numbers of the checks that have an alarm. */
  readonly watched: readonly number[];
  /** Arrivals of each check, ascending, from before `fromMs`. */
  readonly arrivals: ReadonlyMap<number, readonly number[]>;
  readonly outages: readonly Outage[];
  readonly receipts: readonly Receipt[];
  readonly faults: readonly FaultRecord[];
}

export interface Violation {
  readonly rule: string;
  readonly text: string;
}
