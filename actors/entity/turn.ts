// One step of an entity actor while it is being made: the state so far and the effects so far. Lives for one step only;
// what it started from is never changed. Must not know messages.
import type { StepContext } from '../../runtime/behaviour.ts';
import type { Effect, TickWrite } from '../../runtime/effect.ts';
import type { CheckRules } from '../check/check.ts';
import type { TenantDocuments } from '../tenant/documents.ts';
import type { EntityInstallation } from './installation.ts';
import type { EntitySignal } from './messages.ts';
import type { EntityState } from './state.ts';

export type EntityContext = StepContext<TenantDocuments>;

/** The installation, prepared once. */
export interface EntitySetting {
  readonly installation: EntityInstallation;
  readonly checkRules: CheckRules;
}

export interface Turn {
  readonly context: EntityContext;
  readonly setting: EntitySetting;
  state: EntityState;
  readonly effects: Effect[];
  ticks: TickWrite[];
  /** Whether soft state changed, and whether it must be written soon. */
  save: 'no' | 'later' | 'soon';
}

/** Returns a step that has done nothing yet. */
export function newTurn(state: EntityState, context: EntityContext, setting: EntitySetting): Turn {
  return { context, setting, state, effects: [], ticks: [], save: 'no' };
}

/** Asks for the soft state to be written; `soon` wins over `later`. */
export function saved(turn: Turn, when: 'later' | 'soon'): void {
  if (turn.save !== 'soon') turn.save = when;
}

/** Returns the effects of the step: ticks go first, in one append. */
export function effectsOf(turn: Turn): readonly Effect[] {
  const effects: Effect[] = [];
  if (turn.ticks.length > 0) effects.push({ type: 'append', ticks: turn.ticks });
  effects.push(...turn.effects);
  if (turn.save !== 'no') effects.push({ type: 'save', urgent: turn.save === 'soon' });
  return effects;
}

/** Starts, or replaces, a timer that brings the entity a signal. */
export function startTimer(turn: Turn, id: string, dueMonoMs: number, message: EntitySignal): void {
  turn.effects.push({ type: 'startTimer', id, dueMonoMs, message });
}
