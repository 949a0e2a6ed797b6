// Class M, samples, in SQLite: ticks in eight tables of one hour each, in turn, so that what expires is whole tables
// and a sweep deletes neighbours, not single rows out of pages in use. Follows storage.md §4 (Q13, Q14).
import type { TickRow } from '../../runtime/ports.ts';
import { sweepRowsMax, tickKeepMs } from '../limits.ts';
import type { SampleOperations, TickQuery, TickSeries } from '../operations.ts';
import { bySlotAndZone } from '../order.ts';
import type { Database } from './driver.ts';
import { tickTables } from './schema.ts';

const hourMs = 3_600_000;
/** `newest` of a table without rows. */
const empty = -1;

/** One table of ticks; `newest` bounds the slots in it from above. */
interface TickTable {
  newest: number;
  append(row: TickRow): void;
  mark(newest: number): void;
  last(series: TickSeries, notBeforeMs: number): TickRow | undefined;
  read(query: TickQuery): readonly TickRow[];
  sweep(rowsMax: number): number;
}

/** Returns the operations with their statements prepared, and the sweep of ticks past their keep. */
export function sqliteSamples(
  db: Database,
): SampleOperations & { sweepTicks(nowMs: number): number } {
  const tables = Array.from({ length: tickTables }, (_, hour) => tickTable(db, hour));
  return {
    appendTicks: (rows) => {
      const touched = new Map<TickTable, number>();
      for (const row of rows) {
        const table = tables[Math.floor(row.slotAtMs / hourMs) % tickTables] as TickTable;
        table.append(row);
        touched.set(table, Math.max(touched.get(table) ?? 0, row.slotAtMs));
      }
      for (const [table, newest] of touched) table.mark(newest);
    },
    lastTicks: (of, notBeforeMs) => {
      const newestFirst = tables
        .filter((table) => table.newest >= Math.max(notBeforeMs, 0))
        .sort((left, right) => right.newest - left.newest);
      return of
        .map((series) => lastOf(newestFirst, series, notBeforeMs))
        .filter((row) => row !== undefined);
    },
    readTicks: (query) =>
      tables
        .filter((table) => table.newest >= Math.max(query.fromMs, 0))
        .flatMap((table) => table.read(query))
        .sort(bySlotAndZone)
        .slice(0, query.limit),
    sweepTicks: (nowMs) => {
      let swept = 0;
      for (const table of tables) {
        const isExpired = table.newest !== empty && table.newest < nowMs - tickKeepMs;
        if (isExpired && swept < sweepRowsMax) swept += table.sweep(sweepRowsMax - swept);
      }
      return swept;
    },
  };
}

/** A table holds another turn's hour too after a long stop, so the first hit counts only above the next table's newest. */
function lastOf(
  newestFirst: readonly TickTable[],
  series: TickSeries,
  notBeforeMs: number,
): TickRow | undefined {
  let best: TickRow | undefined;
  for (const table of newestFirst) {
    if (best !== undefined && best.slotAtMs >= table.newest) break;
    const row = table.last(series, best === undefined ? notBeforeMs : best.slotAtMs + 1);
    if (row !== undefined) best = row;
  }
  return best;
}

function tickTable(db: Database, hour: number): TickTable {
  const columns = 'shard, ekey AS key, chk AS "check", zone, slot AS slotAtMs, v AS value';
  const append = db.prepare(
    `INSERT INTO tick_${hour} (shard, ekey, chk, zone, slot, v) VALUES (?, ?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET v = excluded.v`,
  );
  const mark = db.prepare(
    `INSERT INTO tick_hour (hour, newest) VALUES (${hour}, ?)
      ON CONFLICT DO UPDATE SET newest = max(newest, excluded.newest)`,
  );
  const unmark = db.prepare(`DELETE FROM tick_hour WHERE hour = ${hour}`);
  const last = db.prepare(
    `SELECT ${columns} FROM tick_${hour}
      WHERE shard = ? AND ekey = ? AND chk = ? AND zone = ? AND slot >= ? ORDER BY slot DESC LIMIT 1`,
  );
  const read = db.prepare(
    `SELECT ${columns} FROM tick_${hour}
      WHERE shard = ? AND ekey = ? AND chk = ? AND slot >= ? AND slot < ? ORDER BY slot, zone LIMIT ?`,
  );
  const sweep = db.prepare(
    `DELETE FROM tick_${hour} WHERE (shard, ekey, chk, zone, slot) IN
      (SELECT shard, ekey, chk, zone, slot FROM tick_${hour} LIMIT ?)`,
  );
  const present = db.prepare('SELECT newest FROM tick_hour WHERE hour = ?').get(hour);
  return {
    newest: present?.newest ?? empty,
    append: ({ shard, key, check, zone, slotAtMs, value }) => {
      append.run(shard, key, check, zone, slotAtMs, value);
    },
    mark(newest) {
      mark.run(newest);
      this.newest = Math.max(this.newest, newest);
    },
    last: ({ shard, key, check, zone }, notBeforeMs) =>
      last.get(shard, key, check, zone, notBeforeMs),
    read: ({ shard, key, check, fromMs, toMs, limit }) =>
      read.all(shard, key, check, fromMs, toMs, limit),
    sweep(rowsMax) {
      const swept = sweep.run(rowsMax).changes;
      if (swept < rowsMax) {
        unmark.run();
        this.newest = empty;
      }
      return swept;
    },
  };
}
