// One node's parts for the API's tests, alone or among others: the real runtime, actors and host over a given store; probes are
// scripted, the notifier's receivers too. Owns assembly; stack.ts and fleet.ts own listening, views and tear-down.
import { checkTypes } from '../../actors/check/catalogue.ts';
import type { ProbeAnswer, ProbeRequest } from '../../actors/check/types.ts';
import { entityBehaviour } from '../../actors/entity/entity.ts';
import { notificationLogBody } from '../../actors/notify/log-body.ts';
import type { NotificationDoc } from '../../actors/resources.ts';
import type { TenantDocuments } from '../../actors/tenant/documents.ts';
import {
  documentsFromData,
  documentsToData,
  tenantDocumentsFrom,
} from '../../actors/tenant/projection.ts';
import { tenantBehaviour } from '../../actors/tenant/tenant.ts';
import { aloneInfo } from '../../api/alone.ts';
import { findingsKind, fleetFindings } from '../../api/findings.ts';
import { type ApiPorts, defaultApiLimits } from '../../api/ports.ts';
import { createShardHost, type ShardHost } from '../../cluster/host.ts';
import { type TenantCopies, tenantCopies } from '../../cluster/tenant-copies.ts';
import { type Catalog, createCatalog } from '../../runtime/catalog.ts';
import { systemClock, systemRandom } from '../../runtime/clock.ts';
import type { Transport } from '../../runtime/cluster-ports.ts';
import { DocumentsCache } from '../../runtime/documents.ts';
import { entityOf, epoch, nodeId, shardOf, tenantOf } from '../../runtime/ids.ts';
import { createMeter } from '../../runtime/meter.ts';
import type { Logger, ProbeLink, Store } from '../../runtime/ports.ts';
import { createRouter, type Router } from '../../runtime/router.ts';
import { timerWheel } from '../../runtime/timers.ts';

export const zoneIds = ['mzaaa', 'mzbbb', 'mzccc'] as const;

export interface NodeWorld {
  readonly name: string;
  readonly incarnation: string;
  readonly store: Store;
  readonly logger: Logger;
  readonly limits: ApiPorts['tenantLimits'];
  readonly probe: ProbeLink<ProbeRequest, ProbeAnswer>;
  readonly tested: NotificationDoc[];
  /** null: alone, with all shards. */
  readonly cluster: { readonly transport: Transport; readonly others: () => string[] } | null;
}

export interface Node {
  readonly router: Router;
  readonly catalog: Catalog;
  readonly host: ShardHost;
  readonly copies: TenantCopies;
  /** What the API asks of it. */
  readonly ports: ApiPorts;
  stop(): Promise<void>;
}

