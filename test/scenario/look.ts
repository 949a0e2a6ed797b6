// The verbs that look: state, explain, slots, changelog, history, inbox. Compact lines in plain words, stable in every run.
// They read what the API reads; must not change anything.
import type { AlarmExplanation, LiveState, SlotsInFlight } from '../../actors/entity/messages.ts';
import { type SlotItem, slotReport } from '../../actors/entity/slots.ts';
import { notificationHistory } from '../../actors/notify/history.ts';
import type { NotificationLogBody } from '../../actors/notify/intent.ts';
import type { Outcome } from '../../actors/refusal.ts';
import { decodeValue } from '../../runtime/codec.ts';
import { type ActorKey, shardOf } from '../../runtime/ids.ts';
import type { HistoryRecord } from '../../runtime/ports.ts';
import { type Configured, entityKeyOf } from './configure.ts';
import { tenant, transitionText } from './node.ts';
import type { Command } from './script.ts';
import { durationMs, instantText } from './time.ts';

type Look = (of: Configured, command: Command) => Promise<readonly string[]>;

async function asked<Value>(
  of: Configured,
  key: ActorKey,
  message: { kind: string; id?: string },
): Promise<Value> {
  const outcome = await of.node.settled(of.node.ask<Outcome<Value>>(key, message));
  if (!outcome.ok) throw new Error(`${outcome.error.message}: ${String(outcome.error.details)}`);
  return outcome.value;
}

/** `state`: each alarm with what its zones hold, then the conditions. */
export const state: Look = async (of, command) => {
  const live = await asked<LiveState>(of, entityKeyOf(of, command), { kind: 'entity.live' });
  return [
    ...live.alarms.map((alarm) => alarmText(alarm)),
    ...live.conditions.map((one) => `! ${one.name}: ${one.text}`),
    ...(live.committed ? [] : ['not committed yet']),
  ];
};

type LiveAlarm = LiveState['alarms'][number];

/** `site OK: code 200`, with the zones where they differ from that, or are more than one. */
function alarmText(alarm: LiveAlarm): string {
  const status = alarm.status === '' ? '' : `: ${alarm.status}`;
  const isPlain = alarm.zones.every((zone) => zone.computed === alarm.state);
  const zones = alarm.zones.map((zone) => {
    const run = zone.computed === zone.confirmed ? '' : ` x${zone.run}`;
    return `${zone.monitoring_zone_id} ${zone.computed}${run}`;
  });
  const shown = isPlain && alarm.zones.length < 2 ? '' : ` (${zones.join(', ')})`;
  return `${alarm.id} ${alarm.state}${status}${shown}${alarm.disabled ? ' disabled' : ''}`;
}

/** Returns `site stays OK: …` with the newest result of each zone, for each alarm. */
export async function unchanged(of: Configured, command: Command): Promise<readonly string[]> {
  const key = entityKeyOf(of, command);
  const live = await asked<LiveState>(of, key, { kind: 'entity.live' });
  const lines: string[] = [];
  for (const alarm of live.alarms) {
    const message = { kind: 'alarm.explain', id: alarm.id };
    const { zones } = await asked<AlarmExplanation>(of, key, message);
    const seen = zones.filter((zone) => zone.age !== null);
    const results = seen.map((zone) => {
      const run = zone.computed === zone.confirmed ? '' : ` x${zone.run}`;
      const isSame = zone.computed === alarm.state && seen.length === 1;
      return isSame
        ? zone.status
        : `${zone.monitoring_zone_id} says ${zone.computed}${run}: ${zone.status}`;
    });
    lines.push(`${alarm.id} stays ${alarm.state}: ${results.join('; ')}`);
  }
  return lines;
}

/** `explain ALARM`: why it has its state. */
export const explain: Look = async (of, command) => {
  const message = { kind: 'alarm.explain', id: command.words[0] ?? '' };
  return (await asked<AlarmExplanation>(of, entityKeyOf(of, command), message)).why;
};

