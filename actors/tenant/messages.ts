// What a tenant actor (key `tenant`) can be told and asked, and what it answers. Every reply is an `Outcome<…>` unless said.
import type { Change } from '../change.ts';
import type { AccountDoc, LimitsDoc, PlanDoc, SuppressionMarks, TokenDoc } from '../resources.ts';

type Body = Readonly<Record<string, unknown>>;

/** Changes; replies: create → Created, update → { id }, delete → null. */
export type TenantChange =
  /** First message of a tenant; secrets come from the caller (a step has no strong randomness). Again: accepted, no change. */
  | {
      readonly kind: 'tenant.create';
      readonly account: AccountDoc;
      readonly limits: LimitsDoc;
      readonly change: Change;
    }
  | { readonly kind: 'account.update'; readonly attributes: Body; readonly change: Change }
  | { readonly kind: 'limits.update'; readonly limits: LimitsDoc; readonly change: Change }
  | {
      readonly kind: 'notification.create';
      readonly id: string;
      readonly attributes: Body;
      readonly change: Change;
    }
  | {
      readonly kind: 'notification.update';
      readonly id: string;
      readonly attributes: Body;
      readonly change: Change;
    }
  | { readonly kind: 'notification.delete'; readonly id: string; readonly change: Change }
  | {
      readonly kind: 'plan.create';
      readonly id: string;
      readonly attributes: Body;
      readonly change: Change;
    }
  | {
      readonly kind: 'plan.update';
      readonly id: string;
      readonly attributes: Body;
      readonly change: Change;
    }
  | { readonly kind: 'plan.delete'; readonly id: string; readonly change: Change }
  | {
      readonly kind: 'suppression.create';
      readonly id: string;
      readonly attributes: Body;
      readonly change: Change;
    }
  | {
      readonly kind: 'suppression.update';
      readonly id: string;
      readonly attributes: Body;
      readonly change: Change;
    }
  | { readonly kind: 'suppression.delete'; readonly id: string; readonly change: Change }
  /** Tokens: at most 1000 live ones a tenant; expired ones go first. Delete: revoke. */
  | { readonly kind: 'token.put'; readonly token: TokenDoc; readonly change: Change }
  | { readonly kind: 'token.delete'; readonly id: string; readonly change: Change }
  /** All tokens of a user: its key changed, or it is gone. */
  | { readonly kind: 'token.deleteOf'; readonly user: string; readonly change: Change };

export type TenantQuery =
  /** → AccountDoc */
  | { readonly kind: 'account.get' }
  /** → LimitsDoc */
  | { readonly kind: 'limits.get' }
  /** → Usage */
  | { readonly kind: 'usage.get' }
  /** → NotificationDoc | NotificationDoc[] by id; built-ins included */
  | { readonly kind: 'notification.get'; readonly id: string }
  | { readonly kind: 'notification.list' }
  /** → PlanView */
  | { readonly kind: 'plan.get'; readonly id: string }
  | { readonly kind: 'plan.list' }
  /** → SuppressionDoc */
  | { readonly kind: 'suppression.get'; readonly id: string }
  | { readonly kind: 'suppression.list' }
  /** → { notification_plan_id, alarm_count }[] */
  | { readonly kind: 'plan.alarmCounts' }
  /** → { entity, alarm }[] (ids) */
  | { readonly kind: 'plan.alarms'; readonly id: string }
  /** Validates a body for test-notification → NotificationDoc (unsaved, id ''). */
  | {
      readonly kind: 'notification.prepareTest';
      readonly id: string | null;
      readonly attributes: Body;
    };

export type TenantSignal =
  /** Asked before a create; reply Outcome<null>, refused with `limitReached`. Forgotten after 60 s unless the report shows it. */
  | {
      readonly kind: 'tenant.reserve';
      readonly what: 'entity' | 'check' | 'alarm';
      readonly entity: string;
      readonly id: string;
    }
  /** The create was refused: its place is free at once. Reply Outcome<null>. */
  | {
      readonly kind: 'tenant.release';
      readonly what: 'entity' | 'check' | 'alarm';
      readonly id: string;
    }
  /** From an entity at activation, after each change of its checks and alarms, and hourly. No reply. */
  | {
      readonly kind: 'tenant.report';
      readonly entity: string;
      readonly gone: boolean;
      readonly checks: number;
      readonly alarms: readonly { readonly id: string; readonly plan: string }[];
    }
  /** A suppression starts or ends; no reply. */
  | { readonly kind: 'tenant.tick' };

export type TenantMessage = TenantChange | TenantQuery | TenantSignal;

export interface Usage {
  readonly checks: number;
  readonly alarms: number;
  readonly entities: number;
  readonly agents: number;
}

export type PlanView = PlanDoc & SuppressionMarks;
