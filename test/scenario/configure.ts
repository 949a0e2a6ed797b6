// The verbs that configure: entity, check, alarm, plan, channel, suppress, limits, contacts; `change` and `delete` of them.
// Each is one message to the real actor, as the API sends it; what is refused is shown. Names are ids.
import type { Change } from '../../actors/change.ts';
import { pollSchedule, slotAfter } from '../../actors/check/poll-schedule.ts';
import type { Outcome } from '../../actors/refusal.ts';
import type { LimitsDoc } from '../../actors/resources.ts';
import { type ActorKey, actorKey } from '../../runtime/ids.ts';
import type { Message } from '../../runtime/message.ts';
import { roomyLimits, type ScenarioNode, tenant } from './node.ts';
import type { Command } from './script.ts';
import { durationMs } from './time.ts';

type Body = Record<string, unknown>;
type Kind = 'entity' | 'check' | 'alarm' | 'plan' | 'notification' | 'suppression';

const kindOfVerb: Readonly<Record<string, Kind>> = {
  entity: 'entity',
  check: 'check',
  alarm: 'alarm',
  plan: 'plan',
  channel: 'notification',
  suppress: 'suppression',
  suppression: 'suppression',
};

/** What a scenario's commands configured so far. */
export interface Configured {
  readonly node: ScenarioNode;
  /** Entity that later commands mean where they name none. */
  entity: string;
  requests: number;
  isAligned: boolean;
}

const tenantKey = actorKey(tenant);

/** Returns the key of the entity that a command means: `on=…`, or the last one created. */
export function entityKeyOf(of: Configured, command: Command): ActorKey {
  return actorKey(`${tenant}/${command.options.get('on') ?? of.entity}`);
}

/** Makes the tenant, and the plan `quiet` that tells nobody: alarms that name no plan have it. */
export async function prepare(of: Configured): Promise<void> {
  const account = {
    id: 'acAcme',
    metadata: null,
    webhook_token: 'token',
    signing_secret: 'whsec_c2NlbmFyaW8=',
    technical_contacts: ['ops@example.com'],
  };
  const change = changeOf(of, 'prepare', null);
  await told(of, tenantKey, { kind: 'tenant.create', account, limits: roomyLimits, change });
  const plan = { kind: 'plan.create', id: 'quiet', attributes: { label: 'quiet' } };
  await told(of, tenantKey, { ...plan, change: changeOf(of, 'quiet', null) });
}

/** `entity|check|alarm|plan|channel|suppress NAME …`: creates it. */
export async function create(of: Configured, command: Command): Promise<readonly string[]> {
  const kind = kindOfVerb[command.verb] as Kind;
  const [name = ''] = command.words;
  const before = of.entity;
  if (kind === 'entity') of.entity = name;
  if (kind === 'check') align(of, command, name);
  const owner = ownerOf(of, command, kind);
  const place = { kind: 'tenant.reserve', what: kind, entity: of.entity, id: name };
  if (owner !== tenantKey) {
    const reserved = await told(of, tenantKey, place);
    if (reserved.length > 0) of.entity = before;
    if (reserved.length > 0) return reserved;
  }
  const change = changeOf(of, command.source, command.options.get('key') ?? null);
  const attributes = { ...defaultsOf(kind, name), ...attributesOf(of, kind, command) };
  return told(of, owner, { kind: `${kind}.create`, id: name, attributes, change });
}

/** `change KIND NAME name=value …`: a partial update. */
export async function update(of: Configured, command: Command): Promise<readonly string[]> {
  const [verb = '', name = ''] = command.words;
  const kind = kindOf(verb);
  const attributes = attributesOf(of, kind, command);
  const change = changeOf(of, command.source, command.options.get('key') ?? null);
  const message = { kind: `${kind}.update`, id: name, attributes, change };
  return told(of, ownerOf(of, command, kind), message);
}

/** `delete KIND NAME`. */
export async function remove(of: Configured, command: Command): Promise<readonly string[]> {
  const [verb = '', name = ''] = command.words;
  const kind = kindOf(verb);
  const change = changeOf(of, command.source, null);
  return told(of, ownerOf(of, command, kind), { kind: `${kind}.delete`, id: name, change });
}

/** `limits checks=1 alarms=2 entities=3`: what the operator allows the tenant. */
export async function limits(of: Configured, command: Command): Promise<readonly string[]> {
  const numbers = [...command.options].map(([name, value]) => [name, Number(value)]);
  const allowed: LimitsDoc = { ...roomyLimits, ...Object.fromEntries(numbers) };
  const change = changeOf(of, command.source, null);
  return told(of, tenantKey, { kind: 'limits.update', limits: allowed, change });
}

/** Slots of the first check fall on whole periods of the scenario's time. */
function align(of: Configured, command: Command, name: string): void {
  if (of.isAligned) return;
  of.isAligned = true;
  const periodMs = durationMs(command.options.get('period') ?? '60s');
  const schedule = pollSchedule(entityKeyOf(of, command), name, periodMs);
  of.node.alignWall(slotAfter(schedule, of.node.world.clock.nowMs()));
}

