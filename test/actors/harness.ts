// Drives entity actors through their pure steps: two clocks, timers, a store of committed rows, documents, soft state and
// ticks, and probers that a test scripts. A crash loses memory; what is stored builds the next activation.

import type { Change } from '../../actors/change.ts';
import type { ProbeAnswer, ProbeRequest, WireMetric } from '../../actors/check/types.ts';
import { entityBehaviour } from '../../actors/entity/entity.ts';
import type { EntityInstallation } from '../../actors/entity/installation.ts';
import type { EntityMessage } from '../../actors/entity/messages.ts';
import type { EntityState } from '../../actors/entity/state.ts';
import type { IntentBody } from '../../actors/notify/intent.ts';
import type { Outcome } from '../../actors/refusal.ts';
import type { NotificationDoc, PlanDoc, SuppressionDoc } from '../../actors/resources.ts';
import type { TenantDocuments } from '../../actors/tenant/documents.ts';
import type { Step } from '../../runtime/behaviour.ts';
import {
  type DecisionRow,
  type Effect,
  type HistoryWrite,
  rowKinds,
} from '../../runtime/effect.ts';
import { type ActorKey, actorKey } from '../../runtime/ids.ts';
import type { Intent, LogRow, StoredDocument } from '../../runtime/ports.ts';

export const startMs = 1_700_000_000_000;

export const installation: EntityInstallation = {
  zones: [{ id: 'mzA' }, { id: 'mzB' }, { id: 'mzC' }],
  minPeriodMs: 10_000,
  supportedTypes: new Set(['remote.http', 'remote.ping', 'remote.tcp', 'remote.dns']),
  channelTypes: new Set(['webhook', 'email', 'pagerduty', 'technicalContactsEmail']),
  qualifiedNames: false,
  clusterName: 'test',
  nodeName: 'node1',
};

const stamps = { metadata: null, created_at: startMs, updated_at: startMs };

export const webhook: NotificationDoc = {
  id: 'ntHook',
  label: 'hook',
  type: 'webhook',
  details: { url: 'http://127.0.0.1/hook' },
  ...stamps,
};
const sms: NotificationDoc = {
  id: 'ntSms',
  label: 'sms',
  type: 'atomHopper',
  details: { category: 'x' },
  ...stamps,
};
const plan: PlanDoc = {
  id: 'npMain',
  label: 'main',
  critical_state: ['ntHook', 'ntSms'],
  warning_state: ['ntHook'],
  ok_state: ['ntHook'],
  ...stamps,
};

export function documentsOf(suppressions: readonly SuppressionDoc[] = []): TenantDocuments {
  return {
    tenant: 'tenant1',
    rev: 1,
    account: {
      id: 'acTest',
      metadata: null,
      webhook_token: 'token',
      signing_secret: 'whsec_x',
      technical_contacts: ['ops@example.com'],
    },
    limits: {
      checks: 1000,
      alarms: 1000,
      entities: 1000,
      rate: { global: 1, test_check: 1, test_alarm: 1, test_notification: 1, traceroute: 1 },
    },
    plans: new Map([[plan.id, plan]]),
    notifications: new Map([
      [webhook.id, webhook],
      [sms.id, sms],
    ]),
    suppressions: new Map(suppressions.map((one) => [one.id, one])),
    tokens: new Map(),
  };
}

export function suppression(over: Partial<SuppressionDoc>): SuppressionDoc {
  return {
    id: 'spOne',
    label: null,
    notification_plans: [],
    entities: [],
    checks: [],
    alarms: [],
    start_time: startMs,
    end_time: null,
    created_at: startMs,
    updated_at: startMs,
    ...over,
  };
}

let requests = 0;

export function changeOf(over: Partial<Change> = {}): Change {
  requests += 1;
  return {
    txnId: `.rh-${requests}`,
    who: 'alice',
    why: null,
    idempotencyKey: null,
    requestHash: `hash${requests}`,
    audit: {
      method: 'POST',
      url: '/v1.0/t/x',
      app: 'entities',
      query: null,
      headers: {},
      payload: '{}',
    },
    ...over,
  };
}

/** What a scripted prober does with a request: an answer after so many ms, or silence (null). */
export type Prober = (
  request: ProbeRequest,
  nowMs: number,
) => (Partial<ProbeAnswer> & { readonly afterMs?: number }) | null;

export const up: Prober = () => ({
  outcome: 'observed',
  available: true,
  status: 'code=200,rt=0.150s,bytes=1500',
  metrics: [
    ['code', 's', '200', 'unknown'],
    ['duration', 'I', 150, 'milliseconds'],
  ] satisfies WireMetric[],
});
export const down: Prober = () => ({
  outcome: 'observed',
  available: false,
  status: 'connection refused',
  errorClass: 'refused',
});
export const silent: Prober = () => null;
export const gone: Prober = () => ({
  outcome: 'failed',
  failure: 'no-prober',
  message: 'no prober',
});

