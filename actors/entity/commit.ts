// How a configuration change of an entity becomes a decision: one row with its documents, listing line and audit record,
// and its outcome remembered for a repeated request. Must not know which changes are allowed.
import {
  type DocumentKind,
  type DocumentWrite,
  documentKinds,
  type ListingWrite,
  rowKinds,
} from '../../runtime/effect.ts';
import { murmur3 } from '../../runtime/ids.ts';
import { timeId } from '../../runtime/time-id.ts';
import type { Change } from '../change.ts';
import { type RecentChange, remembered } from '../tenant/idempotency.ts';
import type { ConfigBody, StoredBody } from './load.ts';
import { type Stored, tenantIdOf } from './state.ts';
import { saved, type Turn } from './turn.ts';

/** A change that was accepted. */
export interface AcceptedChange {
  /** Message kind, for example `check.update`. */
  readonly kind: string;
  /** Id of the object changed. */
  readonly id: string;
  readonly change: Change;
  /** Value of the reply. */
  readonly value: unknown;
  readonly written: readonly WrittenDocument[];
  readonly listing?: ListingWrite;
}

/** A document to write; `stored` null deletes it. */
export interface WrittenDocument {
  readonly kind: 'entity' | 'check' | 'alarm';
  readonly id: string;
  readonly rev: number;
  readonly stored: Stored<unknown> | null;
}

/** Returns the write of a stored document. */
export function written(
  kind: WrittenDocument['kind'],
  stored: Stored<{ readonly id: string }>,
): WrittenDocument {
  return { kind, id: stored.doc.id, rev: stored.rev, stored };
}

/** Returns the deletion of a stored document. */
export function deleted(
  kind: WrittenDocument['kind'],
  stored: Stored<{ readonly id: string }>,
): WrittenDocument {
  return { kind, id: stored.doc.id, rev: stored.rev + 1, stored: null };
}

/** Commits a change that was accepted, and remembers its outcome. */
export function committed(turn: Turn, accepted: AcceptedChange): void {
  const { nowMs } = turn.context;
  const { change } = accepted;
  const recent = remembered(turn.state.recent, change, accepted.value, nowMs);
  const last = change.idempotencyKey === null ? null : (recent.at(-1) ?? null);
  turn.state = { ...turn.state, recent };
  const body: ConfigBody = { change: accepted.kind, id: accepted.id, txnId: change.txnId, last };
  const row = {
    kind: rowKinds.config,
    body,
    documents: accepted.written.map((one) => documentWrite(one, last)),
    history: [auditRecord(turn, accepted)],
  };
  const { listing } = accepted;
  turn.effects.push({ type: 'commit', rows: [listing === undefined ? row : { ...row, listing }] });
  saved(turn, 'soon');
}

function documentWrite(one: WrittenDocument, last: RecentChange | null): DocumentWrite {
  const kind: DocumentKind = documentKinds[one.kind];
  if (one.stored === null) return { kind, id: one.id, rev: one.rev, body: null };
  const body: StoredBody<unknown> = { doc: one.stored.doc, madeBy: one.stored.madeBy, last };
  return { kind, id: one.id, rev: one.rev, body };
}

function auditRecord(turn: Turn, accepted: AcceptedChange) {
  const { change, kind, id } = accepted;
  const { nowMs } = turn.context;
  const { audit } = change;
  return {
    table: 'audit' as const,
    id: timeId(nowMs, [turn.state.key, change.txnId, kind, id].join('|')),
    atMs: nowMs,
    body: {
      timestamp: nowMs,
      headers: audit.headers,
      url: audit.url,
      app: audit.app,
      query: audit.query,
      txnId: change.txnId,
      payload: audit.payload,
      method: audit.method,
      account_id: tenantIdOf(turn.state),
      who: change.who,
      why: change.why,
      statusCode: kind.endsWith('.create') ? 201 : 204,
    },
  };
}

/** Returns the fingerprint of the request that makes an object: its key and body, else its transaction. */
export function madeByOf(change: Change): number {
  const text =
    change.idempotencyKey === null
      ? `txn|${change.txnId}`
      : `key|${change.idempotencyKey}|${change.requestHash}`;
  return murmur3(Buffer.from(text, 'utf8'));
}