function kindOf(verb: string): Kind {
  const kind = kindOfVerb[verb];
  if (kind === undefined) throw new Error(`nothing is called ${verb}`);
  return kind;
}

function ownerOf(of: Configured, command: Command, kind: Kind): ActorKey {
  return kind === 'entity' || kind === 'check' || kind === 'alarm'
    ? entityKeyOf(of, command)
    : tenantKey;
}

type Told = Message & Readonly<Record<string, unknown>>;

/** Returns nothing where it was accepted, else why not. */
async function told(of: Configured, to: ActorKey, message: Told): Promise<readonly string[]> {
  try {
    const outcome = await of.node.settled(of.node.ask<Outcome<unknown>>(to, message));
    if (outcome.ok) return [];
    const { type, message: text, details } = outcome.error;
    const more = typeof details === 'string' && details !== text ? `: ${details}` : '';
    const position = typeof details === 'object' ? `: ${String(details['message'])}` : '';
    return [`refused, ${type}: ${text}${more}${position}`];
  } catch (error) {
    return [`failed, ${(error as { code?: string }).code}: ${(error as Error).message}`];
  }
}

function changeOf(of: Configured, source: string, key: string | null): Change {
  of.requests++;
  const audit = {
    method: 'POST',
    url: '/',
    app: 'entities',
    query: null,
    headers: {},
    payload: '',
  };
  const who = { txnId: `.rh-${of.requests}`, who: 'ops', why: null };
  return { ...who, idempotencyKey: key, requestHash: source, audit };
}

const urls: Readonly<Record<string, Body>> = {
  'remote.http': { url: 'http://shop.example/' },
  'remote.dns': { query: 'shop.example', record_type: 'A' },
  'remote.tcp': { port: 25 },
  'remote.ping': { count: 5 },
};
const channelDetails: Readonly<Record<string, (name: string) => Body>> = {
  webhook: (name) => ({ url: `https://${name}.example/` }),
  email: (name) => ({ address: `${name}@example.com` }),
  pagerduty: () => ({ service_key: 'abc123' }),
  sms: () => ({ phone_number: '+15551234567' }),
};

function defaultsOf(kind: Kind, name: string): Body {
  switch (kind) {
    case 'entity':
      return { label: name, ip_addresses: { default: '192.0.2.10' } };
    case 'check':
      return {
        type: 'remote.http',
        details: urls['remote.http'],
        period: 60,
        timeout: 10,
        target_alias: 'default',
        monitoring_zones_poll: ['mzA'],
      };
    case 'alarm':
      return { check_id: 'http', notification_plan_id: 'quiet' };
    case 'notification':
      return { label: name, type: 'webhook', details: channelDetails['webhook']?.(name) };
    default:
      return { label: name };
  }
}

type Reader = (value: string, of: Configured, command: Command) => Body;

const list = (value: string) => (value === '' ? [] : value.split(','));
const seconds = (value: string) => durationMs(value) / 1000;
const ofEntity = (of: Configured) => (id: string) => (id.includes(':') ? id : `${of.entity}:${id}`);
const instant = (value: string, of: Configured) => of.node.world.clock.nowMs() + durationMs(value);

const readers: Readonly<Record<string, Reader>> = {
  label: (label) => ({ label }),
  alias: (alias) => ({ target_alias: alias }),
  type: (type, _, { words: [name = ''] }) => ({
    type,
    details: urls[type] ?? channelDetails[type]?.(name) ?? {},
  }),
  period: (value) => ({ period: seconds(value) }),
  timeout: (value) => ({ timeout: seconds(value) }),
  zones: (value) => ({ monitoring_zones_poll: list(value) }),
  disabled: (value) => ({ disabled: value === 'true' }),
  check: (value) => ({ check_id: value }),
  url: (value) => ({ details: { url: value } }),
  plan: (value) => ({ notification_plan_id: value }),
  critical: (value) => ({ critical_state: list(value) }),
  warning: (value) => ({ warning_state: list(value) }),
  ok: (value) => ({ ok_state: list(value) }),
  entities: (value) => ({ entities: list(value) }),
  checks: (value, of) => ({ checks: list(value).map(ofEntity(of)) }),
  alarms: (value, of) => ({ alarms: list(value).map(ofEntity(of)) }),
  plans: (value) => ({ notification_plans: list(value) }),
  from: (value, of) => ({ start_time: instant(value, of) }),
  until: (value, of) => ({ end_time: instant(value, of) }),
  ip: (value) => ({ ip_addresses: value === '' ? {} : { default: value } }),
  on: () => ({}),
  key: () => ({}),
};

function attributesOf(of: Configured, kind: Kind, command: Command): Body {
  let attributes: Body = command.body === '' ? {} : { criteria: command.body };
  for (const [name, value] of command.options) {
    const reader = readers[name];
    if (reader === undefined) throw new Error(`line ${command.line}: no ${kind} has ${name}=`);
    attributes = { ...attributes, ...reader(value, of, command) };
  }
  return attributes;
}
