// Actors that started over from the store inside a living process: as far as polling and counting go, a new owner.
import type { Facts } from './facts.ts';

/** When an actor started over: in the trace, and by the monotonic clock of its run. */
export interface Reload {
  readonly t: number;
  readonly mono: number;
}

const known = new WeakMap<Facts, ReadonlyMap<string, readonly Reload[]>>();

/** True where the actor started over in [from, to]. */
export function wasReloaded(facts: Facts, key: string, from: number, to: number): boolean {
  return (
    allOf(facts)
      .get(key)
      ?.some(({ t }) => t >= from && t <= to) === true
  );
}

/** When the memory that `key` had at `t` in a run ended: with the run, or when the actor started over. */
export function memoryEndT(facts: Facts, key: string, run: number, t: number): number {
  const endT = facts.runs.find((one) => one.run === run)?.endT ?? Number.MAX_SAFE_INTEGER;
  const reload = allOf(facts)
    .get(key)
    ?.find((one) => one.t >= t);
  return Math.min(endT, reload?.t ?? endT);
}

/** The newest time that the actor started over before `t`; null: never. */
export function lastReload(facts: Facts, key: string, t: number): Reload | null {
  return (
    allOf(facts)
      .get(key)
      ?.findLast((one) => one.t <= t) ?? null
  );
}

function allOf(facts: Facts): ReadonlyMap<string, readonly Reload[]> {
  const reloads = known.get(facts) ?? reloadsOf(facts);
  known.set(facts, reloads);
  return reloads;
}

function reloadsOf(facts: Facts): ReadonlyMap<string, readonly Reload[]> {
  const reloads = new Map<string, Reload[]>();
  for (const event of facts.events) {
    if (event.kind !== 'log') continue;
    if (event.event !== 'actor.reloading' && event.event !== 'actor.restarted') continue;
    const key = /"key":"([^"]+)"/.exec(event.text)?.[1] ?? '';
    reloads.set(key, [...(reloads.get(key) ?? []), { t: event.t, mono: event.mono }]);
  }
  return reloads;
}
