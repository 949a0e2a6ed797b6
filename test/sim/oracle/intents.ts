// What a transition owes: I18, I25 and the ids of I20. Written against reliability.md §5 and clustering.md §15.
import { createHash } from 'node:crypto';
import {
  documentKind,
  type Facts,
  placeOf,
  rowKind,
  type TransitionRow,
  type Violation,
  versionAt,
} from './facts.ts';

interface PlanDoc {
  readonly critical_state: readonly string[];
  readonly warning_state: readonly string[];
  readonly ok_state: readonly string[];
}

interface SuppressionDoc {
  readonly notification_plans: readonly string[];
  readonly entities: readonly string[];
  readonly checks: readonly string[];
  readonly alarms: readonly string[];
  readonly start_time: number;
  readonly end_time: number | null;
}

const clusterName = 'tocsin';
const builtInPlan = 'npTechnicalContactsEmail';
const builtInChannel = 'ntTechnicalContactsEmail';

/** I18: a transition is committed with its intents, and nothing leaves before its commit is known as durable. */
export function outboxAtomic(facts: Facts): Violation[] {
  return [...owed(facts), ...tooSoon(facts), ...answeredTooSoon(facts)];
}

function owed(facts: Facts): Violation[] {
  const found: Violation[] = [];
  const tenantChanges = facts.rows.filter((row) => !row.key.includes('/')).map((row) => row.t);
  for (const one of facts.transitions) {
    const lagMs =
      10_000 +
      (facts.overlaps(facts.storeFaults, one.decidedT - 120_000, one.row.t) ? 120_000 : 0) +
      facts.awayMs(one.decidedT - 120_000, one.row.t);
    // Which copy of the tenant's documents a step saw is not to be seen from outside: any of the last seconds will do.
    const instants = [
      one.decidedT,
      one.row.t,
      ...tenantChanges
        .filter((t) => t >= one.decidedT - lagMs && t <= one.row.t)
        .map((t) => t - 0.001),
    ];
    const own = one.batch.filter((row) => row.kind === rowKind.intent && isOf(row.body, one));
    const have = own
      .map((row) => (row.body as { channel: string }).channel)
      .sort()
      .join(' ');
    const isTold = one.row.history.some((line) => line.table === 'suppression_log');
    const options = instants.map((t) => expected(facts, one, t));
    if (
      options.some((option) => option.channels.join(' ') === have && option.isSuppressed === isTold)
    )
      continue;
    if (options.some((option) => option.isSuppressed) && have === '' && !isTold) {
      found.push({
        id: 'I25',
        t: one.row.t,
        text: `${one.key} ${one.alarm} #${one.n}: suppressed without a record`,
      });
      continue;
    }
    const wanted = options
      .map((option) => `[${option.isSuppressed ? 'suppressed' : option.channels.join(' ')}]`)
      .join(' or ');
    found.push({
      id: 'I18',
      t: one.row.t,
      text: `${one.key} ${one.alarm} #${one.n} ${one.state}: intents [${have}], owed ${wanted}`,
    });
  }
  return found;
}

function isOf(body: unknown, one: TransitionRow): boolean {
  const intent = body as { alarm: string; n: number };
  return intent.alarm === one.alarm && intent.n === one.n;
}

function expected(
  facts: Facts,
  one: TransitionRow,
  t: number,
): { channels: string[]; isSuppressed: boolean } {
  if (one.previous === 'UNKNOWN' && one.state === 'OK')
    return { channels: [], isSuppressed: false };
  const [tenant = '', entity = ''] = one.key.split('/');
  const alarm =
    versionAt(facts.documents.get(placeOf(one.key, documentKind.alarm, one.alarm)), t) ??
    versionAt(facts.documents.get(placeOf(one.key, documentKind.alarm, one.alarm)), one.row.t);
  const planId =
    (alarm?.body as { doc?: { notification_plan_id: string } } | undefined)?.doc
      ?.notification_plan_id ?? '';
  const plan = versionAt(facts.documents.get(placeOf(tenant, documentKind.plan, planId)), t)
    ?.body as PlanDoc | undefined;
  const ids =
    plan === undefined || planId === builtInPlan ? [builtInChannel] : statesOf(plan, one.state);
  const channels = ids.filter(
    (id) =>
      id === builtInChannel ||
      versionAt(facts.documents.get(placeOf(tenant, documentKind.notification, id)), t) !== null,
  );
  const isSuppressed = suppressed(facts, {
    tenant,
    entity,
    check: one.check,
    alarm: one.alarm,
    plan: planId,
    t,
    atMs: one.atMs,
  });
  return isSuppressed
    ? { channels: [], isSuppressed }
    : { channels: [...new Set(channels)].sort(), isSuppressed };
}

function statesOf(plan: PlanDoc, state: string): readonly string[] {
  if (state === 'CRITICAL') return plan.critical_state;
  return state === 'WARNING' ? plan.warning_state : plan.ok_state;
}

