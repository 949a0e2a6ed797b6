// Failure detectors and lease keepers of some nodes over relays, in virtual time: latency, killed, hung and restarted relays,
// nodes killed, frozen, cut, or with a stuck main loop. One queue ordered by time; seeded. No store: a verdict is only noted,
// unless the test writes it into the view with `agree`.
import { type DetectorEvent, FailureDetector } from '../../cluster/failure-detector.ts';
import { decodeHeartbeat, encodeHeartbeat, type Heartbeat } from '../../cluster/heartbeat.ts';
import { LeaseKeeper } from '../../cluster/lease-keeper.ts';
import { detectorLimits } from '../../cluster/limits.ts';
import { emptyView, type View, withMember } from '../../cluster/view.ts';
import { type NodeId, nodeId } from '../../runtime/ids.ts';
import type { Random } from '../../runtime/ports.ts';
import { seededRandom } from '../clock.ts';

/** What happened, with its virtual instant. */
export interface Note {
  readonly atMs: number;
  readonly by: NodeId;
  readonly what: 'verdict' | 'withdrawn' | 'vote' | 'dropLease' | 'denied' | 'ping';
  readonly of: string;
}

type Life = 'running' | 'frozen' | 'dead';

interface Node {
  readonly id: NodeId;
  readonly incarnation: string;
  readonly detector: FailureDetector;
  readonly keeper: LeaseKeeper;
  readonly connected: Set<string>;
  life: Life;
  seq: number;
  frozenAtMs: number;
  stuckSinceMs: number | null;
  /** What arrived while it was frozen. */
  held: (() => void)[];
}

interface Relay {
  readonly name: string;
  state: 'up' | 'hung' | 'dead';
  /** Answers 503 for live nodes, as a server does after a route reset without relays of their own. */
  lies: boolean;
  held: (() => void)[];
}

interface Task {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

const wallStartMs = 1_700_000_000_000;

export class DetectorWorld {
  nowMs = 0;
  readonly notes: Note[] = [];
  readonly nodes = new Map<NodeId, Node>();
  readonly relays = new Map<string, Relay>();
  view: View = emptyView('local');
  readonly #random: Random;
  /** `node relay`: refused (the connection ends at once) or a black hole. */
  readonly #cuts = new Map<string, 'refused' | 'blackHole'>();
  #tasks: Task[] = [];
  #order = 0;

  constructor(options: {
    seed: number;
    nodes: number;
    relays?: number;
    weights?: readonly number[];
    isSticky?: boolean;
  }) {
    this.#random = seededRandom(options.seed);
    const names = Array.from({ length: options.nodes }, (_, at) => nodeId(`n${at + 1}`));
    for (const [at, name] of names.entries()) {
      const weight = options.weights?.[at] ?? 4;
      const member = {
        ...{ incarnation: `i${name}`, address: `${name}:1`, weight, zone: 'z' },
        ...{ protoMin: 1, protoMax: 1, state: 'up' as const },
      };
      this.view = withMember(this.view, name, member, 0);
    }
    for (let at = 1; at <= (options.relays ?? 3); at++) {
      this.relays.set(`s${at}`, { name: `s${at}`, state: 'up', lies: false, held: [] });
    }
    for (const name of names) this.#start(name, options.isSticky ?? false);
  }

  /** Runs everything due within `ms`. */
  run(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const task = this.#tasks[0];
      if (task === undefined || task.atMs > untilMs) break;
      this.#tasks.shift();
      this.nowMs = task.atMs;
      task.run();
    }
    this.nowMs = untilMs;
  }

  node(name: string): Node {
    const found = this.nodes.get(name as NodeId);
    if (found === undefined) throw new Error(`no node ${name}`);
    return found;
  }

  relay(name: string): Relay {
    const found = this.relays.get(name);
    if (found === undefined) throw new Error(`no relay ${name}`);
    return found;
  }

  count(what: Note['what']): number {
    return this.notes.filter((note) => note.what === what).length;
  }

  /** Notes of one kind about a node, oldest first. */
  about(what: Note['what'], of: string): readonly Note[] {
    return this.notes.filter((note) => note.what === what && note.of === of);
  }

  kill(name: string): void {
    const node = this.node(name);
    node.life = 'dead';
    node.held = [];
    // The kernel closes its sockets: its subscriptions are gone at once.
    this.#after(2, () => node.connected.clear());
  }

