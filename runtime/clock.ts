// The system's clock and randomness: the only home of Date.now, performance.now, Math.random, crypto random and of the
// runtime's setTimeout (through `schedule`). Must not know what is timed: one timer wheel (timers.ts) is its main caller.
import { randomBytes } from 'node:crypto';
import type { Clock, Random } from './ports.ts';

/** Longest delay that one setTimeout takes (2^31 - 1 ms); longer waits are armed again on the way. */
const timeoutMsMax = 2_147_483_647;

/** Where performance.now began on the machine's monotonic clock, ms: the loop counts whole ms of that clock. */
const originMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/**
 * Returns the clock of this process. `schedule` never runs a task early, and wakes once for it: the delay is counted between
 * whole milliseconds of the loop's own clock. 0–1 ms late on an idle loop, 0.5 ms on average.
 */
export function systemClock(): Clock {
  return {
    nowMs: () => Date.now(),
    monoMs: () => performance.now(),
    schedule: scheduleAt,
  };
}

/**
 * Returns what to add to this thread's monotonic instants to get those of the machine, ms: the clock of each thread has an
 * origin of its own, so instants that cross from thread to thread are the machine's.
 */
export function monoOriginMs(): number {
  return originMs;
}

function scheduleAt(atMonoMs: number, task: () => void): () => void {
  let timeout: NodeJS.Timeout;
  const arm = (): void => {
    const fromMs = Math.floor(performance.now() + originMs);
    const leftMs = Math.ceil(atMonoMs + originMs) - fromMs;
    timeout = setTimeout(runOrRearm, Math.min(Math.max(leftMs, 0), timeoutMsMax));
  };
  // Early where the loop's cached time was a millisecond old when it was armed: rare, then once more.
  const runOrRearm = (): void => {
    if (performance.now() < atMonoMs) arm();
    else task();
  };
  arm();
  return () => clearTimeout(timeout);
}

/** Returns the randomness of this process: `next` is fast and for jitter only, `bytes` is for secrets and ids. */
export function systemRandom(): Random {
  return {
    next: () => Math.random(),
    bytes: (count) => new Uint8Array(randomBytes(count)),
  };
}
