// Composition root of a node (actors, API, notifications, local probers): the only file that names two adapters. Builds the
// parts, starts them in order, waits for a signal. The prober is a program of its own: prober/main.ts loads nothing of this.
import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkTypes } from './actors/check/catalogue.ts';
import type { ProbeAnswer, ProbeRequest } from './actors/check/types.ts';
import { entityBehaviour } from './actors/entity/entity.ts';
import { notificationLogBody } from './actors/notify/log-body.ts';
import { createNotifier } from './actors/notify/notifier.ts';
import { retryDelayMs } from './actors/notify/schedule.ts';
import type { TenantDocuments } from './actors/tenant/documents.ts';
import { tenantBehaviour } from './actors/tenant/tenant.ts';
import { adviceOf, type Finding, type Health, healthOf } from './api/advice.ts';
import { ensureAdmin, welcome } from './api/first-start.ts';
import { type ApiPorts, defaultApiLimits } from './api/ports.ts';
import { type Api, createApi } from './api/server.ts';
import { tenantLimits } from './api/tenant-limits.ts';
import { readWebFiles } from './api/web-files.ts';
import { localZones } from './api/zones.ts';
import { hostGauges } from './cluster/gauges.ts';
import { createShardHost, type ShardHost } from './cluster/host.ts';
import { ConfigError } from './config/errors.ts';
import { loadConfig, printable } from './config/load.ts';
import type { Config } from './config/schema.ts';
import { smtpSettings } from './config/smtp.ts';
import { createEgress } from './prober/egress/dial.ts';
import { type ZoneProbers, zoneProbers } from './prober/zones.ts';
import { assert } from './runtime/assert.ts';
import type { AnyBehaviour } from './runtime/behaviour.ts';
import { type Catalog, createCatalog } from './runtime/catalog.ts';
import { systemClock, systemRandom } from './runtime/clock.ts';
import { DocumentsCache } from './runtime/documents.ts';
import { TocsinError } from './runtime/errors.ts';
import { actorGauges } from './runtime/gauges.ts';
import { type ActorKey, entityOf, epoch, nodeId, shardOf } from './runtime/ids.ts';
import { type Lifecycle, lifecycle, type Stage } from './runtime/lifecycle.ts';
import { createLogger } from './runtime/log.ts';
import { createMeter } from './runtime/meter.ts';
import type { Logger, ProbeLink, Store } from './runtime/ports.ts';
import { repeat } from './runtime/repeat.ts';
import { createRouter, type Router } from './runtime/router.ts';
import { steadyWall } from './runtime/steady-wall.ts';
import { timerWheel } from './runtime/timers.ts';
import { workerPool } from './runtime/workers.ts';
import { openSqliteStore } from './store/sqlite/store.ts';

const version = '0.1.0';
const clusterName = 'tocsin';
/** How often what is past its keep is deleted, a bounded part each time. */
const sweepEveryMs = 60_000;
/** Check types that a local prober runs. */
const supportedTypes = new Set(['remote.http', 'remote.tcp', 'remote.ping', 'remote.dns']);

/** Everything that a node of one process shares. */
function parts(config: Config, logger: Logger) {
  const clock = systemClock();
  const random = systemRandom();
  const meter = createMeter({ processMetrics: true });
  const timers = timerWheel({
    clock,
    meter,
    onPause: (lateMs) => logger.warn('loop_paused', { lateMs: Math.round(lateMs) }),
  });
  const selfAddress = { host: config.listenHost, port: config.listenPort };
  const egressRules = {
    preset: config.egress,
    allow: config.egressAllow,
    deny: config.egressDeny,
    self: selfAddress,
  };
  const documents = new DocumentsCache({ meter });
  const notifier = createNotifier({
    egress: createEgress(egressRules),
    smtp: smtpSettings(config),
    logger,
    newest: (tenant, id) => {
      const copy = documents.get(tenant)?.documents as TenantDocuments | undefined;
      return copy?.notifications.get(id) ?? null;
    },
  });
  const machine = { cores: availableParallelism(), memoryBytes: totalmem() };
  const limits = tenantLimits(config.limits, machine, config.maxEntities);
  const workers = workerPool({
    filename: new URL(`./actors/criteria/worker-entry${extname(import.meta.url)}`, import.meta.url)
      .href,
  });
  return {
    config,
    logger,
    clock,
    random,
    meter,
    timers,
    selfAddress,
    notifier,
    documents,
    limits,
    workers,
  };
}

type Parts = ReturnType<typeof parts>;

