// The tenant actor (key `tenant`): owns account, limits, notifications, plans, suppressions and tokens, and counts what the
// tenant's entities hold. Each accepted change is one CONFIG row that projects its documents, the root with the next rev,
// and the audit record. Must not know the entity actors, delivery, or the node's copies of these documents.
import type { Behaviour, LoadedActor, Step, StepContext } from '../../runtime/behaviour.ts';
import { type DecisionRow, documentKinds, type Effect, rowKinds } from '../../runtime/effect.ts';
import type { ActorKey } from '../../runtime/ids.ts';
import type { StoredDocument } from '../../runtime/ports.ts';
import type { Change } from '../change.ts';
import { accepted, missing, type Outcome } from '../refusal.ts';
import type { AccountDoc, LimitsDoc } from '../resources.ts';
import { sameJson } from '../validate.ts';
import { judgeAccount, judgeLimits, judgeToken } from './account-change.ts';
import type { TenantDocuments } from './documents.ts';
import { auditOf, documentWrites, type Edit, edited, type Judged } from './edit.ts';
import {
  type Holdings,
  holdingOf,
  holdingsFromData,
  holdingsToData,
  noHoldings,
  withHolding,
} from './holding.ts';
import { type RecentChange, remembered, repeated } from './idempotency.ts';
import type { TenantChange, TenantMessage } from './messages.ts';
import { judgeNotification } from './notification-change.ts';
import { builtInNotification, builtInPlan } from './plan.ts';
import { judgePlan } from './plan-change.ts';
import { type RootBody, rootId, rootOf, tenantDocumentsFrom } from './projection.ts';
import { answer, isTenantQuery } from './query.ts';
import {
  afterReport,
  type ReportMessage,
  type Reservations,
  type ReserveMessage,
  released,
  reserve,
  unexpired,
} from './reservation.ts';
import { judgeSuppression } from './suppression-change.ts';

/** What an installation decides for all its tenants. */
export interface Installation {
  /** Limits of tenants that have none of their own. */
  readonly limits: LimitsDoc;
}

export interface TenantState {
  readonly tenant: string;
  /** null: the tenant was not created. */
  readonly documents: TenantDocuments | null;
  /** True: these limits were set for this tenant, and do not follow the installation's. */
  readonly ownLimits: boolean;
  readonly recent: readonly RecentChange[];
  readonly holdings: Holdings;
  readonly reservations: Reservations;
}

type Context = StepContext<TenantDocuments>;

/** Returns the behaviour of tenant actors; everything about one tenant is in its state. */
export function tenantBehaviour(
  installation: Installation,
): Behaviour<TenantState, TenantMessage, TenantDocuments> {
  return {
    kind: 'tenant',
    version: 1,
    init: (key, loaded, context) => init(installation, { key, loaded }, context),
    step: (state, message, context) => step(installation, state, message, context),
    snapshot: (state) =>
      state.documents === null ? null : { holdings: holdingsToData(state.holdings) },
    isQuery: isTenantQuery,
  };
}

function init(
  installation: Installation,
  from: { readonly key: ActorKey; readonly loaded: LoadedActor },
  context: Context,
): Step<TenantState> {
  const tenant: string = from.key;
  const stored = newestDocuments(from.loaded);
  const root = rootOf(stored);
  const soft = from.loaded.soft?.body as { readonly holdings?: unknown } | null | undefined;
  const state: TenantState = {
    tenant,
    documents: tenantDocumentsFrom(tenant, stored, installation.limits),
    ownLimits: root !== null && root.limits !== null,
    recent: root?.recent ?? [],
    holdings: soft?.holdings === undefined ? noHoldings : holdingsFromData(soft.holdings),
    reservations: new Map(),
  };
  return { state, effects: published(state, context) };
}

