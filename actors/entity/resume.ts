// An entity actor that changes its owner: what polling did while the shard was still being claimed is kept when head row and
// log were read again (clustering.md §7, "Load"), and observations that the owner before did not evaluate any more are
// handed over (§11). Must not know claims.
import type { LoadedActor } from '../../runtime/behaviour.ts';
import { evaluated } from './evaluation.ts';
import { activated, loadedState } from './load.ts';
import type { EntitySignal } from './messages.ts';
import { armed, disarmed } from './polling.ts';
import { reported } from './report.ts';
import type { SoftObservation } from './soft-observation.ts';
import { loadedObservation, softObservation } from './soft-state.ts';
import { type CheckState, checkOf, type EntityState, withCheck, zoneOf } from './state.ts';
import { type EntityContext, type EntitySetting, newTurn, type Turn } from './turn.ts';

/** Returns the turn with everything of `loaded`, and what polling did since `before` was loaded. */
export function resumed(
  before: EntityState,
  loaded: LoadedActor,
  context: EntityContext,
  setting: EntitySetting,
): Turn {
  const fresh = loadedState(before.key, loaded, context);
  const { waiting, loadedAtMs } = before;
  const turn = newTurn({ ...fresh, waiting, loadedAtMs }, context, setting);
  if (before.entity === null) {
    activated(turn);
    return turn;
  }
  for (const was of before.checks) {
    const is = checkOf(fresh, was.doc.id);
    if (is?.rev !== was.rev || is.madeBy !== was.madeBy) disarmed(turn, was);
  }
  for (const is of fresh.checks) {
    const was = checkOf(before, is.doc.id);
    turn.state = withCheck(turn.state, continued(turn, was, is));
  }
  if (fresh.entity !== null) reported(turn);
  return turn;
}

/** The same document is polled on as it is; another one is armed anew, above the slots that were run. */
function continued(turn: Turn, was: CheckState | null, is: CheckState): CheckState {
  const isOther = was === null || was.madeBy !== is.madeBy;
  if (!isOther && was.rev === is.rev) return was;
  const lastMs = isOther ? is.lastMs : Math.max(is.lastMs, was.lastMs);
  const zones = is.zones.map((zone) => {
    const seen = isOther ? null : zoneOf(was, zone.zone);
    return seen === null ? zone : { ...seen, inFlightMs: 0 };
  });
  const next = { ...is, lastMs, zones };
  return next.doc.disabled ? next : armed(turn, next);
}

type Handed = Extract<EntitySignal, { readonly kind: 'observations.handed' }>;

/** Returns what waits for its evaluation, for the actor of the next owner; null: nothing. */
export function handOver(state: EntityState, context: EntityContext): Handed | null {
  if (state.waiting.length === 0) return null;
  const waiting = state.waiting.map(({ check, zone, seen, previous, cameMonoMs, cameAtMs }) => ({
    ...{ check, zone, cameAtMs },
    seen: softObservation(seen) as SoftObservation,
    previous: softObservation(previous),
    ageMs: context.monoMs - cameMonoMs,
  }));
  return { kind: 'observations.handed', waiting };
}

/** Evaluates what the owner before did not; an alarm that has seen a newer slot of the zone leaves it out. */
export function handedOver(turn: Turn, { waiting }: Handed): void {
  for (const { check, zone, seen, previous, ageMs, cameAtMs } of waiting) {
    const observed = loadedObservation(seen);
    if (observed === null) continue;
    const before = loadedObservation(previous);
    const cameMonoMs = turn.context.monoMs - ageMs;
    evaluated(turn, { check, zone, seen: observed, previous: before, cameMonoMs, cameAtMs });
  }
}
