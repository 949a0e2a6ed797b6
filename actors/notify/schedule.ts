// When a notification that was not delivered is tried again. Pure and without state: the same notification always has the
// same schedule, on any node (security.md §7). Must not know channels.
import { murmur3 } from '../../runtime/ids.ts';

const secondMs = 1_000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;

const denseMs: readonly number[] = [
  0,
  2 * secondMs,
  5 * secondMs,
  15 * secondMs,
  30 * secondMs,
  minuteMs,
  2 * minuteMs,
  5 * minuteMs,
  10 * minuteMs,
  30 * minuteMs,
];

const hourlyUntilMs = 24 * hourMs;
/** The last attempt is made this long after the first one. */
export const giveUpAfterMs = 72 * hourMs;
const jitter = 0.2;

/**
 * Returns the pause in ms before the next attempt, after `attempt` attempts have been made (0: the first one, at once),
 * or null where the notification is given up: the one at 72 h was made. Pauses carry ± 20 % by hash(id, n), the last one
 * is cut so that a receiver which is back within 72 h is asked once more.
 */
export function retryDelayMs(id: string, attempt: number): number | null {
  let elapsedMs = 0;
  for (let n = 0; n < attempt; n += 1) elapsedMs += pauseMs(id, n, elapsedMs);
  if (elapsedMs >= giveUpAfterMs) return null;
  return Math.min(pauseMs(id, attempt, elapsedMs), giveUpAfterMs - elapsedMs);
}

function pauseMs(id: string, n: number, elapsedMs: number): number {
  const sparseMs = elapsedMs < hourlyUntilMs ? hourMs : 6 * hourMs;
  const nominalMs = denseMs[n] ?? sparseMs;
  const fraction = murmur3(Buffer.from(`${id} ${n}`, 'utf8')) / 0xffff_ffff;
  return Math.round(nominalMs * (1 + jitter * (2 * fraction - 1)));
}
