// One process run of a member: the product's own catalog, router, timers, actors, shard host, membership, tenant copies and
// hand-offs, put together as main/actors.ts and main/member.ts do, over ports of the simulated cluster.
import { entityBehaviour } from '../../actors/entity/entity.ts';
import { notificationLogBody } from '../../actors/notify/log-body.ts';
import { retryDelayMs } from '../../actors/notify/schedule.ts';
import type { TenantDocuments } from '../../actors/tenant/documents.ts';
import {
  documentsFromData,
  documentsToData,
  tenantDocumentsFrom,
} from '../../actors/tenant/projection.ts';
import { tenantBehaviour } from '../../actors/tenant/tenant.ts';
import type { ControlPlane } from '../../cluster/control-plane.ts';
import { frameTransport, type NodeTransport, type Wire } from '../../cluster/frame-transport.ts';
import type { NodeLink } from '../../cluster/handoff.ts';
import { createShardHost, type HandOffs, type ShardHost } from '../../cluster/host.ts';
import { clusterLease } from '../../cluster/lease.ts';
import { type Membership, membership } from '../../cluster/membership.ts';
import { memoryPulse } from '../../cluster/memory/pulse.ts';
import type { ModeState } from '../../cluster/mode.ts';
import type { Pulse } from '../../cluster/pulse.ts';
import { type TenantCopies, tenantCopies } from '../../cluster/tenant-copies.ts';
import { ownProtocol, type View, withVersion } from '../../cluster/view.ts';
import type { AnyBehaviour } from '../../runtime/behaviour.ts';
import { type Catalog, createCatalog } from '../../runtime/catalog.ts';
import type { ClusterStore } from '../../runtime/cluster-ports.ts';
import { DocumentsCache } from '../../runtime/documents.ts';
import { type ActorKey, entityOf, epoch, nodeId, shardOf, tenantOf } from '../../runtime/ids.ts';
import type { Message } from '../../runtime/message.ts';
import type { ProbeLink } from '../../runtime/ports.ts';
import { repeat } from '../../runtime/repeat.ts';
import { createRouter, type Router } from '../../runtime/router.ts';
import { steadyWall } from '../../runtime/steady-wall.ts';
import { type Timers, timerWheel } from '../../runtime/timers.ts';
import { clusterName, limits, type NodePorts } from '../sim/node.ts';

export interface ClusterPorts extends Omit<NodePorts, 'store' | 'shards'> {
  readonly name: string;
  readonly weight: number;
  readonly store: ClusterStore;
  readonly control: ControlPlane;
  readonly wire: Wire;
  readonly onView: (view: View, incarnation: string) => void;
  readonly onFence: () => void;
  readonly onMode: (state: ModeState) => void;
  readonly onReplaced: () => void;
  readonly onHandOff: (to: string, message: Message) => void;
}

const drainMs = 25_000;

function behavioursOf(ports: ClusterPorts): (key: ActorKey) => AnyBehaviour {
  const entity = entityBehaviour({
    zones: ports.zones.map((id) => ({ id })),
    minPeriodMs: 1_000,
    supportedTypes: new Set(['remote.http', 'remote.tcp', 'remote.ping', 'remote.dns']),
    channelTypes: new Set(['webhook', 'email', 'technicalContactsEmail', 'pagerduty', 'victorops']),
    qualifiedNames: false,
    clusterName,
    nodeName: ports.name,
  });
  const tenant = tenantBehaviour({ limits });
  return (key) => (entityOf(key) === null ? tenant : entity);
}

/** A member: not joined before `start`, dropped without cleaning up at a crash. */
export class ClusterNode {
  readonly pulse: Pulse;
  readonly membership: Membership;
  readonly host: ShardHost;
  readonly catalog: Catalog;
  readonly router: Router;
  readonly copies: TenantCopies;
  readonly documents: DocumentsCache;
  readonly timers: Timers;
  readonly #transport: NodeTransport;
  readonly #ports: ClusterPorts;
  #handOffs: HandOffs | null = null;
  #stopSweep: () => Promise<void> = async () => undefined;
  #incarnation = '';