/** The stored documents, with those rows of the log laid over that carry projections not stored yet. */
function newestDocuments(loaded: LoadedActor): readonly StoredDocument[] {
  const newest = new Map(loaded.documents.map((one) => [`${one.kind} ${one.id}`, one]));
  for (const row of loaded.tail) {
    const documents = (row.body as Partial<DecisionRow> | null)?.documents;
    if (row.kind !== rowKinds.config || !Array.isArray(documents)) continue;
    for (const one of documents as readonly StoredDocument[]) {
      const name = `${one.kind} ${one.id}`;
      if ((newest.get(name)?.rev ?? -1) < one.rev) newest.set(name, one);
    }
  }
  return [...newest.values()];
}

function step(
  installation: Installation,
  state: TenantState,
  message: TenantMessage,
  context: Context,
): Step<TenantState> {
  switch (message.kind) {
    case 'tenant.report':
      return report(state, message);
    case 'tenant.reserve':
      return takePlace(state, message, context);
    case 'tenant.release':
      return answered(
        { ...state, reservations: released(state.reservations, message) },
        accepted(null),
      );
    case 'tenant.tick':
      return tick(state, context);
    case 'tenant.create':
      return create(installation, state, message, context);
    default:
      break;
  }
  if (state.documents === null) return answered(state, missing('Account', state.tenant));
  if (!isTenantQuery(message)) return change(state, state.documents, message, context);
  const reply = answer(state.documents, state.holdings, message, context.nowMs);
  return { state, reply, replyWhen: 'now', effects: [] };
}

function create(
  installation: Installation,
  state: TenantState,
  message: Extract<TenantChange, { kind: 'tenant.create' }>,
  context: Context,
): Step<TenantState> {
  const { account, limits } = message;
  if (state.documents !== null)
    return answered(state, accepted({ id: state.documents.account.id }));
  const ownLimits = !sameJson(limits, installation.limits);
  const documents = firstDocuments(state.tenant, account, limits);
  const created: Edit = { value: { id: account.id }, status: 201, account };
  return committed({ ...state, ownLimits }, documents, { edit: created, message }, context);
}

function firstDocuments(tenant: string, account: AccountDoc, limits: LimitsDoc): TenantDocuments {
  return {
    tenant,
    rev: 0,
    account,
    limits,
    plans: new Map([[builtInPlan.id, builtInPlan]]),
    notifications: new Map([[builtInNotification.id, builtInNotification]]),
    suppressions: new Map(),
    tokens: new Map(),
  };
}

type LaterChange = Exclude<TenantChange, { kind: 'tenant.create' }>;

function change(
  state: TenantState,
  documents: TenantDocuments,
  message: LaterChange,
  context: Context,
): Step<TenantState> {
  const first = repeated(state.recent, message.change);
  if (first !== null) return answered(state, first);
  const judged = judge(state, documents, message, context.nowMs);
  if (!judged.ok) return answered(state, judged);
  if ('unchanged' in judged) return answered(state, accepted(judged.unchanged));
  const ownLimits = state.ownLimits || message.kind === 'limits.update';
  return committed({ ...state, ownLimits }, documents, { edit: judged.edit, message }, context);
}

function judge(
  state: TenantState,
  documents: TenantDocuments,
  message: LaterChange,
  nowMs: number,
): Judged {
  switch (message.kind) {
    case 'account.update':
      return judgeAccount(documents, message);
    case 'limits.update':
      return judgeLimits(documents, message);
    case 'notification.create':
    case 'notification.update':
    case 'notification.delete':
      return judgeNotification(documents, message, nowMs);
    case 'plan.create':
    case 'plan.update':
    case 'plan.delete':
      return judgePlan(documents, state.holdings, message, nowMs);
    case 'suppression.create':
    case 'suppression.update':
    case 'suppression.delete':
      return judgeSuppression(documents, message, nowMs);
    default:
      return judgeToken(documents, message, nowMs);
  }
}

