// The prober's only clock and random source. The prober is a program of its own that imports nothing
// of runtime/, so it has its own home for them. Must not know what is probed.
import { randomBytes } from 'node:crypto';

/** Returns the wall clock, epoch ms. For display and certificates only, never for intervals. */
export function wallNowMs(): number {
  return Date.now();
}

/** Returns the monotonic clock in ms with fractions. Never goes back. */
export function monotonicMs(): number {
  return performance.now();
}

/** Returns `size` unpredictable bytes: ids of DNS queries, tokens of echo requests, client nonces. */
export function unpredictableBytes(size: number): Buffer {
  return randomBytes(size);
}
