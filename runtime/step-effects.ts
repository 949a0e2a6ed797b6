// Performs the effects of one step: its commits first, so that whatever it says waits for them, in whatever order it lists
// them. A port that fails must not take the actor's turn with it. Must not know states.
import type { Effect } from './effect.ts';
import { type Performer, perform } from './perform.ts';
import { textOf } from './refusals.ts';

/** Performs all effects but `stop`, which is the actor's last. True where there is one. */
export function performAll(effects: readonly Effect[], actor: Performer): boolean {
  let isLast = false;
  for (const effect of effects) {
    if (effect.type === 'commit') guarded(effect.type, actor, () => perform(effect, actor));
  }
  for (const effect of effects) {
    if (effect.type === 'stop') isLast = true;
    else if (effect.type !== 'commit') guarded(effect.type, actor, () => perform(effect, actor));
  }
  return isLast;
}

/** Runs part of an effect; a failure is counted and logged. */
export function guarded(type: Effect['type'], actor: Performer, run: () => void): void {
  try {
    run();
  } catch (error) {
    actor.ports.meter.count('effects_failed', 1, type);
    const fields = { key: actor.key, effect: type, error: textOf(error) };
    actor.ports.logger.error('effect.failed', fields);
  }
}
