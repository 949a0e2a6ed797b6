// Pages of history: a time range, oldest first or `reverse`, marked by the UUID of the next page's first item.
// Reads through the History port; bodies are decoded here and served with the row's id.
import type { HistoryTable } from '../runtime/effect.ts';
import type { ActorKey } from '../runtime/ids.ts';
import type { HistoryRecord } from '../runtime/ports.ts';
import { timeOf } from '../runtime/time-id.ts';
import type { Answer } from './answer.ts';
import type { Call } from './call.ts';
import { badRequest, invalidKey } from './errors.ts';
import { envelope, type PageRequest, pageRequest } from './page.ts';
import { flagOf, wholeOf } from './query.ts';
import { bodyOf } from './record-body.ts';

const defaultRangeMs = 7 * 24 * 3_600_000;

export interface SeriesRequest extends PageRequest {
  readonly fromMs: number;
  readonly toMs: number;
  readonly reverse: boolean;
}

/** Returns the range and page that the request asks for; throws 400. Without a range: the last 7 days. */
export function seriesRequest(call: Call): SeriesRequest {
  const page = pageRequest(call);
  if (page.marker !== null && timeOf(page.marker) === null) {
    throw badRequest('The marker is not an id of this list', `Invalid marker "${page.marker}"`);
  }
  const toMs = wholeOf(call.query, 'to') ?? call.ports.clock.nowMs();
  const fromMs = wholeOf(call.query, 'from') ?? Math.max(0, toMs - defaultRangeMs);
  if (fromMs > toMs) throw invalidKey('from', "'from' must not be greater than 'to'");
  return { ...page, fromMs, toMs, reverse: flagOf(call.query, 'reverse') };
}

export interface SeriesSource {
  readonly table: HistoryTable;
  /** Tenant, or the actor's key. */
  readonly partition: string;
  /** Only rows of this actor. */
  readonly key?: ActorKey;
}

/** Answers with the page of a table; `itemOf` makes an item of a row. */
export async function seriesOf(
  call: Call,
  source: SeriesSource,
  itemOf: (record: HistoryRecord, body: Readonly<Record<string, unknown>>) => unknown,
): Promise<Answer> {
  const request = seriesRequest(call);
  const rows = await call.ports.history.page({
    ...source,
    fromMs: request.fromMs,
    toMs: request.toMs,
    marker: request.marker,
    reverse: request.reverse,
    limit: request.limit + 1,
  });
  const values = rows.slice(0, request.limit).map((row) => itemOf(row, bodyOf(row)));
  return seriesAnswer(call, values, request, rows[request.limit]?.id ?? null);
}

/** Answers with items already cut to a page. */
export function seriesAnswer(
  call: Call,
  values: readonly unknown[],
  request: SeriesRequest,
  next: string | null,
): Answer {
  return envelope(call, values, request, next, { from: request.fromMs, to: request.toMs });
}
