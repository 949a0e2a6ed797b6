// The node of a scenario: the real behaviours in the real catalog and router, over cluster/host and the memory store, on a
// clock that only the scenario moves. Probers and receivers are scripted. `kill` forgets it as SIGKILL does; what is stored
// stays. Collects what happens as lines; must not know verbs.
import type { ProbeAnswer, ProbeRequest } from '../../actors/check/types.ts';
import { entityBehaviour } from '../../actors/entity/entity.ts';
import type { ChangelogBody } from '../../actors/notify/intent.ts';
import { notificationLogBody } from '../../actors/notify/log-body.ts';
import { retryDelayMs } from '../../actors/notify/schedule.ts';
import type { LimitsDoc, NotificationType } from '../../actors/resources.ts';
import type { TenantDocuments } from '../../actors/tenant/documents.ts';
import { tenantBehaviour } from '../../actors/tenant/tenant.ts';
import type { ShardHost } from '../../cluster/host.ts';
import type { AnyBehaviour } from '../../runtime/behaviour.ts';
import { type Catalog, createCatalog } from '../../runtime/catalog.ts';
import { decodeValue } from '../../runtime/codec.ts';
import { DocumentsCache } from '../../runtime/documents.ts';
import { type ActorKey, actorKey, entityOf, epoch, shardOf } from '../../runtime/ids.ts';
import type { Message } from '../../runtime/message.ts';
import type { Clock, HistoryRecord, Notifier, ProbeLink } from '../../runtime/ports.ts';
import { createRouter, type Router } from '../../runtime/router.ts';
import { timerWheel } from '../../runtime/timers.ts';
import { seededRandom, settle } from '../clock.ts';
import { World } from '../cluster/world.ts';
import { Probers } from './probers.ts';
import { Receivers } from './receivers.ts';
import { instantText } from './time.ts';

export const tenant = 'acme';
export const zoneNames = ['mzA', 'mzB', 'mzC', 'mzD', 'mzE'] as const;
export const roomyLimits: LimitsDoc = {
  checks: 100,
  alarms: 100,
  entities: 100,
  rate: { global: 1, test_check: 1, test_alarm: 1, test_notification: 1, traceroute: 1 },
};
const supportedTypes = new Set(['remote.http', 'remote.tcp', 'remote.ping', 'remote.dns']);
const channelTypes: ReadonlySet<NotificationType> = new Set([
  'webhook',
  'email',
  'technicalContactsEmail',
  'pagerduty',
  'victorops',
]);

interface Run {
  isAlive: boolean;
  readonly number: number;
  readonly timers: Set<() => void>;
}

interface Parts {
  readonly run: Run;
  readonly host: ShardHost;
  readonly catalog: Catalog;
  readonly router: Router;
  readonly wheel: ReturnType<typeof timerWheel>;
}

export class ScenarioNode {
  readonly world: World;
  readonly probers = new Probers();
  readonly receivers = new Receivers();
  /** Entities whose steps throw on an answer of a prober: a bug. */
  readonly buggy = new Set<string>();
  #happened: { readonly atMs: number; readonly isChange: boolean; readonly text: string }[] = [];
  /** Changes shown: what a restart projects again is no news. */
  readonly #shown = new Set<string>();
  #parts: Parts | null = null;
  #runs = 0;
  #originWallMs: number;
  readonly #originMonoMs: number;

  constructor(entities: readonly string[]) {
    const keys = [actorKey(tenant), ...entities.map((name) => actorKey(`${tenant}/${name}`))];
    this.world = new World({ keys });
    this.#originWallMs = this.world.clock.nowMs();
    this.#originMonoMs = this.world.clock.monoMs();
  }

  /** Scenario time: how long the clock has run since the start. */
  get elapsedMs(): number {
    return this.world.clock.monoMs() - this.#originMonoMs;
  }