interface Waiting {
  readonly dueMonoMs: number;
  readonly order: number;
  readonly message: EntityMessage;
}

export interface StoredTick {
  readonly check: string;
  readonly zone: string;
  readonly slotAtMs: number;
  readonly value: unknown;
}

export class EntityHarness {
  readonly key: ActorKey = actorKey('tenant1/enTest');
  readonly behaviour = entityBehaviour(installation);
  /** Wall clock = mono + offset. */
  offsetMs = startMs;
  monoMs = 0;
  epoch = 1;
  documents: TenantDocuments | null = documentsOf();
  prober: Prober = up;
  /** Per zone, instead of `prober`. */
  probers: Record<string, Prober> = {};
  state!: EntityState;
  /** Everything committed, in order; history and documents are projected at once. */
  readonly log: LogRow[] = [];
  readonly rows: DecisionRow[] = [];
  readonly history: HistoryWrite[] = [];
  readonly projected = new Map<string, StoredDocument>();
  readonly ticks = new Map<string, StoredTick>();
  readonly sent: unknown[] = [];
  readonly probes: { readonly request: ProbeRequest; readonly monoMs: number }[] = [];
  soft: { seq: number; body: unknown } | null = null;
  stopped = false;
  replies: unknown[] = [];
  saves = { soon: 0, later: 0 };
  /** False: soft state is not written (the owner dies within 250 ms). */
  writesSoft = true;
  /** Called with each started probe before it is answered. */
  onProbe: (request: ProbeRequest) => void = () => {};
  private timers = new Map<string, Waiting>();
  private mail: Waiting[] = [];
  private order = 0;

  constructor() {
    this.load();
  }

  get nowMs(): number {
    return Math.round(this.monoMs + this.offsetMs);
  }

  private context() {
    return {
      nowMs: this.nowMs,
      monoMs: this.monoMs,
      random: () => 0.5,
      documents: this.documents,
      epoch: this.epoch,
      committed: true,
    };
  }

  /** Activates from what is stored. */
  load(): void {
    this.timers = new Map();
    this.mail = [];
    const above = this.soft?.seq ?? 0;
    const loaded = structuredClone({
      documents: [...this.projected.values()],
      soft: this.soft,
      tail: this.log.filter((row) => row.seq > above),
    });
    this.took(this.behaviour.init(this.key, loaded, this.context()));
  }

  /** The owner dies; another loads the entity `gapMs` later. */
  crash(gapMs = 0): void {
    this.timers = new Map();
    this.mail = [];
    this.monoMs += gapMs;
    this.epoch += 1;
    this.load();
  }

  ask(message: EntityMessage): Outcome<unknown> {
    const step = this.behaviour.step(this.state, message, this.context());
    this.took(step);
    return step.reply as Outcome<unknown>;
  }

  tell(message: EntityMessage): void {
    this.took(this.behaviour.step(this.state, message, this.context()));
  }

  private took(step: Step<EntityState>): void {
    this.state = step.state;
    for (const effect of step.effects) this.perform(effect);
  }

  private perform(effect: Effect): void {
    switch (effect.type) {
      case 'commit':
        for (const row of effect.rows) this.commit(row);
        break;
      case 'append':
        for (const tick of effect.ticks)
          this.ticks.set(`${tick.check}|${tick.zone}|${tick.slotAtMs}`, tick);
        break;
      case 'probe':
        this.probe(effect.request as ProbeRequest);
        break;
      case 'send':
        this.sent.push(effect.message);
        break;
      case 'startTimer':
        this.timers.set(effect.id, this.waiting(effect.dueMonoMs, effect.message as EntityMessage));
        break;
      case 'cancelTimer':
        this.timers.delete(effect.id);
        break;
      case 'readTicks': {
        const ticks = effect.of.flatMap((of) => this.newest(of.check, of.zone));
        this.mail.push(this.waiting(this.monoMs, { kind: 'ticks.read', ticks, of: effect.of }));
        break;
      }
      case 'save':
        this.saves[effect.urgent ? 'soon' : 'later'] += 1;
        if (this.writesSoft)
          this.soft = structuredClone({
            seq: this.log.length,
            body: this.behaviour.snapshot(this.state),
          });
        break;
      case 'stop':
        this.stopped = true;
        break;
      default:
    }
  }

