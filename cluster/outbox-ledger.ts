// What the outbox commits about its intents: that one left the first window, and how one ended. Tries until it is durable,
// as long as the shard is held. Invariant: an end is committed behind the deferral of the same intent, so nothing revives.
import type { DecisionRow } from '../runtime/effect.ts';
import { TocsinError } from '../runtime/errors.ts';
import type { ShardId } from '../runtime/ids.ts';
import type { Clock, Logger, Meter, Random } from '../runtime/ports.ts';
import type { HeldShards } from './group-commit.ts';
import { outboxLimits } from './limits.ts';
import { MarkWriter } from './mark-writer.ts';
import type { Pending } from './outbox-lines.ts';
import { deferredDocument, deferredRow, type LogBody, outcomeRow } from './outbox-record.ts';
import { pause, pauseMs } from './pause.ts';
import { documentRow } from './projector.ts';
import type { DeferredIntent, IntentOutcome } from './shard-fold.ts';

export interface OutboxLedgerOptions {
  readonly held: HeldShards;
  readonly logBody: LogBody;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
}

/** How and why an intent ended. */
export interface Ending {
  readonly outcome: IntentOutcome['outcome'];
  readonly message: string;
  readonly atMs: number;
}

const commitPauses = {
  retryMinMs: outboxLimits.commitRetryMinMs,
  retryMaxMs: outboxLimits.commitRetryMaxMs,
};

export class OutboxLedger {
  readonly #options: OutboxLedgerOptions;
  readonly #marks: MarkWriter;
  readonly #writing = new Set<Promise<unknown>>();
  #isStopping = false;

  constructor(options: OutboxLedgerOptions) {
    this.#options = options;
    this.#marks = new MarkWriter(options);
  }

  /** Delivered in the first window: the mark alone says it, nothing is committed. False: an end must be recorded. */
  passed(item: Pending): boolean {
    if (item.isDeferred || item.deferral !== null) return false;
    this.#options.held.get(item.shard)?.dispatch.ended(item.seq, false);
    this.#marks.ended(item);
    return true;
  }

  /** Records an end. Resolves once it is durable, the shard is lost or the process stops, however long the store is away. */
  recorded(item: Pending, ending: Ending): Promise<void> {
    return this.#track(this.#record(item, ending));
  }

  /** Takes an intent out of the log's low-water mark: from now on a document keeps it. */
  defer(item: Pending): void {
    item.deferral = this.#track(this.#defer(item)).finally(() => {
      item.deferral = null;
    });
  }

  /** Writes tries and next attempt of a deferred intent. Soft: losing them costs one attempt at most. */
  keepAttempts(item: Pending): void {
    const { held, logger } = this.#options;
    const shard = held.get(item.shard);
    if (shard === null) return;
    const row = documentRow(item.key, deferredDocument(deferredOf(item)));
    void this.#track(
      shard.putDocuments([row]).catch((cause: unknown) => {
        logger.debug('outbox.attempts-unwritten', { key: item.key, cause });
      }),
    );
  }

  drop(shard: ShardId): void {
    this.#marks.drop(shard);
  }

  /** Tries nothing a second time any more, and asks for the marks. Resolves once nothing is being written. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.allSettled([...this.#writing]);
    this.#marks.stop();
  }

  async #record(item: Pending, { outcome, message, atMs }: Ending): Promise<void> {
    const { held, logBody } = this.#options;
    await item.deferral;
    const text = { event: outcome, attempt: item.attempts, delivered: false, message, atMs };
    // A delivery stands in the history as its attempt.
    const line =
      text.event === 'delivered' ? null : { text: { ...text, event: text.event }, logBody };
    const body = { intent: item.intent.id, outcome, atMs };
    const isDone = await this.#commit(item, () => outcomeRow(item, body, line));
    if (isDone && !item.isDeferred) held.get(item.shard)?.dispatch.ended(item.seq, true);
    if (isDone) this.#marks.moved(item.shard);
  }

  async #defer(item: Pending): Promise<void> {
    const { held, meter } = this.#options;
    let attemptsKept = item.attempts;
    const isDone = await this.#commit(item, () => {
      attemptsKept = item.attempts;
      return item.phase === 'ended' ? null : deferredRow(deferredOf(item));
    });
    if (!isDone) return;
    item.isDeferred = true;
    meter.count('notifications_deferred', 1);
    held.get(item.shard)?.dispatch.ended(item.seq, true);
    this.#marks.moved(item.shard);
    if (item.attempts !== attemptsKept && item.phase !== 'ended') this.keepAttempts(item);
  }

  /** True once the row is durable; false where the shard is lost, the process stops or there is no row any more. */
  async #commit(item: Pending, rowNow: () => DecisionRow | null): Promise<boolean> {
    const { clock, random } = this.#options;
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#commitOnce(item, rowNow());
      if (outcome !== 'again') return outcome === 'done';
      await pause(clock, pauseMs(attempt, commitPauses, random));
      if (this.#isStopping) return false;
    }
  }

  async #commitOnce(item: Pending, row: DecisionRow | null): Promise<'done' | 'over' | 'again'> {
    const shard = this.#options.held.get(item.shard);
    if (shard === null || row === null) return 'over';
    try {
      await shard.commit(item.key, [row]);
      return 'done';
    } catch (error) {
      const isLost = error instanceof TocsinError && error.code === 'RT_NOT_OWNER';
      if (isLost || this.#isStopping) return 'over';
      this.#options.logger.warn('outbox.uncommitted', { key: item.key, cause: error });
      return 'again';
    }
  }

  #track<Value>(work: Promise<Value>): Promise<Value> {
    this.#writing.add(work);
    const done = (): void => {
      this.#writing.delete(work);
    };
    work.then(done, done);
    return work;
  }
}

function deferredOf(item: Pending): DeferredIntent {
  const { intent, key, attempts, nextAtMs, firstAtMs } = item;
  return { intent, key, attempts, nextAtMs, firstAtMs };
}
