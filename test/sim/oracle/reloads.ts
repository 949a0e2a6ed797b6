// Actors that started over from the store inside a living process: as far as polling and counting go, a new owner.
import type { Facts } from './facts.ts';

const known = new WeakMap<Facts, ReadonlyMap<string, readonly number[]>>();

/** True where the actor started over in [from, to]. */
export function wasReloaded(facts: Facts, key: string, from: number, to: number): boolean {
  return (
    allOf(facts)
      .get(key)
      ?.some((t) => t >= from && t <= to) === true
  );
}

/** When the memory that `key` had at `t` in a run ended: with the run, or when the actor started over. */
export function memoryEndT(facts: Facts, key: string, run: number, t: number): number {
  const endT = facts.runs.find((one) => one.run === run)?.endT ?? Number.MAX_SAFE_INTEGER;
  const reload = allOf(facts)
    .get(key)
    ?.find((at) => at >= t);
  return Math.min(endT, reload ?? endT);
}

function allOf(facts: Facts): ReadonlyMap<string, readonly number[]> {
  const reloads = known.get(facts) ?? reloadsOf(facts);
  known.set(facts, reloads);
  return reloads;
}

function reloadsOf(facts: Facts): ReadonlyMap<string, readonly number[]> {
  const reloads = new Map<string, number[]>();
  for (const event of facts.events) {
    if (event.kind !== 'log') continue;
    if (event.event !== 'actor.reloading' && event.event !== 'actor.restarted') continue;
    const key = /"key":"([^"]+)"/.exec(event.text)?.[1] ?? '';
    reloads.set(key, [...(reloads.get(key) ?? []), event.t]);
  }
  return reloads;
}
