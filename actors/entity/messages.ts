// What an entity actor (key `tenant/entity`) can be told and asked, and what it answers.
// Bodies (`attributes`) come as parsed JSON, unvalidated: the actor validates. Every reply is an `Outcome<…>` unless said.
import type { TicksOf } from '../../runtime/effect.ts';
import type { Change } from '../change.ts';
import type { ProbeAnswer } from '../check/types.ts';
import type {
  AlarmDoc,
  AlarmStateName,
  CheckDoc,
  EntityDoc,
  SuppressionMarks,
} from '../resources.ts';
import type { SoftObservation } from './soft-observation.ts';

type Body = Readonly<Record<string, unknown>>;

/** Changes; replies: create → Created, update → { id }, delete → { checks, alarms } (what went with it). */
export type EntityChange =
  | {
      readonly kind: 'entity.create';
      readonly id: string;
      readonly attributes: Body;
      readonly change: Change;
    }
  | { readonly kind: 'entity.update'; readonly attributes: Body; readonly change: Change }
  | { readonly kind: 'entity.delete'; readonly change: Change }
  /** `id`: the API's candidate (prefix + 8 characters); the actor appends a counter where it is taken by an older object. */
  | {
      readonly kind: 'check.create';
      readonly id: string;
      readonly attributes: Body;
      readonly change: Change;
    }
  | {
      readonly kind: 'check.update';
      readonly id: string;
      readonly attributes: Body;
      readonly change: Change;
    }
  | { readonly kind: 'check.delete'; readonly id: string; readonly change: Change }
  | {
      readonly kind: 'alarm.create';
      readonly id: string;
      readonly attributes: Body;
      readonly change: Change;
    }
  | {
      readonly kind: 'alarm.update';
      readonly id: string;
      readonly attributes: Body;
      readonly change: Change;
    }
  | { readonly kind: 'alarm.delete'; readonly id: string; readonly change: Change };

/** Questions, answered from memory (replyWhen `now`). */
export type EntityQuery =
  /** → EntityView */
  | { readonly kind: 'entity.get' }
  /** → CheckView */
  | { readonly kind: 'check.get'; readonly id: string }
  /** → CheckView[], by id */
  | { readonly kind: 'check.list' }
  /** → AlarmView */
  | { readonly kind: 'alarm.get'; readonly id: string }
  /** → AlarmView[], by id */
  | { readonly kind: 'alarm.list' }
  /** → EntityOverview */
  | { readonly kind: 'entity.overview' }
  /** → LiveState */
  | { readonly kind: 'entity.live' }
  /** → AlarmExplanation */
  | { readonly kind: 'alarm.explain'; readonly id: string }
  /** Validates a check body (stored check: `id`) and makes one probe request for each zone, ids empty → ProbeRequest[] */
  | {
      readonly kind: 'check.prepareTest';
      readonly id: string | null;
      readonly attributes: Body;
      readonly debug: boolean;
    }
  /** → SlotsInFlight: what the stored ticks do not show yet, and the schedule to find lost slots by. */
  | { readonly kind: 'check.slots'; readonly id: string };

/** From timers, probers and other actors. No reply. */
export type EntitySignal =
  | { readonly kind: 'slot.due'; readonly check: string }
  | {
      readonly kind: 'slot.deadline';
      readonly check: string;
      readonly zone: string;
      readonly slotAtMs: number;
    }
  | { readonly kind: 'probe.answer'; readonly answer: ProbeAnswer }
  /** The probe was not started: this node may not act for the shard just now. */
  | { readonly kind: 'probe.fenced'; readonly id: string }
  | {
      readonly kind: 'ticks.read';
      readonly ticks: readonly {
        readonly check: string;
        readonly zone: string;
        readonly slotAtMs: number;
        readonly value: unknown;
      }[];
      /** What was asked for, each with the newest slot that was passed over when polling was armed. */
      readonly of: readonly TicksOf[];
    }
  /** From the owner before: observations that came in while the shard moved, not yet evaluated (clustering.md §11). */
  | {
      readonly kind: 'observations.handed';
      readonly waiting: readonly {
        readonly check: string;
        readonly zone: string;
        readonly seen: SoftObservation;
        readonly previous: SoftObservation | null;
        readonly ageMs: number;
        readonly cameAtMs: number;
      }[];
    }
  /** Hourly, and at activation: tell the tenant actor what this entity holds. */
  | { readonly kind: 'entity.report' };

export type EntityMessage = EntityChange | EntityQuery | EntitySignal;

export type EntityView = EntityDoc & SuppressionMarks;
export type CheckView = CheckDoc &
  SuppressionMarks & {
    readonly collectors: readonly string[];
    readonly confd_name: null;
    readonly confd_hash: null;
  };
