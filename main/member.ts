// A node among others: its store in Cassandra, its ways over NATS, its membership; ties them to the actors. Names adapters.
// Joins once the actors stand, follows views, hands over and leaves at the end.

import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClusterInfo } from '../api/ports.ts';
import { type Culprits, culprits } from '../cluster/culprits.ts';
import type { NodeTransport } from '../cluster/frame-transport.ts';
import { memberGauges } from '../cluster/gauges.ts';
import type { HandOffs } from '../cluster/host.ts';
import { type Membership, membership } from '../cluster/membership.ts';
import { readCulprit, removeCulprit } from '../cluster/nats/culprit-file.ts';
import type { NatsLogin } from '../cluster/nats/dial.ts';
import { natsPulse } from '../cluster/nats/pulse.ts';
import { natsTransport } from '../cluster/nats/transport.ts';
import { settledWithin } from '../cluster/pause.ts';
import type { Pulse } from '../cluster/pulse.ts';
import { ownProtocol, type View, withVersion } from '../cluster/view.ts';
import type { ClusterConfig } from '../config/cluster.ts';
import type { Catalog } from '../runtime/catalog.ts';
import type { ClusterStore } from '../runtime/cluster-ports.ts';
import { nodeId } from '../runtime/ids.ts';
import { repeat } from '../runtime/repeat.ts';
import { openCassandraStore } from '../store/cassandra/store.ts';
import type { Actors, ClusterSide } from './actors.ts';
import { clusterInfo, type NodeAnswer } from './cluster-info.ts';
import type { Parts } from './parts.ts';

/** How long a joining node waits for its first shards before it says that it is ready. */
const firstShardsMs = 20_000;
/** Members are asked for their status at the same time; who takes longer is named. */
const statusKind = 'node.status';
const statusMs = 1_000;
/** Heartbeats say that the store is silent after this. */
const storeSilentMs = 5_000;
const statusEveryMs = 500;
/** Kubernetes kills after 30 s: what is not handed over by then is claimed by the others. */
const drainMs = 25_000;

type ClientTls = ClusterConfig['nats']['tls'];

