// What happens to an actor that failed: a pause that grows, then quarantine. Decision only: pure, no clock, no timers.
// Back-off 0.2 → 30 s with jitter; more than 5 restarts within a minute is quarantine (clustering: a poison actor must not
// take node after node with it).
import { supervisionLimits } from './limits.ts';

/** Instants (monotonic ms) of the failures of the last minute, oldest first; at most 6. */
export type Failures = readonly number[];

export type Verdict =
  | { readonly type: 'restart'; readonly delayMs: number }
  | { readonly type: 'quarantine' };

export const noFailures: Failures = [];

/** Returns the failures with this one, and what to do. `random` is uniform in [0, 1). */
export function afterFailure(
  failures: Failures,
  nowMonoMs: number,
  random: number,
): { readonly failures: Failures; readonly verdict: Verdict } {
  const { windowMs, restarts } = supervisionLimits;
  const recent = [...failures.filter((atMonoMs) => nowMonoMs - atMonoMs < windowMs), nowMonoMs];
  if (recent.length > restarts) return { failures: noFailures, verdict: { type: 'quarantine' } };
  return {
    failures: recent,
    verdict: { type: 'restart', delayMs: backOffMs(recent.length, random) },
  };
}

/** Returns the pause before try number `attempt` (1 the first): 200 ms doubled each time, ± 25 %, at most 30 s. */
export function backOffMs(attempt: number, random: number): number {
  const { backOffMinMs, backOffMaxMs } = supervisionLimits;
  const doubledMs = backOffMinMs * 2 ** Math.min(attempt - 1, 20);
  return Math.min(doubledMs * (0.75 + random / 2), backOffMaxMs);
}
