// The frozen copy of a tenant's documents that every node keeps of the tenants it serves, versioned by `rev`.
// The step that decides a transition resolves plan, channels and suppressions from it. Types and look-ups only.
import type {
  AccountDoc,
  LimitsDoc,
  NotificationDoc,
  PlanDoc,
  SuppressionDoc,
  TokenDoc,
} from '../resources.ts';

export interface TenantDocuments {
  readonly tenant: string;
  /** Grows with every change of any document of the tenant. */
  readonly rev: number;
  readonly account: AccountDoc;
  readonly limits: LimitsDoc;
  /** Built-in plans and notifications included. */
  readonly plans: ReadonlyMap<string, PlanDoc>;
  readonly notifications: ReadonlyMap<string, NotificationDoc>;
  readonly suppressions: ReadonlyMap<string, SuppressionDoc>;
  /** By public token id. */
  readonly tokens: ReadonlyMap<string, TokenDoc>;
}

export const builtInPlanId = 'npTechnicalContactsEmail';
export const builtInNotificationId = 'ntTechnicalContactsEmail';
