// The rows of one transition: the decision with its evidence, its changelog and history, and an intent for each channel
// that plan and suppressions give in this step (design.md §10, clustering.md §15). All ids are derived from what decided,
// so that writing the rows again overwrites them. Must not know how zones were counted or how channels deliver.
import { createHash } from 'node:crypto';
import { type DecisionRow, type HistoryWrite, rowKinds } from '../../runtime/effect.ts';
import { type ActorKey, tenantOf } from '../../runtime/ids.ts';
import type { Intent } from '../../runtime/ports.ts';
import { timeId } from '../../runtime/time-id.ts';
import { probeTarget } from '../check/check.ts';
import { metricMap } from '../check/metric-map.ts';
import type { ChangelogBody, IntentBody, NotificationLogBody } from '../notify/intent.ts';
import type { Observation } from '../observation/observation.ts';
import type {
  AlarmDoc,
  AlarmStateName,
  CheckDoc,
  EntityDoc,
  NotificationDoc,
  NotificationType,
  PlanDoc,
} from '../resources.ts';
import type { TenantDocuments } from '../tenant/documents.ts';
import { channelsFor } from '../tenant/plan.ts';
import { suppressionsOf } from '../tenant/suppression.ts';
import { criteriaFingerprint } from './alarm.ts';
import type { ConsistencyLevel } from './zones.ts';

/** One configured zone as it stood when the transition was decided. */
export interface ZoneEvidence {
  readonly zone: string;
  readonly computed: AlarmStateName;
  readonly confirmed: AlarmStateName;
  readonly run: number;
  readonly status: string;
  /** Slot of the observation; 0: none was evaluated. */
  readonly slot: number;
  /** Start of the probe, epoch ms; 0: none. */
  readonly at: number;
  /** Ms since it came in, or since its owner loaded it; null: none. */
  readonly age: number | null;
  /** Wall clock when it came in, whoever the owner was then; 0: none. Rows of earlier versions don't say. */
  readonly came?: number;
  /** Too old to count, or none. */
  readonly stale: boolean;
  readonly collector: 'UP' | 'DOWN' | 'UNKNOWN';
}

/** Body of a transition's log row: what an owner needs to go on from it, and what proves it. */
export interface TransitionBody {
  readonly alarm: string;
  readonly check: string;
  readonly n: number;
  readonly state: AlarmStateName;
  readonly previous: AlarmStateName;
  readonly status: string;
  /** Slot and zone of the deciding observation. */
  readonly slot: number;
  readonly zone: string;
  readonly atMs: number;
  /** Changelog id. */
  readonly log: string;
  readonly settings: TransitionSettings;
  readonly evidence: readonly ZoneEvidence[];
  /** Fingerprint of the criteria that made it. */
  readonly of: number;
}

export interface TransitionSettings {
  readonly level: ConsistencyLevel;
  readonly count: number;
  readonly total: number;
  readonly needed: number;
  readonly ageLimitMs: number;
}

/** Everything that a transition is made of. */
export interface TransitionFacts {
  readonly cluster: string;
  readonly node: string;
  /** Types of notifications that this installation can deliver. */
  readonly channelTypes: ReadonlySet<NotificationType>;
  readonly key: ActorKey;
  readonly entity: EntityDoc;
  readonly check: CheckDoc;
  readonly alarm: AlarmDoc;
  /** The alarm's transition number, 1 for the first. */
  readonly n: number;
  readonly state: AlarmStateName;
  readonly previous: AlarmStateName;
  readonly status: string;
  /** The deciding observation, and its zone. */
  readonly zone: string;
  readonly seen: Observation;
  readonly atMs: number;
  readonly settings: TransitionSettings;
  readonly evidence: readonly ZoneEvidence[];
  readonly documents: TenantDocuments;
}

export interface Transition {
  /** To be committed together. */
  readonly rows: readonly DecisionRow[];
  readonly changelogId: string;
  readonly planMissing: boolean;
}

