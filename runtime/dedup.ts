// Executes an ask once: remembers, for 30 s, what became of a correlation id, so that a retry gets the first outcome
// instead of a second execution. Bounded: the oldest finished outcomes leave first. Must not know what is asked.
import type { TocsinError } from './errors.ts';
import { dedupLimits } from './limits.ts';
import type { ReplyTo } from './message.ts';
import type { Clock } from './ports.ts';

interface Outcome {
  readonly enteredAtMonoMs: number;
  /** Who waits while it is executed; null once it is finished. */
  waiting: ReplyTo[] | null;
  value: unknown;
  error: TocsinError | null;
}

export interface OutcomeRing {
  /**
   * Returns the target to execute with, or null where the id is known: then `replyTo` gets the outcome, now or when it
   * is there. A retryable error is not kept: nothing was changed, and the retry is to be executed.
   */
  enter(id: string, replyTo: ReplyTo): ReplyTo | null;
  readonly size: number;
}

/** Returns an empty ring. */
export function outcomeRing(clock: Clock): OutcomeRing {
  const outcomes = new Map<string, Outcome>();

  const finish = (id: string, outcome: Outcome, error: TocsinError | null): void => {
    const waiting = outcome.waiting ?? [];
    outcome.waiting = null;
    outcome.error = error;
    if (error?.retryable === true && outcomes.get(id) === outcome) outcomes.delete(id);
    for (const replyTo of waiting) answer(outcome, replyTo);
  };

  return {
    enter(id, replyTo) {
      shed(outcomes, clock.monoMs());
      const known = outcomes.get(id);
      if (known !== undefined) {
        if (known.waiting === null) answer(known, replyTo);
        else known.waiting.push(replyTo);
        return null;
      }
      const outcome: Outcome = {
        enteredAtMonoMs: clock.monoMs(),
        waiting: [replyTo],
        value: undefined,
        error: null,
      };
      outcomes.set(id, outcome);
      return {
        resolve: (value) => {
          outcome.value = value;
          finish(id, outcome, null);
        },
        reject: (error) => finish(id, outcome, error),
      };
    },
    get size() {
      return outcomes.size;
    },
  };
}

function answer(outcome: Outcome, replyTo: ReplyTo): void {
  if (outcome.error === null) replyTo.resolve(outcome.value);
  else replyTo.reject(outcome.error);
}

/** Map order is entry order: the oldest are first. */
function shed(outcomes: Map<string, Outcome>, nowMonoMs: number): void {
  for (const [id, outcome] of outcomes) {
    const isOld = nowMonoMs - outcome.enteredAtMonoMs > dedupLimits.keepMs;
    if (!isOld && outcomes.size < dedupLimits.entries) return;
    outcomes.delete(id);
  }
}