export type AlarmView = AlarmDoc &
  SuppressionMarks & { readonly confd_name: null; readonly confd_hash: null };

/** One entry per alarm; `timestamp` null and `status` '' where never evaluated (state UNKNOWN). */
export interface LatestAlarmState {
  readonly timestamp: number | null;
  readonly entity_id: string;
  readonly alarm_id: string;
  readonly alarm_label: string | null;
  readonly check_id: string;
  readonly status: string;
  readonly state: AlarmStateName;
  readonly previous_state: AlarmStateName;
  readonly analyzed_by_monitoring_zone_id: string | null;
  readonly alarm_changelog_id: string | null;
}

export interface EntityOverview {
  readonly entity: EntityView;
  readonly checks: readonly CheckView[];
  readonly alarms: readonly AlarmView[];
  readonly latest_alarm_states: readonly LatestAlarmState[];
}

export type ConditionName =
  | 'insufficient-zones'
  | 'not-being-checked'
  | 'plan-missing'
  | 'quarantined'
  | 'local-network'
  | 'evaluation-error';

export interface Condition {
  readonly name: ConditionName;
  readonly since_ms: number;
  readonly check_id: string | null;
  readonly alarm_id: string | null;
  readonly text: string;
}

export interface LiveZone {
  readonly monitoring_zone_id: string;
  /** UP: its prober answers; DOWN: known to be down; UNKNOWN: not asked yet. */
  readonly collector_state: 'UP' | 'DOWN' | 'UNKNOWN';
  /** Newest observation, null where none. `age` ms since it came in, monotonic. */
  readonly observation: {
    readonly slot: number;
    readonly timestamp: number;
    readonly age: number;
    readonly available: boolean;
    readonly status: string;
    readonly metrics: Readonly<
      Record<
        string,
        { readonly type: string; readonly data: number | string; readonly unit: string }
      >
    >;
  } | null;
  /** Why the newest slot made no observation, null where it did. */
  readonly failure: {
    readonly slot: number;
    readonly why: string;
    readonly message: string;
  } | null;
}

export interface LiveCheck {
  readonly id: string;
  readonly label: string | null;
  readonly type: string;
  readonly disabled: boolean;
  readonly period: number;
  readonly next_slot: number | null;
  readonly in_flight: number;
  readonly zones: readonly LiveZone[];
}

export interface LiveAlarm {
  readonly id: string;
  readonly label: string | null;
  readonly check_id: string;
  readonly disabled: boolean;
  readonly state: AlarmStateName;
  readonly previous_state: AlarmStateName;
  readonly status: string;
  /** Number of the alarm's last transition. */
  readonly transitions: number;
  readonly since_ms: number | null;
  readonly zones: readonly {
    readonly monitoring_zone_id: string;
    readonly computed: AlarmStateName;
    readonly confirmed: AlarmStateName;
    readonly run: number;
    readonly age: number;
  }[];
}

/** Live state of an entity, from its owner's memory. */
export interface LiveState {
  readonly entity: EntityView;
  /** The owner, which answers from memory, and the epoch under which it owns the entity. */
  readonly node: string;
  readonly epoch: number;
  /** Ms since the newest observation of any check; null where none. */
  readonly age: number | null;
  readonly committed: boolean;
  readonly checks: readonly LiveCheck[];
  readonly alarms: readonly LiveAlarm[];
  readonly conditions: readonly Condition[];
}

/** Why an alarm has its state, and why it has not changed. */
export interface AlarmExplanation {
  readonly alarm: AlarmView;
  readonly state: AlarmStateName;
  readonly status: string;
  readonly since_ms: number | null;
  readonly settings: {
    readonly consistency_level: 'ONE' | 'QUORUM' | 'ALL';
    readonly consecutive_count: number;
    readonly zones_total: number;
    readonly zones_needed: number;
    readonly age_limit_ms: number;
  };
  readonly zones: readonly {
    readonly monitoring_zone_id: string;
    readonly computed: AlarmStateName;
    readonly confirmed: AlarmStateName;
    readonly run: number;
    readonly age: number | null;
    readonly counts: boolean;
    /** Steps of the evaluation of the zone's newest observation, see actors/criteria. */
    readonly steps: readonly unknown[];
    readonly status: string;
  }[];
  /** Sentences for people: what decided, what is still missing for another state, suppressions, conditions. */
  readonly why: readonly string[];
  readonly suppressed_by: readonly string[];
  readonly conditions: readonly Condition[];
}

export interface SlotsInFlight {
  readonly period_ms: number;
  readonly phase_ms: number;
  readonly zones: readonly string[];
  readonly disabled: boolean;
  /** No slot before it is lost: the check did not exist or was not loaded as enabled. */
  readonly since_ms: number;
  readonly in_flight: readonly { readonly monitoring_zone_id: string; readonly slot: number }[];
}
