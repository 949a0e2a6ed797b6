// One accepted change of a tenant's documents: which documents it writes or deletes, and how the copy, the decision row
// and its audit record follow from it. Must not know which changes are allowed.
import {
  type DocumentKind,
  type DocumentWrite,
  documentKinds,
  type HistoryWrite,
} from '../../runtime/effect.ts';
import { timeId } from '../../runtime/time-id.ts';
import type { Change } from '../change.ts';
import type { Refusal } from '../refusal.ts';
import type {
  AccountDoc,
  LimitsDoc,
  NotificationDoc,
  PlanDoc,
  SuppressionDoc,
  TokenDoc,
} from '../resources.ts';
import type { TenantDocuments } from './documents.ts';

/** Documents by id; null deletes. */
type Written<Doc> = Readonly<Record<string, Doc | null>>;

/** What an accepted change does. `value` is the reply; `status` the API's answer, for the audit. */
export interface Edit {
  readonly value: { readonly id: string } | null;
  readonly status: 200 | 201 | 204;
  readonly account?: AccountDoc;
  readonly limits?: LimitsDoc;
  readonly plans?: Written<PlanDoc>;
  readonly notifications?: Written<NotificationDoc>;
  readonly suppressions?: Written<SuppressionDoc>;
  readonly tokens?: Written<TokenDoc>;
}

/** The change, or why not. `unchanged`: accepted, and nothing is to be written. */
export type Judged =
  | { readonly ok: true; readonly edit: Edit }
  | { readonly ok: true; readonly unchanged: { readonly id: string } | null }
  | { readonly ok: false; readonly error: Refusal };

export function edit(value: Edit): Judged {
  return { ok: true, edit: value };
}

/** Returns the copy after the edit, with the next rev. */
export function edited(documents: TenantDocuments, change: Edit): TenantDocuments {
  return {
    ...documents,
    rev: documents.rev + 1,
    account: change.account ?? documents.account,
    limits: change.limits ?? documents.limits,
    plans: written(documents.plans, change.plans),
    notifications: written(documents.notifications, change.notifications),
    suppressions: written(documents.suppressions, change.suppressions),
    tokens: written(documents.tokens, change.tokens),
  };
}

/** Returns the projections of the edit, the root's left out. */
export function documentWrites(change: Edit, rev: number): readonly DocumentWrite[] {
  return [
    ...writesOf(documentKinds.plan, change.plans, rev),
    ...writesOf(documentKinds.notification, change.notifications, rev),
    ...writesOf(documentKinds.suppression, change.suppressions, rev),
    ...writesOf(documentKinds.token, change.tokens, rev),
  ];
}

/** Characters of a request's body that its audit record keeps: rows must fit a batch. */
const payloadCharactersMax = 16_384;

/** Returns the audit record of a change (v1.0, audits); the same change at the same instant gives the same id. */
export function auditOf(
  change: Change,
  about: { readonly tenant: string; readonly accountId: string; readonly status: number },
  nowMs: number,
): HistoryWrite {
  const { method, url, app, query, headers, payload } = change.audit;
  return {
    table: 'audit',
    id: timeId(nowMs, `audit|${about.tenant}|${change.txnId}|${method}|${url}`),
    atMs: nowMs,
    body: {
      timestamp: nowMs,
      headers,
      url,
      app,
      query,
      txnId: change.txnId,
      payload: payload.slice(0, payloadCharactersMax),
      method,
      account_id: about.accountId,
      who: change.who,
      why: change.why,
      statusCode: about.status,
    },
  };
}

function written<Doc>(
  before: ReadonlyMap<string, Doc>,
  changes: Written<Doc> | undefined,
): ReadonlyMap<string, Doc> {
  if (changes === undefined) return before;
  const after = new Map(before);
  for (const [id, body] of Object.entries(changes)) {
    if (body === null) after.delete(id);
    else after.set(id, body);
  }
  return after;
}

function writesOf(
  kind: DocumentKind,
  changes: Written<object> | undefined,
  rev: number,
): readonly DocumentWrite[] {
  return Object.entries(changes ?? {}).map(([id, body]) => ({ kind, id, rev, body }));
}
