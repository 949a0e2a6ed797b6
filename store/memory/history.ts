// Class M, history, in memory: rows of each (table, partition) in (atMs, id) order; the same place overwrites.
import type { HistoryTable } from '../../runtime/effect.ts';
import type { HistoryRecord } from '../../runtime/ports.ts';
import { historyKeepMs, sweepRowsMax } from '../limits.ts';
import type { HistoryOperations, HistoryQuery } from '../operations.ts';
import { compareText, lowerBound, putInOrder } from '../order.ts';

type Partitions = Map<string, HistoryRecord[]>;

/** Returns the operations, and the sweep of one table's rows past their keep. */
export function memoryHistory(): HistoryOperations & {
  sweepHistory(table: HistoryTable, nowMs: number): number;
} {
  const tables = new Map<HistoryTable, Partitions>();
  const rowsOf = (table: HistoryTable, partition: string): HistoryRecord[] =>
    tables.get(table)?.get(partition) ?? [];
  return {
    appendHistory: (rows) => {
      for (const row of rows) append(tables, row);
    },
    historyPage: (query) => page(rowsOf(query.table, query.partition), query).map(copyRecord),
    historyRow: (table, partition, id) => {
      const found = rowsOf(table, partition).findLast((row) => row.id === id);
      return found === undefined ? null : copyRecord(found);
    },
    historyAfter: ({ table, partition, shard, afterSeq, limit }) =>
      rowsOf(table, partition)
        .filter((row) => row.shard === shard && row.seq > afterSeq)
        .sort((left, right) => left.seq - right.seq || inTime(left, right))
        .slice(0, limit)
        .map(copyRecord),
    sweepHistory: (table, nowMs) =>
      sweep(tables.get(table) ?? new Map(), nowMs - historyKeepMs[table]),
  };
}

function append(tables: Map<HistoryTable, Partitions>, row: HistoryRecord): void {
  const partitions: Partitions = tables.get(row.table) ?? new Map();
  tables.set(row.table, partitions);
  const rows = partitions.get(row.partition) ?? [];
  partitions.set(row.partition, rows);
  putInOrder(rows, row, inTime);
}

function page(rows: readonly HistoryRecord[], query: HistoryQuery): readonly HistoryRecord[] {
  const ordered = query.reverse ? rows.toReversed() : rows;
  let from = 0;
  if (query.marker !== null) {
    const marked = rows.findLastIndex((row) => row.id === query.marker);
    if (marked === -1) return [];
    from = query.reverse ? rows.length - 1 - marked : marked;
  }
  const found: HistoryRecord[] = [];
  for (let at = from; at < ordered.length && found.length < query.limit; at++) {
    const row = ordered[at] as HistoryRecord;
    if (isWanted(row, query)) found.push(row);
  }
  return found;
}

function isWanted(row: HistoryRecord, query: HistoryQuery): boolean {
  const inRange = row.atMs >= query.fromMs && row.atMs <= query.toMs;
  return inRange && (query.key === undefined || row.key === query.key);
}

function sweep(partitions: Partitions, beforeMs: number): number {
  let swept = 0;
  for (const [partition, rows] of partitions) {
    const expired = lowerBound(rows, (row) => row.atMs - beforeMs);
    const taken = Math.min(expired, sweepRowsMax - swept);
    rows.splice(0, taken);
    swept += taken;
    if (rows.length === 0) partitions.delete(partition);
    if (swept >= sweepRowsMax) break;
  }
  return swept;
}

function inTime(left: HistoryRecord, right: HistoryRecord): number {
  return left.atMs - right.atMs || compareText(left.id, right.id);
}

function copyRecord(row: HistoryRecord): HistoryRecord {
  return { ...row, body: new Uint8Array(row.body) };
}