/** Starts a node's actors; one among others holds nothing until its host follows a view. */
export async function startNode(world: NodeWorld): Promise<Node> {
  const { name, store, logger, limits, probe, cluster } = world;
  const clock = systemClock();
  const random = systemRandom();
  const meter = createMeter();
  const timers = timerWheel({ clock, meter });
  const documents = new DocumentsCache({ meter });
  const entity = entityBehaviour({
    zones: zoneIds.map((id) => ({ id })),
    minPeriodMs: 1_000,
    supportedTypes: new Set(['remote.http', 'remote.tcp', 'remote.ping', 'remote.dns']),
    channelTypes: new Set(['webhook', 'email']),
    qualifiedNames: false,
    clusterName: 'test',
    nodeName: name,
  });
  const tenant = tenantBehaviour({ limits });
  const host = createShardHost({
    ...{ store, clock, random, logger, meter },
    node: nodeId(name),
    incarnation: world.incarnation,
    notifier: {
      deliver: async () => ({ delivered: true, message: 'Success' }),
      receiverOf: () => 'receiver',
    },
    onLost: (shard) => void catalog.dropShards(new Set([shard])),
    onOpen: (key, loaded) => catalog.open(key, loaded),
    retryDelayMs: () => 1_000,
    logBody: (intent, line) => notificationLogBody(intent, line, name),
    ...(cluster === null ? {} : { shards: [] }),
  });
  const { directory } = host;
  const catalog: Catalog = createCatalog({
    behaviourOf: (key) => (entityOf(key) === null ? tenant : entity),
    load: (key) => {
      if (cluster !== null) void copies.want(tenantOf(key));
      return host.load(key);
    },
    reload: (key) => host.reload(key),
    onQuarantine: () => undefined,
    ports: {
      ...{ clock, random, logger, meter, timers, documents },
      decisions: host.decisions,
      softStates: host.softStates,
      ticks: host.ticks,
      probes: probe as ProbeLink<unknown, unknown>,
      mayAct: (key) => host.mayAct(key),
      epochOf: (key) => directory.lookup(shardOf(key))?.epoch ?? epoch(0),
      send: (to, message) => router.tell(to, message, 'system'),
      publishDocuments: (of, rev, copy) => copies.publish(of, rev, copy),
    },
  });
  const router: Router = createRouter({
    ...{ node: name, catalog, directory, clock, timers, random, logger, meter },
    transport: cluster?.transport ?? null,
    simulateRemote: true,
  });
  const copies: TenantCopies = tenantCopies({
    states: store.states,
    ...{ documents, clock, logger, meter, link: router },
    others: cluster?.others ?? (() => []),
    isNeeded: (of) => [...catalog.keys()].some((key) => tenantOf(key) === of),
    rereads: cluster !== null,
    fold: (of, rows) => {
      const folded = tenantDocumentsFrom(of, rows, limits);
      return folded === null ? null : { rev: folded.rev, documents: folded };
    },
    pack: (copy) => documentsToData(copy as TenantDocuments),
    unpack: (data) => documentsFromData(data as Parameters<typeof documentsFromData>[0]),
  });
  router.serve(findingsKind, () => []);
  if (cluster !== null) host.events.connect({ link: router, others: cluster.others });
  await host.start((key, stored, gate) => {
    if (cluster !== null) void copies.want(tenantOf(key));
    catalog.activate(key, stored, gate);
  });
  return {
    ...{ router, catalog, host, copies },
    ports: portsOf(world, { router, host, copies, meter }),
    stop: async () => {
      copies.stop();
      await catalog.drain();
      router.stop();
      await host.stop(2_000);
      timers.stop();
    },
  };
}

function portsOf(
  world: NodeWorld,
  node: Pick<Node, 'router' | 'host' | 'copies'> & { meter: ReturnType<typeof createMeter> },
): ApiPorts {
  const { name, store, logger, limits, probe } = world;
  const { router, host, copies, meter } = node;
  return {
    router,
    documents: async (tenant, options) =>
      (await copies.read(tenant, options?.fresh)) as TenantDocuments | null,
    history: store.history,
    accounts: store.accounts,
    states: store.states,
    samples: store.samples,
    events: host.events,
    probe,
    testNotification: async (notification) => {
      world.tested.push(notification);
      return { status: 'success', message: 'Success: Webhook successfully executed' };
    },
    clock: systemClock(),
    random: systemRandom(),
    logger,
    meter,
    metricsText: async () => ({ type: meter.contentType, text: await meter.text() }),
    zones: () =>
      zoneIds.map((id) => ({
        id,
        label: id,
        country_code: 'ZZ',
        source_ips: ['127.0.0.1/32', '::1/128'],
      })),
    checkTypes,
    node: { id: name, version: '1.0.0', publicUrl: null },
    health: () => ({ live: true, ready: true, reasons: [] }),
    findings: () => fleetFindings(router, name, world.cluster?.others() ?? []),
    cluster: async () => aloneInfo({ node: name, address: '', shardsHeld: 0, actors: 0 }),
    tenantLimits: limits,
    limits: defaultApiLimits,
    tls: null,
    web: new Map(),
    workers: null,
  };
}
