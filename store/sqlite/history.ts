// Class M, history, in SQLite: five tables of one shape, in (partition, at, id) order; the same place overwrites.
// Follows storage.md §3 and §4 (Q18).
import type { HistoryTable } from '../../runtime/effect.ts';
import type { HistoryRecord } from '../../runtime/ports.ts';
import { historyKeepMs, historyTables, sweepRowsMax } from '../limits.ts';
import type { HistoryOperations, HistoryQuery, ReplayQuery } from '../operations.ts';
import type { Database } from './driver.ts';

interface HistoryFile {
  append(row: HistoryRecord): void;
  page(query: HistoryQuery): readonly HistoryRecord[];
  row(partition: string, id: string): HistoryRecord | undefined;
  after(query: ReplayQuery): readonly HistoryRecord[];
  sweep(beforeMs: number): number;
}

/** A place in a partition's order. */
interface Place {
  readonly atMs: number;
  readonly id: string;
}

/** Returns the operations with their statements prepared, and the sweep of one table's rows past their keep. */
export function sqliteHistory(
  db: Database,
): HistoryOperations & { sweepHistory(table: HistoryTable, nowMs: number): number } {
  const files = Object.fromEntries(
    historyTables.map((table) => [table, historyFile(db, table)]),
  ) as Record<HistoryTable, HistoryFile>;
  return {
    appendHistory: (rows) => {
      for (const row of rows) files[row.table].append(row);
    },
    historyPage: (query) => files[query.table].page(query),
    historyRow: (table, partition, id) => files[table].row(partition, id) ?? null,
    historyAfter: (query) => files[query.table].after(query),
    sweepHistory: (table, nowMs) => files[table].sweep(nowMs - historyKeepMs[table]),
  };
}

function historyFile(db: Database, table: HistoryTable): HistoryFile {
  const columns = `'${table}' AS "table", part AS "partition", at AS atMs, id, ekey AS key, shard, seq, body`;
  const append = db.prepare(
    `INSERT INTO ${table} (part, at, id, ekey, shard, seq, body) VALUES (?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET ekey = excluded.ekey, shard = excluded.shard, seq = excluded.seq, body = excluded.body`,
  );
  const row = db.prepare(
    `SELECT ${columns} FROM ${table} WHERE part = ? AND id = ? ORDER BY at DESC LIMIT 1`,
  );
  const after = db.prepare(
    `SELECT ${columns} FROM ${table} WHERE part = ? AND shard = ? AND seq > ?
      ORDER BY seq, at, id LIMIT ?`,
  );
  const sweep = db.prepare(
    `DELETE FROM ${table} WHERE (part, at, id) IN
      (SELECT part, at, id FROM ${table} WHERE at < ? LIMIT ${sweepRowsMax})`,
  );
  const pages = pageReader(db, table, columns);
  return {
    append: ({ partition, atMs, id, key, shard, seq, body }) => {
      append.run(partition, atMs, id, key, shard, seq, body);
    },
    row: (partition, id) => row.get(partition, id),
    after: ({ partition, shard, afterSeq, limit }) => after.all(partition, shard, afterSeq, limit),
    sweep: (beforeMs) => sweep.run(beforeMs).changes,
    page: (query) => {
      if (query.marker === null) return pages(query, null);
      const marked: HistoryRecord | undefined = row.get(query.partition, query.marker);
      return marked === undefined ? [] : pages(query, marked);
    },
  };
}

/** Returns a reader of pages, from `first` on in the order of the query where it is given. */
function pageReader(
  db: Database,
  table: HistoryTable,
  columns: string,
): (query: HistoryQuery, first: Place | null) => readonly HistoryRecord[] {
  const statement = (start: '>=' | '<=', direction: 'ASC' | 'DESC', actor: string) =>
    db.prepare(
      `SELECT ${columns} FROM ${table}
        WHERE part = ? AND at >= ? AND at <= ? AND (at, id) ${start} (?, ?) ${actor}
        ORDER BY at ${direction}, id ${direction} LIMIT ?`,
    );
  const forward = [statement('>=', 'ASC', ''), statement('>=', 'ASC', 'AND ekey = ?')] as const;
  const reverse = [statement('<=', 'DESC', ''), statement('<=', 'DESC', 'AND ekey = ?')] as const;
  return (query, first) => {
    const { partition, fromMs, toMs, key, limit } = query;
    // Without a marker the place is outside of the range, so that the range alone decides.
    const open = query.reverse ? { atMs: toMs + 1, id: '' } : { atMs: fromMs, id: '' };
    const place = first ?? open;
    const bounds = [partition, fromMs, toMs, place.atMs, place.id];
    const [any, ofActor] = query.reverse ? reverse : forward;
    return key === undefined ? any.all(...bounds, limit) : ofActor.all(...bounds, key, limit);
  };
}
