// Rows of `notification_log` as the API's notification history: one item per transition, one result per notification
// (v1.0, notification history). Pure; must not know how rows are read.
import type { NotificationLogBody } from './intent.ts';

export interface NotificationLogRow {
  readonly id: string;
  readonly atMs: number;
  readonly body: NotificationLogBody;
}

interface NotificationResult {
  readonly notification_id: string;
  readonly notification_type: string;
  readonly notification_details: Readonly<Record<string, string>>;
  readonly in_progress: boolean;
  readonly success: boolean;
  readonly message: string;
  readonly attempts: readonly { readonly message: string; readonly from: string }[];
}

export interface NotificationHistoryItem {
  readonly id: string;
  readonly timestamp: number;
  readonly notification_plan_id: string;
  readonly transaction_id: string;
  readonly state: NotificationLogBody['state'];
  readonly previous_state: NotificationLogBody['previous_state'];
  readonly status: string;
  readonly notification_results: readonly NotificationResult[];
}

/** Attempts shown: the newest. What ends earlier was refused for good, and says why. */
const attemptsMax = 10;

/**
 * Returns the items of all rows given, oldest first; an item's id is the transition's changelog id, its time that of its
 * first row. Rows may come in any order; a row given twice counts once.
 */
export function notificationHistory(
  rows: readonly NotificationLogRow[],
): readonly NotificationHistoryItem[] {
  const unique = new Map(rows.map((row) => [row.id, row]));
  const ordered = [...unique.values()].sort(byTime);
  return [...groups(ordered, (row) => row.body.log_entry_id)].map(([id, group]) =>
    itemOf(id, group),
  );
}

/** Returns the ids of the checks that rows are about, in id order. */
export function checksInHistory(rows: readonly NotificationLogRow[]): readonly string[] {
  return [...new Set(rows.map((row) => row.body.check_id))].sort();
}

type Rows = readonly [NotificationLogRow, ...NotificationLogRow[]];

function itemOf(id: string, rows: Rows): NotificationHistoryItem {
  const { atMs, body } = rows[0];
  const results = groups(rows, (row) => row.body.notification_id);
  return {
    id,
    timestamp: atMs,
    notification_plan_id: body.plan_id,
    transaction_id: body.txn_id,
    state: body.state,
    previous_state: body.previous_state,
    status: body.status,
    notification_results: [...results.values()].map(resultOf),
  };
}

function resultOf(rows: Rows): NotificationResult {
  const { notification_id, notification_type, notification_details } = rows[0].body;
  const bodies = rows.map((row) => row.body);
  const attempts = bodies
    .filter((one) => one.event === 'attempt')
    .sort((a, b) => a.attempt - b.attempt);
  const success = attempts.some((one) => one.delivered);
  const end = bodies.findLast(isEnd) ?? null;
  return {
    notification_id,
    notification_type,
    notification_details,
    in_progress: !success && end === null,
    success,
    message: success ? deliveredMessage(attempts) : openMessage(attempts, end),
    attempts: attempts.slice(-attemptsMax).map(({ message, from }) => ({ message, from })),
  };
}

function isEnd(body: NotificationLogBody): boolean {
  return body.event !== 'pending' && body.event !== 'attempt';
}

function deliveredMessage(attempts: readonly NotificationLogBody[]): string {
  return attempts.findLast((one) => one.delivered)?.message ?? '';
}

function openMessage(
  attempts: readonly NotificationLogBody[],
  end: NotificationLogBody | null,
): string {
  const last = attempts.at(-1);
  if (end === null) return last?.message ?? 'Notification in progress';
  if (end.event !== 'undeliverable') return end.message === '' ? end.event : end.message;
  const made = Math.max(end.attempt, last?.attempt ?? 0);
  if (made < attemptsMax) return end.message === '' ? (last?.message ?? '') : end.message;
  return `Notification failed after ${made} attempts`;
}

function groups(
  rows: readonly NotificationLogRow[],
  keyOf: (row: NotificationLogRow) => string,
): ReadonlyMap<string, Rows> {
  const found = new Map<string, [NotificationLogRow, ...NotificationLogRow[]]>();
  for (const row of rows) {
    const group = found.get(keyOf(row));
    if (group === undefined) found.set(keyOf(row), [row]);
    else group.push(row);
  }
  return found;
}

function byTime(a: NotificationLogRow, b: NotificationLogRow): number {
  return a.atMs - b.atMs || (a.id < b.id ? -1 : Number(a.id > b.id));
}
