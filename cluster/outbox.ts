// Sends what committed transitions owe (clustering.md §15): in order per line, retried until delivered, superseded or given
// up, every end recorded. Invariants: nothing leaves that is not committed; the id never changes; `dispatched` passes only
// what has ended or is deferred. Must not know what an intent says (Notifier) nor how its history reads (policy).
import type { ActorKey, ShardId } from '../runtime/ids.ts';
import type {
  Clock,
  DeliveryResult,
  History,
  Intent,
  Logger,
  Meter,
  Notifier,
  Random,
} from '../runtime/ports.ts';
import { AttemptLog } from './attempt-log.ts';
import { deliverOnce } from './deliver-once.ts';
import type { HeldShards } from './group-commit.ts';
import { outboxLimits } from './limits.ts';
import { type Ending, OutboxLedger } from './outbox-ledger.ts';
import {
  cancelTimers,
  joinLine,
  type Line,
  leaveLine,
  lineName,
  nextStep,
  type Pending,
} from './outbox-lines.ts';
import { attemptRecord, type LogBody } from './outbox-record.ts';
import { settledWithin } from './pause.ts';
import { ReceiverSlots } from './receiver-slots.ts';
import type { DeferredIntent, IntentOutcome } from './shard-fold.ts';

/** What the outbox is told by those who know monitoring. */
export interface OutboxPolicy {
  /** Pause after attempt number `attempt` (1 the first) of the intent, ms; null: give up. */
  readonly retryDelayMs: (id: string, attempt: number) => number | null;
  /** Body of a `notification_log` row. */
  readonly logBody: LogBody;
  /** An intent was given up: tell people another way. */
  readonly onUndeliverable?: (key: ActorKey, intent: Intent) => void;
}

export interface OutboxStats {
  /** Intents in their first window. */
  readonly pending: number;
  readonly deferred: number;
  readonly sending: number;
  /** Age of the oldest in its first window, 0 where there is none. */
  readonly oldestPendingAgeMs: number;
  /** Since the start of the process. */
  readonly attempts: number;
}

export interface OutboxOptions extends OutboxPolicy {
  readonly held: HeldShards;
  readonly mayAct: (shard: ShardId) => boolean;
  readonly notifier: Notifier;
  readonly history: History;
  /** Names this process run in the ids of history rows. */
  readonly run: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
}

