// The body of a log row: the decision and what is projected from it, so that any later owner can project it again.
// Layout `[version, body, documents, history, listing]`, encoded by the codec. Must not know what a body means.
import { decodeValue, encodeValue } from '../runtime/codec.ts';
import type {
  DecisionRow,
  DocumentKind,
  DocumentWrite,
  HistoryTable,
  HistoryWrite,
  ListingWrite,
  RowKind,
} from '../runtime/effect.ts';
import { TocsinError } from '../runtime/errors.ts';
import type { ActorKey } from '../runtime/ids.ts';

const version = 1;

/** What a log row says, decoded. */
export interface LogRecord {
  readonly seq: number;
  readonly key: ActorKey;
  readonly kind: RowKind;
  readonly body: unknown;
  readonly documents: readonly DocumentWrite[];
  readonly history: readonly HistoryWrite[];
  readonly listing: ListingWrite | null;
}

/** Returns the stored body of a decision. Throws `RT_DECODE` for what the codec refuses. */
export function encodeDecision(row: DecisionRow): Uint8Array {
  return encodeValue([
    version,
    row.body ?? null,
    (row.documents ?? []).map(({ kind, id, rev, body }) => [kind, id, rev, body ?? null]),
    (row.history ?? []).map(({ table, id, atMs, body }) => [table, id, atMs, body ?? null]),
    row.listing === undefined ? null : [row.listing.label],
  ]);
}

/** Returns the record in a stored row; throws `RT_DECODE` where its body is none of this layout. */
export function decodeLogRow(row: {
  readonly seq: number;
  readonly key: ActorKey;
  readonly kind: RowKind;
  readonly body: Uint8Array;
}): LogRecord {
  const parts = decodeValue(row.body);
  if (!isDecision(parts)) {
    throw new TocsinError('RT_DECODE', `log row ${row.seq} of ${row.key} is no decision`);
  }
  const [, body, documents, history, listing] = parts;
  return {
    seq: row.seq,
    key: row.key,
    kind: row.kind,
    body,
    documents: documents.map(([kind, id, rev, content]) => ({ kind, id, rev, body: content })),
    history: history.map(([table, id, atMs, content]) => ({ table, id, atMs, body: content })),
    listing: listing === null ? null : { label: listing[0] },
  };
}

type Layout = [
  version: number,
  body: unknown,
  documents: [DocumentKind, string, number, unknown][],
  history: [HistoryTable, string, number, unknown][],
  listing: [string | null] | null,
];

function isDecision(parts: unknown): parts is Layout {
  if (!Array.isArray(parts) || parts[0] !== version) return false;
  const [, , documents, history, listing] = parts as unknown[];
  if (!isWrites(documents, 'number') || !isWrites(history, 'string')) return false;
  if (listing === null) return true;
  return Array.isArray(listing) && (listing[0] === null || typeof listing[0] === 'string');
}

/** Whether these are `[place, id, number, body]`, a document's place being a number, a history row's a name. */
function isWrites(writes: unknown, place: 'number' | 'string'): boolean {
  return (
    Array.isArray(writes) &&
    writes.every(
      (write) =>
        Array.isArray(write) &&
        typeof write[0] === place &&
        typeof write[1] === 'string' &&
        Number.isFinite(write[2]),
    )
  );
}

/** Returns the record of a decision as it was committed under `seq`. */
export function recordOf(seq: number, key: ActorKey, row: DecisionRow): LogRecord {
  return {
    seq,
    key,
    kind: row.kind,
    body: row.body,
    documents: row.documents ?? [],
    history: row.history ?? [],
    listing: row.listing ?? null,
  };
}
