// The projection low-water mark of one shard, `snap`: everything up to it is in documents, history and soft state, so a
// later owner need not read it and a trim may remove it (storage.md §4). Pure but for its own counters.
import { assert } from '../runtime/assert.ts';
import { type RowKind, rowKinds } from '../runtime/effect.ts';
import type { ActorKey } from '../runtime/ids.ts';
import { watermarkLimits } from './limits.ts';

/** A committed row above `snap`. */
interface OpenRow {
  readonly seq: number;
  readonly key: ActorKey;
  readonly kind: RowKind;
  readonly atMonoMs: number;
}

interface KeyProgress {
  /** Seq up to which an acknowledged soft state holds the actor's rows. */
  savedSeq: number;
  openRows: number;
}

/** Rows that an actor's soft state need not hold: the outbox decides two of them, and a paused actor saves nothing. */
const statelessKinds: ReadonlySet<RowKind> = new Set([
  rowKinds.deferred,
  rowKinds.outcome,
  rowKinds.quarantine,
]);

export class Watermarks {
  readonly #keepsSoftState: (key: ActorKey) => boolean;
  readonly #keys = new Map<ActorKey, KeyProgress>();
  #rows: OpenRow[] = [];
  #first = 0;
  #snap: number;
  #projectedSeq: number;

  constructor(snap: number, keepsSoftState: (key: ActorKey) => boolean) {
    this.#snap = snap;
    this.#projectedSeq = snap;
    this.#keepsSoftState = keepsSoftState;
  }

  /** As of the last `advance`. */
  get snap(): number {
    return this.#snap;
  }

  /** Rows above `snap`. */
  get openRows(): number {
    return this.#rows.length - this.#first;
  }

  /** A row was committed, or found above `snap` at the load. Rows come in seq order. */
  opened(row: { seq: number; key: ActorKey; kind: RowKind }, nowMonoMs: number): void {
    const last = this.#rows[this.#rows.length - 1];
    assert(row.seq > (last?.seq ?? this.#snap), 'rows of a shard come in order');
    this.#rows.push({ seq: row.seq, key: row.key, kind: row.kind, atMonoMs: nowMonoMs });
    const progress = this.#keys.get(row.key) ?? { savedSeq: 0, openRows: 0 };
    progress.openRows++;
    this.#keys.set(row.key, progress);
  }

  /** All rows up to `seq` are in documents, listings and history. */
  projected(seq: number): void {
    this.#projectedSeq = Math.max(this.#projectedSeq, seq);
  }

  /** The store acknowledged a soft state (or its delete) that holds the actor's rows up to `seq`. */
  saved(key: ActorKey, seq: number): void {
    const progress = this.#keys.get(key);
    if (progress !== undefined) progress.savedSeq = Math.max(progress.savedSeq, seq);
  }

  /** True while rows of the actor are above `snap`. */
  hasOpenRows(key: ActorKey): boolean {
    return this.#keys.has(key);
  }

  /** Moves `snap` as far as it may go now; returns it. It never goes back. */
  advance(nowMonoMs: number): number {
    for (let row = this.#rows[this.#first]; row !== undefined; row = this.#rows[this.#first]) {
      if (!this.#mayPass(row, nowMonoMs)) break;
      this.#snap = row.seq;
      this.#first++;
      this.#forget(row.key);
    }
    if (this.#first > 64 && this.#first * 2 > this.#rows.length) {
      this.#rows = this.#rows.slice(this.#first);
      this.#first = 0;
    }
    return this.#snap;
  }

  /** Actors whose unsaved rows are the reason, for at least `ageMs`; at most `limit`. */
  heldBackBy(nowMonoMs: number, ageMs: number, limit: number): readonly ActorKey[] {
    const keys = new Set<ActorKey>();
    for (let at = this.#first; at < this.#rows.length && keys.size < limit; at++) {
      const row = this.#rows[at] as OpenRow;
      if (nowMonoMs - row.atMonoMs < ageMs) break;
      if (!this.#isSaved(row)) keys.add(row.key);
    }
    return [...keys];
  }

  #mayPass(row: OpenRow, nowMonoMs: number): boolean {
    if (row.seq > this.#projectedSeq) return false;
    if (row.kind === rowKinds.config && nowMonoMs - row.atMonoMs < watermarkLimits.configKeepMs) {
      return false;
    }
    return this.#isSaved(row);
  }

  #isSaved(row: OpenRow): boolean {
    if (statelessKinds.has(row.kind) || !this.#keepsSoftState(row.key)) return true;
    return (this.#keys.get(row.key)?.savedSeq ?? 0) >= row.seq;
  }

  #forget(key: ActorKey): void {
    const progress = this.#keys.get(key);
    if (progress === undefined) return;
    progress.openRows--;
    if (progress.openRows === 0) this.#keys.delete(key);
  }
}