/** `slots CHECK [from=5m]`: how each slot ended, by zone; slots are named by the wall clock since the start. */
export const slots: Look = async (of, command) => {
  const [check = ''] = command.words;
  const key = entityKeyOf(of, command);
  const schedule = await asked<SlotsInFlight>(of, key, { kind: 'check.slots', id: check });
  const { node } = of;
  const nowMs = node.world.clock.nowMs();
  const fromMs = node.wallMs(durationMs(command.options.get('from') ?? '0s'));
  const newestMs = nowMs + 7_200_000;
  const query = { shard: shardOf(key), key, check, fromMs: 0, toMs: newestMs, limit: 10_000 };
  const rows = await node.settled(node.world.store.samples.readTicks(query));
  const ticks = rows.map(({ zone, slotAtMs, value }) => ({
    zone,
    slotAtMs,
    value: decodeValue(value),
  }));
  const report = slotReport(ticks, schedule, { fromMs, toMs: newestMs, nowMs });
  const zones = [...new Set(report.items.map((item) => item.monitoring_zone_id))];
  return zones.map((zone) => {
    const own = report.items.filter((item) => item.monitoring_zone_id === zone);
    return `${zone}: ${runsOf(own)
      .map((run) => runText(of, run))
      .join(', ')}`;
  });
};

type SlotRun = readonly [SlotItem, ...SlotItem[]];

/** Neighbours that ended alike are one run. */
function runsOf(items: readonly SlotItem[]): readonly SlotRun[] {
  const runs: [SlotItem, ...SlotItem[]][] = [];
  for (const item of items) {
    const last = runs.at(-1);
    const isAlike = last?.[0].outcome === item.outcome && last[0].why === item.why;
    if (last !== undefined && isAlike) last.push(item);
    else runs.push([item]);
  }
  return runs;
}

function runText(of: Configured, run: SlotRun): string {
  const [first] = run;
  const last = run.at(-1) ?? first;
  const count = run.reduce((sum, item) => sum + item.slots, 0);
  const span = `${of.node.wallText(first.from)}${count === 1 ? '' : `..${of.node.wallText(last.to)}`}`;
  const what = first.why === null ? first.outcome : `${first.outcome} (${first.why})`;
  return `${span} ${count === 1 ? '' : `${count} `}${what}`;
}

async function pageOf(
  of: Configured,
  table: HistoryRecord['table'],
  partition: string,
): Promise<readonly HistoryRecord[]> {
  const range = { fromMs: 0, toMs: of.node.world.clock.nowMs() + 7_200_000 };
  const page = { marker: null, reverse: false, limit: 1000 };
  const query = { table, partition, ...range, ...page };
  return of.node.settled(of.node.world.store.history.page(query));
}

/** `changelog`: every change of an alarm's state, as stored. */
export const changelog: Look = async (of) => {
  const rows = await pageOf(of, 'changelog', tenant);
  return rows.map((row) => `${of.node.wallText(row.atMs)}  ${transitionText(row)}`);
};

/** `history`: what became of the notifications of each change, as the notification history tells it. */
export const history: Look = async (of, command) => {
  const rows = await pageOf(of, 'notification_log', entityKeyOf(of, command));
  const bodies = rows.map(({ id, atMs, body }) => ({
    id,
    atMs,
    body: decodeValue(body) as NotificationLogBody,
  }));
  return notificationHistory(bodies).flatMap((item) =>
    item.notification_results.map((result) => {
      const { success, in_progress: isOpen, attempts, message } = result;
      const outcome = success ? 'delivered' : isOpen ? 'in progress' : 'not delivered';
      const count = `${attempts.length} attempt${attempts.length === 1 ? '' : 's'}`;
      return `${of.node.wallText(item.timestamp)}  ${item.state} by ${item.notification_plan_id} to ${result.notification_id}: ${outcome}, ${count}: ${message}`;
    }),
  );
};

/** `inbox NAME`: what a receiver got, with the notification's id. */
export const inbox: Look = async (of, command) => {
  const [receiver = ''] = command.words;
  const got = of.node.receivers.inbox.filter((one) => one.receiver === receiver);
  if (got.length === 0) return ['empty'];
  const startMs = of.node.world.clock.monoMs() - of.node.elapsedMs;
  return got.map((one) => `${instantText(one.atMonoMs - startMs)}  ${one.text}`);
};