/** One accepted change: the state after it, its CONFIG row, the pushed copy, the reply once committed. */
function committed(
  state: TenantState,
  before: TenantDocuments,
  accepting: { readonly edit: Edit; readonly message: TenantChange },
  context: Context,
): Step<TenantState> {
  const { edit: change, message } = accepting;
  const documents = edited(before, change);
  const recent = remembered(state.recent, message.change, change.value, context.nowMs);
  const next: TenantState = { ...state, documents, recent };
  const effects: Effect[] = [
    { type: 'commit', rows: [configRow(next, documents, accepting, context.nowMs)] },
    ...published(next, context),
  ];
  return { state: next, reply: accepted(change.value), effects };
}

function configRow(
  state: TenantState,
  documents: TenantDocuments,
  accepting: { readonly edit: Edit; readonly message: TenantChange },
  nowMs: number,
): DecisionRow {
  const { edit: change, message } = accepting;
  const { rev, account, limits } = documents;
  const root: RootBody = {
    rev,
    account,
    limits: state.ownLimits ? limits : null,
    recent: state.recent,
  };
  const about = { tenant: state.tenant, accountId: account.id, status: change.status };
  return {
    kind: rowKinds.config,
    body: rowBody(message.kind, message.change, change),
    documents: [
      ...documentWrites(change, rev),
      { kind: documentKinds.tenantRoot, id: rootId, rev, body: root },
    ],
    history: [auditOf(message.change, about, nowMs)],
  };
}

function rowBody(what: string, change: Change, { value, status }: Edit) {
  const { txnId, who, why, idempotencyKey, requestHash } = change;
  return { what, value, status, txnId, who, why, idempotencyKey, requestHash };
}

/** Pushes the copy, and arms the tick at the next start or end of a suppression. */
function published(state: TenantState, context: Context): readonly Effect[] {
  const { documents, tenant } = state;
  if (documents === null) return [];
  const push: Effect = { type: 'documents', tenant, rev: documents.rev, documents };
  return [push, timerFor(documents, context)];
}

const timerId = 'suppressions';
/** Longest wait: the wall clock may be set meanwhile. */
const waitMsMax = 3_600_000;

function timerFor(documents: TenantDocuments, context: Context): Effect {
  let nextAtMs = Number.POSITIVE_INFINITY;
  for (const one of documents.suppressions.values()) {
    for (const atMs of [one.start_time, one.end_time ?? 0]) {
      if (atMs > context.nowMs) nextAtMs = Math.min(nextAtMs, atMs);
    }
  }
  if (nextAtMs === Number.POSITIVE_INFINITY) return { type: 'cancelTimer', id: timerId };
  const dueMonoMs = context.monoMs + Math.min(nextAtMs - context.nowMs, waitMsMax);
  return { type: 'startTimer', id: timerId, dueMonoMs, message: { kind: 'tenant.tick' } };
}

/** Pushes the copy again: a node that missed the push has it where the suppression begins. */
function tick(state: TenantState, context: Context): Step<TenantState> {
  const next = { ...state, reservations: unexpired(state.reservations, context.monoMs) };
  return { state: next, effects: published(next, context) };
}

function takePlace(
  state: TenantState,
  message: ReserveMessage,
  context: Context,
): Step<TenantState> {
  if (state.documents === null) return answered(state, missing('Account', state.tenant));
  const { limits } = state.documents;
  const { outcome, reservations } = reserve(state, limits, message, context.monoMs);
  return { state: { ...state, reservations }, reply: outcome, replyWhen: 'now', effects: [] };
}

function report(state: TenantState, message: ReportMessage): Step<TenantState> {
  const { entity, gone, checks } = message;
  const before = holdingOf(state.holdings, entity);
  const alarms = new Map(message.alarms.map((one) => [one.id, one.plan]));
  const holdings = withHolding(state.holdings, entity, gone ? null : { checks, alarms });
  const reservations = afterReport(state.reservations, message, before?.checks ?? 0);
  const effects: readonly Effect[] =
    holdings === state.holdings ? [] : [{ type: 'save', urgent: false }];
  return { state: { ...state, holdings, reservations }, effects };
}

function answered(state: TenantState, reply: Outcome<unknown>): Step<TenantState> {
  return { state, reply, effects: [] };
}