function pem(tls: ClientTls) {
  if (tls === null) return null;
  const { caFile, certFile, keyFile } = tls;
  return {
    ca: readFileSync(caFile, 'utf8'),
    ...(certFile === null || keyFile === null
      ? {}
      : { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') }),
  };
}

function natsLogin({ login, tls }: ClusterConfig['nats']): NatsLogin {
  const certificates = pem(tls);
  return {
    ...(login ?? {}),
    tls: certificates === null ? null : { ...certificates, handshakeFirst: false },
  };
}

/** Opens the cluster's store; makes keyspace and tables where they are missing. Rejects as the store says. */
export function openClusterStore(of: Parts, cluster: ClusterConfig): Promise<ClusterStore> {
  const { clock, logger, random } = of;
  const { contactPoints, keyspace, datacenter, replicas, login, tls } = cluster.cassandra;
  const certificates = pem(tls);
  mkdirSync(of.config.dataFolder, { recursive: true, mode: 0o700 });
  return openCassandraStore({
    cluster: cluster.name,
    ...{ contactPoints, keyspace },
    replicas: { [datacenter]: replicas },
    localDataCenter: datacenter,
    serial: cluster.serial,
    ...(login === null ? {} : { credentials: { username: login.user, password: login.password } }),
    ...(certificates === null ? {} : { tls: certificates }),
    ...{ clock, logger, random },
  });
}

export class ClusterMember {
  readonly #of: Parts;
  readonly #name: string;
  readonly #pulse: Pulse;
  readonly #transport: NodeTransport;
  readonly #membership: Membership;
  readonly #culpritFile: string;
  #culprits: Culprits | null = null;
  #actors: Actors | null = null;
  #handOffs: HandOffs | null = null;
  #stopStatus: () => Promise<void> = async () => undefined;

  constructor(
    of: Parts,
    world: {
      readonly cluster: ClusterConfig;
      readonly store: ClusterStore;
      /** Another process has this node's name. */
      readonly onReplaced: () => void;
    },
  ) {
    const { cluster, store, onReplaced } = world;
    const { config, clock, random, logger, meter } = of;
    const place = {
      cluster: cluster.name,
      node: config.node,
      servers: cluster.nats.servers,
      login: natsLogin(cluster.nats),
      ...{ clock, random, logger, meter },
    };
    this.#of = of;
    this.#name = cluster.name;
    this.#culpritFile = join(config.dataFolder, 'culprit');
    this.#pulse = natsPulse({ ...place, culpritFile: this.#culpritFile });
    this.#transport = natsTransport({
      ...place,
      incarnationOf: (node) =>
        this.#membership.status().view.members.get(nodeId(node))?.incarnation ?? null,
    });
    this.#membership = membership({
      node: nodeId(config.node),
      joining: {
        address: config.publicUrl ?? `${config.listenHost}:${config.listenPort}`,
        weight: cluster.weight,
        zone: cluster.failureZone,
        protoMin: ownProtocol.min,
        protoMax: ownProtocol.max,
        state: 'up',
      },
      serial: cluster.serial,
      views: store.views,
      pulse: this.#pulse,
      ...{ clock, random, logger, meter, onReplaced },
      onView: (view, incarnation) => this.#onView(view, incarnation),
      onFence: () => this.#actors?.host.fence(),
      onMode: () => undefined,
    });
  }

  get membership(): Membership {
    return this.#membership;
  }

  get pulse(): Pulse {
    return this.#pulse;
  }

  /** What the actors of this node stand on. */
  get side(): ClusterSide {
    return {
      transport: this.#transport,
      others: () => this.#others(),
      leaseUntilMonoMs: () =>
        Math.max(this.#pulse.leaseUntilMonoMs(), this.#membership.status().mode.allowedUntilMonoMs),
      onStaleView: (epoch) => this.#membership.hearOf(epoch),
      onTurn: (key) => this.#pulse.working(key),
    };
  }

  /** Starts the actors of loaded shards, but none that stopped a node (clustering.md §14). */
  guard(catalog: Catalog): Pick<Catalog, 'activate'> {
    const path = this.#culpritFile;
    const left = readCulprit(path)?.key ?? null;
    if (left === null) removeCulprit(path);
    this.#culprits = culprits({
      ...{ catalog, left, clock: this.#of.clock, logger: this.#of.logger },
      node: this.#of.config.node,
      heard: () => this.#pulse.report().statuses,
      forget: () => removeCulprit(path),
    });
    return this.#culprits;
  }

  /** The cluster as this node sees it. */
  async info(): Promise<ClusterInfo> {
    const { node } = this.#of.config;
    const status = this.#membership.status();
    const nodes = [...status.view.members.keys()];
    const question = { kind: statusKind };
    const { answers } = await (this.#actors as Actors).router.askNodes<NodeAnswer>(
      nodes,
      question,
      { timeoutMs: statusMs },
    );
    return clusterInfo({
      ...{ cluster: this.#name, node, status, answers },
      report: this.#pulse.report(),
    });
  }

  /** Joins, and waits for a while until the first shards are taken. Rejects as `Membership.join`. */
  async join(actors: Actors): Promise<void> {
    const { clock, logger } = this.#of;
    this.#actors = actors;
    const { host, catalog, router } = actors;
    router.serve(statusKind, (): NodeAnswer => {
      const { mode, view } = this.#membership.status();
      const { shardsHeld } = host.stats();
      const { activations } = catalog.counts();
      return { mode: mode.mode, viewVersion: view.version, shardsHeld, actors: activations };
    });
    this.#transport.onUndeliverable(({ node }) => {
      router.nodeGone(node);
      void this.#membership.refresh();
    });
    memberGauges(this.#of.meter, () => this.#membership.status());
    this.#stopStatus = repeat(
      'heartbeat status',
      statusEveryMs,
      async () => this.#sayStatus(),
      this.#of,
    );
    host.events.connect({ link: router, others: () => this.#others() });
    this.#handOffs = host.handOffs({
      link: router,
      actors: catalog,
      bumpVersion: async () => (await this.#membership.change((view) => withVersion(view))).version,
    });
    await this.#membership.join();
    const isTaken = await settledWithin(clock, actors.host.taken(), firstShardsMs);
    if (!isTaken) logger.warn('cluster.shards_late', { waitedMs: firstShardsMs });
  }

  /** Takes no more shards and hands over those it has; what is not handed over in 25 s is claimed by the others. */
  async handOver(): Promise<void> {
    const { logger } = this.#of;
    try {
      await this.#membership.drain();
    } catch (error) {
      logger.warn('cluster.drain_unsaid', { error });
      return;
    }
    const isEmpty = await this.#handOffs?.drained(drainMs);
    if (isEmpty === false) logger.warn('cluster.drain_incomplete', { afterMs: drainMs });
  }

  /** What this node's heartbeats say of its main loop: whether the store answers. */
  #sayStatus(): void {
    const { storeAnsweredMonoMs } = this.#membership.status();
    const storeReachable = this.#of.clock.monoMs() - storeAnsweredMonoMs < storeSilentMs;
    const load = { entities: 0, startsPerMinute: 0, cpuPermille: 0, hotShards: [] };
    this.#pulse.status({ storeReachable, mailboxDepth: 0, epochMax: 0, load });
  }

  /** Leaves: it acts for nothing any more. */
  async leave(): Promise<void> {
    await this.#stopStatus();
    await this.#culprits?.stop();
    await this.#membership.leave();
    await this.#transport.close();
  }

  #others(): readonly string[] {
    const { node } = this.#of.config;
    return [...this.#membership.status().view.members.keys()].filter((name) => name !== node);
  }

  #incarnation = '';

  #onView(view: View, incarnation: string): void {
    if (incarnation !== this.#incarnation) {
      this.#incarnation = incarnation;
      this.#transport.begin(incarnation);
      this.#actors?.host.rejoin(incarnation);
    }
    this.#actors?.host.follow(view);
  }
}
