// The gap rule (I6, I7) at the targets: between two arrivals of a check at most 1.1 × period and what the fault in between may
// add, and never more than two in a period. Reads a history, imports nothing else.
import type { FaultRecord, History, Violation } from './history.ts';

/** How far a timer and a connection on a loaded machine may be off without a fault, ms. */
const jitterMs = 250;

export interface GapReport {
  readonly violations: readonly Violation[];
  /** Largest excess over the period of all checks around each fault, ms: how long a check waited more than it should. */
  readonly perFault: readonly {
    readonly fault: FaultRecord;
    readonly checksAffected: number;
    /** gap − 1.1 × period of the worst check, ms; below 0: nobody noticed. */
    readonly worstMs: number;
    /** The gap's own length less one period, by quantile over the checks. */
    readonly p50Ms: number;
    readonly p99Ms: number;
    /** From the fault to the last check's first arrival after it, ms. */
    readonly allPolledMs: number;
  }[];
  readonly arrivals: number;
  readonly missedSlots: number;
  readonly doubles: number;
}

/** Returns what the arrivals say. */
export function judgeGaps(history: History): GapReport {
  const violations: Violation[] = [];
  let [arrivals, missedSlots, doubles] = [0, 0, 0];
  for (let check = 0; check < history.checks; check++) {
    const times = timesOf(history, check);
    arrivals += times.length;
    const found = judgeCheck(history, check, times);
    violations.push(...found.violations);
    missedSlots += found.missed;
    doubles += found.doubles;
  }
  return {
    violations,
    perFault: history.faults.map((fault) => around(history, fault)),
    ...{ arrivals, missedSlots, doubles },
  };
}

function timesOf({ arrivals, fromMs, toMs }: History, check: number): readonly number[] {
  return (arrivals.get(check) ?? []).filter((at) => at >= fromMs && at <= toMs);
}

function judgeCheck(history: History, check: number, times: readonly number[]) {
  const { periodMs, fromMs, toMs, faults } = history;
  const violations: Violation[] = [];
  const edges = [fromMs, ...times, toMs];
  let [missed, doubles] = [0, 0];
  for (let at = 1; at < edges.length; at++) {
    const [from, to] = [edges[at - 1] as number, edges[at] as number];
    const gapMs = to - from;
    const touching = faults.filter(
      (fault) => fault.atMs <= to && (fault.untilMs ?? fault.atMs) + fault.boundMs >= from,
    );
    const allowedMs =
      1.1 * periodMs + jitterMs + Math.max(0, ...touching.map((fault) => fault.boundMs));
    if (gapMs > allowedMs) {
      const why = touching.map((fault) => `${fault.kind} ${fault.what}`).join(', ') || 'no fault';
      const text = `check ${check}: ${Math.round(gapMs)} ms without a poll, ${Math.round(allowedMs)} allowed (${why})`;
      violations.push({ rule: 'I6', text });
    }
    missed += Math.max(0, Math.floor((gapMs + periodMs * 0.5) / periodMs) - 1);
    const third = edges[at + 1];
    const isInner = at >= 2 && third !== undefined && at + 1 < edges.length - 1;
    if (isInner && third - from < periodMs * 0.9) {
      doubles++;
      const text = `check ${check}: three polls in ${Math.round(third - from)} ms`;
      violations.push({ rule: 'I7', text });
    }
  }
  return { violations, missed, doubles };
}

/** What a fault did to the checks: each check's last arrival before it and first after it. */
function around(history: History, fault: FaultRecord): GapReport['perFault'][number] {
  const { periodMs } = history;
  const excess: number[] = [];
  let allPolledMs = 0;
  let affected = 0;
  for (let check = 0; check < history.checks; check++) {
    const times = history.arrivals.get(check) ?? [];
    const next = times.findIndex((at) => at > fault.atMs);
    if (next < 1) continue;
    // A poll may have been on its way when the fault struck: the longest gap of the two that follow it counts.
    const gaps = [next, next + 1]
      .filter((at) => at < times.length)
      .map((at) => (times[at] as number) - (times[at - 1] as number));
    const worst = Math.max(...gaps);
    excess.push(worst - periodMs);
    if (worst > 1.1 * periodMs) affected++;
    allPolledMs = Math.max(allPolledMs, (times[next] as number) - fault.atMs);
  }
  excess.sort((left, right) => left - right);
  const at = (share: number): number =>
    excess[Math.min(excess.length - 1, Math.floor(excess.length * share))] ?? 0;
  return {
    fault,
    checksAffected: affected,
    worstMs: Math.round((excess.at(-1) ?? 0) - 0.1 * periodMs),
    p50Ms: Math.round(at(0.5)),
    p99Ms: Math.round(at(0.99)),
    allPolledMs: Math.round(allPolledMs),
  };
}
