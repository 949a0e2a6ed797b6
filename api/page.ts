// Pages of lists: `limit` and inclusive `marker` of a request, the envelope with its metadata, and the next page's link.
// Order is lexicographic by id. Must not know where items come from.
import { type Answer, ok } from './answer.ts';
import type { Call } from './call.ts';
import { ApiError } from './errors.ts';
import { valuesOf } from './query.ts';

export interface PageRequest {
  /** 1..1000, default 100. */
  readonly limit: number;
  /** Id of the first item wanted; null: from the first. */
  readonly marker: string | null;
}

/** Parameters that no link repeats. */
const dropped = new Set(['x-auth-token', 'jsonp', 'limit', 'marker', '_who', '_why']);

/** Returns what page the request asks for; throws 400 `invalidLimit`. */
export function pageRequest(call: Call): PageRequest {
  const marker = call.query.get('marker');
  return { limit: limitOf(call.query), marker: marker === '' ? null : marker };
}

function limitOf(query: URLSearchParams): number {
  const text = query.get('limit');
  if (text === null || text === '') return 100;
  const limit = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= 1000) return limit;
  throw new ApiError('invalidLimit', 'Limit must be an integer between 1 and 1000', {
    details: `Limit "${text.slice(0, 40)}" is not an integer in 1..1000`,
  });
}

/** Answers with the page of `items` that the request asks for; `?id=` filters it where `filter` says so. */
export function pageOf<Item>(
  call: Call,
  items: readonly Item[],
  keyOf: (item: Item) => string,
  options: { readonly filterById?: boolean } = {},
): Answer {
  const request = pageRequest(call);
  const wanted = options.filterById === true ? new Set(valuesOf(call.query, 'id')) : new Set();
  const sorted = items
    .filter((item) => wanted.size === 0 || wanted.has(keyOf(item)))
    .map((item) => ({ key: keyOf(item), item }))
    .sort(byKey);
  const { marker } = request;
  const from = marker === null ? 0 : sorted.findIndex((entry) => entry.key >= marker);
  const rest = from === -1 ? [] : sorted.slice(from, from + request.limit + 1);
  const page = rest.slice(0, request.limit).map((entry) => entry.item);
  return envelope(call, page, request, rest[request.limit]?.key ?? null);
}

function byKey(a: { readonly key: string }, b: { readonly key: string }): number {
  if (a.key === b.key) return 0;
  return a.key < b.key ? -1 : 1;
}

/** Answers with a page that the caller has cut; `next` is the key of the next page's first item. */
export function envelope(
  call: Call,
  values: readonly unknown[],
  request: PageRequest,
  next: string | null,
  extra: Readonly<Record<string, unknown>> = {},
): Answer {
  return ok({
    values,
    metadata: {
      count: values.length,
      limit: request.limit,
      marker: request.marker,
      next_marker: next,
      next_href: next === null ? null : nextHref(call, request.limit, next),
      ...extra,
    },
  });
}

/** Answers with a whole list: `limit` null, no markers. `beside` stands beside values and metadata. */
export function wholeList(
  values: readonly unknown[],
  extra: Readonly<Record<string, unknown>> = {},
  beside: Readonly<Record<string, unknown>> = {},
): Answer {
  const none = { limit: null, marker: null, next_marker: null, next_href: null };
  return ok({ values, metadata: { count: values.length, ...none, ...extra }, ...beside });
}

function nextHref(call: Call, limit: number, next: string): string {
  const query = new URLSearchParams();
  query.set('limit', String(limit));
  query.set('marker', next);
  for (const [name, value] of call.query) {
    if (!dropped.has(name.toLowerCase())) query.append(name, value);
  }
  const path = (call.url.split('?')[0] ?? '').replace(/\/{2,}/g, '/').replace(/\/$/, '');
  return `${call.origin}${path}?${query.toString()}`;
}
