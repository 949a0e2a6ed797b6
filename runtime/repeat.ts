// Runs upkeep again and again: one run at a time, a failure is logged and the next run comes all the same.
import type { Clock, Logger } from './ports.ts';

/** Runs `task` every `everyMs` from the end of the run before; returns how to stop, which waits for a run under way. */
export function repeat(
  name: string,
  everyMs: number,
  task: () => Promise<void>,
  ports: { readonly clock: Clock; readonly logger: Logger },
): () => Promise<void> {
  let isStopped = false;
  let running: Promise<void> = Promise.resolve();
  let cancel: () => void = () => undefined;
  const run = async (): Promise<void> => {
    try {
      await task();
    } catch (error) {
      ports.logger.warn('upkeep_failed', { name, error });
    }
    if (!isStopped) next();
  };
  const next = (): void => {
    cancel = ports.clock.schedule(ports.clock.monoMs() + everyMs, () => {
      running = run();
    });
  };
  next();
  return async () => {
    isStopped = true;
    cancel();
    await running;
  };
}
