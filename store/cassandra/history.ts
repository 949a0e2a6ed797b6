// Class M, history, in Cassandra: five tables of one shape in partitions of 30 days, expired by the table.
// Follows storage.md §3 and §4 (Q18). An id tells its instant, so a row is found by its id alone.
import type { HistoryTable } from '../../runtime/effect.ts';
import type { ActorKey } from '../../runtime/ids.ts';
import type { Clock, HistoryRecord } from '../../runtime/ports.ts';
import { timeOf } from '../../runtime/time-id.ts';
import { historyKeepMs, historyTables } from '../limits.ts';
import type { HistoryQuery, ReplayQuery } from '../operations.ts';
import { batches, blob, blobParam, inLanes, type SizedQuery, text, whole } from './cells.ts';
import type { DriverRow } from './clients.ts';
import { historyBucketMs } from './schema.ts';
import type { Session } from './session.ts';

const dayMs = 86_400_000;
/** Rows of nodes whose clocks run ahead. */
const aheadMs = dayMs;
const appendLanes = 32;
const pageRowsMax = 1000;
/** Above every id: an open upper end. */
const lastId = '\u{10ffff}';
/** Seqs of a shard follow its instants but for the clocks of two owners, and late projections. */
const seqSlackMs = 600_000;

interface Statements {
  readonly insert: string;
  readonly get: string;
  readonly forward: string;
  readonly reverse: string;
}

const statements = Object.fromEntries(
  historyTables.map((table) => [table, statementsOf(table)]),
) as Record<HistoryTable, Statements>;

function statementsOf(table: HistoryTable): Statements {
  const select = `SELECT at, id, ekey, shard, seq, body FROM ${table} WHERE part = ? AND bucket = ?`;
  const range = `${select} AND (at, id) >= (?, ?) AND (at, id) <= (?, ?)`;
  return {
    insert: `INSERT INTO ${table} (part, bucket, at, id, ekey, shard, seq, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    get: `${select} AND at = ? AND id = ?`,
    forward: `${range} ORDER BY at ASC, id ASC`,
    reverse: `${range} ORDER BY at DESC, id DESC`,
  };
}

interface Place {
  readonly atMs: number;
  readonly id: string;
}

interface Walk {
  readonly table: HistoryTable;
  readonly partition: string;
  readonly from: Place;
  readonly to: Place;
  readonly reverse: boolean;
  readonly pageRows: number;
}

export class CassandraHistory {
  readonly #session: Session;
  readonly #clock: Clock;

  constructor(session: Session, clock: Clock) {
    this.#session = session;
    this.#clock = clock;
  }

  async append(rows: readonly HistoryRecord[]): Promise<void> {
    const partitions = new Map<string, Map<string, SizedQuery>>();
    for (const row of rows) {
      const partition = `${row.table}\n${row.partition}\n${bucketOf(row.atMs)}`;
      const queries = partitions.get(partition) ?? new Map<string, SizedQuery>();
      partitions.set(partition, queries);
      queries.set(`${row.atMs}\n${row.id}`, insertOf(row));
    }
    const groups = [...partitions.values()].flatMap((queries) => batches([...queries.values()]));
    await inLanes(groups, appendLanes, (group) => this.#session.append('history', group));
  }

  async page(query: HistoryQuery): Promise<readonly HistoryRecord[]> {
    const { table, partition, reverse, limit, key } = query;
    let from: Place = { atMs: query.fromMs, id: '' };
    let to: Place = { atMs: query.toMs, id: lastId };
    if (query.marker !== null) {
      const marked = await this.get(table, partition, query.marker);
      if (marked === null) return [];
      if (reverse) to = earlier(to, marked);
      else from = later(from, marked);
    }
    const found: HistoryRecord[] = [];
    if (limit === 0) return found;
    const pageRows = Math.min(key === undefined ? limit : pageRowsMax, pageRowsMax);
    for await (const row of this.#walk({ table, partition, from, to, reverse, pageRows })) {
      if (key === undefined || row.key === key) found.push(row);
      if (found.length >= limit) break;
    }
    return found;
  }

  async get(table: HistoryTable, partition: string, id: string): Promise<HistoryRecord | null> {
    const atMs = timeOf(id);
    if (atMs === null) return null;
    const params = [partition, bucketOf(atMs), atMs, id];
    const query = { query: statements[table].get, params };
    for await (const row of this.#session.rows(`row of ${table}`, 'scan', query, 1)) {
      return recordOf(table, partition, row);
    }
    return null;
  }

  /** Walks back until it is past the row that the caller has seen, and keeps the lowest seqs. */
  async after(query: ReplayQuery): Promise<readonly HistoryRecord[]> {
    const { table, partition, shard, afterSeq, limit } = query;
    let found: HistoryRecord[] = [];
    let stopAtMs = 0;
    const walk = {
      ...{ table, partition, reverse: true, pageRows: pageRowsMax },
      from: { atMs: 0, id: '' },
      to: { atMs: Number.MAX_SAFE_INTEGER, id: lastId },
    };
    for await (const row of this.#walk(walk)) {
      if (row.atMs < stopAtMs) break;
      if (row.shard !== shard || row.seq === 0) continue;
      if (row.seq <= afterSeq) stopAtMs = Math.max(stopAtMs, row.atMs - seqSlackMs);
      else found.push(row);
      if (found.length > 2 * limit + pageRowsMax) found = lowest(found, limit);
    }
    return lowest(found, limit);
  }

  async *#walk(walk: Walk): AsyncGenerator<HistoryRecord> {
    const { table, partition, from, to, reverse, pageRows } = walk;
    const nowMs = this.#clock.nowMs();
    const first = bucketOf(Math.max(from.atMs, nowMs - historyKeepMs[table]));
    const last = bucketOf(Math.min(to.atMs, nowMs + aheadMs));
    const query = reverse ? statements[table].reverse : statements[table].forward;
    for (let step = 0; step <= last - first; step++) {
      const bucket = reverse ? last - step : first + step;
      const params = [partition, bucket, from.atMs, from.id, to.atMs, to.id];
      const rows = this.#session.rows(`rows of ${table}`, 'scan', { query, params }, pageRows);
      for await (const row of rows) yield recordOf(table, partition, row);
    }
  }
}

function insertOf(row: HistoryRecord): SizedQuery {
  const { table, partition, atMs, id, key, shard, seq, body } = row;
  return {
    query: statements[table].insert,
    params: [partition, bucketOf(atMs), atMs, id, key, shard, seq, blobParam(body)],
    bytes: 150 + body.length,
  };
}

function recordOf(table: HistoryTable, partition: string, row: DriverRow): HistoryRecord {
  return {
    ...{ table, partition, atMs: whole(row, 'at'), id: text(row, 'id') },
    ...{ key: text(row, 'ekey') as ActorKey, shard: whole(row, 'shard'), seq: whole(row, 'seq') },
    body: blob(row, 'body'),
  };
}

function lowest(rows: readonly HistoryRecord[], limit: number): HistoryRecord[] {
  return rows
    .toSorted((left, right) => left.seq - right.seq || inTime(left, right))
    .slice(0, limit);
}

/** Ids are ASCII, so texts compare as bytes do. */
function inTime(left: Place, right: Place): number {
  return left.atMs - right.atMs || (left.id < right.id ? -1 : Number(left.id > right.id));
}

function earlier(left: Place, right: Place): Place {
  return inTime(left, right) <= 0 ? left : right;
}

function later(left: Place, right: Place): Place {
  return inTime(left, right) >= 0 ? left : right;
}

function bucketOf(atMs: number): number {
  return Math.floor(atMs / historyBucketMs);
}
