// The actors of a node over an opened store: the host of its shards, their catalog, the router to them.
// Alone the host takes every shard; among others it follows the view that main/member.ts hands on.

import type { ProbeAnswer, ProbeRequest } from '../actors/check/types.ts';
import { notificationLogBody } from '../actors/notify/log-body.ts';
import { retryDelayMs } from '../actors/notify/schedule.ts';
import type { TenantDocuments } from '../actors/tenant/documents.ts';
import {
  documentsFromData,
  documentsToData,
  tenantDocumentsFrom,
} from '../actors/tenant/projection.ts';
import { createShardHost, type ShardHost } from '../cluster/host.ts';
import { clusterLease } from '../cluster/lease.ts';
import { type TenantCopies, tenantCopies } from '../cluster/tenant-copies.ts';
import { type Catalog, createCatalog } from '../runtime/catalog.ts';
import type { Transport } from '../runtime/cluster-ports.ts';
import {
  type ActorKey,
  entityOf,
  epoch,
  nodeId,
  type ShardId,
  shardOf,
  tenantOf,
} from '../runtime/ids.ts';
import type { ProbeLink, Store } from '../runtime/ports.ts';
import { createRouter, type Router } from '../runtime/router.ts';
import { behavioursOf, type Parts } from './parts.ts';

/** What a node among others adds: the way to them, and how long it may act. */
export interface ClusterSide {
  readonly transport: Transport;
  /** Names of the other members. */
  readonly others: () => readonly string[];
  /** Monotonic ms; read at the point of every effect. */
  readonly leaseUntilMonoMs: () => number;
  /** A shard was claimed under an epoch that the followed view has not reached. */
  readonly onStaleView: (epoch: number) => void;
  /** The actor that is at work; null: none. */
  readonly onTurn: (key: ActorKey | null) => void;
}

/** The actors of this node over an opened store; `cluster` null: alone. */
export function actorsOf(
  of: Parts,
  world: {
    readonly store: Store;
    readonly probes: ProbeLink<ProbeRequest, ProbeAnswer>;
    readonly cluster: ClusterSide | null;
  },
) {
  const { config, clock, random, logger, meter, timers, notifier, documents } = of;
  const { store, probes, cluster } = world;
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
    onLost: (shard) => catalog.dropShards(new Set([shard])),
    onOpen: (key, loaded) => catalog.open(key, loaded),
    retryDelayMs,
    logBody: (intent, line) => notificationLogBody(intent, line, config.node),
    onUndeliverable: (key, { id, channel }) => {
      logger.error('notification_undeliverable', { key, id, channel });
    },
    ...(cluster === null ? {} : among(of, cluster)),
  });
  const { directory } = host;
  const catalog: Catalog = createCatalog({
    behaviourOf: behavioursOf(of),
    load: (key) => {
      wantCopy(copies, key);
      return host.load(key);
    },
    reload: (key) => host.reload(key),
    ...(cluster === null ? {} : { onTurn: cluster.onTurn }),
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
      publishDocuments: (tenant, rev, copy) => copies.publish(tenant, rev, copy),
    },
  });
  const router: Router = createRouter({
    ...{ node: config.node, catalog, directory, clock, timers, random, logger, meter },
    transport: cluster?.transport ?? null,
  });
  const copies: TenantCopies = copiesOf(of, { store, cluster, router, keys: () => catalog.keys() });
  return { host, catalog, router, copies };
}

/** The copies of tenants' documents on this node. */
function copiesOf(
  of: Parts,
  world: {
    readonly store: Store;
    readonly cluster: ClusterSide | null;
    readonly router: Router;
    readonly keys: () => IterableIterator<ActorKey>;
  },
): TenantCopies {
  const { documents, clock, logger, meter } = of;
  return tenantCopies({
    states: world.store.states,
    ...{ documents, clock, logger, meter, link: world.router },
    others: world.cluster?.others ?? (() => []),
    isNeeded: tenantsHere(of, world.keys),
    rereads: world.cluster !== null,
    fold: (tenant, rows) => {
      const folded = tenantDocumentsFrom(tenant, rows, of.limits);
      return folded === null ? null : { rev: folded.rev, documents: folded };
    },
    pack: (copy) => documentsToData(copy as TenantDocuments),
    unpack: (data) => documentsFromData(data as Parameters<typeof documentsFromData>[0]),
  });
}

/** Returns whether an actor of the tenant is in memory, as of at most 5 s ago: all keys are looked through. */
function tenantsHere(
  { clock }: Parts,
  keys: () => IterableIterator<ActorKey>,
): (tenant: string) => boolean {
  let [tenants, atMonoMs] = [new Set<string>(), Number.NEGATIVE_INFINITY];
  return (tenant) => {
    if (clock.monoMs() - atMonoMs > 5_000) {
      tenants = new Set([...keys()].map(tenantOf));
      atMonoMs = clock.monoMs();
    }
    return tenants.has(tenant);
  };
}

/** An entity decides by its tenant's documents: they are read where this node has none. */
export function wantCopy(copies: TenantCopies, key: ActorKey): void {
  if (entityOf(key) !== null) void copies.want(tenantOf(key));
}

/** What the host of a node among others is told: it takes shards as views say, and acts while its lease holds. */
function among({ clock }: Parts, cluster: ClusterSide) {
  return {
    shards: [],
    onStaleView: cluster.onStaleView,
    lease: (isHeld: (shard: ShardId) => boolean) =>
      clusterLease({ clock, validUntilMonoMs: cluster.leaseUntilMonoMs, isHeld }),
  };
}

export type Actors = ReturnType<typeof actorsOf>;