  freeze(name: string): void {
    const node = this.node(name);
    node.life = 'frozen';
    node.frozenAtMs = this.nowMs;
    // A server gives up on a client that does not answer its pings.
    this.#after(3_000, () => {
      if (node.life === 'frozen' && node.frozenAtMs + 3_000 <= this.nowMs) node.connected.clear();
    });
  }

  /** Serves what was held in any order, and the timers among it. */
  thaw(name: string): void {
    const node = this.node(name);
    node.life = 'running';
    const held = node.held.sort(() => this.#random.next() - 0.5);
    node.held = [];
    for (const run of held) this.#after(this.#random.next() * 2, run);
    for (const relay of this.relays.keys()) {
      if (!node.connected.has(relay)) this.#lost(node, relay);
    }
    this.#tick(node);
    this.#beatRound(node);
  }

  /** Its main loop stands still; its detector thread goes on and tells so. */
  stick(name: string): void {
    this.node(name).stuckSinceMs = this.nowMs;
  }

  unstick(name: string): void {
    this.node(name).stuckSinceMs = null;
  }

  killRelay(name: string): void {
    const relay = this.relay(name);
    relay.state = 'dead';
    relay.held = [];
    for (const node of this.nodes.values()) this.#after(1, () => this.#lost(node, name));
  }

  /** Frozen: connections stand, nothing passes; clients give up after two pings. */
  hangRelay(name: string): void {
    const relay = this.relay(name);
    relay.state = 'hung';
    for (const node of this.nodes.values()) {
      this.#after(1_000 + 500 * this.#random.next(), () => {
        if (relay.state === 'hung') this.#lost(node, name);
      });
    }
  }

  /** A killed one restarts, a hung one goes on and serves what it held. */
  upRelay(name: string): void {
    const relay = this.relay(name);
    relay.state = 'up';
    const held = relay.held;
    relay.held = [];
    for (const run of held) run();
  }

  cut(name: string, relay: string, how: 'refused' | 'blackHole'): void {
    this.#cuts.set(`${name} ${relay}`, how);
    const node = this.node(name);
    if (how === 'refused') this.#after(1, () => this.#lost(node, relay));
    else this.#after(1_000 + 500 * this.#random.next(), () => this.#lost(node, relay));
  }

  heal(name: string, relay: string): void {
    this.#cuts.delete(`${name} ${relay}`);
  }

  /** All living nodes follow a view. */
  agree(view: View): void {
    this.view = view;
    for (const node of this.nodes.values()) {
      if (node.life !== 'running') continue;
      this.#feed(node, { type: 'view', view });
      node.keeper.view(view);
    }
  }

  leaseOf(name: string): ReturnType<LeaseKeeper['state']> {
    return this.node(name).keeper.state(this.nowMs);
  }

  #start(name: NodeId, isSticky: boolean): void {
    const run = { node: name, incarnation: `i${name}` };
    const start = { ...run, view: this.view, atMonoMs: this.nowMs };
    const node: Node = {
      id: name,
      incarnation: run.incarnation,
      detector: new FailureDetector({ ...start, isSticky }),
      keeper: new LeaseKeeper(start),
      connected: new Set(),
      life: 'running',
      seq: 0,
      frozenAtMs: 0,
      stuckSinceMs: null,
      held: [],
    };
    this.nodes.set(name, node);
    for (const relay of this.relays.keys()) this.#dial(node, relay);
    this.#after(this.#random.next() * detectorLimits.tickMs, () => this.#tick(node));
    this.#after(this.#random.next() * detectorLimits.heartbeatMs, () => this.#beatRound(node));
  }

  #after(ms: number, run: () => void): void {
    const task: Task = { atMs: this.nowMs + ms, order: this.#order++, run };
    const later = this.#tasks.findIndex(
      (other) => other.atMs > task.atMs || (other.atMs === task.atMs && other.order > task.order),
    );
    this.#tasks.splice(later === -1 ? this.#tasks.length : later, 0, task);
  }

  /** Something reaches a process: now, when it is thawed, or never. */
  #reach(node: Node, run: () => void): void {
    if (node.life === 'running') run();
    else if (node.life === 'frozen' && node.held.length < 500) node.held.push(run);
  }

  #tick(node: Node): void {
    if (node.life !== 'running') return;
    const wallMs = wallStartMs + this.nowMs;
    this.#feed(node, { type: 'tick', wallMs });
    node.keeper.relays(node.detector.passing().length, this.nowMs);
    node.keeper.accused(node.detector.isAccused());
    node.keeper.mainLoop(this.#tickAgeMs(node));
    this.#after(detectorLimits.tickMs + this.#random.next(), () => this.#tick(node));
  }

  #beatRound(node: Node): void {
    if (node.life !== 'running') return;
    this.#beat(node);
    this.#after(detectorLimits.heartbeatMs + this.#random.next(), () => this.#beatRound(node));
  }

  #tickAgeMs(node: Node): number {
    return node.stuckSinceMs === null ? 20 : this.nowMs - node.stuckSinceMs;
  }

  #beat(node: Node): void {
    const { detector } = node;
    const heartbeat: Heartbeat = {
      ...{ node: node.id, incarnation: node.incarnation, seq: ++node.seq },
      viewVersion: this.view.version,
      votes: detector.votes(),
      verdicts: detector.verdicts(),
      heard: detector.heard(),
      strangers: detector.strangers(),
      ...{
        tickAgeMs: this.#tickAgeMs(node),
        storeReachable: true,
        wallMs: wallStartMs + this.nowMs,
      },
      ...{ mailboxDepth: 0, culprit: null, epochMax: 0 },
      load: { entities: 0, startsPerMinute: 0, cpuPermille: 0, hotShards: [] },
    };
    this.#feed(node, { type: 'sent', seq: node.seq });
    node.keeper.sent(node.seq, this.nowMs);
    const received = decodeHeartbeat(encodeHeartbeat(heartbeat));
    for (const relay of node.connected) this.#publish(node, relay, received);
  }

  #publish(from: Node, relay: string, heartbeat: Heartbeat): void {
    this.#through(from, relay, () => {
      for (const to of this.nodes.values()) {
        if (!to.connected.has(relay)) continue;
        this.#deliver(to, relay, () => {
          this.#feed(to, { type: 'heartbeat', relay, heartbeat });
          to.keeper.heartbeat(heartbeat);
        });
      }
    });
  }

  #ping(from: Node, relay: string, to: NodeId): void {
    const answer = (type: 'pong' | 'noResponders'): void => {
      const { incarnation } = this.node(to);
      this.#deliver(from, relay, () => this.#feed(from, { type, relay, node: to, incarnation }));
    };
    this.#through(from, relay, () => {
      const target = this.node(to);
      if (this.relay(relay).lies || !target.connected.has(relay)) return answer('noResponders');
      this.#deliver(target, relay, () => this.#through(target, relay, () => answer('pong')));
    });
  }

  /** Client → server: lost on a cut or a dead server, held by a hung one. */
  #through(from: Node, name: string, run: () => void): void {
    const relay = this.relay(name);
    if (this.#cuts.has(`${from.id} ${name}`)) return;
    this.#after(0.3 + this.#random.next(), () => {
      if (relay.state === 'up') run();
      else if (relay.state === 'hung' && relay.held.length < 500) relay.held.push(run);
    });
  }

  /** Server → client. */
  #deliver(to: Node, relay: string, run: () => void): void {
    if (this.#cuts.has(`${to.id} ${relay}`)) return;
    this.#after(0.3 + this.#random.next(), () => this.#reach(to, run));
  }

  #lost(node: Node, relay: string): void {
    node.connected.delete(relay);
    this.#reach(node, () => this.#feed(node, { type: 'relayDown', relay }));
    this.#dial(node, relay);
  }

  #dial(node: Node, relay: string): void {
    this.#after(50 + 50 * this.#random.next(), () => {
      if (node.life !== 'running' || node.connected.has(relay)) return;
      const isOpen = this.relay(relay).state === 'up' && !this.#cuts.has(`${node.id} ${relay}`);
      if (!isOpen) return this.#dial(node, relay);
      node.connected.add(relay);
      this.#feed(node, { type: 'relayUp', relay });
    });
  }

  #feed(node: Node, event: DistributiveOmit<DetectorEvent, 'atMonoMs'>): void {
    if (node.life !== 'running') return;
    const votesBefore = node.detector.votes();
    const actions = node.detector.on({ ...event, atMonoMs: this.nowMs } as DetectorEvent);
    const note = (what: Note['what'], of: string): void => {
      this.notes.push({ atMs: this.nowMs, by: node.id, what, of });
    };
    for (const vote of node.detector.votes()) {
      if (!votesBefore.some((one) => one.node === vote.node)) note('vote', vote.node);
    }
    for (const action of actions) {
      if (action.do === 'ping') {
        note('ping', action.node);
        this.#ping(node, action.relay, action.node);
      } else if (action.do === 'beat') this.#beat(node);
      else if (action.do === 'dropLease') {
        node.keeper.drop(this.nowMs);
        note('dropLease', action.why);
      } else if (action.do === 'denied') {
        node.keeper.deny();
        note('denied', action.by);
      } else if (action.do !== 'behind') note(action.do, action.node);
    }
  }
}

type DistributiveOmit<Union, Key extends PropertyKey> = Union extends unknown
  ? Omit<Union, Key>
  : never;
