// Everything that a node keeps of one shard that it holds: epoch and timestamps, commit pipe, projector, watermarks.
// Ties them together: an applied batch opens its rows, projects them, and shows its intents to the outbox.
import type { DecisionRow } from '../runtime/effect.ts';
import type { ActorKey, Epoch, ShardId } from '../runtime/ids.ts';
import type {
  Clock,
  EventBus,
  Logger,
  Meter,
  Random,
  ShardHead,
  SoftStateRow,
  Store,
} from '../runtime/ports.ts';
import { CommitPipe, type Marks } from './commit-pipe.ts';
import { DispatchMark } from './dispatch-mark.ts';
import { type Timestamps, timestampsFrom } from './epoch-timestamp.ts';
import { watermarkLimits } from './limits.ts';
import { encodeDecision, type LogRecord, recordOf } from './log-record.ts';
import { Projector } from './projector.ts';
import { Watermarks } from './watermarks.ts';

export interface HeldShardOptions {
  readonly shard: ShardId;
  /** The head row as read after the claim: epoch and owner are this process. */
  readonly head: ShardHead;
  readonly store: Pick<Store, 'authority' | 'shardLog' | 'states' | 'history'>;
  readonly events: EventBus;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly keepsSoftState: (key: ActorKey) => boolean;
  /** Those of this epoch that the process used before, where it gave the shard up and adopts it again. */
  readonly timestamps?: Timestamps;
  /** Rows of an applied batch, at the instant it is known. */
  readonly onRecords: (records: readonly LogRecord[]) => void;
  readonly onLost: (shard: ShardId) => void;
}

/** What a commit came to: durable; `projected` resolves once it is in documents and history, and never rejects. */
export interface Committed {
  readonly lastSeq: number;
  readonly projected: Promise<void>;
}

interface AppliedCall {
  readonly records: readonly LogRecord[];
  readonly resolve: (committed: Committed) => void;
}

export class HeldShard {
  readonly shard: ShardId;
  readonly epoch: Epoch;
  readonly timestamps: Timestamps;
  readonly dispatch = new DispatchMark();
  readonly #options: HeldShardOptions;
  readonly #pipe: CommitPipe;
  readonly #projector: Projector;
  readonly #watermarks: Watermarks;
  /** Actors that the store may hold something of; others are known to be nothing. */
  readonly #known = new Set<ActorKey>();
  #applied: AppliedCall[] = [];
  #trimmedAtMonoMs: number;
  #snapAtMonoMs: number;