  /** Returns a wall clock instant (a slot's name) relative to the start. */
  wallText(atMs: number): string {
    return instantText(atMs - this.#originWallMs);
  }

  wallMs(sinceStartMs: number): number {
    return this.#originWallMs + sinceStartMs;
  }

  /** Moves the wall clock to a round instant of a schedule, before anything is scheduled: slots then start at 0:00. */
  alignWall(toMs: number): void {
    this.world.clock.stepWall(toMs - this.world.clock.nowMs());
    this.#originWallMs = toMs;
  }

  async start(): Promise<void> {
    const parts = this.#assemble();
    this.#parts = parts;
    const { host, catalog } = parts;
    await this.settled(host.start((key, stored) => catalog.activate(key, stored)));
  }

  kill(): void {
    const { run } = this.#running;
    run.isAlive = false;
    for (const cancel of run.timers) cancel();
    this.world.crash();
    this.#parts = null;
  }

  /** Ends in order, as SIGTERM does. */
  async stop(): Promise<void> {
    const { catalog, router, host, wheel, run } = this.#running;
    await this.settled(catalog.drain());
    router.stop();
    await this.settled(host.stop(10_000));
    wheel.stop();
    run.isAlive = false;
    this.#parts = null;
  }

  ask<Reply>(key: ActorKey, message: Message): Promise<Reply> {
    return this.#running.router.ask<Reply>(key, message);
  }

  release(key: ActorKey): Promise<boolean> {
    return this.settled(this.#running.catalog.release(key));
  }

  quarantineOf(key: ActorKey): string | null {
    return this.#running.catalog.describe(key)?.quarantine?.reason ?? null;
  }

  settled<Value>(work: Promise<Value>): Promise<Value> {
    return this.world.run(work);
  }

  async advance(ms: number): Promise<void> {
    await this.world.clock.advance(ms);
    await settle(40);
  }

  /** Another node claims the shard of an actor, as if this one were thought dead. */
  async rival(key: ActorKey): Promise<void> {
    const { authority } = this.world.store;
    const shard = shardOf(key);
    const head = await authority.readHead(shard);
    const claim = { epoch: epoch(head.epoch + 1), owner: 'node2/i1', tsBase: head.tsBase + 1e9 };
    await authority.claim(shard, { seen: head.epoch, was: head.owner, ...claim });
  }

  /** Returns what happened since the last call, oldest first; at one instant a change stands before what is told of it. */
  taken(): readonly string[] {
    const taken = this.#happened;
    this.#happened = [];
    return taken
      .sort((a, b) => a.atMs - b.atMs || Number(b.isChange) - Number(a.isChange))
      .map(({ atMs, text }) => `${instantText(atMs)}  ${text}`);
  }

  get #running(): Parts {
    if (this.#parts === null) throw new Error('the node is not running');
    return this.#parts;
  }

  #tell(text: string, isChange = false): void {
    this.#happened.push({ atMs: this.elapsedMs, isChange, text });
  }

  #tellChange(record: HistoryRecord): void {
    if (record.table !== 'changelog' || this.#shown.has(record.id)) return;
    this.#shown.add(record.id);
    this.#tell(transitionText(record), true);
  }

  #assemble(): Parts {
    this.#runs++;
    const run: Run = { isAlive: true, number: this.#runs, timers: new Set() };
    const clock = this.#clockOf(run);
    const random = seededRandom(this.#runs);
    const meter = this.world.meter();
    const quiet = (): void => undefined;
    const logger = { debug: quiet, info: quiet, warn: quiet, error: quiet };
    const timers = timerWheel({ clock, meter });
    const documents = new DocumentsCache({ meter });
    this.receivers.newest = (name, id) => {
      const copy = documents.get(name)?.documents as TenantDocuments | undefined;
      return copy?.notifications.get(id) ?? null;
    };
    const host = this.world.host({
      clock,
      retryDelayMs,
      notifier: this.#notifierOf(run, clock),
      logBody: (intent, line) => notificationLogBody(intent, line, 'node1'),
      onLost: (shard) => {
        catalog.dropShards(new Set([shard]));
        this.#tell('the node has lost a shard');
      },
      onUndeliverable: (_, intent) => {
        if (run.isAlive) this.#tell(`${intent.channel} -- ${this.#given(intent)} is given up`);
      },
    });
    host.events.subscribe(tenant, (record) => {
      if (run.isAlive) this.#tellChange(record);
    });
    const { directory } = host;
    const behaviours = this.#behaviours();
    const catalog: Catalog = createCatalog({
      behaviourOf: behaviours,
      load: (key) => host.load(key),
      reload: (key) => host.reload(key),
      onQuarantine: (key, { reason }) => this.#tell(`${entityOf(key)} is quarantined: ${reason}`),
      freeze: true,
      ports: {
        clock,
        random,
        logger,
        meter,
        timers,
        documents,
        decisions: host.decisions,
        softStates: host.softStates,
        ticks: host.ticks,
        probes: this.#probesOf(run, clock) as ProbeLink<unknown, unknown>,
        mayAct: (key) => host.mayAct(key),
        epochOf: (key) => directory.lookup(shardOf(key))?.epoch ?? epoch(0),
        send: (to, message) => router.tell(to, message, 'system'),
        publishDocuments: (name, rev, copy) => documents.set(name, rev, copy),
      },
    });
    const transport = null;
    const wires = { catalog, directory, transport, clock, timers, random, logger, meter };
    const router: Router = createRouter({ node: 'node1', ...wires, simulateRemote: true });
    return { run, host, catalog, router, wheel: timers };
  }

  #given(intent: Parameters<Receivers['textOf']>[0]): string {
    return this.receivers.textOf(intent).split(':')[0] ?? '';
  }

  #behaviours(): (key: ActorKey) => AnyBehaviour {
    const entity = entityBehaviour({
      zones: zoneNames.map((id) => ({ id })),
      minPeriodMs: 10_000,
      supportedTypes,
      channelTypes,
      qualifiedNames: false,
      clusterName: 'scenario',
      nodeName: 'node1',
    });
    const faulty: AnyBehaviour = {
      ...entity,
      step: (state, message, context) => {
        if (message.kind === 'probe.answer' && this.buggy.has(state.key)) {
          throw new Error('a bug in a step');
        }
        return entity.step(state, message, context);
      },
    };
    const ofTenant = tenantBehaviour({ limits: roomyLimits });
    return (key) => (entityOf(key) === null ? ofTenant : faulty);
  }

