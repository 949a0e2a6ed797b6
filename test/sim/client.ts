// The people: sets up what is monitored, changes it by the plan's wishes, repeats each request under one Idempotency-Key
// until it has an outcome, as the API does for them. Knows what was acknowledged; the judge decides what that is worth.
import { type ObjectKind, objectId } from '../../api/object-id.ts';
import { type ActorKey, actorKey, shardOf } from '../../runtime/ids.ts';
import type { Message } from '../../runtime/message.ts';
import { limits } from './node.ts';
import type { AlarmPlan, ChangeKind, CheckPlan, Plan } from './plan.ts';
import { type Draw, drawOf, hash32 } from './random.ts';
import {
  changeOf,
  criteriaOf,
  type Entity,
  isTemporary,
  type Reply,
  type Tenant,
} from './requests.ts';
import { targetName } from './targets.ts';
import type { Happening } from './trace.ts';

/** Way to whichever process runs now. Resolves with the actor's outcome; rejects where there is no answer. */
export type Ask = (key: ActorKey, message: Message) => Promise<unknown>;

export interface ClientPorts {
  readonly plan: Plan;
  readonly ask: Ask;
  readonly emit: (happening: Happening) => void;
  /** Waits, in virtual time. */
  readonly wait: (ms: number) => Promise<void>;
  readonly now: () => number;
}

/** A request that has no outcome after so long is given up: nobody knows. */
const patienceMs = 90_000;
/** Tenants that are not set up by then lose no more answers. */
const lateT = 30_000;
const shardsWanted = 10;

export const zoneNames = ['mzaaa', 'mzbbb', 'mzccc'] as const;
export const receiverUrl = (at: number): string => `http://receiver${at}.test/hook`;

export class Client {
  readonly tenants: Tenant[] = [];
  readonly entities: Entity[] = [];
  readonly #ports: ClientPorts;
  readonly #draw: Draw;
  readonly #lossDraw: Draw;
  #ops = 0;

  constructor(ports: ClientPorts) {
    this.#ports = ports;
    this.#draw = drawOf(ports.plan.seed, 'client');
    this.#lossDraw = drawOf(ports.plan.seed, 'lost answers');
  }

  /** Keys of all actors there will ever be lie in these shards. */
  shards(): number[] {
    const { seed } = this.#ports.plan;
    return [
      ...new Set(Array.from({ length: shardsWanted }, (_, at) => hash32(`${seed}s${at}`) & 1023)),
    ];
  }

  /** Creates everything that the plan starts with. */
  async setUp(): Promise<void> {
    const { plan } = this.#ports;
    for (let at = 0; at < plan.tenants; at++) await this.#tenant(at);
    await Promise.all(
      plan.entities.map(async ({ tenant, checks }, at) => {
        await this.#ports.wait(this.#draw.whole(0, 4_000));
        const entity = await this.#entity(this.tenants[tenant] as Tenant, `e${at}`);
        if (entity === null) return;
        for (const check of checks) await this.#check(entity, check);
      }),
    );
  }

  /** One change of mind. */
  async change(kind: ChangeKind, salt: number): Promise<void> {
    const draw = drawOf(this.#ports.plan.seed, `change${salt}`);
    const entities = this.entities.filter((entity) => entity.checks.length > 0);
    const tenant = this.tenants.length === 0 ? undefined : draw.pick(this.tenants);
    if (tenant === undefined || entities.length === 0) return;
    const entity = draw.pick(entities);
    if (kind.startsWith('check')) await this.#changeCheck(kind, entity, draw);
    else if (kind.startsWith('alarm')) await this.#changeAlarm(kind, entity, draw);
    else if (kind.startsWith('entity')) await this.#changeEntity(kind, { entity, tenant }, draw);
    else await this.#changeTenant(kind, { entity, tenant }, draw);
  }

  async #tenant(at: number): Promise<void> {
    const { plan } = this.#ports;
    const name = this.#named((text) => text, `tn${plan.seed}x${at}`);
    const tenant: Tenant = {
      name,
      key: actorKey(name),
      notifications: [],
      plans: [],
      suppressions: [],
    };
    const account = {
      id: `ac${at}`,
      metadata: {},
      webhook_token: 'token',
      signing_secret: 'whsec_secret',
      technical_contacts: ['ops@example.com'],
    };
    await this.#request(tenant.key, 'tenant.create', '', { account, limits });
    for (let receiver = 0; receiver < plan.receivers; receiver++) {
      const details = { url: receiverUrl(receiver) };
      const attributes = { label: `hook${receiver}`, type: 'webhook', details };
      const id = await this.#create(tenant, 'notification', attributes, `${name}n${receiver}`);
      if (id !== null) tenant.notifications.push(id);
    }
    for (let one = 0; one < 2; one++) {
      const id = await this.#create(tenant, 'plan', this.#planOf(tenant, one), `${name}p${one}`);
      if (id !== null) tenant.plans.push(id);
    }
    this.tenants.push(tenant);
  }

