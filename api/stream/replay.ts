// What a stream's client missed: changelog rows after its Last-Event-ID. Of the id's own shard exactly what followed, of
// other shards from 60 s before (their rows may land late). Repeated rows have the same id; the caller drops them.
import type { ActorKey } from '../../runtime/ids.ts';
import type { History, HistoryRecord } from '../../runtime/ports.ts';
import { timeOf } from '../../runtime/time-id.ts';

export interface ReplayOf {
  readonly tenant: string;
  /** Only rows of this actor; null: all of the tenant. */
  readonly key: ActorKey | null;
  readonly lastEventId: string;
  readonly nowMs: number;
}

/** Rows that land late in other shards lie at most so far back. */
export const overlapMs = 60_000;
const pageRows = 500;

interface Position {
  readonly shard: number;
  readonly seq: number;
  readonly atMs: number;
}

/** Returns where an id stands, or null where it is not in the changelog (any more). Rejects where the store does not answer. */
export async function positionOf(
  history: History,
  tenant: string,
  lastEventId: string,
): Promise<Position | null> {
  const parts = /^([0-9a-f-]{36})\.\d{1,16}$/.exec(lastEventId);
  if (parts === null || timeOf(parts[1] as string) === null) return null;
  const record = await history.get('changelog', tenant, parts[1] as string);
  return record === null ? null : { shard: record.shard, seq: record.seq, atMs: record.atMs };
}

/** Yields the rows that followed a position, a page at a time. */
export async function* replay(
  history: History,
  of: ReplayOf,
  from: Position,
): AsyncGenerator<readonly HistoryRecord[]> {
  const isWanted = (record: HistoryRecord): boolean => of.key === null || record.key === of.key;
  for await (const rows of ownShard(history, of, from)) yield rows.filter(isWanted);
  for await (const rows of changelogPages(history, {
    tenant: of.tenant,
    fromMs: from.atMs - overlapMs,
    toMs: of.nowMs + overlapMs,
  })) {
    yield rows.filter((row) => isWanted(row) && !(row.shard === from.shard && row.seq <= from.seq));
  }
}

async function* ownShard(
  history: History,
  of: ReplayOf,
  from: Position,
): AsyncGenerator<readonly HistoryRecord[]> {
  let afterSeq = from.seq;
  for (;;) {
    const rows = await history.after({
      table: 'changelog',
      partition: of.tenant,
      shard: from.shard,
      afterSeq,
      limit: pageRows,
    });
    if (rows.length > 0) yield rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageRows || last.seq <= afterSeq) return;
    // Rows of one decision share a seq: the page may have cut between them.
    afterSeq = last.seq - 1 > afterSeq ? last.seq - 1 : last.seq;
  }
}

/** Yields the changelog of a tenant in a range of time, a page at a time. */
export async function* changelogPages(
  history: History,
  range: { readonly tenant: string; readonly fromMs: number; readonly toMs: number },
): AsyncGenerator<readonly HistoryRecord[]> {
  let marker: string | null = null;
  do {
    const rows: readonly HistoryRecord[] = await history.page({
      table: 'changelog',
      partition: range.tenant,
      fromMs: Math.max(0, range.fromMs),
      toMs: range.toMs,
      marker,
      reverse: false,
      limit: pageRows + 1,
    });
    yield rows.slice(0, pageRows);
    marker = rows[pageRows]?.id ?? null;
  } while (marker !== null);
}