  #probesOf(run: Run, clock: Clock): ProbeLink<ProbeRequest, ProbeAnswer> {
    return {
      submit: (request, done) =>
        this.probers.submit(clock, request, (answer) => {
          if (run.isAlive) done(answer);
        }),
    };
  }

  #notifierOf(run: Run, clock: Clock): Notifier {
    return {
      receiverOf: (intent) => intent.channel,
      deliver: async (_, intent, { attempt, signal }) => {
        if (!run.isAlive) return new Promise<never>(() => undefined);
        const text = this.receivers.textOf(intent);
        const { channel } = intent;
        const result = await this.receivers.deliver(clock, intent, signal, () => {
          this.#tell(`${channel} <- ${text}`);
          this.kill();
          this.#tell('the node is killed');
        });
        if (!run.isAlive) return new Promise<never>(() => undefined);
        if (result.delivered) this.#tell(`${channel} <- ${text}`);
        else
          this.#tell(
            `${channel} !! ${this.#given(intent)}, attempt ${attempt}: ${shortened(result.message)}`,
          );
        return result;
      },
    };
  }

  #clockOf(run: Run): Clock {
    const { clock } = this.world;
    return {
      nowMs: () => clock.nowMs(),
      monoMs: () => clock.monoMs(),
      schedule: (atMonoMs, task) => {
        if (!run.isAlive) return () => undefined;
        const cancel = clock.schedule(atMonoMs, () => {
          run.timers.delete(cancel);
          if (run.isAlive) task();
        });
        run.timers.add(cancel);
        return () => {
          run.timers.delete(cancel);
          cancel();
        };
      },
    };
  }
}

/** The status code alone where the message tells of one. */
function shortened(message: string): string {
  return message.match(/^Unexpected status code "(\d+)"/)?.[1] ?? message;
}

/** `site OK -> CRITICAL: code 500 (mzA)`. */
export function transitionText(record: HistoryRecord): string {
  const body = decodeValue(record.body) as ChangelogBody;
  const { alarm_id: alarm, previous_state: before, state, status } = body;
  return `${alarm} ${before} -> ${state}: ${status} (${body.analyzed_by_monitoring_zone_id})`;
}