export class Outbox {
  readonly #options: OutboxOptions;
  readonly #lines = new Map<string, Line>();
  readonly #byShard = new Map<ShardId, Set<Pending>>();
  readonly #slots: ReceiverSlots;
  readonly #log: AttemptLog;
  readonly #ledger: OutboxLedger;
  readonly #aborts = new Set<AbortController>();
  /** The last delivered of a line, while the store may not know of it: a newer one waits until it does. */
  readonly #unmarked = new Map<string, Pending>();
  #unmarkedMax: number = outboxLimits.unmarked;
  #attempts = 0;
  #isStopping = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#slots = new ReceiverSlots(options.clock, options.meter);
    this.#log = new AttemptLog(options);
    this.#ledger = new OutboxLedger(options);
  }

  /**
   * An intent is committed under `seq` and not yet delivered: sends it, first in its line if nothing older is left.
   * `from`: found at a load the dispatched mark knows it; an orphan's alarm was deleted, so it is withdrawn instead.
   */
  accept(
    of: { shard: ShardId; seq: number; key: ActorKey; intent: Intent },
    from: 'commit' | 'load' | 'orphan',
  ): void {
    if (from === 'commit') this.#options.held.get(of.shard)?.dispatch.opened(of.seq);
    const nowMs = this.#options.clock.nowMs();
    const item = this.#add({ ...of, attempts: 0, firstAtMs: nowMs, nextAtMs: nowMs }, false);
    if (from === 'orphan') {
      this.#withdraw(item);
      return;
    }
    const { clock } = this.#options;
    const windowMonoMs = clock.monoMs() + outboxLimits.firstWindowMs;
    item.cancelWindow = clock.schedule(windowMonoMs, () => {
      item.cancelWindow = null;
      if (item.phase !== 'ended') this.#ledger.defer(item);
    });
    this.#advance(item.line);
  }

  /** An intent that an earlier run deferred. Where that run's clock was ahead, its instants lie in the future: nobody waits for them. */
  resume(shard: ShardId, deferred: DeferredIntent, from: 'load' | 'orphan'): void {
    const { clock, retryDelayMs } = this.#options;
    const pauseMs = retryDelayMs(deferred.intent.id, deferred.attempts) ?? 0;
    const firstAtMs = Math.min(deferred.firstAtMs, clock.nowMs());
    const nextAtMs = Math.min(deferred.nextAtMs, clock.nowMs() + pauseMs);
    const item = this.#add({ ...deferred, firstAtMs, nextAtMs, shard, seq: 0 }, true);
    if (from === 'orphan') this.#withdraw(item);
    else this.#advance(item.line);
  }

  /** These alarms of an actor are deleted: an attempt under way is awaited, none starts any more, each end is recorded. */
  withdraw(of: { shard: ShardId; key: ActorKey; alarms: ReadonlySet<string> }): void {
    for (const item of [...(this.#byShard.get(of.shard) ?? [])]) {
      if (item.key === of.key && of.alarms.has(item.intent.alarm)) this.#withdraw(item);
    }
  }

  /** The shard is lost: its intents are the next owner's. Attempts under way are not followed. */
  drop(shard: ShardId): void {
    for (const item of this.#byShard.get(shard) ?? []) {
      this.#retire(item);
      leaveLine(item.line, item);
      if (item.line.items.length === 0) this.#leave(item.line);
    }
    this.#byShard.delete(shard);
    this.#ledger.drop(shard);
  }

  stats(): OutboxStats {
    const nowMs = this.#options.clock.nowMs();
    let pending = 0;
    let deferred = 0;
    let oldestPendingAgeMs = 0;
    for (const item of [...this.#byShard.values()].flatMap((items) => [...items])) {
      if (item.isDeferred) deferred++;
      else {
        pending++;
        oldestPendingAgeMs = Math.max(oldestPendingAgeMs, nowMs - item.intent.atMs);
      }
    }
    const { active } = this.#slots;
    return { pending, deferred, sending: active, oldestPendingAgeMs, attempts: this.#attempts };
  }

  /**
   * Starts no attempt any more, awaits those under way up to `deadlineMs`, then aborts them; records what ended and asks
   * for the marks. Resolves true where nothing was cut short.
   */
  async stop(deadlineMs: number): Promise<boolean> {
    const { clock } = this.#options;
    this.#isStopping = true;
    this.#slots.stop();
    for (const items of this.#byShard.values()) for (const item of items) cancelTimers(item);
    const isQuiet = await settledWithin(clock, this.#slots.idle(), deadlineMs);
    for (const abort of this.#aborts) abort.abort();
    if (!isQuiet) await settledWithin(clock, this.#slots.idle(), outboxLimits.abortGraceMs);
    const isRecorded = await settledWithin(clock, this.#ledger.stop(), outboxLimits.recordedMs);
    const isLogged = await this.#log.flush();
    this.#log.stop();
    return isQuiet && isRecorded && isLogged;
  }

  #add(of: DeferredIntent & { shard: ShardId; seq: number }, isDeferred: boolean): Pending {
    const name = lineName(of.key, of.intent);
    const line = this.#lines.get(name) ?? { name, items: [], isHeld: false };
    this.#lines.set(name, line);
    const { shard, seq, key, intent, attempts } = of;
    const item: Pending = {
      ...{ shard, seq, key, intent, attempts, line, isDeferred },
      ...this.#timesOf(of),
      phase: 'idle',
      isWithdrawn: false,
      deferral: null,
      job: null,
      cancelRetry: null,
      cancelWindow: null,
    };
    joinLine(line, item);
    const items = this.#byShard.get(shard) ?? new Set();
    this.#byShard.set(shard, items.add(item));
    return item;
  }

  /**
   * What was stored by another reading of the wall clock, by the clocks of now: the age is what had passed until the next
   * attempt was due, and that is no further away than a pause can be, wherever the wall clock was set meanwhile.
   */
  #timesOf(of: DeferredIntent): Pick<Pending, `${'first' | 'next'}${'At' | 'Mono'}Ms`> {
    const { clock, retryDelayMs } = this.#options;
    const [nowMs, nowMonoMs] = [clock.nowMs(), clock.monoMs()];
    const pauseMaxMs = Math.max(
      retryDelayMs(of.intent.id, of.attempts) ?? 0,
      outboxLimits.retryAfterMaxMs,
    );
    const waitMs = Math.min(Math.max(0, of.nextAtMs - nowMs), pauseMaxMs);
    const ageMs = Math.max(0, Math.min(nowMs, of.nextAtMs) - of.firstAtMs);
    return {
      firstAtMs: nowMs - ageMs,
      nextAtMs: nowMs + waitMs,
      firstMonoMs: nowMonoMs - ageMs,
      nextMonoMs: nowMonoMs + waitMs,
    };
  }

  #advance(line: Line): void {
    if (this.#isStopping) return;
    const step = nextStep(line);
    if (step.type === 'supersede')
      this.#end(step.item, 'superseded', 'a newer state took its place');
    else if (step.type === 'send' && !this.#isMarkedFirst(line))
      this.#arm(step.item, step.item.nextMonoMs - this.#options.clock.monoMs());
    else if (line.items.length === 0 && !line.isHeld) this.#leave(line);
  }

  /** A line that was left and begun anew since is another one under the same name. */
  #leave(line: Line): void {
    if (this.#lines.get(line.name) === line) this.#lines.delete(line.name);
  }

  /**
   * True where the line waits: the one before was delivered, and a restart now would send it again behind this one.
   * Nearly always the mark has passed it, since the newer one's commit carried the mark.
   */
  #isMarkedFirst(line: Line): boolean {
    const before = this.#unmarked.get(line.name);
    this.#unmarked.delete(line.name);
    if (before === undefined || this.#isMarked(before)) return false;
    // The line that waits, not the one that `before` stood in: that may have been left since.
    this.#recordEnd(before, { outcome: 'delivered', message: '' }, line);
    return true;
  }

  #isMarked(item: Pending): boolean {
    const held = this.#options.held.get(item.shard);
    return held === null || held.marks.dispatched >= item.seq;
  }

  #remember(item: Pending): void {
    this.#unmarked.set(item.line.name, item);
    if (this.#unmarked.size < this.#unmarkedMax) return;
    for (const [name, other] of this.#unmarked) {
      if (this.#isMarked(other)) this.#unmarked.delete(name);
    }
    // A storm may have many more: looking through them must stay rare against their number.
    this.#unmarkedMax = Math.max(outboxLimits.unmarked, this.#unmarked.size * 2);
  }

  /** Queues the head of a line when its time has come. */
  #arm(item: Pending, waitMs: number): void {
    item.cancelRetry?.();
    item.cancelRetry = null;
    if (waitMs > 0) {
      const { clock } = this.#options;
      const dueMonoMs = clock.monoMs() + Math.min(waitMs, outboxLimits.giveUpMs);
      item.cancelRetry = clock.schedule(dueMonoMs, () => this.#queue(item));
      return;
    }
    this.#queue(item);
  }

  #queue(item: Pending): void {
    item.cancelRetry = null;
    if (item.phase !== 'idle' || this.#isStopping) return;
    item.phase = 'queued';
    const receiver = this.#options.notifier.receiverOf(item.intent);
    item.job = { receiver, run: () => this.#attempt(item), isWithdrawn: false };
    this.#slots.add(item.job);
  }

  async #attempt(item: Pending): Promise<'well' | 'badly' | 'none'> {
    if (item.phase !== 'queued') return 'none';
    // The lease is asked here, at the point of effect: a place may have come long after the queue.
    if (!this.#options.mayAct(item.shard)) {
      item.phase = 'idle';
      this.#arm(item, outboxLimits.leaseRetryMs);
      return 'none';
    }
    item.phase = 'sending';
    item.attempts++;
    this.#attempts++;
    const result = await this.#deliver(item);
    this.#logAttempt(item, result);
    if (item.phase === 'sending') this.#judge(item, result);
    return result.delivered ? 'well' : 'badly';
  }

  async #deliver(item: Pending): Promise<DeliveryResult> {
    const { clock, notifier } = this.#options;
    const abort = new AbortController();
    this.#aborts.add(abort);
    const delivery = { attempt: item.attempts, atMs: clock.nowMs(), signal: abort.signal };
    const result = await deliverOnce(
      clock,
      () => notifier.deliver(item.key, item.intent, delivery),
      abort,
    );
    this.#aborts.delete(abort);
    return result;
  }

  #logAttempt(item: Pending, { delivered, message }: DeliveryResult): void {
    const { meter, run, logBody, clock } = this.#options;
    meter.count('notification_attempts', 1, delivered ? 'delivered' : 'failed');
    const attempt = item.attempts;
    const line = { event: 'attempt', attempt, delivered, message, atMs: clock.nowMs() } as const;
    this.#log.add(attemptRecord({ ...item, run }, line, logBody));
  }

  #judge(item: Pending, result: DeliveryResult): void {
    item.phase = 'idle';
    if (result.delivered) this.#end(item, 'delivered', result.message);
    else if (item.isWithdrawn) this.#withdraw(item);
    else if (result.final === true) this.#end(item, 'undeliverable', result.message);
    else if (item.line.items.length > 1) this.#advance(item.line);
    else this.#retryLater(item, result);
  }

  #withdraw(item: Pending): void {
    item.isWithdrawn = true;
    if (item.phase !== 'sending') this.#end(item, 'withdrawn', 'The alarm was deleted');
  }

  #retryLater(item: Pending, result: DeliveryResult & { delivered: false }): void {
    const waitMs = this.#retryWaitMs(item, result.retryAfterMs ?? 0);
    if (waitMs === null) {
      this.#end(item, 'undeliverable', result.message);
      return;
    }
    const { clock } = this.#options;
    item.nextMonoMs = clock.monoMs() + waitMs;
    item.nextAtMs = clock.nowMs() + waitMs;
    item.firstAtMs = clock.nowMs() - (clock.monoMs() - item.firstMonoMs);
    if (item.isDeferred) this.#ledger.keepAttempts(item);
    if (!this.#isStopping) this.#arm(item, waitMs);
  }

  /** null: it is over. The last attempt is made when the 72 hours end, not before. */
  #retryWaitMs(item: Pending, retryAfterMs: number): number | null {
    const leftMs = item.firstMonoMs + outboxLimits.giveUpMs - this.#options.clock.monoMs();
    const delayMs = this.#options.retryDelayMs(item.intent.id, item.attempts);
    if (delayMs === null || leftMs <= 0) return null;
    const askedMs = Math.min(retryAfterMs, outboxLimits.retryAfterMaxMs);
    return Math.min(Math.max(delayMs, askedMs, 0), leftMs);
  }

  /**
   * The end of an intent. Where the mark does not say it, its line goes on once the end is durable, also across an outage
   * of the store: a newer one that left before would be followed by this one again if the process died meanwhile.
   */
  #end(item: Pending, outcome: IntentOutcome['outcome'], message: string): void {
    const { meter } = this.#options;
    const { line } = item;
    this.#retire(item);
    leaveLine(line, item);
    this.#forget(item);
    meter.count('notifications', 1, outcome);
    if (outcome === 'undeliverable') this.#options.onUndeliverable?.(item.key, item.intent);
    if (outcome !== 'delivered' || !this.#ledger.passed(item)) {
      this.#recordEnd(item, { outcome, message });
      return;
    }
    this.#remember(item);
    this.#advance(line);
  }

  #recordEnd(item: Pending, end: Omit<Ending, 'atMs'>, line = item.line): void {
    line.isHeld = true;
    // A millisecond later than the attempt that it follows, so that the history shows it behind.
    const ending = { ...end, atMs: this.#options.clock.nowMs() + 1 };
    void this.#ledger.recorded(item, ending).then(() => {
      line.isHeld = false;
      this.#advance(line);
    });
  }

  #retire(item: Pending): void {
    item.phase = 'ended';
    cancelTimers(item);
    if (item.job !== null) this.#slots.withdraw(item.job);
  }

  #forget(item: Pending): void {
    const items = this.#byShard.get(item.shard);
    items?.delete(item);
    if (items?.size === 0) this.#byShard.delete(item.shard);
  }
}