  private commit(row: DecisionRow): void {
    this.rows.push(row);
    this.log.push({ seq: this.log.length + 1, key: this.key, kind: row.kind, body: row.body });
    this.history.push(...(row.history ?? []));
    for (const { kind, id, rev, body } of row.documents ?? []) {
      if (body === null) this.projected.delete(`${kind}|${id}`);
      else this.projected.set(`${kind}|${id}`, { kind, id, rev, body });
    }
  }

  private probe(request: ProbeRequest): void {
    this.probes.push({ request, monoMs: this.monoMs });
    this.onProbe(request);
    const scripted = (this.probers[request.zone] ?? this.prober)(request, this.nowMs);
    if (scripted === null) return;
    const { afterMs = 50, ...given } = scripted;
    const answer = {
      id: request.id,
      startedAtMs: this.nowMs,
      durationMs: afterMs,
      errorClass: null,
      metrics: [],
      address: null,
      debugInfo: null,
      ...given,
    } as unknown as ProbeAnswer;
    this.mail.push(this.waiting(this.monoMs + afterMs, { kind: 'probe.answer', answer }));
  }

  private waiting(dueMonoMs: number, message: EntityMessage): Waiting {
    this.order += 1;
    return { dueMonoMs, message, order: this.order };
  }

  private newest(check: string, zone: string): StoredTick[] {
    const own = [...this.ticks.values()].filter(
      (tick) => tick.check === check && tick.zone === zone,
    );
    const newest = own.sort((a, b) => b.slotAtMs - a.slotAtMs)[0];
    return newest === undefined ? [] : [newest];
  }

  /** Lets `ms` of monotonic time pass, message by message. */
  run(ms: number): void {
    const endMs = this.monoMs + ms;
    for (;;) {
      const next = this.nextOf();
      if (next === null || next.waiting.dueMonoMs > endMs) break;
      this.monoMs = Math.max(this.monoMs, next.waiting.dueMonoMs);
      next.take();
      this.tell(next.waiting.message);
    }
    this.monoMs = endMs;
  }

  private nextOf(): { readonly waiting: Waiting; readonly take: () => void } | null {
    let best: { waiting: Waiting; take: () => void } | null = null;
    const isEarlier = (one: Waiting) =>
      best === null ||
      one.dueMonoMs < best.waiting.dueMonoMs ||
      (one.dueMonoMs === best.waiting.dueMonoMs && one.order < best.waiting.order);
    for (const [id, waiting] of this.timers) {
      if (isEarlier(waiting)) best = { waiting, take: () => this.timers.delete(id) };
    }
    for (const waiting of this.mail) {
      if (isEarlier(waiting))
        best = { waiting, take: () => this.mail.splice(this.mail.indexOf(waiting), 1) };
    }
    return best;
  }

  get timerIds(): string[] {
    return [...this.timers.keys()].sort();
  }

  get transitions() {
    return this.log
      .filter((row) => row.kind === rowKinds.transition)
      .map(
        (row) =>
          row.body as {
            alarm: string;
            n: number;
            state: string;
            previous: string;
            status: string;
            slot: number;
            zone: string;
          },
      );
  }

  get intents(): (Intent & { readonly body: IntentBody })[] {
    return this.log
      .filter((row) => row.kind === rowKinds.intent)
      .map((row) => row.body as Intent & { readonly body: IntentBody });
  }

  historyOf(table: HistoryWrite['table']): unknown[] {
    return this.history.filter((row) => row.table === table).map((row) => row.body);
  }

  /** Makes the entity with one HTTP check and one alarm. */
  withAlarm(over: { check?: Record<string, unknown>; alarm?: Record<string, unknown> } = {}): this {
    this.create();
    this.addCheck(over.check);
    this.addAlarm(over.alarm);
    return this;
  }

  create(attributes: Record<string, unknown> = {}): Outcome<unknown> {
    return this.ask({
      kind: 'entity.create',
      id: 'enTest',
      attributes: { label: 'web1', ip_addresses: { main: '192.0.2.1' }, ...attributes },
      change: changeOf(),
    });
  }

  addCheck(over: Record<string, unknown> = {}, id = 'chOne'): Outcome<unknown> {
    const attributes = {
      type: 'remote.http',
      label: 'front page',
      details: { url: 'http://example.com/' },
      monitoring_zones_poll: ['mzA'],
      period: 60,
      timeout: 30,
      ...over,
    };
    return this.ask({ kind: 'check.create', id, attributes, change: changeOf() });
  }

  addAlarm(over: Record<string, unknown> = {}, id = 'alOne'): Outcome<unknown> {
    const attributes = { check_id: 'chOne', notification_plan_id: 'npMain', ...over };
    return this.ask({ kind: 'alarm.create', id, attributes, change: changeOf() });
  }
}
