// Composition root of a node (actors, API, notifications, local probers): the only file that names two adapters. Builds the
// parts, starts them in order, waits for a signal. The prober is a program of its own: prober/main.ts loads nothing of this.
import { adviceOf, type Finding, type Health, healthOf } from './api/advice.ts';
import { aloneInfo } from './api/alone.ts';
import { type FleetFindings, findingsKind, fleetFindings } from './api/findings.ts';
import { ensureAdmin, welcome } from './api/first-start.ts';
import type { ClusterInfo } from './api/ports.ts';
import type { Api } from './api/server.ts';
import { hostGauges } from './cluster/gauges.ts';
import { ConfigError } from './config/errors.ts';
import { loadConfig, printable } from './config/load.ts';
import type { Config } from './config/schema.ts';
import { type Actors, actorsOf, wantCopy } from './main/actors.ts';
import { apiPortsOf } from './main/api-ports.ts';
import type { ClusterMember } from './main/member.ts';
import { type Parts, parts, probersOf, version } from './main/parts.ts';
import type { ZoneProbers } from './prober/zones.ts';
import { assert } from './runtime/assert.ts';
import { TocsinError } from './runtime/errors.ts';
import { actorGauges } from './runtime/gauges.ts';
import { type Lifecycle, lifecycle, type Stage } from './runtime/lifecycle.ts';
import { createLogger } from './runtime/log.ts';
import type { Logger, Store } from './runtime/ports.ts';
import { repeat } from './runtime/repeat.ts';
import { steadyWall } from './runtime/steady-wall.ts';
import { openSqliteStore } from './store/sqlite/store.ts';

/** How often what is past its keep is deleted, a bounded part each time. */
const sweepEveryMs = 60_000;
/** Another process joined under this node's name: whoever starts processes must not start this one again. */
const exitReplaced = 64;

/** A node: its parts in order of start; they stop in the reverse. */
class TocsinNode {
  readonly #of: Parts;
  readonly #probers: ZoneProbers;
  #store: Store | null = null;
  #member: ClusterMember | null = null;
  #actors: Actors | null = null;
  #api: Api | null = null;
  #isReady = false;
  #stopSweep: () => Promise<void> = async () => undefined;
  readonly lifecycle: Lifecycle;

  constructor(config: Config, logger: Logger) {
    this.#of = parts(config, logger);
    this.#probers = probersOf(this.#of, process.env['PATH']);
    let probersReady = Promise.resolve();
    const stages: Stage[] = [
      {
        name: 'probers',
        // They start while the store opens and shards load; what is asked of one before it is ready waits in its channel.
        start: () => {
          probersReady = this.#probers.start();
          probersReady.catch(() => undefined);
        },
        stop: () => this.#probers.stop(5_000),
      },
      { name: 'store', start: () => this.#openStore(), stop: () => this.#store?.close() },
      {
        name: 'actors',
        start: () => this.#startActors(),
        stop: () => this.#stopActors(),
        startMs: 120_000,
        stopMs: 40_000,
      },
      { name: 'probers ready', start: () => probersReady, stop: () => undefined },
      { name: 'api', start: () => this.#startApi(), stop: () => this.#stopApi(), stopMs: 12_000 },
    ];
    this.lifecycle = lifecycle(stages, { clock: this.#of.clock, logger });
  }

  async #openStore(): Promise<void> {
    const { config, logger } = this.#of;
    if (config.cluster === null) {
      this.#store = await openSqliteStore({ folder: config.dataFolder, logger });
      return;
    }
    // With their clients only where they are needed: a node alone starts without the 20 MB of those packages.
    const { ClusterMember, openClusterStore } = await import('./main/member.ts');
    const store = await openClusterStore(this.#of, config.cluster);
    this.#store = store;
    this.#member = new ClusterMember(this.#of, {
      ...{ cluster: config.cluster, store },
      onReplaced: () => process.exit(exitReplaced),
    });
  }

  async #startActors(): Promise<void> {
    assert(this.#store !== null, 'the store opens before the actors');
    const member = this.#member;
    const cluster = member?.side ?? null;
    const world = { store: this.#store, probes: this.#probers, cluster };
    const actors = actorsOf(this.#of, world);
    this.#actors = actors;
    hostGauges(this.#of.meter, actors.host);
    actorGauges(this.#of.meter, actors.catalog, actors.router);
    actors.router.serve(findingsKind, () => this.#findings());
    const starter = member?.guard(actors.catalog) ?? actors.catalog;
    const loaded = await actors.host.start((key, stored, gate) => {
      wantCopy(actors.copies, key);
      starter.activate(key, stored, gate);
    });
    await member?.join(actors);
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
    await this.#member?.handOver();
    await this.#actors?.catalog.drain();
    this.#actors?.copies.stop();
    this.#actors?.router.stop();
    await this.#actors?.host.stop(10_000);
    await this.#member?.leave();
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
      findings: () => this.#fleetFindings(),
      cluster: () => this.#cluster(),
    });
    const { dataFolder: folder, adminApiKey: apiKey, technicalContacts } = config;
    const first = await ensureAdmin(ports, { folder, apiKey, technicalContacts });
    // Only now: checks run already while its packages are read.
    const { createApi } = await import('./api/server.ts');
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

  async #cluster(): Promise<ClusterInfo> {
    const { host, catalog } = this.#actors as Actors;
    const { node, listenHost, listenPort } = this.#of.config;
    const own = { shardsHeld: host.stats().shardsHeld, actors: catalog.counts().activations };
    const address = `${listenHost}:${listenPort}`;
    return this.#member?.info() ?? aloneInfo({ node, address, ...own });
  }

  #fleetFindings(): Promise<FleetFindings> {
    const { router } = this.#actors as Actors;
    return fleetFindings(router, this.#of.config.node, this.#member?.side.others() ?? []);
  }

  #findings(): readonly Finding[] {
    const probers = this.#probers
      .running()
      .map((prober) => ({ zone: prober.zone, ...prober.stats() }));
    const outbox = this.#actors?.host.outbox.stats() ?? null;
    const paused = this.#actors?.catalog.list(({ quarantine }) => quarantine !== null, 20) ?? [];
    const quarantined = paused.map(({ key, quarantine }) => ({
      key,
      reason: quarantine?.reason ?? '',
    }));
    const mode = this.#member?.membership.status().mode.mode ?? null;
    return adviceOf({ config: this.#of.config, probers, outbox, mode, quarantined });
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
