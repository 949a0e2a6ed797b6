// The port `Ticks`: gathers the samples of this node's actors and appends them behind, every second or 500 rows.
// Bounded: while the store is away the oldest are dropped and counted. Must not know what a sample says.
import { decodeValue, encodeValue } from '../runtime/codec.ts';
import type { TickWrite } from '../runtime/effect.ts';
import { type ActorKey, shardOf } from '../runtime/ids.ts';
import type {
  Clock,
  Logger,
  Meter,
  Random,
  Samples,
  StoredTick,
  TickRow,
  Ticks,
} from '../runtime/ports.ts';
import { Ring } from '../runtime/ring.ts';
import { tickLimits } from './limits.ts';
import { pause, pauseMs } from './pause.ts';

export interface TickWriter extends Ticks {
  /** Resolves once everything appended so far is stored or dropped; false where the store refused it. */
  flush(): Promise<boolean>;
  /** Tries nothing any more: what the store has not taken by now is lost with the process. */
  stop(): void;
  readonly waiting: number;
}

export interface TickOptions {
  readonly samples: Samples;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
}

/** Returns the writer of this node's ticks. */
export function tickWriter(options: TickOptions): TickWriter {
  return new Writer(options);
}

class Writer implements TickWriter {
  readonly #options: TickOptions;
  readonly #waiting = new Ring<{ key: ActorKey; tick: TickWrite }>();
  /** Rows of the append under way, or of the one that failed and comes again first. */
  #batch: readonly TickRow[] = [];
  #failures = 0;
  /** The append under way: true where it was stored. */
  #append: Promise<boolean> | null = null;
  #disarm: (() => void) | null = null;
  #isStopped = false;

  constructor(options: TickOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#waiting.length + this.#batch.length;
  }

  append(key: ActorKey, ticks: readonly TickWrite[]): void {
    for (const tick of ticks) this.#waiting.push({ key, tick });
    const excess = this.waiting - tickLimits.waitingRows;
    if (excess > 0) this.#dropOldest(excess);
    if (this.#waiting.length >= tickLimits.rows && this.#failures === 0) void this.#start();
    else this.#arm(tickLimits.everyMs);
  }

  async last(
    key: ActorKey,
    of: readonly { readonly check: string; readonly zone: string }[],
  ): Promise<readonly StoredTick[]> {
    const shard = shardOf(key);
    const wanted = of.map(({ check, zone }) => ({ shard, key, check, zone }));
    const rows = await this.#newest(wanted);
    return rows.map(({ check, zone, slotAtMs, value }) => ({
      ...{ check, zone, slotAtMs },
      value: decodeValue(value),
    }));
  }

  /** Asks again while the store does not answer: an owner that does not know the last slots repeats or loses some. */
  async #newest(wanted: Parameters<Samples['lastTicks']>[0]): Promise<readonly TickRow[]> {
    const { samples, clock, random } = this.#options;
    const untilMonoMs = clock.monoMs() + tickLimits.lastPatienceMs;
    for (let attempt = 1; ; attempt++) {
      const isLast = this.#isStopped || clock.monoMs() >= untilMonoMs;
      try {
        // What is not stored yet may be newer.
        if ((await this.flush()) || isLast) {
          return await samples.lastTicks(wanted, clock.nowMs() - tickLimits.lastNotBeforeMs);
        }
      } catch (cause) {
        if (isLast) throw cause;
      }
      await pause(clock, pauseMs(attempt, tickLimits, random));
    }
  }

  async flush(): Promise<boolean> {
    // Bounded: what comes in meanwhile is at most the queue's bound.
    const rounds = Math.ceil(tickLimits.waitingRows / tickLimits.rows) + 1;
    for (let round = 0; round < rounds && this.waiting > 0; round++) {
      if (!(await this.#start())) return false;
    }
    return this.waiting === 0;
  }

  stop(): void {
    this.#isStopped = true;
    this.#disarm?.();
    this.#disarm = null;
  }

  /** The batch on its way stays: it may be stored already. */
  #dropOldest(excess: number): void {
    let dropped = 0;
    while (dropped < excess && this.#waiting.shift() !== undefined) dropped++;
    this.#options.meter.count('ticks_dropped', dropped);
  }

  #arm(withinMs: number): void {
    if (this.#disarm !== null || this.#append !== null || this.waiting === 0) return;
    if (this.#isStopped) return;
    const { clock } = this.#options;
    this.#disarm = clock.schedule(clock.monoMs() + withinMs, () => {
      this.#disarm = null;
      void this.#start();
    });
  }

  #start(): Promise<boolean> {
    if (this.#append !== null) return this.#append;
    this.#disarm?.();
    this.#disarm = null;
    if (this.#batch.length === 0) this.#batch = this.#take();
    this.#append = this.#write().then((isStored) => {
      this.#append = null;
      this.#continue(isStored);
      return isStored;
    });
    return this.#append;
  }

  async #write(): Promise<boolean> {
    const { samples, meter, logger } = this.#options;
    const rows = this.#batch;
    try {
      if (rows.length > 0) await samples.appendTicks(rows);
      meter.count('ticks_written', rows.length);
      return true;
    } catch (cause) {
      meter.count('ticks_retried', rows.length);
      if (this.#failures === 0) logger.warn('ticks.unwritten', { rows: rows.length, cause });
      return false;
    }
  }

  #continue(isStored: boolean): void {
    if (isStored) {
      this.#batch = [];
      this.#failures = 0;
      if (this.#waiting.length >= tickLimits.rows) void this.#start();
      else this.#arm(tickLimits.everyMs);
      return;
    }
    this.#failures++;
    this.#arm(pauseMs(this.#failures, tickLimits, this.#options.random));
  }

  #take(): TickRow[] {
    const rows: TickRow[] = [];
    while (rows.length < tickLimits.rows) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      const row = this.#rowOf(next.key, next.tick);
      if (row !== null) rows.push(row);
    }
    return rows;
  }

  /** null: a value that no codec takes; one bad tick must not hold the others. */
  #rowOf(key: ActorKey, tick: TickWrite): TickRow | null {
    const { check, zone, slotAtMs } = tick;
    try {
      return { shard: shardOf(key), key, check, zone, slotAtMs, value: encodeValue(tick.value) };
    } catch (cause) {
      this.#options.meter.count('ticks_dropped', 1);
      this.#options.logger.error('tick.unencodable', { key, check, zone, cause });
      return null;
    }
  }
}
