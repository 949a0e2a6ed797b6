// The body of a notification intent: everything a channel needs to tell somebody, resolved in the deciding step,
// so that dispatch looks nothing up. Stored with the transition, sent unchanged on every attempt. Types only.
import type {
  AlarmDoc,
  AlarmStateName,
  CheckDoc,
  EntityDoc,
  NotificationDoc,
} from '../resources.ts';

export interface IntentBody {
  readonly tenant: string;
  readonly account_id: string;
  readonly webhook_token: string;
  readonly signing_secret: string;
  readonly technical_contacts: readonly string[];
  /** The channel as it was when the change was decided. */
  readonly notification: NotificationDoc;
  readonly plan_id: string;
  /** `ac:en:al:ch:ms:STATE`. */
  readonly event_id: string;
  /** Changelog id of the transition. */
  readonly log_entry_id: string;
  readonly txn_id: string;
  /** Same for all transitions of (alarm, channel): pairs trigger and resolve. */
  readonly incident_key: string;
  /** Decided at, epoch ms. */
  readonly timestamp: number;
  readonly target: string;
  readonly state: AlarmStateName;
  readonly previous_state: AlarmStateName;
  readonly status: string;
  readonly metrics: Readonly<
    Record<string, { readonly type: string; readonly data: number | string; readonly unit: string }>
  >;
  readonly observations: readonly {
    readonly monitoring_zone_id: string;
    readonly state: AlarmStateName;
    readonly status: string;
    readonly timestamp: number;
    readonly collectorState: 'UP' | 'DOWN' | 'UNKNOWN';
    /** Too old to count. */
    readonly stale: boolean;
  }[];
  readonly entity: EntityDoc;
  readonly check: CheckDoc;
  readonly alarm: AlarmDoc;
}

/** Body of a `notification_log` history row: one attempt, or one word about why there is none. */
export interface NotificationLogBody {
  /** Changelog id: rows of one transition share it. */
  readonly log_entry_id: string;
  readonly alarm_id: string;
  readonly check_id: string;
  readonly n: number;
  readonly plan_id: string;
  readonly txn_id: string;
  readonly state: AlarmStateName;
  readonly previous_state: AlarmStateName;
  readonly status: string;
  readonly notification_id: string;
  readonly notification_type: string;
  readonly notification_details: Readonly<Record<string, string>>;
  /** `attempt`: delivered or not; the others end the notification (`pending` opens it). */
  readonly event:
    | 'pending'
    | 'attempt'
    | 'suppressed'
    | 'superseded'
    | 'undeliverable'
    | 'withdrawn';
  readonly attempt: number;
  readonly delivered: boolean;
  readonly message: string;
  /** Node that tried. */
  readonly from: string;
}

/** Body of a changelog row, as the API serves it (its id is the row's id). */
export interface ChangelogBody {
  readonly timestamp: number;
  readonly entity_id: string;
  readonly alarm_id: string;
  readonly check_id: string;
  readonly state: AlarmStateName;
  readonly previous_state: AlarmStateName;
  readonly status: string;
  readonly analyzed_by_monitoring_zone_id: string | null;
  readonly n: number;
}
