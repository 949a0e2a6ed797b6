// The commit pipe of one held shard: one conditional batch in flight, the next one starts when it returns and takes
// whatever has gathered (clustering.md §7). An unknown outcome stops the pipe until a read of the head row decides.
// Invariants: nothing is sent blind, nothing is refused that may have been applied, rows leave in call order.
import { TocsinError } from '../runtime/errors.ts';
import type { ActorKey, Epoch, ShardId } from '../runtime/ids.ts';
import type {
  Authority,
  Clock,
  CommitBatch,
  Logger,
  Meter,
  NewLogRow,
  Random,
  ShardLog,
} from '../runtime/ports.ts';
import { Ring } from '../runtime/ring.ts';
import { type Verdict, verdictOfError, verdictOfHead, verdictOfOutcome } from './commit-verdict.ts';
import { batchLimits, pipeLimits } from './limits.ts';
import { answeredWithin, pause, pauseMs } from './pause.ts';

/** Watermarks that ride with every batch. */
export interface Marks {
  readonly dispatched: number;
  readonly snap: number;
  readonly trimTo: number;
}

export interface CommitPipeOptions {
  readonly shard: ShardId;
  readonly epoch: Epoch;
  readonly owner: string;
  /** Last committed seq. */
  readonly head: number;
  readonly marks: Marks;
  readonly authority: Authority;
  readonly shardLog: ShardLog;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
  /** The marks of a batch that builds on `head`: none of them above it. */
  readonly readMarks: (head: number) => Marks;
  /** All calls of an applied batch were told. */
  readonly onBatch: () => void;
  /** Another owner has the shard. Called once, after everything waiting was rejected. */
  readonly onLost: () => void;
}

/** Rows of one call, committed together. */
export interface CommitCall {
  readonly key: ActorKey;
  readonly rows: readonly Omit<NewLogRow, 'seq' | 'key'>[];
  readonly bytes: number;
  /** Called in the order of calls at the instant the batch is known as applied; then `onBatch`. */
  readonly applied: (firstSeq: number) => void;
  readonly refused: (error: TocsinError) => void;
}

type State = 'open' | 'lost' | 'closed';

export class CommitPipe {
  readonly #options: CommitPipeOptions;
  readonly #waiting = new Ring<CommitCall>();
  #waitingRows = 0;
  #state: State = 'open';
  #head: number;
  #marks: Marks;
  #isTouched = false;
  #isRunning = false;
  #inDoubt = false;
  #idle: (() => void)[] = [];

  constructor(options: CommitPipeOptions) {
    this.#options = options;
    this.#head = options.head;
    this.#marks = options.marks;
  }

  /** Last seq known as committed. */
  get head(): number {
    return this.#head;
  }

  /** Marks that the store has acknowledged. */
  get marks(): Marks {
    return this.#marks;
  }

  get waitingRows(): number {
    return this.#waitingRows;
  }

  /** True while a batch may or may not have been applied. */
  get inDoubt(): boolean {
    return this.#inDoubt;
  }

  /** Queues the rows of one call; the call is told exactly once. */
  add(call: CommitCall): void {
    const refusal = this.#refusalOf(call);
    if (refusal !== null) {
      call.refused(refusal);
      return;
    }
    this.#waiting.push(call);
    this.#waitingRows += call.rows.length;
    this.#start();
  }

  /** Asks for a batch even without rows, if the marks have moved. */
  touch(): void {
    this.#isTouched = true;
    this.#start();
  }