  constructor(ports: ClusterPorts) {
    const { clock, logger, meter, control, name } = ports;
    this.#ports = ports;
    this.documents = new DocumentsCache({ meter });
    this.timers = timerWheel({ clock, meter, onPause: () => undefined });
    this.pulse = memoryPulse({ node: nodeId(name), control, clock, logger });
    this.#transport = frameTransport({
      ...{ node: name, wire: ports.wire, clock, logger, meter },
      incarnationOf: (node) =>
        this.membership.status().view.members.get(nodeId(node))?.incarnation ?? null,
    });
    this.membership = this.#makeMembership();
    this.host = this.#makeHost();
    this.catalog = this.#makeCatalog();
    const { random, simulateRemote } = ports;
    this.router = createRouter({
      ...{ node: name, catalog: this.catalog, directory: this.host.directory },
      ...{ transport: this.#transport, clock, timers: this.timers, random, logger, meter },
      simulateRemote,
    });
    this.copies = this.#makeCopies();
  }

  /** Monotonic ms until which effects are allowed. */
  leaseUntilMonoMs(): number {
    return Math.max(
      this.pulse.leaseUntilMonoMs(),
      this.membership.status().mode.allowedUntilMonoMs,
    );
  }

  /** As main.ts starts a node. Rejects as `Membership.join`. */
  async start(): Promise<void> {
    const { host, catalog, router } = this;
    const { clock, logger, store } = this.#ports;
    await host.start((key, stored, gate) => {
      this.#want(key);
      catalog.activate(key, stored, gate);
    });
    this.#transport.onUndeliverable(({ node }) => {
      router.nodeGone(node);
      void this.membership.refresh();
    });
    this.#handOffs = host.handOffs({
      link: this.#heardLink(),
      actors: catalog,
      bumpVersion: async () => (await this.membership.change((view) => withVersion(view))).version,
    });
    await this.membership.join();
    const steadyMs = steadyWall(clock);
    this.#stopSweep = repeat('sweep', 60_000, () => store.sweep(steadyMs()), { clock, logger });
  }

  /** As main.ts stops one. */
  async stop(): Promise<void> {
    await this.#stopSweep();
    try {
      await this.membership.drain();
      await this.#handOffs?.drained(drainMs);
    } catch {
      // What is not handed over is claimed by the others.
    }
    await this.catalog.drain();
    this.copies.stop();
    this.router.stop();
    await this.host.stop(10_000);
    await this.membership.leave();
    await this.#transport.close();
    this.timers.stop();
  }

  /** The router, and what a giver says over it. */
  #heardLink(): NodeLink {
    const { router } = this;
    const { onHandOff } = this.#ports;
    return {
      ask: (key, message, options) => router.ask(key, message, options),
      serve: (kind, handler) => router.serve(kind, handler),
      askNode: (node, message, options) => {
        onHandOff(node, message);
        return router.askNode(node, message, options);
      },
      tellNode: (node, message) => {
        onHandOff(node, message);
        router.tellNode(node, message);
      },
    };
  }

  #makeMembership(): Membership {
    const { clock, random, logger, meter, name, weight, onMode, onReplaced } = this.#ports;
    return membership({
      node: nodeId(name),
      joining: {
        ...{ address: `${name}:1`, weight, zone: 'z', state: 'up' },
        ...{ protoMin: ownProtocol.min, protoMax: ownProtocol.max },
      },
      serial: 'local',
      views: this.#ports.store.views,
      pulse: this.pulse,
      ...{ clock, random, logger, meter, onReplaced, onMode },
      onView: (view, incarnation) => this.#onView(view, incarnation),
      onFence: () => {
        this.host.fence();
        this.#ports.onFence();
      },
    });
  }

  #onView(view: View, incarnation: string): void {
    this.#ports.onView(view, incarnation);
    if (incarnation !== this.#incarnation) {
      this.#incarnation = incarnation;
      this.#transport.begin(incarnation);
      this.host.rejoin(incarnation);
    }
    this.host.follow(view);
  }

  #makeHost(): ShardHost {
    const { store, clock, random, logger, meter, notifier, name } = this.#ports;
    return createShardHost({
      ...{ store, clock, random, logger, meter, notifier, retryDelayMs },
      node: nodeId(name),
      incarnation: Buffer.from(random.bytes(8)).toString('hex'),
      shards: [],
      onLost: (shard) => this.catalog.dropShards(new Set([shard])),
      onOpen: (key, loaded) => this.catalog.open(key, loaded),
      logBody: (intent, line) => notificationLogBody(intent, line, name),
      onStaleView: (at) => this.membership.hearOf(at),
      lease: (isHeld) =>
        clusterLease({ clock, validUntilMonoMs: () => this.leaseUntilMonoMs(), isHeld }),
    });
  }

  #makeCatalog(): Catalog {
    const { clock, random, logger, meter, probes } = this.#ports;
    const { host } = this;
    return createCatalog({
      behaviourOf: behavioursOf(this.#ports),
      load: (key) => {
        this.#want(key);
        return host.load(key);
      },
      reload: (key) => host.reload(key),
      ports: {
        ...{ clock, random, logger, meter, timers: this.timers, documents: this.documents },
        decisions: host.decisions,
        softStates: host.softStates,
        ticks: host.ticks,
        probes: probes as ProbeLink<unknown, unknown>,
        mayAct: (key) => host.mayAct(key),
        epochOf: (key) => host.directory.lookup(shardOf(key))?.epoch ?? epoch(0),
        send: (to, message) => this.router.tell(to, message, 'system'),
        publishDocuments: (tenant, rev, copy) => this.copies.publish(tenant, rev, copy),
      },
    });
  }

  #makeCopies(): TenantCopies {
    const { clock, logger, meter, store, name } = this.#ports;
    return tenantCopies({
      states: store.states,
      ...{ documents: this.documents, clock, logger, meter, link: this.router },
      others: () => [...this.membership.status().view.members.keys()].filter((one) => one !== name),
      isNeeded: (tenant) => [...this.catalog.keys()].some((key) => tenantOf(key) === tenant),
      rereads: true,
      fold: (tenant, rows) => {
        const folded = tenantDocumentsFrom(tenant, rows, limits);
        return folded === null ? null : { rev: folded.rev, documents: folded };
      },
      pack: (copy) => documentsToData(copy as TenantDocuments),
      unpack: (data) => documentsFromData(data as Parameters<typeof documentsFromData>[0]),
    });
  }

  #want(key: ActorKey): void {
    if (entityOf(key) !== null) void this.copies.want(tenantOf(key));
  }
}
