// The documents of the API as they are stored and served: entity, check, alarm, notification, plan, suppression, account.
// Snake case on purpose: these are the v1.0 names, stored as served. Types only.
import type { IpFamily } from './check/types.ts';

export type AlarmStateName = 'OK' | 'WARNING' | 'CRITICAL' | 'UNKNOWN';
export type Metadata = Readonly<Record<string, unknown>> | null;

export interface EntityDoc {
  readonly id: string;
  readonly label: string;
  readonly ip_addresses: Readonly<Record<string, string>> | null;
  readonly metadata: Metadata;
  readonly agent_id: string | null;
  readonly managed: boolean;
  readonly uri: string | null;
  readonly created_at: number;
  readonly updated_at: number;
}

export interface CheckDoc {
  readonly id: string;
  readonly type: string;
  readonly label: string | null;
  readonly details: Readonly<Record<string, unknown>>;
  readonly monitoring_zones_poll: readonly string[] | null;
  /** Seconds. */
  readonly period: number;
  /** Seconds. */
  readonly timeout: number;
  readonly target_alias: string | null;
  readonly target_hostname: string | null;
  readonly target_resolver: IpFamily | null;
  readonly disabled: boolean;
  readonly metadata: Metadata;
  readonly created_at: number;
  readonly updated_at: number;
}

export interface AlarmDoc {
  readonly id: string;
  readonly check_id: string;
  readonly entity_id: string;
  readonly notification_plan_id: string;
  readonly criteria: string | null;
  readonly label: string | null;
  readonly disabled: boolean;
  readonly metadata: Metadata;
  readonly created_at: number;
  readonly updated_at: number;
}

/** Keys that every served entity, check, alarm and plan has besides its document. */
export interface SuppressionMarks {
  readonly active_suppressions: readonly string[];
  readonly scheduled_suppressions: readonly string[];
}

export type NotificationType =
  | 'webhook'
  | 'email'
  | 'pagerduty'
  | 'sms'
  | 'victorops'
  | 'managed'
  | 'technicalContactsEmail'
  | 'atomHopper';

export interface NotificationDoc {
  readonly id: string;
  readonly label: string;
  readonly type: NotificationType;
  readonly details: Readonly<Record<string, string>>;
  readonly metadata: Metadata;
  readonly created_at: number;
  readonly updated_at: number;
}

export interface PlanDoc {
  readonly id: string;
  readonly label: string;
  readonly critical_state: readonly string[];
  readonly warning_state: readonly string[];
  readonly ok_state: readonly string[];
  readonly metadata: Metadata;
  readonly created_at: number | null;
  readonly updated_at: number | null;
}

export interface SuppressionDoc {
  readonly id: string;
  readonly label: string | null;
  readonly notification_plans: readonly string[];
  readonly entities: readonly string[];
  /** `en:ch`. */
  readonly checks: readonly string[];
  /** `en:al`. */
  readonly alarms: readonly string[];
  readonly start_time: number;
  /** null: open-ended. */
  readonly end_time: number | null;
  readonly created_at: number;
  readonly updated_at: number;
}

export interface AccountDoc {
  readonly id: string;
  readonly metadata: Metadata;
  readonly webhook_token: string;
  /** `whsec_…`: signs webhooks (standard-webhooks v1). Served by Tocsin's own route only. */
  readonly signing_secret: string;
  /** Addresses that `technicalContactsEmail` writes to. */
  readonly technical_contacts: readonly string[];
}

/** Resource limits; null: none. Rates are a day's. */
export interface LimitsDoc {
  readonly checks: number;
  readonly alarms: number;
  readonly entities: number;
  readonly rate: Readonly<
    Record<'global' | 'test_check' | 'test_alarm' | 'test_notification' | 'traceroute', number>
  >;
}

export type Role =
  | 'admin'
  | 'observer'
  | 'monitoring:admin'
  | 'monitoring:creator'
  | 'monitoring:observer'
  | 'identity:user-admin'
  /** Platform operator: tenants and users of the installation, quarantine release. */
  | 'operator';

export interface TokenDoc {
  /** Public id part of the token. */
  readonly id: string;
  /** sha256 hex of the whole token text. */
  readonly hash: string;
  readonly user: string;
  readonly roles: readonly Role[];
  readonly created_at: number;
  /** null: until revoked. */
  readonly expires_at: number | null;
}