  constructor(options: HeldShardOptions) {
    const { shard, head, store, clock } = options;
    this.#options = options;
    this.shard = shard;
    this.epoch = head.epoch;
    this.timestamps = options.timestamps ?? timestampsFrom(head.tsBase);
    this.#trimmedAtMonoMs = clock.monoMs();
    this.#snapAtMonoMs = clock.monoMs();
    this.#watermarks = new Watermarks(head.snap, options.keepsSoftState);
    this.#projector = new Projector({
      ...options,
      states: store.states,
      history: store.history,
      timestamps: this.timestamps,
      onProjected: (seq) => this.#watermarks.projected(seq),
    });
    this.#pipe = new CommitPipe({
      ...options,
      epoch: head.epoch,
      owner: head.owner,
      head: head.head,
      marks: { ...head, trimTo: Math.min(head.dispatched, head.snap) },
      authority: store.authority,
      shardLog: store.shardLog,
      readMarks: (last) => this.#marksAt(last),
      onBatch: () => this.#onBatch(),
      onLost: () => options.onLost(shard),
    });
  }

  /** Commits rows of one actor together. Rejects `RT_NOT_OWNER`, `RT_COMMIT_FAILED`, or `RT_DECODE` for what cannot be encoded. */
  commit(key: ActorKey, rows: readonly DecisionRow[]): Promise<Committed> {
    return new Promise((resolve, reject) => {
      const encoded = rows.map((row) => ({ kind: row.kind, body: encodeDecision(row) }));
      this.#pipe.add({
        key,
        rows: encoded,
        bytes: encoded.reduce((sum, row) => sum + row.body.length, 0),
        applied: (firstSeq) => {
          const records = rows.map((row, at) => recordOf(firstSeq + at, key, row));
          this.#applied.push({ records, resolve });
        },
        refused: reject,
      });
    });
  }

  /** Takes over what an earlier owner committed and may not have projected: rows above the head row's `snap`, in order. */
  resume(rows: readonly LogRecord[], savedSeqs: ReadonlyMap<ActorKey, number>): void {
    for (const row of rows) this.#watermarks.opened(row, this.#options.clock.monoMs());
    for (const [key, seq] of savedSeqs) this.#watermarks.saved(key, seq);
    if (rows.length > 0) void this.#projector.add(rows);
  }

  /** The store holds something of these actors. */
  know(keys: Iterable<ActorKey>): void {
    for (const key of keys) this.#known.add(key);
  }

  /** The store was read and holds nothing of this actor. */
  forget(key: ActorKey): void {
    if (!this.#watermarks.hasOpenRows(key)) this.#known.delete(key);
  }

  /** Those actors. */
  keys(): readonly ActorKey[] {
    return [...this.#known];
  }

  isKnown(key: ActorKey): boolean {
    return this.#known.has(key);
  }

  /** Writes soft states of this shard; throws as the store does. Acknowledged ones let `snap` move. */
  async putStates(rows: readonly SoftStateRow[]): Promise<void> {
    await this.#options.store.states.putStates(this.shard, this.timestamps.next(), rows);
    for (const row of rows) {
      this.#watermarks.saved(row.key, row.seq);
      this.#known.add(row.key);
    }
  }

  /** Writes documents that no row of the log decides (the outbox's next attempts); throws as the store does. */
  putDocuments(rows: Parameters<Store['states']['putDocuments']>[2]): Promise<void> {
    return this.#options.store.states.putDocuments(this.shard, this.timestamps.next(), rows);
  }

  /** Writes the marks alone where they have moved, behind whatever waits. */
  touch(): void {
    this.#pipe.touch();
  }

  /** True while time alone may let a mark move or rows be trimmed. */
  get needsUpkeep(): boolean {
    const { snap, trimTo } = this.#pipe.marks;
    return this.openRows > 0 || this.#watermarks.snap > snap || this.#low() > trimTo;
  }

  /** Regular upkeep: writes marks that lead for long. Returns the actors whose unsaved rows hold `snap` back. */
  upkeep(): readonly ActorKey[] {
    const nowMonoMs = this.#options.clock.monoMs();
    const snap = this.#watermarks.advance(nowMonoMs);
    const lead = snap - this.#pipe.marks.snap;
    const isOld = nowMonoMs - this.#snapAtMonoMs >= watermarkLimits.snapEveryMs;
    if (lead >= watermarkLimits.snapRows || (lead > 0 && isOld)) this.touch();
    if (lead === 0) this.#snapAtMonoMs = nowMonoMs;
    if (this.#trimTo(this.#low(), nowMonoMs) > 0) this.touch();
    return this.#watermarks.heldBackBy(nowMonoMs, watermarkLimits.heldBackMs, 1_000);
  }

  /** Last committed seq. */
  get head(): number {
    return this.#pipe.head;
  }

  /** Marks that the store holds. */
  get marks(): Marks {
    return this.#pipe.marks;
  }

  get waitingRows(): number {
    return this.#pipe.waitingRows;
  }

  get inDoubt(): boolean {
    return this.#pipe.inDoubt;
  }

  get openRows(): number {
    return this.#watermarks.openRows;
  }

  get projectionsWaiting(): number {
    return this.#projector.waiting;
  }

  /** Resolves once no commit is waiting or in flight. */
  idle(): Promise<void> {
    return this.#pipe.idle();
  }

  /** Resolves once everything committed so far is projected. */
  projected(): Promise<void> {
    return this.#projector.idle();
  }

  /** Ends the shard's work here: commits are refused, projections left to the next owner. */
  close(): void {
    this.#pipe.close();
    this.#projector.stop();
  }

  #onBatch(): void {
    const applied = this.#applied;
    this.#applied = [];
    const records = applied.flatMap((call) => call.records);
    const nowMonoMs = this.#options.clock.monoMs();
    for (const record of records) {
      this.#watermarks.opened(record, nowMonoMs);
      this.#known.add(record.key);
    }
    const projected = this.#projector.add(records);
    this.#options.onRecords(records);
    for (const { records: own, resolve } of applied) {
      resolve({ lastSeq: own[own.length - 1]?.seq ?? this.head, projected });
    }
  }

  #marksAt(head: number): Marks {
    const nowMonoMs = this.#options.clock.monoMs();
    const snap = this.#watermarks.advance(nowMonoMs);
    const dispatched = Math.max(this.dispatch.at(head), this.#pipe.marks.dispatched);
    const trimTo = this.#trimTo(Math.min(snap, dispatched), nowMonoMs);
    if (trimTo > 0) this.#trimmedAtMonoMs = nowMonoMs;
    if (snap > this.#pipe.marks.snap) this.#snapAtMonoMs = nowMonoMs;
    return { dispatched, snap, trimTo };
  }

  #low(): number {
    return Math.min(this.#watermarks.snap, this.dispatch.at(this.head));
  }

  /** Returns where to trim now, 0: not yet. */
  #trimTo(low: number, nowMonoMs: number): number {
    const rows = low - this.#pipe.marks.trimTo;
    const isLong = nowMonoMs - this.#trimmedAtMonoMs >= watermarkLimits.trimEveryMs;
    return rows >= watermarkLimits.trimRows || (rows > 0 && isLong) ? low : 0;
  }
}
