// Rows of the notification history that no decision projects: one for each attempt. Written behind, in order, tried again;
// bounded: while the store is away the oldest are dropped and counted. Must not know what a row says.
import type { Clock, History, HistoryRecord, Logger, Meter, Random } from '../runtime/ports.ts';
import { Ring } from '../runtime/ring.ts';
import { attemptLogLimits } from './limits.ts';
import { pauseMs } from './pause.ts';

export interface AttemptLogOptions {
  readonly history: History;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
}

export class AttemptLog {
  readonly #options: AttemptLogOptions;
  readonly #waiting = new Ring<HistoryRecord>();
  #batch: readonly HistoryRecord[] = [];
  #failures = 0;
  #append: Promise<boolean> | null = null;
  #disarm: (() => void) | null = null;

  constructor(options: AttemptLogOptions) {
    this.#options = options;
  }

  add(record: HistoryRecord): void {
    this.#waiting.push(record);
    if (this.#waiting.length > attemptLogLimits.rows) {
      this.#waiting.shift();
      this.#options.meter.count('notification_log_dropped', 1);
    }
    if (this.#failures === 0) void this.#start();
  }

  /** Resolves true once all rows are stored, false where the store refuses them; a stop calls it last. */
  async flush(): Promise<boolean> {
    const rounds = attemptLogLimits.rows / attemptLogLimits.batch + 2;
    for (let round = 0; round < rounds; round++) {
      if (this.#waiting.length === 0 && this.#batch.length === 0) return true;
      if (!(await this.#start())) return false;
    }
    return false;
  }

  /** Cancels the next try; rows not yet written are lost with the process. */
  stop(): void {
    this.#disarm?.();
    this.#disarm = null;
  }

  #start(): Promise<boolean> {
    if (this.#append !== null) return this.#append;
    this.stop();
    this.#append = this.#write().then((isStored) => {
      this.#append = null;
      this.#continue(isStored);
      return isStored;
    });
    return this.#append;
  }

  async #write(): Promise<boolean> {
    const { history, logger } = this.#options;
    // Behind the turn that brought the first row, so that the rows of one turn are one request.
    await Promise.resolve();
    if (this.#batch.length === 0) this.#batch = this.#take();
    try {
      if (this.#batch.length > 0) await history.append(this.#batch);
      return true;
    } catch (cause) {
      if (this.#failures === 0) logger.warn('notification-log.unwritten', { cause });
      return false;
    }
  }

  #take(): HistoryRecord[] {
    const rows: HistoryRecord[] = [];
    while (rows.length < attemptLogLimits.batch) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      rows.push(next);
    }
    return rows;
  }

  #continue(isStored: boolean): void {
    const { clock, random } = this.#options;
    if (isStored) {
      this.#batch = [];
      this.#failures = 0;
      if (this.#waiting.length > 0) void this.#start();
      return;
    }
    this.#failures++;
    const waitMs = pauseMs(this.#failures, attemptLogLimits, random);
    this.#disarm = clock.schedule(clock.monoMs() + waitMs, () => void this.#start());
  }
}
