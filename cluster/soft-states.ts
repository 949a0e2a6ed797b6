// The port `SoftStates`: remembers which actors changed and writes them together, a shard at a time: 250 ms after an urgent
// change, within a jittered minute after others, all of them at stop. A failed write is tried again with what is true then.
// Must not know what a soft state says. Invariant: one write of a shard under way, so a newer state never loses to an older.
import { encodeValue } from '../runtime/codec.ts';
import { type ActorKey, type ShardId, shardOf } from '../runtime/ids.ts';
import type { Clock, Logger, Meter, Random, SoftStateRow, SoftStates } from '../runtime/ports.ts';
import type { HeldShards } from './group-commit.ts';
import { softStateLimits } from './limits.ts';
import { inParallel, pauseMs } from './pause.ts';

type Read = Parameters<SoftStates['changed']>[2];

/** The actor is deleted, so is its state. */
const deletion = Symbol('deletion');

interface Wanted {
  readonly read: Read | typeof deletion;
  /** When it is due; urgent ones are due with the next urgent round. */
  readonly dueMonoMs: number;
  /** Failed writes in a row. */
  readonly failures: number;
  /** Reads in a row that gave nothing: a commit is pending, or the actor is gone from memory. */
  readonly nulls: number;
}

export interface SoftStateWriter extends SoftStates {
  /** Writes the actor's state at the next round; nothing where it never changed here. */
  hurry(key: ActorKey): void;
  /** The shard is lost: nothing of it is written any more. */
  drop(shard: ShardId): void;
  /** Writes everything that waits; resolves true where nothing is left. */
  flush(): Promise<boolean>;
  readonly waiting: number;
}

export interface SoftStateOptions {
  readonly held: HeldShards;
  readonly mayAct: (shard: ShardId) => boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
}

/** Returns the writer of this node's soft states. */
export function softStateWriter(options: SoftStateOptions): SoftStateWriter {
  return new Writer(options);
}

class Writer implements SoftStateWriter {
  readonly #options: SoftStateOptions;
  readonly #wanted = new Map<ActorKey, Wanted>();
  /** Of the wanted ones, those of the next urgent round. */
  readonly #urgent = new Set<ActorKey>();
  /** The last known way to read an actor: for states that hold `snap` back. */
  readonly #reads = new Map<ActorKey, Read>();
  readonly #busy = new Set<ShardId>();
  readonly #dropped = new Set<ShardId>();
  #writing: Promise<unknown> = Promise.resolve();
  #cancelUrgent: (() => void) | null = null;
  #cancelCalm: (() => void) | null = null;
  #isFlushing = false;

  constructor(options: SoftStateOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#wanted.size;
  }

  changed(key: ActorKey, urgent: boolean, read: Read): void {
    this.#reads.set(key, read);
    if (urgent) this.#wantSoon(key, read);
    else this.#wantLater(key, { read, waitMs: this.#calmMs() });
  }

  deleted(key: ActorKey): void {
    this.#reads.delete(key);
    this.#wantSoon(key, deletion);
  }

