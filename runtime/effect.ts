// The closed union of effects: what a step wants done, as data. runtime/perform.ts has one case for each.
// An effect may happen twice (restart, replay), so everything that leaves the node carries an id of its own.
import type { ActorKey } from './ids.ts';
import type { Message } from './message.ts';

/** Kinds of rows in a shard's log (stored as tinyint). */
export const rowKinds = {
  transition: 1,
  intent: 2,
  deferred: 3,
  config: 4,
  timer: 5,
  quarantine: 6,
  /** The end of an intent: delivered, superseded or given up. */
  outcome: 7,
} as const;
export type RowKind = (typeof rowKinds)[keyof typeof rowKinds];

/** Kinds of documents in `config_doc` (stored as tinyint). */
export const documentKinds = {
  entity: 0,
  check: 1,
  alarm: 2,
  deferred: 3,
  timer: 4,
  quarantine: 5,
  auditTip: 6,
  tenantRoot: 16,
  plan: 17,
  notification: 18,
  suppression: 19,
  token: 20,
} as const;
export type DocumentKind = (typeof documentKinds)[keyof typeof documentKinds];

/** A projected document: `body` null deletes it. */
export interface DocumentWrite {
  readonly kind: DocumentKind;
  readonly id: string;
  readonly rev: number;
  readonly body: unknown | null;
}

export type HistoryTable =
  | 'changelog'
  | 'audit'
  | 'alarm_history'
  | 'notification_log'
  | 'suppression_log';

/** One row of history. The partition is the tenant (changelog, audit, suppression_log) or the actor's key. */
export interface HistoryWrite {
  readonly table: HistoryTable;
  /** UUID in version-1 layout, derived, so that writing it twice overwrites itself and ids sort by time. */
  readonly id: string;
  readonly atMs: number;
  readonly body: unknown;
}

/** The line of an entity in its tenant's listing; `label` null removes it. */
export interface ListingWrite {
  readonly label: string | null;
}

/** One decision: a row of the shard's log, and what is projected from it once it is committed. */
export interface DecisionRow {
  readonly kind: RowKind;
  readonly body: unknown;
  readonly documents?: readonly DocumentWrite[];
  readonly history?: readonly HistoryWrite[];
  readonly listing?: ListingWrite;
}

/** One poll slot's record in one zone. */
export interface TickWrite {
  readonly check: string;
  readonly zone: string;
  readonly slotAtMs: number;
  readonly value: unknown;
}

/** Whose newest tick is wanted. */
export interface TicksOf {
  readonly check: string;
  readonly zone: string;
  /** The newest slot that the asker passed over or that is known to have run; comes back as it was given. */
  readonly passedMs: number;
}

export type Effect =
  /** Commit these rows together; replies and sends of this and later steps wait for it. */
  | { readonly type: 'commit'; readonly rows: readonly DecisionRow[] }
  /** Append poll slot records: no condition, idempotent by (check, zone, slot). */
  | { readonly type: 'append'; readonly ticks: readonly TickWrite[] }
  /** Run a probe; its answer comes back as the message `{ kind: 'probe.answer', answer }`. */
  | { readonly type: 'probe'; readonly request: unknown }
  /** Tell another actor, once the commits of this and earlier steps are acknowledged. */
  | { readonly type: 'send'; readonly to: ActorKey; readonly message: Message }
  /** Replaces a running timer of the same id. The message comes in the system lane. */
  | {
      readonly type: 'startTimer';
      readonly id: string;
      readonly dueMonoMs: number;
      readonly message: Message;
    }
  | { readonly type: 'cancelTimer'; readonly id: string }
  /** Hand the tenant's documents to every node that keeps a copy, once committed. */
  | {
      readonly type: 'documents';
      readonly tenant: string;
      readonly rev: number;
      readonly documents: unknown;
    }
  /** Read the newest stored tick of each (check, zone); comes back as `{ kind: 'ticks.read', ticks, of }`. */
  | { readonly type: 'readTicks'; readonly of: readonly TicksOf[] }
  /** Soft state changed: write it within 250 ms (`urgent`) or with the next round (60 s). */
  | { readonly type: 'save'; readonly urgent: boolean }
  /** Count into a metric `tocsin_<name>_total`. */
  | { readonly type: 'count'; readonly name: string; readonly by: number; readonly label?: string }
  /** Deactivate: nothing of this actor is worth keeping in memory. */
  | { readonly type: 'stop' };