  /** Resolves once nothing is in flight or waiting. */
  idle(): Promise<void> {
    if (!this.#isRunning) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Refuses what waits and what comes; a batch in flight is no longer followed. */
  close(): void {
    if (this.#state !== 'open') return;
    this.#state = 'closed';
    this.#refuseWaiting(this.#notOwner());
  }

  #refusalOf(call: CommitCall): TocsinError | null {
    if (this.#state !== 'open') return this.#notOwner();
    const details = { shard: this.#options.shard, rows: call.rows.length, bytes: call.bytes };
    if (call.rows.length > batchLimits.rows || call.bytes > batchLimits.bytesMax) {
      return new TocsinError('RT_COMMIT_FAILED', 'a commit is too large', { details });
    }
    if (this.#waitingRows + call.rows.length > batchLimits.waitingRows) {
      return commitFailed('too many commits wait for this shard', { details });
    }
    return null;
  }

  /** The first batch starts behind the turn that asked for it, so that the rows of one turn gather. */
  #start(): void {
    if (this.#isRunning || this.#state !== 'open') return;
    this.#isRunning = true;
    queueMicrotask(() => void this.#run());
  }

  async #run(): Promise<void> {
    while (this.#state === 'open' && (this.#waiting.length > 0 || this.#isTouched)) {
      this.#isTouched = false;
      const marks = this.#options.readMarks(this.#head);
      const calls = this.#gather();
      if (calls.length > 0 || !sameMarks(marks, this.#marks)) await this.#commit(calls, marks);
    }
    this.#isRunning = false;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #gather(): CommitCall[] {
    const calls: CommitCall[] = [];
    let rows = 0;
    let bytes = 0;
    for (let call = this.#waiting.peek(); call !== undefined; call = this.#waiting.peek()) {
      const isFull = rows + call.rows.length > batchLimits.rows;
      if (calls.length > 0 && (isFull || bytes + call.bytes > batchLimits.bytes)) break;
      calls.push(call);
      this.#waiting.shift();
      rows += call.rows.length;
      bytes += call.bytes;
    }
    return calls;
  }

  async #commit(calls: readonly CommitCall[], marks: Marks): Promise<void> {
    const { shard, epoch, owner, meter } = this.#options;
    const rows: NewLogRow[] = [];
    for (const { key, rows: own } of calls) {
      for (const { kind, body } of own) {
        rows.push({ seq: this.#head + rows.length + 1, key, kind, body });
      }
    }
    const batch = { shard, epoch, owner, prevHead: this.#head, ...marks, rows };
    const verdict = await this.#settle(batch);
    this.#inDoubt = false;
    this.#waitingRows -= rows.length;
    meter.count('commit_batches', 1, verdict);
    if (verdict === 'applied') this.#applied(calls, batch);
    else this.#refused(calls, verdict);
  }

  /** Returns only what is final. A batch that was once in doubt ends as applied or lost, however long it takes. */
  async #settle(batch: CommitBatch): Promise<Verdict> {
    const { clock, random, logger, meter, shard } = this.#options;
    const startedMonoMs = clock.monoMs();
    let verdict = await this.#send(batch);
    for (let attempt = 1; this.#state === 'open'; attempt++) {
      if (verdict === 'applied' || verdict === 'lost') return verdict;
      if (verdict === 'unknown' && !this.#inDoubt) {
        this.#inDoubt = true;
        meter.count('commits_in_doubt', 1);
        logger.warn('commit.unknown', { shard, prevHead: batch.prevHead, rows: batch.rows.length });
      }
      const isOver = clock.monoMs() - startedMonoMs >= pipeLimits.unavailableMs;
      if (!this.#inDoubt && (verdict === 'impossible' || isOver)) return verdict;
      // A read right after an unknown costs nothing where the store answers; later ones are spread.
      await pause(clock, pauseMs(attempt, pipeLimits, random));
      verdict = this.#inDoubt ? await this.#decide(batch) : await this.#send(batch);
    }
    return 'lost';
  }

  async #send(batch: CommitBatch): Promise<Verdict> {
    try {
      const answer = this.#options.shardLog.commit(batch);
      return verdictOfOutcome(await this.#answered(answer), batch, this.#inDoubt);
    } catch (error) {
      return verdictOfError(error);
    }
  }

  /** Reads, then decides; sends the same batch again only where the head row shows that it may be. */
  async #decide(batch: CommitBatch): Promise<Verdict> {
    const { authority, shard } = this.#options;
    let seen: Verdict;
    try {
      seen = verdictOfHead(await this.#answered(authority.readHead(shard)), batch);
    } catch (error) {
      this.#options.logger.debug('commit.head-unread', { shard, cause: error });
      return 'unknown';
    }
    return seen === 'again' ? this.#send(batch) : seen;
  }

  #answered<Answer>(work: Promise<Answer>): Promise<Answer> {
    const late = (): Error => new TocsinError('ST_UNKNOWN', 'the store did not answer in time');
    return answeredWithin(this.#options.clock, work, { ms: pipeLimits.answerMs, late });
  }

  #applied(calls: readonly CommitCall[], batch: CommitBatch): void {
    const { dispatched, snap, trimTo } = batch;
    this.#head = batch.prevHead + batch.rows.length;
    this.#marks = { dispatched, snap, trimTo: Math.max(trimTo, this.#marks.trimTo) };
    let seq = batch.prevHead + 1;
    for (const call of calls) {
      call.applied(seq);
      seq += call.rows.length;
    }
    if (calls.length > 0) this.#options.onBatch();
  }

  #refused(calls: readonly CommitCall[], verdict: Verdict): void {
    if (verdict !== 'lost') {
      const error = commitFailed('the store did not take the commit', { details: { verdict } });
      for (const call of calls) call.refused(error);
      this.#refuseWaiting(error);
      return;
    }
    const isNews = this.#state === 'open';
    this.#state = 'lost';
    for (const call of calls) call.refused(this.#notOwner());
    this.#refuseWaiting(this.#notOwner());
    if (isNews) this.#options.onLost();
  }

  #refuseWaiting(error: TocsinError): void {
    for (let call = this.#waiting.shift(); call !== undefined; call = this.#waiting.shift()) {
      this.#waitingRows -= call.rows.length;
      call.refused(error);
    }
  }

  #notOwner(): TocsinError {
    const details = { shard: this.#options.shard };
    return new TocsinError('RT_NOT_OWNER', 'this node does not hold the shard', {
      retryable: true,
      details,
    });
  }
}

function commitFailed(
  message: string,
  options: { details: Readonly<Record<string, unknown>> },
): TocsinError {
  return new TocsinError('RT_COMMIT_FAILED', message, { retryable: true, ...options });
}

function sameMarks(left: Marks, right: Marks): boolean {
  return (
    left.dispatched === right.dispatched && left.snap === right.snap && left.trimTo <= right.trimTo
  );
}