function suppressed(
  facts: Facts,
  of: {
    tenant: string;
    entity: string;
    check: string;
    alarm: string;
    plan: string;
    t: number;
    atMs: number;
  },
): boolean {
  for (const [place, versions] of facts.documents) {
    if (!place.startsWith(`${of.tenant} ${documentKind.suppression} `)) continue;
    const one = versionAt(versions, of.t)?.body as SuppressionDoc | undefined;
    if (one === undefined || one.start_time > of.atMs) continue;
    if (one.end_time !== null && one.end_time <= of.atMs) continue;
    if (one.notification_plans.length > 0 && !one.notification_plans.includes(of.plan)) continue;
    const isAll = one.entities.length + one.checks.length + one.alarms.length === 0;
    if (
      isAll ||
      one.entities.includes(of.entity) ||
      one.checks.includes(`${of.entity}:${of.check}`) ||
      one.alarms.includes(`${of.entity}:${of.alarm}`)
    )
      return true;
  }
  return false;
}

function tooSoon(facts: Facts): Violation[] {
  const found: Violation[] = [];
  facts.events.forEach((event, at) => {
    if (event.kind !== 'page.start') return;
    const intent = facts.intents.get(event.id);
    const place = `${event.key} ${event.alarm} #${event.n} ${event.channel}`;
    if (intent === undefined || intent.row.at > at) {
      const isKnown = [...facts.intents.values()].some(
        (one) => sameLine(one, event) && one.n === event.n,
      );
      found.push({
        id: isKnown ? 'I20' : 'I18',
        t: event.t,
        text: `${place}: sent under an id that is not committed`,
      });
    } else if (!facts.ackedBefore(intent.row.shard, intent.row.seq, at)) {
      found.push({
        id: 'I18',
        t: event.t,
        text: `${place}: sent before its commit was acknowledged`,
      });
    }
  });
  return found;
}

export function sameLine(
  left: { key: string; alarm: string; channel: string },
  right: typeof left,
): boolean {
  return left.key === right.key && left.alarm === right.alarm && left.channel === right.channel;
}

/** An answer `ok` to a change leaves only behind the durable row that made it. */
function answeredTooSoon(facts: Facts): Violation[] {
  const found: Violation[] = [];
  const rows = new Map<string, { shard: number; seq: number; at: number }>();
  for (const row of facts.rows) {
    const key = changeKey(row.body);
    if (row.kind === rowKind.config && key !== null && !rows.has(key)) rows.set(key, row);
  }
  facts.events.forEach((event, at) => {
    if (event.kind !== 'api.reply' || event.outcome !== 'ok') return;
    const request = facts.requests.get(event.op);
    const row = rows.get(event.op);
    const isTenant = request !== undefined && !request.op.key.includes('/');
    if (row === undefined) {
      // A tenant's document may be changed to what it is already: nothing is written.
      if (!isTenant)
        found.push({
          id: 'I18',
          t: event.t,
          text: `${event.op}: answered ok, and nothing was committed`,
        });
    } else if (row.at > at || !facts.ackedBefore(row.shard, row.seq, at)) {
      found.push({
        id: 'I18',
        t: event.t,
        text: `${event.op}: answered before its commit was acknowledged`,
      });
    }
  });
  return found;
}

/** Idempotency-Key that a CONFIG row carries. */
export function changeKey(body: unknown): string | null {
  const row = body as { last?: { key: string } | null; idempotencyKey?: string | null };
  return row.last?.key ?? row.idempotencyKey ?? null;
}

/** I20: one id for all attempts, made of what decided; a line keeps its incident key; nothing else shares either. */
export function stableIds(facts: Facts): Violation[] {
  const found: Violation[] = [];
  for (const one of facts.transitions) {
    for (const row of one.batch) {
      if (row.kind !== rowKind.intent || !isOf(row.body, one)) continue;
      const { id, channel } = row.body as { id: string; channel: string };
      const text = [clusterName, one.key, one.alarm, one.n, one.state, one.slot, channel].join('|');
      if (createHash('sha256').update(text).digest('hex') !== id) {
        found.push({
          id: 'I20',
          t: row.t,
          text: `${one.key} ${one.alarm} #${one.n} ${channel}: its id is not made of what decided`,
        });
      }
    }
  }
  const seen = new Map<string, string>();
  const incidents = new Map<string, string>();
  for (const page of facts.pages) {
    const line = `${page.key} ${page.alarm} ${page.channel}`;
    const told = `${line} #${page.n} ${page.incident} ${page.hash}`;
    if ((seen.get(page.id) ?? told) !== told) {
      found.push({
        id: 'I20',
        t: page.t,
        text: `${line} #${page.n}: attempt ${page.attempt} differs from an earlier one of its id`,
      });
    }
    seen.set(page.id, told);
    if ((incidents.get(line) ?? page.incident) !== page.incident) {
      found.push({
        id: 'I20',
        t: page.t,
        text: `${line} #${page.n}: another incident key than before`,
      });
    }
    incidents.set(line, page.incident);
  }
  return found;
}