/** Returns the behaviour of each kind of key: `tenant/entity` or `tenant`. */
function behavioursOf(of: Parts): (key: ActorKey) => AnyBehaviour {
  const entity = entityBehaviour({
    zones: of.config.zones.map((id) => ({ id })),
    minPeriodMs: of.config.minPeriodMs,
    supportedTypes,
    channelTypes: new Set(['webhook', 'email', 'technicalContactsEmail', 'pagerduty', 'victorops']),
    qualifiedNames: of.config.egress === 'public',
    clusterName,
    nodeName: of.config.node,
  });
  const tenant = tenantBehaviour({ limits: of.limits });
  return (key) => (entityOf(key) === null ? tenant : entity);
}

function probersOf({ config, logger, clock, selfAddress }: Parts): ZoneProbers {
  return zoneProbers({
    zones: config.zones,
    egress: config.egress,
    deny: config.egressDeny,
    allow: config.egressAllow,
    anchors: config.anchors,
    selfAddress,
    environment: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', TZ: 'UTC' },
    nowMs: () => clock.nowMs(),
    onLog: (event, fields) => logger.info(event, fields),
  });
}

/** The actors of this node over an opened store. */
function actorsOf(of: Parts, store: Store, probes: ProbeLink<ProbeRequest, ProbeAnswer>) {
  const { config, clock, random, logger, meter, timers, notifier, documents } = of;
  const incarnation = Buffer.from(random.bytes(8)).toString('hex');
  const host: ShardHost = createShardHost({
    store,
    node: nodeId(config.node),
    incarnation,
    clock,
    random,
    logger,
    meter,
    notifier,
    onLost: (shard) => {
      logger.error('shard_lost', { shard });
      catalog.dropShards(new Set([shard]));
    },
    retryDelayMs,
    logBody: (intent, line) => notificationLogBody(intent, line, config.node),
    onUndeliverable: (key, { id, channel }) => {
      logger.error('notification_undeliverable', { key, id, channel });
    },
  });
  const { directory } = host;
  const catalog: Catalog = createCatalog({
    behaviourOf: behavioursOf(of),
    load: (key) => host.load(key),
    reload: (key) => host.reload(key),
    ports: {
      clock,
      random,
      logger,
      meter,
      timers,
      decisions: host.decisions,
      softStates: host.softStates,
      ticks: host.ticks,
      probes: probes as ProbeLink<unknown, unknown>,
      documents,
      mayAct: (key) => host.mayAct(key),
      epochOf: (key) => directory.lookup(shardOf(key))?.epoch ?? epoch(0),
      send: (to, message) => router.tell(to, message, 'system'),
      publishDocuments: (tenant, rev, copy) => documents.set(tenant, rev, copy),
    },
  });
  const router: Router = createRouter({
    node: config.node,
    catalog,
    directory,
    transport: null,
    clock,
    timers,
    random,
    logger,
    meter,
  });
  return { host, catalog, router };
}

type Actors = ReturnType<typeof actorsOf>;

function apiPortsOf(
  of: Parts,
  actors: Actors,
  world: {
    store: Store;
    probes: ProbeLink<ProbeRequest, ProbeAnswer>;
    health: () => Health;
    findings: () => readonly Finding[];
  },
): ApiPorts {
  const { config, clock, random, logger, meter, notifier, documents, limits, workers } = of;
  const { store } = world;
  const hexId = () => Buffer.from(random.bytes(16)).toString('hex');
  return {
    router: actors.router,
    documents: async (tenant) =>
      (documents.get(tenant)?.documents ?? null) as TenantDocuments | null,
    history: store.history,
    accounts: store.accounts,
    states: store.states,
    samples: store.samples,
    events: actors.host.events,
    probe: world.probes,
    testNotification: (notification, copy) =>
      notifier.deliverTest(
        {
          tenant: copy.tenant,
          account: copy.account,
          notification,
          id: hexId(),
          txnId: `test-${hexId()}`,
          atMs: clock.nowMs(),
        },
        AbortSignal.timeout(20_000),
      ),
    clock,
    random,
    logger,
    meter,
    metricsText: async () => ({ type: meter.contentType, text: await meter.text() }),
    zones: () => localZones(config.zones, config.node),
    node: { id: config.node, version, publicUrl: null },
    release: async (key) => {
      if (actors.catalog.describe(key)?.quarantine == null) return false;
      await actors.catalog.release(key);
      return true;
    },
    health: world.health,
    findings: world.findings,
    tenantLimits: limits,
    limits: defaultApiLimits,
    checkTypes: checkTypes.filter((type) => supportedTypes.has(type.id)),
    tls:
      config.tls === null
        ? null
        : { cert: readFileSync(config.tls.certFile), key: readFileSync(config.tls.keyFile) },
    web: readWebFiles(
      join(fileURLToPath(new URL('.', import.meta.url)).replace(/dist\/$/, ''), 'web'),
    ),
    workers,
  };
}