/** Rows of one batch are at most 256: the transition's own, and one for each channel. */
const intentsMax = 200;

/** Returns the rows of a transition. The same facts give the same rows. */
export function transition(facts: TransitionFacts): Transition {
  const identity = [
    facts.cluster,
    facts.key,
    facts.alarm.id,
    facts.n,
    facts.state,
    facts.seen.slotAtMs,
  ];
  const seed = identity.join('|');
  const changelogId = timeId(facts.atMs, seed);
  const txnId = `.rh-${sha256(seed).slice(0, 4)}.h-${facts.node}.r-${sha256(seed).slice(4, 12)}.c-${facts.n}.ts-${facts.atMs}.v-1.0.0`;
  const told = notifications(facts, { seed, changelogId, txnId });
  const body: TransitionBody = {
    alarm: facts.alarm.id,
    check: facts.check.id,
    n: facts.n,
    state: facts.state,
    previous: facts.previous,
    status: facts.status,
    slot: facts.seen.slotAtMs,
    zone: facts.zone,
    atMs: facts.atMs,
    log: changelogId,
    settings: facts.settings,
    evidence: facts.evidence,
    of: criteriaFingerprint(facts.alarm.criteria),
  };
  const history = [...changeHistory(facts, body, txnId), ...told.history];
  return {
    rows: [{ kind: rowKinds.transition, body, history }, ...told.intents],
    changelogId,
    planMissing: told.planMissing,
  };
}

function changelogOf(facts: TransitionFacts): ChangelogBody {
  return {
    timestamp: facts.atMs,
    entity_id: facts.entity.id,
    alarm_id: facts.alarm.id,
    check_id: facts.check.id,
    state: facts.state,
    previous_state: facts.previous,
    status: facts.status,
    analyzed_by_monitoring_zone_id: facts.zone,
    n: facts.n,
  };
}

function changeHistory(
  facts: TransitionFacts,
  body: TransitionBody,
  txnId: string,
): HistoryWrite[] {
  const { atMs } = facts;
  const evidence = {
    ...changelogOf(facts),
    log_entry_id: body.log,
    txn_id: txnId,
    slot: body.slot,
    settings: body.settings,
    evidence: body.evidence,
    metrics: metricMap(facts.seen),
  };
  return [
    { table: 'changelog', id: body.log, atMs, body: changelogOf(facts) },
    { table: 'alarm_history', id: body.log, atMs, body: evidence },
  ];
}

interface Names {
  readonly seed: string;
  readonly changelogId: string;
  readonly txnId: string;
}

interface Told {
  readonly intents: readonly DecisionRow[];
  readonly history: readonly HistoryWrite[];
  readonly planMissing: boolean;
}

function notifications(facts: TransitionFacts, names: Names): Told {
  const planId = facts.alarm.notification_plan_id;
  const resolved = channelsFor(facts.documents, planId, facts.state);
  const planMissing = resolved.missing;
  // An initial OK is history, but no news.
  if (facts.previous === 'UNKNOWN' && facts.state === 'OK')
    return { intents: [], history: [], planMissing };
  const suppressions = suppressedBy(facts);
  const intents: DecisionRow[] = [];
  const history: HistoryWrite[] = [];
  for (const channel of resolved.notifications) {
    const id = sha256(`${names.seed}|${channel.id}`);
    const obstacle =
      intents.length >= intentsMax
        ? 'The plan has too many notifications'
        : obstacleOf(facts, channel);
    const write = logWrite(facts, names, { id, channel, plan: resolved.plan });
    if (suppressions.length > 0) {
      history.push(write('suppressed', `Suppressed by ${suppressions.join(', ')}`));
    } else if (obstacle !== null) {
      history.push(write('undeliverable', obstacle));
    } else {
      history.push(write('pending', ''));
      intents.push({
        kind: rowKinds.intent,
        body: intent(facts, names, { id, channel, plan: resolved.plan }),
      });
    }
  }
  if (suppressions.length > 0) history.push(suppressionLog(facts, names, suppressions));
  return { intents, history, planMissing };
}

