// The tenant's stored documents ↔ the copy that nodes keep (TenantDocuments), and that copy as data for the codec.
// Owns the layout of the root document; must not know which changes are allowed.
import { documentKinds } from '../../runtime/effect.ts';
import type { StoredDocument } from '../../runtime/ports.ts';
import type {
  AccountDoc,
  LimitsDoc,
  NotificationDoc,
  PlanDoc,
  SuppressionDoc,
  TokenDoc,
} from '../resources.ts';
import { builtInNotificationId, builtInPlanId, type TenantDocuments } from './documents.ts';
import type { RecentChange } from './idempotency.ts';
import { builtInNotification, builtInPlan } from './plan.ts';

/** Id of the root document (kind `tenantRoot`) among a tenant's documents. */
export const rootId = 'root';

/** Body of the root document, written with every change. */
export interface RootBody {
  readonly rev: number;
  readonly account: AccountDoc;
  /** null: the installation's limits, whatever they are now. */
  readonly limits: LimitsDoc | null;
  readonly recent: readonly RecentChange[];
}

/**
 * Returns the tenant's documents as stored, built-ins added; null where there is no root: the tenant does not exist.
 * `limits` are the installation's, for tenants without limits of their own.
 */
export function tenantDocumentsFrom(
  tenant: string,
  stored: readonly StoredDocument[],
  limits: LimitsDoc,
): TenantDocuments | null {
  const root = rootOf(stored);
  if (root === null) return null;
  const bodies = <Doc extends { readonly id: string }>(kind: number) =>
    stored.filter((one) => one.kind === kind && one.body !== null).map((one) => one.body as Doc);
  return {
    tenant,
    rev: root.rev,
    account: root.account,
    limits: root.limits ?? limits,
    plans: byId([builtInPlan, ...bodies<PlanDoc>(documentKinds.plan)]),
    notifications: byId([
      builtInNotification,
      ...bodies<NotificationDoc>(documentKinds.notification),
    ]),
    suppressions: byId(bodies<SuppressionDoc>(documentKinds.suppression)),
    tokens: byId(bodies<TokenDoc>(documentKinds.token)),
  };
}

/** Returns the root document's body, or null where there is none. */
export function rootOf(stored: readonly StoredDocument[]): RootBody | null {
  const root = stored.find((one) => one.kind === documentKinds.tenantRoot && one.body !== null);
  return root === undefined ? null : (root.body as RootBody);
}

interface DocumentsAsData {
  readonly tenant: string;
  readonly rev: number;
  readonly account: AccountDoc;
  readonly limits: LimitsDoc;
  readonly plans: readonly PlanDoc[];
  readonly notifications: readonly NotificationDoc[];
  readonly suppressions: readonly SuppressionDoc[];
  readonly tokens: readonly TokenDoc[];
}

/** Returns a copy without Maps and built-ins: what the codec takes, for the way to other nodes. */
export function documentsToData(documents: TenantDocuments): DocumentsAsData {
  const { tenant, rev, account, limits } = documents;
  return {
    tenant,
    rev,
    account,
    limits,
    plans: [...documents.plans.values()].filter((one) => one.id !== builtInPlanId),
    notifications: [...documents.notifications.values()].filter(
      (one) => one.id !== builtInNotificationId,
    ),
    suppressions: [...documents.suppressions.values()],
    tokens: [...documents.tokens.values()],
  };
}

/** Returns the documents that `documentsToData` made data of. */
export function documentsFromData(source: DocumentsAsData): TenantDocuments {
  const { tenant, rev, account, limits } = source;
  return {
    tenant,
    rev,
    account,
    limits,
    plans: byId([builtInPlan, ...source.plans]),
    notifications: byId([builtInNotification, ...source.notifications]),
    suppressions: byId(source.suppressions),
    tokens: byId(source.tokens),
  };
}

function byId<Doc extends { readonly id: string }>(
  documents: readonly Doc[],
): ReadonlyMap<string, Doc> {
  return new Map(documents.map((one) => [one.id, one]));
}
