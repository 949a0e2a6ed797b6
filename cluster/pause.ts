// Waiting by the clock port: pauses that grow with jitter, answers with a deadline, work done a few at a time.
// Must not know what waits.
import type { Clock, Random } from '../runtime/ports.ts';

/** Bounds of a growing pause. */
export interface PauseLimits {
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
}

/** Returns the pause before try `attempt` + 1 (`attempt` >= 1): doubled each time, jittered between half and all of it. */
export function pauseMs(attempt: number, limits: PauseLimits, random: Random): number {
  const doubledMs = limits.retryMinMs * 2 ** Math.min(attempt - 1, 20);
  return Math.min(doubledMs, limits.retryMaxMs) * (0.5 + random.next() / 2);
}

/** Resolves `ms` from now. */
export function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.schedule(clock.monoMs() + ms, resolve);
  });
}

/** Resolves true once `work` has settled, whichever way, or false after `ms`. Leaves no timer behind. */
export function settledWithin(clock: Clock, work: Promise<unknown>, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const cancel = clock.schedule(clock.monoMs() + ms, () => resolve(false));
    const done = (): void => {
      cancel();
      resolve(true);
    };
    work.then(done, done);
  });
}

/** Resolves or rejects as `work` does, or rejects with `late()` after `ms`. Leaves no timer behind. */
export function answeredWithin<Answer>(
  clock: Clock,
  work: Promise<Answer>,
  wait: { readonly ms: number; readonly late: () => Error },
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const cancel = clock.schedule(clock.monoMs() + wait.ms, () => reject(wait.late()));
    work.then(
      (answer) => {
        cancel();
        resolve(answer);
      },
      (error: unknown) => {
        cancel();
        reject(error);
      },
    );
  });
}

/** Runs `task` for each item, at most `limit` at once. Rejects with the first error once nothing is under way any more. */
export async function inParallel<Item>(
  items: readonly Item[],
  limit: number,
  task: (item: Item) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) await task(items[next++] as Item);
  };
  const lanes = Array.from({ length: Math.min(limit, items.length) }, async () => {
    try {
      await lane();
    } catch (error) {
      next = items.length;
      throw error;
    }
  });
  const failed = (await Promise.allSettled(lanes)).find((lane) => lane.status === 'rejected');
  if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
}