function suppressedBy(facts: TransitionFacts): readonly string[] {
  const target = {
    entity: facts.entity.id,
    check: facts.check.id,
    alarm: facts.alarm.id,
    plan: facts.alarm.notification_plan_id,
  };
  return suppressionsOf(facts.documents, target, facts.atMs).active;
}

function obstacleOf(facts: TransitionFacts, channel: NotificationDoc): string | null {
  if (!facts.channelTypes.has(channel.type)) {
    return `This installation does not deliver notifications of type ${channel.type}`;
  }
  return channel.type === 'technicalContactsEmail' &&
    facts.documents.account.technical_contacts.length === 0
    ? 'The account has no technical contacts'
    : null;
}

interface Channel {
  readonly id: string;
  readonly channel: NotificationDoc;
  readonly plan: PlanDoc;
}

function logWrite(facts: TransitionFacts, names: Names, to: Channel) {
  return (event: NotificationLogBody['event'], message: string): HistoryWrite => {
    const body: NotificationLogBody = {
      log_entry_id: names.changelogId,
      alarm_id: facts.alarm.id,
      check_id: facts.check.id,
      n: facts.n,
      plan_id: to.plan.id,
      txn_id: names.txnId,
      state: facts.state,
      previous_state: facts.previous,
      status: facts.status,
      notification_id: to.channel.id,
      notification_type: to.channel.type,
      notification_details: to.channel.details,
      event,
      attempt: 0,
      delivered: false,
      message,
      from: facts.node,
    };
    return {
      table: 'notification_log',
      id: timeId(facts.atMs, `${to.id}|${event}`),
      atMs: facts.atMs,
      body,
    };
  };
}

function suppressionLog(
  facts: TransitionFacts,
  names: Names,
  suppressions: readonly string[],
): HistoryWrite {
  return {
    table: 'suppression_log',
    id: timeId(facts.atMs, `${names.seed}|suppressed`),
    atMs: facts.atMs,
    body: {
      entity_id: facts.entity.id,
      alarm_id: facts.alarm.id,
      check_id: facts.check.id,
      notification_plan_id: facts.alarm.notification_plan_id,
      suppressions,
      state: facts.state,
      timestamp: facts.atMs,
      transaction_id: names.txnId,
    },
  };
}

function intent(facts: TransitionFacts, names: Names, to: Channel): Intent {
  const { account } = facts.documents;
  const body: IntentBody = {
    tenant: tenantOf(facts.key),
    account_id: account.id,
    webhook_token: account.webhook_token,
    signing_secret: account.signing_secret,
    technical_contacts: account.technical_contacts,
    notification: to.channel,
    plan_id: to.plan.id,
    event_id: [
      account.id,
      facts.entity.id,
      facts.alarm.id,
      facts.check.id,
      facts.atMs,
      facts.state,
    ].join(':'),
    log_entry_id: names.changelogId,
    txn_id: names.txnId,
    incident_key: sha256([facts.cluster, facts.key, facts.alarm.id, to.channel.id].join('|')),
    timestamp: facts.atMs,
    target: probeTarget(facts.check, facts.entity) ?? '',
    state: facts.state,
    previous_state: facts.previous,
    status: facts.status,
    metrics: metricMap(facts.seen),
    observations: facts.evidence.map((zone) => ({
      monitoring_zone_id: zone.zone,
      state: zone.computed,
      status: zone.status,
      timestamp: zone.at,
      collectorState: zone.collector,
      stale: zone.stale,
    })),
    entity: facts.entity,
    check: facts.check,
    alarm: facts.alarm,
  };
  return {
    id: to.id,
    alarm: facts.alarm.id,
    n: facts.n,
    channel: to.channel.id,
    atMs: facts.atMs,
    body,
  };
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
