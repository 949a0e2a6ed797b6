// Starts and stops the parts of a program in order, each within its own deadline; what was started is stopped in reverse,
// also where a later start fails. Must not know the parts.
import { TocsinError } from './errors.ts';
import { stageLimits } from './limits.ts';
import type { Clock, Logger } from './ports.ts';
import { textOf } from './refusals.ts';

export interface Stage {
  readonly name: string;
  readonly start: () => Promise<void> | void;
  readonly stop: () => Promise<void> | void;
  /** Deadlines; default 30 s and 10 s. */
  readonly startMs?: number;
  readonly stopMs?: number;
}

export interface Lifecycle {
  /** Starts all stages in order. Rejects with the first failure, or `RT_STAGE_DEADLINE`, after stopping what had started. */
  start(): Promise<void>;
  /**
   * Stops what was started, the last first; one that fails does not keep the others from stopping. Rejects with the first
   * failure at the end. May be called at any time and more than once: during a start it waits for the stage under way.
   */
  stop(): Promise<void>;
}

export interface LifecycleOptions {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Returns a lifecycle; nothing starts before `start`. */
export function lifecycle(stages: readonly Stage[], options: LifecycleOptions): Lifecycle {
  const { logger } = options;
  const started: Stage[] = [];
  let isStopping = false;
  let starting: Promise<void> = Promise.resolve();
  let stopping: Promise<void> | null = null;

  const startAll = async (): Promise<void> => {
    for (const stage of stages) {
      if (isStopping) throw new TocsinError('RT_NOT_READY', 'stopped while it was starting');
      await startStage(stage, options);
      started.push(stage);
    }
  };

  const stopStarted = async (): Promise<void> => {
    let failure: unknown = null;
    for (let stage = started.pop(); stage !== undefined; stage = started.pop()) {
      try {
        await within(
          stage.stop,
          stage.stopMs ?? stageLimits.stopMs,
          `stop of ${stage.name}`,
          options,
        );
      } catch (error) {
        failure ??= error;
        logger.error('stage.stop_failed', { stage: stage.name, error: textOf(error) });
      }
    }
    if (failure !== null) throw failure;
  };

  const stopOnce = (): Promise<void> => {
    stopping ??= stopStarted();
    return stopping;
  };

  return {
    start: async () => {
      starting = startAll();
      try {
        await starting;
      } catch (error) {
        // The start's failure is what the caller needs; a failure of this stop is logged.
        await stopOnce().catch(() => undefined);
        throw error;
      }
    },
    stop: () => {
      isStopping = true;
      return starting.then(stopOnce, stopOnce);
    },
  };
}

/** A start that ends after its deadline is undone then: nothing stays behind half started. */
async function startStage(stage: Stage, options: LifecycleOptions): Promise<void> {
  const startMs = stage.startMs ?? stageLimits.startMs;
  let isLate = false;
  const start = async (): Promise<void> => {
    await stage.start();
    if (isLate) await stage.stop();
  };
  try {
    await within(start, startMs, `start of ${stage.name}`, options);
  } catch (error) {
    isLate = true;
    throw error;
  }
}

async function within(
  work: () => Promise<void> | void,
  limitMs: number,
  what: string,
  { clock, logger }: LifecycleOptions,
): Promise<void> {
  let cancel = (): void => undefined;
  const deadline = new Promise<never>((_, reject) => {
    const details = { what, limitMs };
    const error = new TocsinError('RT_STAGE_DEADLINE', `${what}: not done in ${limitMs} ms`, {
      details,
    });
    cancel = clock.schedule(clock.monoMs() + limitMs, () => reject(error));
  });
  const running = (async () => await work())();
  running.catch((error: unknown) => logger.debug('stage.failed', { what, error: textOf(error) }));
  try {
    await Promise.race([running, deadline]);
  } finally {
    cancel();
  }
}