  #planOf(tenant: Tenant, at: number) {
    const all = tenant.notifications;
    const some = all.slice(at % Math.max(1, all.length));
    return { label: `plan${at}`, critical_state: all, warning_state: some, ok_state: all };
  }

  /** Returns a text whose shard is one of the wanted. */
  #named(keyOf: (text: string) => string, stem: string): string {
    const wanted = new Set<number>(this.shards());
    for (let at = 0; ; at++) {
      const text = `${stem}v${at}`;
      if (wanted.has(shardOf(actorKey(keyOf(text))))) return text;
    }
  }

  async #entity(tenant: Tenant, stem: string): Promise<Entity | null> {
    const idOf = (op: string): string => objectId(tenant.name, 'entity', op, 0);
    const op = this.#named((text) => `${tenant.name}/${idOf(text)}`, `${tenant.name}${stem}`);
    const id = idOf(op);
    const key = actorKey(`${tenant.name}/${id}`);
    const attributes = { id, attributes: { label: stem, metadata: { made: stem } } };
    await this.#reserve(tenant, 'entity', id, id);
    const reply = await this.#request(key, 'entity.create', id, attributes, op);
    if (reply?.ok !== true) return null;
    const entity: Entity = { key, tenant: tenant.name, id, checks: [], alarms: [] };
    this.entities.push(entity);
    return entity;
  }

  async #reserve(tenant: Tenant, what: string, entity: string, id: string): Promise<void> {
    const message = { kind: 'tenant.reserve', what, entity, id };
    await this.#ports.ask(tenant.key, message).catch(() => undefined);
  }

  async #check(entity: Entity, plan: CheckPlan): Promise<void> {
    const op = this.#op('check');
    const candidate = objectId(entity.tenant, 'check', op, 0);
    const attributes = {
      type: 'remote.http',
      label: 'check',
      details: { url: `http://${targetName(plan.target)}/` },
      monitoring_zones_poll: plan.zones.map((zone) => zoneNames[zone]),
      period: plan.periodS,
      timeout: plan.timeoutS,
    };
    const reply = await this.#request(
      entity.key,
      'check.create',
      candidate,
      { id: candidate, attributes },
      op,
    );
    if (reply?.ok !== true) return;
    const check = reply.value?.id ?? candidate;
    entity.checks.push(check);
    for (const alarm of plan.alarms) await this.#alarm(entity, check, alarm);
  }

  async #alarm(entity: Entity, check: string, plan: AlarmPlan): Promise<void> {
    const op = this.#op('alarm');
    const candidate = objectId(entity.tenant, 'alarm', op, 0);
    const tenant = this.#tenantOf(entity);
    const attributes = {
      check_id: check,
      notification_plan_id:
        tenant.plans[plan.plan % Math.max(1, tenant.plans.length)] ?? 'npTechnicalContactsEmail',
      criteria: criteriaOf(plan),
    };
    const reply = await this.#request(
      entity.key,
      'alarm.create',
      candidate,
      { id: candidate, attributes },
      op,
    );
    if (reply?.ok === true) entity.alarms.push({ id: reply.value?.id ?? candidate, check });
  }

  #tenantOf(entity: Entity): Tenant {
    return this.tenants.find((one) => one.name === entity.tenant) as Tenant;
  }

  async #create(
    tenant: Tenant,
    kind: ObjectKind,
    attributes: Record<string, unknown>,
    op: string,
  ): Promise<string | null> {
    const id = objectId(tenant.name, kind, op, 0);
    const reply = await this.#request(tenant.key, `${kind}.create`, id, { id, attributes }, op);
    return reply?.ok === true ? (reply.value?.id ?? id) : null;
  }

  async #changeCheck(kind: ChangeKind, entity: Entity, draw: Draw): Promise<void> {
    const id = draw.pick(entity.checks);
    const update = (attributes: Record<string, unknown>) =>
      this.#request(entity.key, 'check.update', id, { id, attributes });
    if (kind === 'checkPeriod') await update({ period: draw.pick([20, 30, 45, 60]) });
    else if (kind === 'checkToggle') await update({ disabled: draw.chance(0.4) });
    else if (kind === 'checkZones') {
      const zones = draw.shuffled(zoneNames).slice(0, draw.whole(1, 3));
      await update({ monitoring_zones_poll: zones });
    } else if (kind === 'checkCreate') {
      const plans = this.#ports.plan.entities.flatMap((one) => one.checks);
      await this.#check(entity, draw.pick(plans));
    } else if (kind === 'checkBlink') {
      await update({ disabled: true });
      await this.#ports.wait(draw.whole(1_000, 90_000));
      if (entity.checks.includes(id)) await update({ disabled: false });
    } else if (kind === 'checkMayfly') await this.#mayfly(entity, draw);
    else await this.#deleteCheck(entity, id);
  }

  /** A check that is deleted right after it was made. */
  async #mayfly(entity: Entity, draw: Draw): Promise<void> {
    const known = new Set(entity.checks);
    await this.#check(entity, draw.pick(this.#ports.plan.entities.flatMap((one) => one.checks)));
    await this.#ports.wait(draw.whole(100, 4_000));
    const made = entity.checks.find((one) => !known.has(one));
    if (made !== undefined) await this.#deleteCheck(entity, made);
  }

  async #deleteCheck(entity: Entity, id: string): Promise<void> {
    const reply = await this.#request(entity.key, 'check.delete', id, { id });
    if (reply !== null) this.#forgetCheck(entity, id);
  }

  #forgetCheck(entity: Entity, id: string): void {
    entity.checks = entity.checks.filter((one) => one !== id);
    entity.alarms = entity.alarms.filter((one) => one.check !== id);
  }

  async #changeAlarm(kind: ChangeKind, entity: Entity, draw: Draw): Promise<void> {
    if (entity.alarms.length === 0) return;
    const { id } = draw.pick(entity.alarms);
    const update = (attributes: Record<string, unknown>) =>
      this.#request(entity.key, 'alarm.update', id, { id, attributes });
    if (kind === 'alarmCriteria') {
      const level = draw.pick(['QUORUM', 'ONE', 'ALL'] as const);
      const sees = draw.pick(['availability', 'duration'] as const);
      await update({ criteria: criteriaOf({ count: draw.whole(1, 3), level, sees, plan: 0 }) });
    } else if (kind === 'alarmToggle') await update({ disabled: draw.chance(0.4) });
    else if (kind === 'alarmPlan') {
      const { plans } = this.#tenantOf(entity);
      if (plans.length > 0) await update({ notification_plan_id: draw.pick(plans) });
    } else {
      const reply = await this.#request(entity.key, 'alarm.delete', id, { id });
      if (reply !== null) entity.alarms = entity.alarms.filter((one) => one.id !== id);
    }
  }

  async #changeEntity(
    kind: ChangeKind,
    { entity, tenant }: { entity: Entity; tenant: Tenant },
    draw: Draw,
  ): Promise<void> {
    if (kind === 'entityUpdate') {
      const attributes = { label: `label${draw.whole(1, 1_000)}` };
      await this.#request(entity.key, 'entity.update', entity.id, { attributes });
    } else if (kind === 'entityDelete') {
      if (this.entities.length < 6) return;
      const reply = await this.#request(entity.key, 'entity.delete', entity.id, {});
      if (reply !== null) this.entities.splice(this.entities.indexOf(entity), 1);
    } else {
      const made = await this.#entity(tenant, `x${this.#ops}`);
      const plans = this.#ports.plan.entities.flatMap((one) => one.checks);
      if (made !== null) await this.#check(made, draw.pick(plans));
    }
  }

  async #changeTenant(
    kind: ChangeKind,
    { entity, tenant }: { entity: Entity; tenant: Tenant },
    draw: Draw,
  ): Promise<void> {
    const home = this.#tenantOf(entity);
    if (kind === 'planUpdate' && tenant.plans.length > 0) {
      const id = draw.pick(tenant.plans);
      const some = draw.shuffled(tenant.notifications).slice(0, draw.whole(1, 3));
      await this.#request(tenant.key, 'plan.update', id, {
        id,
        attributes: { critical_state: some },
      });
    } else if (kind === 'planDelete' && tenant.plans.length > 0) {
      const id = draw.pick(tenant.plans);
      const reply = await this.#request(tenant.key, 'plan.delete', id, { id });
      if (reply?.ok === true) tenant.plans = tenant.plans.filter((one) => one !== id);
    } else if (kind === 'suppress') {
      const alarm = entity.alarms[0]?.id ?? 'none';
      const what = draw.pick([
        { entities: [entity.id] },
        { alarms: [`${entity.id}:${alarm}`] },
        {},
      ]);
      const attributes = { label: 'quiet', ...what };
      const id = await this.#create(home, 'suppression', attributes, this.#op('sp'));
      if (id !== null) home.suppressions.push(id);
    } else if (kind === 'unsuppress' && home.suppressions.length > 0) {
      const id = draw.pick(home.suppressions);
      const reply = await this.#request(home.key, 'suppression.delete', id, { id });
      if (reply?.ok === true) home.suppressions = home.suppressions.filter((one) => one !== id);
    } else if (kind === 'contacts') {
      const attributes = { metadata: { touched: String(draw.whole(1, 9_999)) } };
      await this.#request(tenant.key, 'account.update', '', { attributes });
    }
  }

  #op(what: string): string {
    return `${this.#ports.plan.seed}-${what}-${this.#ops++}`;
  }

  /** Asks until there is an outcome; now and then twice at once. Null: given up, nobody knows. */
  async #request(
    key: ActorKey,
    kind: string,
    target: string,
    body: Record<string, unknown>,
    op = this.#op(kind),
  ): Promise<Reply | null> {
    const { emit, now, wait } = this.#ports;
    const untilT = now() + patienceMs;
    const attributes = (body['attributes'] ?? {}) as Record<string, unknown>;
    for (let attempt = 1; ; attempt++) {
      emit({ kind: 'api.send', op: { op, key, message: kind, target, attributes }, attempt });
      const message = {
        kind,
        ...body,
        change: changeOf(op, `${key} ${kind} ${target}`, `${op}.${attempt}`),
      };
      if (this.#draw.chance(0.1)) void this.#once(op, key, { ...message }, false);
      const isDrawn = attempt === 1 && this.#lossDraw.chance(this.#chanceOfLoss(kind));
      // Else the run may end before anything is monitored.
      const isLost = isDrawn && !(this.tenants.length < this.#ports.plan.tenants && now() > lateT);
      const reply = await this.#once(op, key, message, isLost);
      if (reply !== null && !isTemporary(reply)) return reply;
      if (isLost) await wait(this.#lossDraw.whole(5_000, 60_000));
      if (now() > untilT) {
        emit({ kind: 'api.given-up', op });
        return null;
      }
      await wait(this.#draw.whole(100, 3_000));
    }
  }

  /** Deletions are asked again least: those answers are lost most. */
  #chanceOfLoss(kind: string): number {
    return this.#ports.plan.answersLost * (kind === 'entity.delete' ? 3 : 1);
  }

  async #once(op: string, key: ActorKey, message: Message, isLost: boolean): Promise<Reply | null> {
    const { ask, emit } = this.#ports;
    try {
      const reply = (await ask(key, message)) as Reply;
      if (isLost) throw new Error('the answer was lost on its way');
      const code = reply.ok ? '' : reply.error.type;
      const id = reply.ok ? (reply.value?.id ?? '') : '';
      emit({ kind: 'api.reply', op, outcome: reply.ok ? 'ok' : 'refused', code, id });
      return reply;
    } catch (error) {
      const code = String((error as { code?: unknown }).code ?? error);
      emit({ kind: 'api.reply', op, outcome: 'failed', code, id: '' });
      return null;
    }
  }
}
