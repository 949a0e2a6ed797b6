// Writes what committed rows project: documents, listing, history, in log order, tried again until it is done. Then tells
// the watermark and the live streams. One per held shard. Must not know who waits for it, nor what a document says.
import { encodeValue } from '../runtime/codec.ts';
import type { DocumentWrite, HistoryTable } from '../runtime/effect.ts';
import { type ActorKey, entityOf, type ShardId, tenantOf } from '../runtime/ids.ts';
import type {
  Clock,
  DocumentRow,
  EventBus,
  History,
  HistoryRecord,
  Logger,
  Meter,
  Random,
  StateStore,
} from '../runtime/ports.ts';
import { Ring } from '../runtime/ring.ts';
import type { Timestamps } from './epoch-timestamp.ts';
import { projectionLimits } from './limits.ts';
import type { LogRecord } from './log-record.ts';
import { pause, pauseMs } from './pause.ts';

export interface ProjectorOptions {
  readonly shard: ShardId;
  readonly timestamps: Timestamps;
  readonly states: StateStore;
  readonly history: History;
  readonly events: EventBus;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
  /** All rows up to `seq` are projected. */
  readonly onProjected: (seq: number) => void;
}

/** Everything that one batch projects; sent again with the same timestamps. */
interface Projection {
  readonly lastSeq: number;
  readonly documents: { readonly ts: number; readonly rows: readonly DocumentRow[] } | null;
  readonly listings: readonly Parameters<StateStore['putListing']>[0][];
  readonly history: readonly HistoryRecord[];
  readonly done: () => void;
}

const tenantTables: ReadonlySet<HistoryTable> = new Set(['changelog', 'audit', 'suppression_log']);

export class Projector {
  readonly #options: ProjectorOptions;
  readonly #queue = new Ring<Projection>();
  #idle: (() => void)[] = [];
  #isRunning = false;
  #isStopped = false;

  constructor(options: ProjectorOptions) {
    this.#options = options;
  }

  /** Batches not yet projected. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** Takes the records of one applied batch; resolves once they are projected, never rejects. */
  add(records: readonly LogRecord[]): Promise<void> {
    return new Promise((resolve) => {
      this.#queue.push(this.#projectionOf(records, resolve));
      void this.#run();
    });
  }

  /** Resolves once nothing waits any more. */
  idle(): Promise<void> {
    if (!this.#isRunning) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** The shard is lost: the next owner projects what is left. */
  stop(): void {
    this.#isStopped = true;
  }

  async #run(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    for (let next = this.#queue.peek(); next !== undefined; next = this.#queue.peek()) {
      await this.#write(next);
      if (this.#isStopped) break;
      this.#queue.shift();
      this.#options.onProjected(next.lastSeq);
      for (const record of next.history) {
        if (record.table === 'changelog') this.#options.events.publish(record);
      }
      next.done();
    }
    this.#isRunning = false;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  async #write(projection: Projection): Promise<void> {
    const { clock, random, meter, logger, shard } = this.#options;
    for (let attempt = 1; !this.#isStopped; attempt++) {
      try {
        await this.#writeOnce(projection);
        return;
      } catch (cause) {
        meter.count('projections_retried', 1);
        if (attempt === 1) logger.warn('projection.failed', { shard, cause });
        await pause(clock, pauseMs(attempt, projectionLimits, random));
      }
    }
  }

  async #writeOnce({ documents, listings, history }: Projection): Promise<void> {
    const { states, shard } = this.#options;
    const writes = listings.map((row) => states.putListing(row));
    if (documents !== null) writes.push(states.putDocuments(shard, documents.ts, documents.rows));
    if (history.length > 0) writes.push(this.#options.history.append(history));
    await Promise.all(writes);
  }

  #projectionOf(records: readonly LogRecord[], done: () => void): Projection {
    const documents = documentRows(records);
    const { timestamps, clock } = this.#options;
    const updatedMs = clock.nowMs();
    return {
      lastSeq: records[records.length - 1]?.seq ?? 0,
      documents: documents.length === 0 ? null : { ts: timestamps.next(), rows: documents },
      listings: listingLines(records).map((line) => ({
        ...line,
        updatedMs,
        ts: timestamps.next(),
      })),
      history: records.flatMap((record) => historyRecords(record, this.#options.shard)),
      done,
    };
  }
}

/** The last write of each document: one request has one timestamp, so it may name a row once only. */
function documentRows(records: readonly LogRecord[]): DocumentRow[] {
  const last = new Map<string, DocumentRow>();
  for (const record of records) {
    for (const document of record.documents) {
      const place = `${record.key}\n${document.kind}\n${document.id}`;
      last.set(place, documentRow(record.key, document));
    }
  }
  return [...last.values()];
}

/** Returns a document as the store takes it. */
export function documentRow(key: ActorKey, document: DocumentWrite): DocumentRow {
  const { kind, id, rev, body } = document;
  return { key, kind, id, rev, body: body === null ? null : encodeValue(body) };
}

function listingLines(
  records: readonly LogRecord[],
): { tenant: string; entity: string; label: string | null }[] {
  const last = new Map<ActorKey, { tenant: string; entity: string; label: string | null }>();
  for (const { key, listing } of records) {
    const entity = entityOf(key);
    if (listing === null || entity === null) continue;
    last.set(key, { tenant: tenantOf(key), entity, label: listing.label });
  }
  return [...last.values()];
}

function historyRecords(record: LogRecord, shard: ShardId): HistoryRecord[] {
  return record.history.map(({ table, id, atMs, body }) => ({
    table,
    partition: tenantTables.has(table) ? tenantOf(record.key) : record.key,
    atMs,
    id,
    key: record.key,
    shard,
    seq: record.seq,
    body: encodeValue(body),
  }));
}
