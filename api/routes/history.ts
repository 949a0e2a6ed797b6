// What happened: audits, the changelog of alarms, notification history, suppression logs.

import {
  checksInHistory,
  type NotificationHistoryItem,
  type NotificationLogRow,
  notificationHistory,
} from '../../actors/notify/history.ts';
import type { NotificationLogBody } from '../../actors/notify/intent.ts';
import type { ActorKey } from '../../runtime/ids.ts';
import type { HistoryRecord } from '../../runtime/ports.ts';
import { timeOf } from '../../runtime/time-id.ts';
import { type Answer, ok } from '../answer.ts';
import { ask, type Call, entityKey, param, tenantOfCall } from '../call.ts';
import { changelogItem } from '../changelog-item.ts';
import { notFound } from '../errors.ts';
import {
  array,
  instant,
  listOf,
  object,
  seriesQuery,
  state,
  text,
  textOrNull,
  texts,
} from '../json-schema.ts';
import { bodyOf } from '../record-body.ts';
import type { Route } from '../route.ts';
import { seriesAnswer, seriesOf, seriesRequest } from '../series.ts';
import { read } from './define.ts';

const audit = object({
  id: text,
  timestamp: instant,
  headers: object({}),
  url: text,
  app: text,
  query: { type: ['object', 'null'] },
  txnId: text,
  payload: text,
  method: text,
  account_id: text,
  who: textOrNull,
  why: textOrNull,
  statusCode: { type: 'integer' },
});

const transition = object({
  id: text,
  timestamp: instant,
  entity_id: text,
  alarm_id: text,
  check_id: text,
  state,
  previous_state: state,
  status: text,
  analyzed_by_monitoring_zone_id: textOrNull,
});

const notified = object({
  id: text,
  timestamp: instant,
  notification_plan_id: text,
  transaction_id: text,
  state,
  previous_state: state,
  status: text,
  notification_results: array(object({})),
});

const suppressed = object({
  id: text,
  entity_id: text,
  alarm_id: text,
  check_id: text,
  notification_plan_id: text,
  suppressions: texts,
  state,
  timestamp: instant,
  transaction_id: text,
});

const tag = 'history';
const base = '/entities/:entity/alarms/:alarm/notification_history';

export const historyRoutes: readonly Route[] = [
  read({
    path: '/audits',
    id: 'listAudits',
    tag,
    summary: 'Every change, refused ones and tests too',
    role: 'read',
    query: seriesQuery,
    returns: listOf(audit),
    handle: (call) => seriesOf(call, { table: 'audit', partition: tenantOfCall(call) }, itemOf),
  }),
  read({
    path: '/changelogs/alarms',
    id: 'listAlarmChangelogs',
    tag,
    summary: 'State changes of alarms',
    role: 'read',
    query: { ...seriesQuery, entityId: { type: 'string', description: 'Only of this entity' } },
    returns: listOf(transition),
    handle: changelog,
  }),
  read({
    path: '/suppression_logs',
    id: 'listSuppressionLogs',
    tag,
    summary: 'Alerts that were suppressed',
    role: 'read',
    query: seriesQuery,
    returns: listOf(suppressed),
    handle: (call) =>
      seriesOf(call, { table: 'suppression_log', partition: tenantOfCall(call) }, itemOf),
  }),
  read({
    path: base,
    id: 'listNotificationHistoryChecks',
    tag,
    summary: 'Checks that an alarm has a notification history of',
    role: 'read',
    returns: object({ check_ids: texts }),
    handle: async (call) => {
      const rows = await rowsOf(call, { fromMs: 0, toMs: call.ports.clock.nowMs(), reverse: true });
      return ok({ check_ids: checksInHistory(rows) });
    },
  }),
  read({
    path: `${base}/:check`,
    id: 'listNotificationHistory',
    tag,
    summary: 'What was sent for the state changes of an alarm',
    role: 'read',
    query: seriesQuery,
    returns: listOf(notified),
    handle: notifications,
  }),
  read({
    path: `${base}/:check/:item`,
    id: 'getNotificationHistoryItem',
    tag,
    summary: 'What was sent for one state change',
    role: 'read',
    returns: notified,
    handle: notification,
  }),
];

/** The row's id and time go before what a body may say of them. */
function itemOf(record: HistoryRecord, body: Readonly<Record<string, unknown>>): unknown {
  return { ...body, id: record.id, timestamp: record.atMs };
}

function changelog(call: Call): Promise<Answer> {
  const entity = call.query.get('entityId');
  const source = { table: 'changelog', partition: tenantOfCall(call) } as const;
  const ofEntity = entity === null || entity === '' ? {} : { key: entityKey(call, entity) };
  return seriesOf(call, { ...source, ...ofEntity }, changelogItem);
}

/** Attempts go on for 72 h after a transition; its rows lie in that time. */
const attemptsForMs = 73 * 3_600_000;
const pageRows = 1_000;
const pagesMax = 20;

interface Range {
  readonly fromMs: number;
  readonly toMs: number;
  readonly reverse: boolean;
}

/** The alarm's rows of the notification log in a range: at most 20,000 rows of its entity are looked through. */
async function rowsOf(call: Call, range: Range): Promise<readonly NotificationLogRow[]> {
  const key: ActorKey = entityKey(call, param(call, 'entity'));
  const alarm = param(call, 'alarm');
  await ask(call, key, { kind: 'alarm.get', id: alarm });
  const rows: NotificationLogRow[] = [];
  let marker: string | null = null;
  for (let page = 0; page < pagesMax; page++) {
    const records: readonly HistoryRecord[] = await call.ports.history.page({
      table: 'notification_log',
      partition: key,
      fromMs: range.fromMs,
      toMs: range.toMs,
      marker,
      reverse: range.reverse,
      limit: pageRows + 1,
    });
    for (const record of records.slice(0, pageRows)) {
      const body = bodyOf(record) as unknown as NotificationLogBody;
      if (body.alarm_id === alarm) rows.push({ id: record.id, atMs: record.atMs, body });
    }
    marker = records[pageRows]?.id ?? null;
    if (marker === null) break;
  }
  return rows;
}

function itemsOf(
  call: Call,
  rows: readonly NotificationLogRow[],
): readonly NotificationHistoryItem[] {
  const check = param(call, 'check');
  return notificationHistory(rows.filter((row) => row.body.check_id === check));
}

async function notifications(call: Call): Promise<Answer> {
  const request = seriesRequest(call);
  const { fromMs, toMs, reverse, limit, marker } = request;
  const rows = await rowsOf(call, { fromMs, toMs: toMs + attemptsForMs, reverse });
  const inRange = itemsOf(call, rows).filter(
    (one) => one.timestamp >= fromMs && one.timestamp <= toMs,
  );
  const ordered = reverse ? inRange.toReversed() : inRange;
  const from = marker === null ? 0 : ordered.findIndex((one) => one.id === marker);
  const page = from === -1 ? [] : ordered.slice(from, from + limit);
  const next = from === -1 ? null : (ordered[from + limit]?.id ?? null);
  return seriesAnswer(call, page, request, next);
}

async function notification(call: Call): Promise<Answer> {
  const id = param(call, 'item');
  const atMs = timeOf(id);
  if (atMs === null) throw notFound('NotificationHistory', id.slice(0, 80));
  const range = { fromMs: Math.max(0, atMs - 60_000), toMs: atMs + attemptsForMs, reverse: false };
  const rows = await rowsOf(call, range);
  const item = itemsOf(call, rows).find((one) => one.id === id);
  if (item === undefined) throw notFound('NotificationHistory', id);
  return ok(item);
}
