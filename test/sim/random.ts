// Seeded randomness in named streams, so that leaving out one fault of a schedule does not move every other draw.
// Must not know what is drawn.
import type { Random } from '../../runtime/ports.ts';

export interface Draw extends Random {
  /** Whole number in [min, max]. */
  whole(min: number, max: number): number;
  /** Number in [min, max). */
  between(min: number, max: number): number;
  chance(probability: number): boolean;
  pick<Item>(items: readonly Item[]): Item;
  shuffled<Item>(items: readonly Item[]): Item[];
  hex(bytes: number): string;
}

/** Returns a stream that repeats for (seed, name). Mulberry32 over an FNV-1a hash of both. */
export function drawOf(seed: number, name: string): Draw {
  let state = hash32(`${seed}|${name}`);
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const whole = (min: number, max: number): number => min + Math.floor(next() * (max - min + 1));
  const bytes = (count: number): Uint8Array =>
    Uint8Array.from({ length: count }, () => whole(0, 255));
  return {
    next,
    bytes,
    whole,
    between: (min, max) => min + next() * (max - min),
    chance: (probability) => next() < probability,
    pick: (items) => items[whole(0, items.length - 1)] as (typeof items)[number],
    shuffled: (items) => {
      const order = [...items];
      for (let at = order.length - 1; at > 0; at--) {
        const other = whole(0, at);
        [order[at], order[other]] = [order[other] as never, order[at] as never];
      }
      return order;
    },
    hex: (count) => Buffer.from(bytes(count)).toString('hex'),
  };
}

/** Returns FNV-1a of a text, 32 bit. */
export function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  return hash >>> 0;
}