/** A node: its parts in order of start; they stop in the reverse. */
class TocsinNode {
  readonly #of: Parts;
  readonly #probers: ZoneProbers;
  #store: Store | null = null;
  #actors: Actors | null = null;
  #api: Api | null = null;
  #isReady = false;
  #stopSweep: () => Promise<void> = async () => undefined;
  readonly lifecycle: Lifecycle;

  constructor(config: Config, logger: Logger) {
    this.#of = parts(config, logger);
    this.#probers = probersOf(this.#of);
    const stages: Stage[] = [
      { name: 'store', start: () => this.#openStore(), stop: () => this.#store?.close() },
      {
        name: 'probers',
        start: () => this.#probers.start(),
        stop: () => this.#probers.stop(5_000),
      },
      {
        name: 'actors',
        start: () => this.#startActors(),
        stop: () => this.#stopActors(),
        startMs: 120_000,
        stopMs: 20_000,
      },
      { name: 'api', start: () => this.#startApi(), stop: () => this.#stopApi(), stopMs: 12_000 },
    ];
    this.lifecycle = lifecycle(stages, { clock: this.#of.clock, logger });
  }

  async #openStore(): Promise<void> {
    const { config, logger } = this.#of;
    this.#store = await openSqliteStore({ folder: config.dataFolder, logger });
  }

  async #startActors(): Promise<void> {
    assert(this.#store !== null, 'the store opens before the actors');
    const actors = actorsOf(this.#of, this.#store, this.#probers);
    this.#actors = actors;
    hostGauges(this.#of.meter, actors.host);
    actorGauges(this.#of.meter, actors.catalog, actors.router);
    const loaded = await actors.host.start((key, stored) => actors.catalog.activate(key, stored));
    const { clock, logger } = this.#of;
    logger.info('actors_loaded', { ...loaded });
    const store = this.#store;
    const steadyMs = steadyWall(clock);
    this.#stopSweep = repeat('sweep', sweepEveryMs, () => store.sweep(steadyMs()), {
      clock,
      logger,
    });
  }

  async #stopActors(): Promise<void> {
    await this.#stopSweep();
    await this.#actors?.catalog.drain();
    this.#actors?.router.stop();
    await this.#actors?.host.stop(10_000);
    this.#of.timers.stop();
    await this.#of.workers.close();
  }

  async #startApi(): Promise<void> {
    const { config, logger } = this.#of;
    assert(this.#store !== null && this.#actors !== null, 'the actors start before the API');
    const ports = apiPortsOf(this.#of, this.#actors, {
      store: this.#store,
      probes: this.#probers,
      health: () => this.#health(),
      findings: () => this.#findings(),
    });
    const { dataFolder: folder, adminApiKey: apiKey, technicalContacts } = config;
    const first = await ensureAdmin(ports, { folder, apiKey, technicalContacts });
    this.#api = await createApi(ports);
    const { url } = await this.#api.listen({ host: config.listenHost, port: config.listenPort });
    this.#isReady = true;
    logger.info('node_ready', { url });
    process.stdout.write(welcome(version, url, first));
  }

  async #stopApi(): Promise<void> {
    this.#isReady = false;
    await this.#api?.close();
  }

  #health(): Health {
    const down = this.#probers.running().filter((one) => one.stats().pid === null);
    return healthOf(this.#isReady, down);
  }

  #findings(): readonly Finding[] {
    const probers = this.#probers
      .running()
      .map((prober) => ({ zone: prober.zone, ...prober.stats() }));
    const outbox = this.#actors?.host.outbox.stats() ?? null;
    return adviceOf({ config: this.#of.config, probers, outbox });
  }
}

async function runNode(flags: readonly string[]): Promise<void> {
  const config = loadConfig({ environment: process.env, flags, folder: process.cwd() });
  const logger = createLogger({
    level: config.logLevel,
    node: config.node,
    destination: process.stderr,
  });
  logger.info('node_starting', { version, config: printable(config) });
  const node = new TocsinNode(config, logger).lifecycle;
  const end = (signal: string): void => {
    logger.info('node_stopping', { signal });
    node.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error('stop_failed', { error });
        process.exit(1);
      },
    );
  };
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
    process.once(signal, () => end(signal));
  process.on('uncaughtException', (error) => {
    logger.error('crashed', { error });
    process.exit(70);
  });
  await node.start();
}

try {
  const [role, ...flags] = process.argv.slice(2);
  if (role !== 'node') throw new ConfigError('CF_BAD_VALUE', `the role is node, not ${role ?? ''}`);
  await runNode(flags);
} catch (error) {
  const code =
    error instanceof ConfigError || error instanceof TocsinError ? `${error.code}: ` : '';
  process.stderr.write(`tocsin: ${code}${(error as Error).message}\n`);
  process.exit(error instanceof ConfigError ? 2 : 1);
}
