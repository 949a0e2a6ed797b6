// One process run of a node: the product's own catalog, router, timers, actors and shard host, put together as main.ts does,
// over ports of the simulated world. Dropped without cleaning up at a crash: nothing of it has any effect from then on.
import type { ProbeAnswer, ProbeRequest } from '../../actors/check/types.ts';
import { entityBehaviour } from '../../actors/entity/entity.ts';
import { notificationLogBody } from '../../actors/notify/log-body.ts';
import { retryDelayMs } from '../../actors/notify/schedule.ts';
import { tenantBehaviour } from '../../actors/tenant/tenant.ts';
import { tenantLimits } from '../../api/tenant-limits.ts';
import { createShardHost, type ShardHost } from '../../cluster/host.ts';
import type { AnyBehaviour } from '../../runtime/behaviour.ts';
import { type Catalog, createCatalog } from '../../runtime/catalog.ts';
import { DocumentsCache } from '../../runtime/documents.ts';
import {
  type ActorKey,
  entityOf,
  epoch,
  nodeId,
  type ShardId,
  shardOf,
} from '../../runtime/ids.ts';
import type {
  Clock,
  Logger,
  Meter,
  Notifier,
  ProbeLink,
  Random,
  Store,
} from '../../runtime/ports.ts';
import { repeat } from '../../runtime/repeat.ts';
import { createRouter, type Router } from '../../runtime/router.ts';
import { steadyWall } from '../../runtime/steady-wall.ts';
import { type Timers, timerWheel } from '../../runtime/timers.ts';
import type { Process } from './kernel.ts';

export const clusterName = 'tocsin';
export const nodeName = 'n1';

export interface NodePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly store: Store;
  readonly probes: ProbeLink<ProbeRequest, ProbeAnswer>;
  readonly notifier: Notifier;
  readonly shards: readonly ShardId[];
  readonly zones: readonly string[];
  /** Encodes local messages too: what could not travel fails. */
  readonly simulateRemote: boolean;
}

/** A process that runs a node. */
export interface Life {
  readonly process: Process;
  readonly run: number;
  readonly node: SimNode;
  isReady: boolean;
  /** Asks of the client without an answer. */
  readonly asks: Set<(error: Error) => void>;
}

export interface SimNode {
  readonly host: ShardHost;
  readonly catalog: Catalog;
  readonly router: Router;
  readonly timers: Timers;
  readonly documents: DocumentsCache;
  start(): Promise<void>;
  stop(): Promise<void>;
}

export const limits = tenantLimits('open', { cores: 2, memoryBytes: 2 ** 32 });

function behavioursOf(zones: readonly string[]): (key: ActorKey) => AnyBehaviour {
  const entity = entityBehaviour({
    zones: zones.map((id) => ({ id })),
    minPeriodMs: 1_000,
    supportedTypes: new Set(['remote.http', 'remote.tcp', 'remote.ping', 'remote.dns']),
    channelTypes: new Set(['webhook', 'email', 'technicalContactsEmail', 'pagerduty', 'victorops']),
    qualifiedNames: false,
    clusterName,
    nodeName,
  });
  const tenant = tenantBehaviour({ limits });
  return (key) => (entityOf(key) === null ? tenant : entity);
}

/** Returns a node that holds nothing until `start`. */
export function createNode(ports: NodePorts): SimNode {
  const { clock, random, logger, meter, store } = ports;
  const timers = timerWheel({
    clock,
    meter,
    onPause: (lateMs) => logger.warn('loop_paused', { lateMs }),
  });
  const documents = new DocumentsCache({ meter });
  const host = createShardHost({
    store,
    node: nodeId(nodeName),
    incarnation: Buffer.from(random.bytes(8)).toString('hex'),
    clock,
    random,
    logger,
    meter,
    notifier: ports.notifier,
    shards: ports.shards,
    onLost: (shard) => {
      logger.error('shard_lost', { shard });
      catalog.dropShards(new Set([shard]));
    },
    retryDelayMs,
    logBody: (intent, line) => notificationLogBody(intent, line, nodeName),
  });
  const { directory } = host;
  const catalog: Catalog = createCatalog({
    behaviourOf: behavioursOf(ports.zones),
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
      probes: ports.probes as ProbeLink<unknown, unknown>,
      documents,
      mayAct: (key) => host.mayAct(key),
      epochOf: (key) => directory.lookup(shardOf(key))?.epoch ?? epoch(0),
      send: (to, message) => router.tell(to, message, 'system'),
      publishDocuments: (tenant, rev, copy) => documents.set(tenant, rev, copy),
    },
  });
  const router: Router = createRouter({
    node: nodeName,
    catalog,
    directory,
    transport: null,
    clock,
    timers,
    random,
    logger,
    meter,
    simulateRemote: ports.simulateRemote,
  });
  let stopSweep: () => Promise<void> = async () => undefined;
  return {
    host,
    catalog,
    router,
    timers,
    documents,
    start: async () => {
      await host.start((key, stored) => catalog.activate(key, stored));
      const steadyMs = steadyWall(clock);
      stopSweep = repeat('sweep', 60_000, () => store.sweep(steadyMs()), { clock, logger });
    },
    stop: async () => {
      await stopSweep();
      await catalog.drain();
      router.stop();
      await host.stop(10_000);
      timers.stop();
    },
  };
}