  hurry(key: ActorKey): void {
    const read = this.#reads.get(key);
    if (read !== undefined && !this.#wanted.has(key)) this.#wantSoon(key, read);
  }

  drop(shard: ShardId): void {
    if (this.#dropped.size === 0) queueMicrotask(() => this.#forgetDropped());
    this.#dropped.add(shard);
  }

  async flush(): Promise<boolean> {
    this.#isFlushing = true;
    for (let round = 0; round < softStateLimits.stopTries && this.#wanted.size > 0; round++) {
      await this.#writing;
      await this.#write([...this.#wanted.keys()]);
    }
    await this.#writing;
    if (this.#wanted.size === 0) {
      this.#cancelUrgent?.();
      this.#cancelCalm?.();
    }
    return this.#wanted.size === 0;
  }

  /** One pass for all shards of one loss: a node that loses everything loses 1024 at once. */
  #forgetDropped(): void {
    for (const keys of [this.#wanted, this.#reads]) {
      for (const key of keys.keys()) if (this.#dropped.has(shardOf(key))) keys.delete(key);
    }
    this.#dropped.clear();
  }

  #calmMs(): number {
    return softStateLimits.calmMs * (0.5 + this.#options.random.next() / 2);
  }

  #wantSoon(key: ActorKey, read: Wanted['read']): void {
    const { clock } = this.#options;
    const dueMonoMs = clock.monoMs() + softStateLimits.urgentMs;
    this.#wanted.set(key, { read, dueMonoMs, failures: 0, nulls: 0 });
    this.#urgent.add(key);
    this.#cancelUrgent ??= clock.schedule(dueMonoMs, () => this.#urgentRound());
  }

  /** An earlier due time holds; what is read then is the newest. */
  #wantLater(
    key: ActorKey,
    of: { read: Wanted['read']; waitMs: number; failures?: number; nulls?: number },
  ): void {
    const dueMonoMs = this.#options.clock.monoMs() + of.waitMs;
    const known = this.#wanted.get(key);
    this.#wanted.set(key, {
      read: of.read,
      dueMonoMs: Math.min(known?.dueMonoMs ?? dueMonoMs, dueMonoMs),
      failures: of.failures ?? known?.failures ?? 0,
      nulls: of.nulls ?? known?.nulls ?? 0,
    });
    this.#armCalm();
  }

  #armCalm(): void {
    const { clock } = this.#options;
    if (this.#wanted.size === 0 || this.#isFlushing) return;
    this.#cancelCalm ??= clock.schedule(clock.monoMs() + softStateLimits.roundMs, () => {
      this.#cancelCalm = null;
      this.#calmRound();
      this.#armCalm();
    });
  }

  #urgentRound(): void {
    this.#cancelUrgent = null;
    const due = [...this.#urgent];
    this.#urgent.clear();
    void this.#write(due);
  }

  #calmRound(): void {
    const nowMonoMs = this.#options.clock.monoMs();
    const due: ActorKey[] = [];
    for (const [key, { dueMonoMs }] of this.#wanted) if (dueMonoMs <= nowMonoMs) due.push(key);
    if (due.length > 0) void this.#write(due);
  }

  #write(keys: readonly ActorKey[]): Promise<void> {
    const written = inParallel([...byShard(keys)], softStateLimits.concurrency, ([shard, own]) =>
      this.#writeShard(shard, own),
    );
    this.#writing = Promise.allSettled([this.#writing, written]);
    return written;
  }

  async #writeShard(shard: ShardId, keys: readonly ActorKey[]): Promise<void> {
    const { held, mayAct } = this.#options;
    if (held.get(shard) === null) {
      this.drop(shard);
      return;
    }
    if (this.#busy.has(shard) || !mayAct(shard)) {
      // They stay wanted and due: the next round takes them.
      this.#armCalm();
      return;
    }
    this.#busy.add(shard);
    try {
      await this.#writeRows(shard, keys);
    } finally {
      this.#busy.delete(shard);
    }
  }

  async #writeRows(shard: ShardId, keys: readonly ActorKey[]): Promise<void> {
    let rows: SoftStateRow[] = [];
    let taken: [ActorKey, Wanted][] = [];
    let bytes = 0;
    for (const key of keys) {
      const wanted = this.#wanted.get(key);
      if (wanted === undefined) continue;
      this.#wanted.delete(key);
      const row = this.#rowOf(shard, key, wanted);
      if (row === null) continue;
      rows.push(row);
      taken.push([key, wanted]);
      bytes += row.body?.length ?? 0;
      if (rows.length < softStateLimits.rows && bytes < softStateLimits.bytes) continue;
      await this.#put(shard, rows, taken);
      rows = [];
      taken = [];
      bytes = 0;
    }
    if (rows.length > 0) await this.#put(shard, rows, taken);
  }

  /** null: nothing to write now. */
  #rowOf(shard: ShardId, key: ActorKey, wanted: Wanted): SoftStateRow | null {
    if (wanted.read === deletion) {
      return { key, seq: this.#options.held.get(shard)?.head ?? 0, body: null };
    }
    try {
      const state = wanted.read();
      if (state !== null) return { key, seq: state.seq, body: encodeValue(state.body) };
    } catch (cause) {
      this.#options.meter.count('soft_states_unreadable', 1);
      this.#options.logger.error('soft-state.unreadable', { key, cause });
    }
    const nulls = wanted.nulls + 1;
    if (!this.#isFlushing && nulls < softStateLimits.nulls) {
      const waitMs = softStateLimits.urgentMs * 2 ** nulls;
      this.#wantLater(key, { read: wanted.read, waitMs, nulls });
    }
    return null;
  }

  async #put(
    shard: ShardId,
    rows: readonly SoftStateRow[],
    taken: readonly (readonly [ActorKey, Wanted])[],
  ): Promise<void> {
    const { held, meter, logger, random } = this.#options;
    try {
      await held.get(shard)?.putStates(rows);
      meter.count('soft_states_written', rows.length);
    } catch (cause) {
      meter.count('soft_states_failed', rows.length);
      logger.warn('soft-state.unwritten', { shard, rows: rows.length, cause });
      for (const [key, { read, failures }] of taken) {
        // Wanted or deleted anew meanwhile: that one counts.
        if (this.#wanted.has(key)) continue;
        const waitMs = pauseMs(failures + 1, softStateLimits, random);
        this.#wantLater(key, { read, waitMs, failures: failures + 1 });
      }
    }
  }
}

function byShard(keys: readonly ActorKey[]): Map<ShardId, ActorKey[]> {
  const groups = new Map<ShardId, ActorKey[]>();
  for (const key of keys) {
    const shard = shardOf(key);
    const group = groups.get(shard);
    if (group === undefined) groups.set(shard, [key]);
    else group.push(key);
  }
  return groups;
}
