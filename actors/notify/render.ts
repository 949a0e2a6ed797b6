// Notifications as texts and payloads: mail, one-line texts, the webhook's JSON (v1.0, webhook delivery).
// Substitution only: nothing of a tenant is ever evaluated; control characters never leave. Pure; must not know transports.
import type { AlarmDoc, CheckDoc, EntityDoc } from '../resources.ts';
import type { IntentBody } from './intent.ts';

/** An intent's body as a channel gets it: the runtime may have marked it. */
export type NotifiedBody = IntentBody & {
  /** True: paged while the store was down, not fenced; the same event may come again under this id. */
  readonly unfenced?: boolean;
};

/** Returns the text in one line: control characters and line ends become blanks, cut at `max` characters. */
export function oneLine(text: string, max: number): string {
  const plain = text
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is replaced
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g, ' ')
    .replace(/\p{Surrogate}/gu, '\ufffd')
    .trim();
  if (plain.length <= max) return plain;
  return `${plain.slice(0, max - 1).replace(/\p{Surrogate}$/u, '')}…`;
}

const subjectMax = 250;
const lineMax = 500;

/** Returns the subject of the mail: `** CRITICAL: <check> on <entity> **`. */
export function emailSubject(body: NotifiedBody): string {
  const inner = `${body.state}: ${checkName(body.check)} on ${entityName(body.entity)}`;
  return `** ${oneLine(inner, subjectMax - 6)} **`;
}

/** Returns the plain text of the mail, lines of at most 500 characters ended by LF. */
export function emailText(body: NotifiedBody): string {
  const field = (name: string, value: string): string => `${name}: ${oneLine(value, lineMax)}`;
  const lines = [
    field('Entity', `${entityName(body.entity)} (${body.target})`),
    field('Check', `${checkName(body.check)} (${body.check.type})`),
    field('Alarm', body.alarm.label ?? body.alarm.id),
    field('State', `${body.state} (was ${body.previous_state})`),
    field('Status', body.status),
    field('Date', new Date(body.timestamp).toISOString()),
    '',
    'Observations:',
    ...body.observations.flatMap((one) => ['', ...observationLines(one, body.timestamp)]),
    '',
    field('Account', body.tenant),
    field('Entity id', body.entity.id),
    field('Check id', body.check.id),
    field('Alarm id', body.alarm.id),
    field('Event', body.log_entry_id),
  ];
  if (body.unfenced === true) {
    lines.push('', 'Sent while the store was unavailable: this message may come twice.');
  }
  return `${lines.join('\n')}\n`;
}

function observationLines(
  one: IntentBody['observations'][number],
  decidedAtMs: number,
): readonly string[] {
  const ageS = Math.max(0, Math.round((decidedAtMs - one.timestamp) / 1_000));
  const lines = [
    oneLine(`${one.state} - ${one.status}`, lineMax),
    oneLine(`  ${one.monitoring_zone_id}, ${ageS} sec ago`, lineMax),
  ];
  if (one.stale) lines.push('  too old to count');
  if (one.collectorState === 'DOWN') lines.push('  this zone is down');
  return lines;
}

/** Returns one line for short-text channels: `CRITICAL: <check> on <entity> - <status>`, at most `max` characters. */
export function shortText(body: NotifiedBody, max: number): string {
  const what = `${body.state}: ${checkName(body.check)} on ${entityName(body.entity)}`;
  return oneLine(`${what} - ${body.status}`, max);
}

/** Returns the webhook's payload (v1.0, webhook delivery): native numbers, full objects; equal on every attempt. */
export function webhookPayload(body: NotifiedBody): Readonly<Record<string, unknown>> {
  return {
    event_id: body.event_id,
    log_entry_id: body.log_entry_id,
    details: {
      target: body.target,
      timestamp: body.timestamp,
      metrics: body.metrics,
      state: body.state,
      previous_state: body.previous_state,
      status: body.status,
      txn_id: body.txn_id,
      collector_address_v4: null,
      collector_address_v6: null,
      observations: body.observations.map(shownObservation),
    },
    entity: fullEntity(body.entity),
    check: fullCheck(body.check),
    alarm: fullAlarm(body.alarm),
    tenant_id: body.tenant,
    ...(body.unfenced === true ? { unfenced: true } : {}),
  };
}

function shownObservation(one: IntentBody['observations'][number]) {
  const { monitoring_zone_id, state, status, timestamp, collectorState } = one;
  return { monitoring_zone_id, state, status, timestamp, collectorState };
}

const unmarked = { active_suppressions: null, scheduled_suppressions: null } as const;
const unconfigured = { confd_name: null, confd_hash: null } as const;

function fullEntity(entity: EntityDoc) {
  return { ...entity, ...unmarked };
}

function fullCheck(check: CheckDoc) {
  return { ...check, collectors: [], ...unconfigured, ...unmarked };
}

function fullAlarm(alarm: AlarmDoc) {
  return { ...alarm, ...unconfigured, ...unmarked };
}

/** Returns the event for PagerDuty's generic (v1) API: trigger on WARNING and CRITICAL, resolve on OK. */
export function pagerdutyEvent(body: NotifiedBody): Readonly<Record<string, unknown>> {
  return {
    service_key: body.notification.details['service_key'] ?? '',
    event_type: body.state === 'OK' ? 'resolve' : 'trigger',
    incident_key: body.incident_key,
    description: shortText(body, 1_024),
    client: 'Tocsin',
    details: webhookPayload(body),
  };
}

const victoropsTypes = {
  CRITICAL: 'CRITICAL',
  WARNING: 'WARNING',
  OK: 'RECOVERY',
  UNKNOWN: 'INFO',
} as const;

/** Returns the alert for VictorOps' generic REST endpoint. */
export function victoropsAlert(body: NotifiedBody): Readonly<Record<string, unknown>> {
  return {
    message_type: victoropsTypes[body.state],
    entity_id: body.incident_key,
    entity_display_name: oneLine(`${checkName(body.check)} on ${entityName(body.entity)}`, 250),
    state_message: emailText(body),
    state_start_time: Math.floor(body.timestamp / 1_000),
    timestamp: Math.floor(body.timestamp / 1_000),
    monitoring_tool: 'Tocsin',
    host_name: oneLine(entityName(body.entity), 250),
    details: webhookPayload(body),
  };
}

function checkName(check: CheckDoc): string {
  return check.label ?? check.id;
}

function entityName(entity: EntityDoc): string {
  return entity.label === '' ? entity.id : entity.label;
}
