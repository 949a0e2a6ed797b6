// One attempt with an end: aborted when its time is over, and given up where the notifier does not return even then, so
// that no receiver can hold its line or its place for ever. Must not know receivers.
import type { Clock, DeliveryResult } from '../runtime/ports.ts';
import { outboxLimits } from './limits.ts';

/** Returns the notifier's answer, or a failure where it throws or does not answer within 32 s. Never rejects. */
export function deliverOnce(
  clock: Clock,
  deliver: () => Promise<DeliveryResult>,
  abort: AbortController,
): Promise<DeliveryResult> {
  return new Promise((resolve) => {
    const late = { delivered: false, message: 'no answer in time' } as const;
    const overMonoMs = clock.monoMs() + outboxLimits.attemptMs;
    const cancelAbort = clock.schedule(overMonoMs, () => abort.abort());
    const cancelEnd = clock.schedule(overMonoMs + outboxLimits.abortGraceMs, () => resolve(late));
    const end = (result: DeliveryResult): void => {
      cancelAbort();
      cancelEnd();
      resolve(result);
    };
    // Through a promise, so that a notifier that throws at once fails like one that rejects.
    Promise.resolve()
      .then(deliver)
      .then(end, (error: unknown) => end({ delivered: false, message: String(error) }));
  });
}
