// Class M, samples, in Cassandra: `tick` in partitions of ten minutes of a shard, expired by the table.
// Follows storage.md §4: Q13 (append), Q14 (the open hours, the last tick of a zone).
import type { ActorKey } from '../../runtime/ids.ts';
import type { Clock, TickRow } from '../../runtime/ports.ts';
import { tickKeepMs } from '../limits.ts';
import type { TickQuery, TickSeries } from '../operations.ts';
import { bySlotAndZone } from '../order.ts';
import { batches, blob, blobParam, inLanes, type SizedQuery, text, whole } from './cells.ts';
import { tickWindowMs } from './schema.ts';
import type { Session } from './session.ts';

const insertTick =
  'INSERT INTO tick (cluster, shard, win, ekey, chk, zone, slot, v) VALUES (?, ?, ?, ?, ?, ?, ?, ?)';
const selectCheck =
  'SELECT zone, slot, v FROM tick WHERE cluster = ? AND shard = ? AND win = ? AND ekey = ? AND chk = ?';
const selectLast = `SELECT slot, v FROM tick
  WHERE cluster = ? AND shard = ? AND win = ? AND ekey = ? AND chk = ? AND zone = ?
  ORDER BY ekey DESC, chk DESC, zone DESC, slot DESC LIMIT 1`;

/** Slots are planned a little ahead, and clocks differ. */
const aheadMs = 3_600_000;
const appendLanes = 32;
const seriesLanes = 64;
const windowLanes = 6;

export class CassandraSamples {
  readonly #session: Session;
  readonly #clock: Clock;

  constructor(session: Session, clock: Clock) {
    this.#session = session;
    this.#clock = clock;
  }

  async appendTicks(rows: readonly TickRow[]): Promise<void> {
    const partitions = new Map<string, Map<string, SizedQuery>>();
    for (const row of rows) {
      const win = windowOf(row.slotAtMs);
      const partition = `${row.shard}/${win}`;
      const queries = partitions.get(partition) ?? new Map<string, SizedQuery>();
      partitions.set(partition, queries);
      // The last of one slot: in one batch all have the same timestamp, and the larger value would win.
      queries.set(tickPlace(row), this.#insert(row, win));
    }
    const groups = [...partitions.values()].flatMap((queries) => batches([...queries.values()]));
    await inLanes(groups, appendLanes, (group) => this.#session.append('ticks', group));
  }

  #insert({ shard, key, check, zone, slotAtMs, value }: TickRow, win: number): SizedQuery {
    const place = [this.#session.cluster, shard, win, key, check, zone, slotAtMs];
    return { query: insertTick, params: [...place, blobParam(value)], bytes: 120 + value.length };
  }

  async lastTicks(of: readonly TickSeries[], notBeforeMs: number): Promise<readonly TickRow[]> {
    const range = this.#kept(notBeforeMs, Number.MAX_SAFE_INTEGER);
    const found = await inLanes(of, seriesLanes, (series) =>
      this.#last(series, range, notBeforeMs),
    );
    return found.filter((row) => row !== null);
  }

  async #last(series: TickSeries, range: Range, notBeforeMs: number): Promise<TickRow | null> {
    const { shard, key, check, zone } = series;
    for (let win = range.toWin; win >= range.fromWin; win--) {
      const params = [this.#session.cluster, shard, win, key, check, zone];
      const query = { query: selectLast, params };
      for await (const row of this.#session.rows('last tick', 'load', query, 1)) {
        const slotAtMs = whole(row, 'slot');
        if (slotAtMs < notBeforeMs) return null;
        return { ...{ shard, key, check, zone, slotAtMs }, value: blob(row, 'v') };
      }
    }
    return null;
  }

  async readTicks(query: TickQuery): Promise<readonly TickRow[]> {
    const { fromMs, toMs, limit } = query;
    const { fromWin, toWin } = this.#kept(fromMs, toMs - 1);
    const found: TickRow[] = [];
    // Windows follow in slot order, so the first ones fill the page.
    for (let win = fromWin; win <= toWin && found.length < limit; win += windowLanes) {
      const count = Math.min(windowLanes, toWin - win + 1);
      const windows = Array.from({ length: count }, (_, at) => win + at);
      const parts = await Promise.all(windows.map((at) => this.#window(query, at)));
      found.push(...parts.flat().sort(bySlotAndZone));
    }
    return found.slice(0, limit);
  }

  async #window({ shard, key, check, fromMs, toMs }: TickQuery, win: number): Promise<TickRow[]> {
    const rows: TickRow[] = [];
    const params = [this.#session.cluster, shard, win, key, check];
    for await (const row of this.#session.rows('ticks', 'scan', { query: selectCheck, params })) {
      const slotAtMs = whole(row, 'slot');
      if (slotAtMs < fromMs || slotAtMs >= toMs) continue;
      rows.push({
        shard,
        key: key as ActorKey,
        check,
        zone: text(row, 'zone'),
        slotAtMs,
        value: blob(row, 'v'),
      });
    }
    return rows;
  }

  /** The windows of a range that can hold anything, both ends included. */
  #kept(fromMs: number, toMs: number): Range {
    const nowMs = this.#clock.nowMs();
    return {
      fromWin: windowOf(Math.max(fromMs, nowMs - tickKeepMs - tickWindowMs)),
      toWin: windowOf(Math.min(toMs, nowMs + aheadMs)),
    };
  }
}

interface Range {
  readonly fromWin: number;
  readonly toWin: number;
}

function windowOf(slotAtMs: number): number {
  return Math.floor(slotAtMs / tickWindowMs);
}

function tickPlace({ key, check, zone, slotAtMs }: TickRow): string {
  return `${key}\n${check}\n${zone}\n${slotAtMs}`;
}
