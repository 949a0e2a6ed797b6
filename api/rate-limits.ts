// Requests of each tenant by class in windows of 24 hours, as /limits and the X-RateLimit headers tell them.
// Local to the node: a cluster's nodes count apart. Bounded: with too many tenants the oldest window is forgotten.
import type { LimitsDoc } from '../actors/resources.ts';
import type { Clock } from '../runtime/ports.ts';

export type RateClass = keyof LimitsDoc['rate'];

export const rateWindow = '24 hours';
const windowMs = 24 * 3_600_000;
const windowsMax = 50_000;

/** What one request was charged with. */
export interface RateCharge {
  readonly type: RateClass;
  readonly limit: number;
  readonly used: number;
  readonly refused: boolean;
  /** Seconds until the window resets. */
  readonly resetSeconds: number;
}

interface Window {
  used: number;
  untilMonoMs: number;
}

export class RateLimits {
  readonly #clock: Clock;
  readonly #windows = new Map<string, Window>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Charges one request; a refused one is not counted. */
  charge(tenant: string, type: RateClass, limit: number): RateCharge {
    const window = this.#window(`${tenant}/${type}`);
    const refused = window.used >= limit;
    if (!refused) window.used += 1;
    const leftMs = window.untilMonoMs - this.#clock.monoMs();
    return {
      type,
      limit,
      used: window.used,
      refused,
      resetSeconds: Math.max(1, Math.ceil(leftMs / 1000)),
    };
  }

  /** Requests counted in the running window. */
  used(tenant: string, type: RateClass): number {
    const window = this.#windows.get(`${tenant}/${type}`);
    return window === undefined || window.untilMonoMs <= this.#clock.monoMs() ? 0 : window.used;
  }

  #window(key: string): Window {
    const nowMonoMs = this.#clock.monoMs();
    const known = this.#windows.get(key);
    if (known !== undefined && known.untilMonoMs > nowMonoMs) return known;
    this.#windows.delete(key);
    if (this.#windows.size >= windowsMax) {
      const oldest = this.#windows.keys().next();
      if (!oldest.done) this.#windows.delete(oldest.value);
    }
    const fresh = { used: 0, untilMonoMs: nowMonoMs + windowMs };
    this.#windows.set(key, fresh);
    return fresh;
  }
}
