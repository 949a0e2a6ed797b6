// Several nodes with their APIs over one memory store and a network in memory; the test makes the views.
// A killed node never hears from the store or the network again, and its sockets end. Owns set-up and tear-down.
import type { ProbeAnswer, ProbeRequest } from '../../actors/check/types.ts';
import type { NotificationDoc } from '../../actors/resources.ts';
import { bootstrapAdmin, type FirstAdmin } from '../../api/bootstrap.ts';
import { type Api, createApi } from '../../api/server.ts';
import { tenantLimits } from '../../api/tenant-limits.ts';
import { frameTransport, type NodeTransport } from '../../cluster/frame-transport.ts';
import { MemoryNetwork } from '../../cluster/memory/network.ts';
import { emptyView, type View, withMember, withoutMember } from '../../cluster/view.ts';
import { systemClock } from '../../runtime/clock.ts';
import { type ActorKey, nodeId, shardOf } from '../../runtime/ids.ts';
import { createMeter } from '../../runtime/meter.ts';
import type { Store } from '../../runtime/ports.ts';
import { createMemoryStore } from '../../store/memory/store.ts';
import { seededRandom } from '../clock.ts';
import { type Node, startNode } from './node.ts';
import { adminKey, type LogLine, memoryLogger, observed, scriptedProbe } from './stack.ts';

export interface FleetNode {
  readonly name: string;
  readonly node: Node;
  readonly transport: NodeTransport;
  readonly api: Api;
  readonly url: string;
  /** Of the whole fleet: so `call` takes a node. */
  readonly admin: FirstAdmin;
  isDead: boolean;
}

export class ApiFleet {
  readonly store = createMemoryStore();
  readonly network = new MemoryNetwork({ clock: systemClock(), random: seededRandom(1) });
  readonly nodes: FleetNode[] = [];
  readonly logs: LogLine[] = [];
  readonly probed: { readonly by: string; readonly request: ProbeRequest }[] = [];
  answer: (request: ProbeRequest) => ProbeAnswer | null = observed;
  view: View = emptyView('local');
  readonly #dead = new Set<string>();

  /** Starts these nodes at once; the first makes the administrator. */
  async start(...names: readonly string[]): Promise<void> {
    for (const name of names) this.view = this.#with(name);
    const parts = await Promise.all(names.map((name) => this.#node(name)));
    for (const { node } of parts) node.host.follow(this.view);
    await Promise.all(parts.map(({ node }) => node.host.taken()));
    const admin = (await bootstrapAdmin((parts[0] as (typeof parts)[0]).node.ports, {
      apiKey: adminKey,
    })) as FirstAdmin;
    for (const part of parts) {
      const api = await createApi(part.node.ports);
      const { url } = await api.listen({ host: '127.0.0.1', port: 0 });
      this.nodes.push({ ...part, api, url, admin, isDead: false });
    }
  }

  /** The living node that owns an actor, and the others. */
  ownerOf(key: ActorKey): { readonly owner: FleetNode; readonly others: readonly FleetNode[] } {
    const living = this.nodes.filter((one) => !one.isDead);
    const owner = living.find(
      ({ node }) => node.host.directory.lookup(shardOf(key))?.local === true,
    );
    if (owner === undefined) throw new Error(`nobody owns ${key}`);
    return { owner, others: living.filter((one) => one !== owner) };
  }

  /** Ends a node as SIGKILL does; nobody is told. */
  kill(of: FleetNode): void {
    of.isDead = true;
    this.#dead.add(of.name);
    this.network.kill(of.name);
    of.node.catalog.dropShards(new Set(Array.from({ length: 1024 }, (_, shard) => shard as never)));
  }

  /** The view without the node: the others take what it owned. */
  async bury(of: FleetNode): Promise<void> {
    const incarnation = this.view.members.get(nodeId(of.name))?.incarnation ?? '';
    this.view = withoutMember(this.view, nodeId(of.name), incarnation, { atMs: Date.now() });
    const living = this.nodes.filter((one) => !one.isDead);
    for (const { node } of living) node.host.follow(this.view);
    await Promise.all(living.map(({ node }) => node.host.taken()));
  }

  async close(): Promise<void> {
    for (const { api } of this.nodes) await api.close();
    await Promise.all(this.nodes.map(({ node }) => node.stop()));
    for (const { transport } of this.nodes) await transport.close();
    await this.store.close();
  }

  #with(name: string): View {
    const member = {
      ...{ incarnation: `${name}1`, address: '127.0.0.1:1', weight: 4, zone: name },
      ...{ protoMin: 1, protoMax: 1, state: 'up' as const },
    };
    return withMember(this.view, nodeId(name), member, Date.now());
  }

  async #node(name: string): Promise<{ name: string; node: Node; transport: NodeTransport }> {
    const logger = memoryLogger(this.logs);
    const incarnation = `${name}1`;
    const transport = frameTransport({
      node: name,
      wire: this.network.wire(name),
      incarnationOf: (other) => this.view.members.get(nodeId(other))?.incarnation ?? null,
      ...{ clock: systemClock(), logger, meter: createMeter() },
    });
    transport.begin(incarnation);
    const tested: NotificationDoc[] = [];
    const node = await startNode({
      ...{ name, incarnation, logger, tested, store: this.#storeOf(name) },
      limits: tenantLimits('open', { cores: 2, memoryBytes: 2 ** 32 }),
      probe: scriptedProbe([], (request) => {
        if (this.#dead.has(name)) return null;
        if (this.probed.length < 10_000) this.probed.push({ by: name, request });
        return this.answer(request);
      }),
      cluster: {
        transport,
        others: () => [...this.view.members.keys()].filter((other) => other !== name),
      },
    });
    transport.onUndeliverable(({ node: gone }) => node.router.nodeGone(gone));
    return { name, node, transport };
  }

  /** The store as one node has it: nothing comes back to a dead one. */
  #storeOf(name: string): Store {
    const never = new Promise<never>(() => undefined);
    const part = <Part extends object>(of: Part): Part =>
      new Proxy(of, {
        get: (target, member) => {
          const run = Reflect.get(target, member) as (...args: unknown[]) => Promise<unknown>;
          return async (...args: unknown[]) => {
            if (this.#dead.has(name)) return never;
            const answer = await run.apply(target, args);
            return this.#dead.has(name) ? never : answer;
          };
        },
      });
    const { authority, shardLog, states, samples, history, accounts } = this.store;
    return {
      ...this.store,
      ...{ authority: part(authority), shardLog: part(shardLog), states: part(states) },
      ...{ samples: part(samples), history: part(history), accounts: part(accounts) },
    };
  }
}
