// One simulated cluster: machines with nodes that die and come back, one store, relays and a bus, probers, receivers, people
// who ask any node, and the faults of the plan. Must not know what is right: it makes things happen and writes them down.
import type { ProbeAnswer, ProbeRequest } from '../../actors/check/types.ts';
import { type ActorKey, shardsTotal } from '../../runtime/ids.ts';
import type { Message } from '../../runtime/message.ts';
import type { ProbeLink } from '../../runtime/ports.ts';
import { Client, zoneNames } from '../sim/client.ts';
import { Kernel, type Process } from '../sim/kernel.ts';
import { Machine } from '../sim/machine.ts';
import { type Draw, drawOf } from '../sim/random.ts';
import { type OutsideOptions, probersOf, receiversOf } from '../sim/targets.ts';
import { Trace } from '../sim/trace.ts';
import { Account } from './account.ts';
import { askAny } from './door.ts';
import { Life } from './life.ts';
import { SimNetwork } from './network.ts';
import { ClusterNode } from './node.ts';
import type { ClusterPlan, NodePlan } from './plan.ts';
import { loggerOf, meterOf } from './reporting.ts';
import { SimClusterStore } from './store.ts';
import type { ClusterEvent, ClusterHappening } from './trace.ts';
import { ClusterWeather } from './weather.ts';

const stopPatienceMs = 45_000;
/** What a dead process had asked for may still happen; all else of it is not written down. */
const posthumous = new Set<ClusterHappening['kind']>(['claim', 'commit', 'ticks', 'view.applied']);
const effects = new Set<ClusterHappening['kind']>(['probe.start', 'page.start', 'commit.asked']);

export class ClusterWorld {
  readonly trace = new Trace<ClusterEvent>();
  readonly counts = new Map<string, number>();
  readonly plan: ClusterPlan;
  readonly kernel: Kernel;
  readonly network: SimNetwork;
  readonly draw: Draw;
  readonly #store: SimClusterStore;
  readonly #client: Client;
  readonly #machines = new Map<string, Machine>();
  readonly #outsideOptions: OutsideOptions;
  readonly #weather: ClusterWeather;
  readonly #lives = new Map<number, Life>();
  readonly #account: Account;
  #runs = 0;
  isHealed = false;
  #isOver = false;
  #armed: { readonly node: string; readonly point: string; readonly downMs: number }[] = [];

  constructor(plan: ClusterPlan) {
    const { seed } = plan;
    this.plan = plan;
    this.draw = drawOf(seed, 'world');
    this.kernel = new Kernel(drawOf(seed, 'ties'));
    this.network = new SimNetwork(this.kernel, drawOf(seed, 'network'));
    this.network.weather.delayMs = plan.delayMs;
    for (const node of plan.nodes) this.#machines.set(node.name, new Machine(this.kernel, node));
    const emit = (run: number, happening: ClusterHappening) => this.emit(run, happening);
    const hit = (process: Process, point: string) => this.hit(process, point);
    this.#account = new Account({ lifeOf: (run) => this.#lives.get(run), emit });
    this.#outsideOptions = {
      ...{ kernel: this.kernel, draw: drawOf(seed, 'outside'), emit, hit },
      ...{ outside: { probers: new Map(), receivers: new Map() }, tookT: new Map() },
      targets: plan.people.targets,
    };
    this.#weather = new ClusterWeather(this, this.#outsideOptions.outside);
    this.#store = new SimClusterStore({
      ...{ kernel: this.kernel, draw: drawOf(seed, 'store'), latencyMs: plan.storeMs, emit, hit },
      lateWrites: plan.lateWrites,
      weatherOf: (name) => this.#weather.storeOf(name),
      onAsked: (seat, name, args) => this.#account.asked(seat, name, args),
      onAnswered: (seat, of) => this.#account.answered(seat, of),
      onFailed: (seat, name) => {
        if (name === 'readBeats') this.#lives.get(seat.run)?.beatsRead(0, null);
      },
      monoOf: (seat) => this.#machineOf(seat.name).monoMs(),
    });
    this.#client = new Client({
      plan: plan.people,
      ask: (key, message) => askAny(this, key, message),
      emit: (happening) => this.emit(0, happening),
      wait: (ms) => this.kernel.until(this.kernel.now + ms),
      now: () => this.kernel.now,
    });
  }

  /** Lives through the plan. */
  async run(): Promise<void> {
    const { healT, nodes, faults, people } = this.plan;
    for (const node of nodes) {
      this.kernel.at(node.startT, null, () => {
        if (this.alive(node.name) === null) this.begin(node.name);
      });
    }
    this.kernel.at(3_000, null, () => void this.#client.setUp());
    for (const fault of faults) this.kernel.at(fault.at, null, () => this.#weather.strike(fault));
    for (const { at, kind, salt } of people.changes) {
      this.kernel.at(at, null, () => void this.#client.change(kind, salt));
    }
    this.kernel.at(healT, null, () => {
      this.#heal();
      const over = (error: unknown): void => {
        if (error !== null) {
          const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
          this.emit(0, { kind: 'log', level: 'error', event: 'sim.failed', text });
        }
        this.#isOver = true;
      };
      this.#end().then(() => over(null), over);
    });
    await this.kernel.run(() => this.#isOver);
    if (!this.#isOver) throw new Error('the world stopped moving');
  }

  async #end(): Promise<void> {
    const { mode, quietMs } = this.plan;
    if (mode === 'liveness') {
      await this.#pause(quietMs);
      await this.#takeStock('end');
      await this.#lookAt('end');
    } else await this.#pause(15_000);
    this.emit(0, { kind: 'phase', phase: 'last crash' });
    for (const life of this.living())
      this.die(life, { why: 'crash', point: 'last', downMs: 1_000 });
    for (
      let waited = 0;
      waited < 120 && this.living().filter((one) => one.isReady).length < 1;
      waited++
    )
      await this.#pause(500);
    await this.#pause(15_000);
    await this.#takeStock('again');
    await this.#lookAt('again');
    const stored = await this.#store.look(this.#client.tenants.map((tenant) => tenant.name));
    this.emit(0, { kind: 'stored', stored });
  }

  #pause(ms: number): Promise<void> {
    return this.kernel.until(this.kernel.now + ms);
  }

  async #takeStock(when: string): Promise<void> {
    for (const life of this.living()) {
      const { node } = life;
      if (node === null || !life.isReady) continue;
      const { view, incarnation } = node.membership.status();
      const held: [number, number][] = [];
      for (let shard = 0; shard < shardsTotal; shard++) {
        const place = node.host.directory.lookup(shard as never);
        if (place?.local === true) held.push([shard, place.epoch]);
      }
      const copies: Record<string, number> = {};
      for (const { name } of this.#client.tenants)
        copies[name] = node.documents.get(name)?.rev ?? -1;
      this.emit(life.run, {
        kind: 'holds',
        when,
        incarnation,
        version: view.version,
        held,
        copies,
      });
      const { outbox, ...host } = node.host.stats();
      const values = { ...host, outboxPending: outbox.pending, asks: node.router.pending };
      this.emit(life.run, { kind: 'gauges', when, values });
    }
    const heads: [string, number, number][] = [];
    for (let shard = 0; shard < shardsTotal; shard++) {
      const { owner, epoch, head } = await this.#store.base.authority.readHead(shard as never);
      heads.push([owner, epoch, head]);
    }
    this.emit(0, {
      kind: 'heads',
      when,
      version: this.#account.version,
      members: this.#account.members,
      heads,
    });
  }

  /** Reads everything back through the actors. */
  async #lookAt(when: string): Promise<void> {
    for (const { key } of [...this.#client.entities]) await this.#read(when, key, 'entity.live');
    for (const { key } of this.#client.tenants) {
      await this.#read(`${when} plans`, key, 'plan.list');
      await this.#read(`${when} suppressions`, key, 'suppression.list');
    }
  }

  async #read(when: string, key: ActorKey, kind: string): Promise<void> {
    const reply = await askAny(this, key, { kind }).catch((error: unknown) => ({
      error: String(error),
    }));
    this.emit(0, { kind: 'live', when, key, live: JSON.parse(JSON.stringify(reply ?? null)) });
  }

  emit(run: number, happening: ClusterHappening): void {
    const life = this.#lives.get(run) ?? null;
    if (run !== 0 && life?.process.isDead !== false && !posthumous.has(happening.kind)) return;
    if (happening.kind === 'view.applied') {
      this.#account.members = happening.members;
      this.#account.version = happening.to;
    }
    const round = (ms: number): number => Math.round(ms * 1000) / 1000;
    const machine = life?.machine ?? (this.#machines.values().next().value as Machine);
    const event: ClusterEvent = {
      ...happening,
      ...(life !== null && effects.has(happening.kind) ? { may: life.permission() } : {}),
      ...{ t: round(this.kernel.now), wall: machine.wallMs(), mono: round(machine.monoMs()), run },
    };
    this.trace.add(event);
  }

  // The lives of the nodes.

  #machineOf(name: string): Machine {
    return this.#machines.get(name) as Machine;
  }

  living(): Life[] {
    return [...this.#lives.values()].filter((life) => !life.process.isDead);
  }

  /** The newest process of a name; null: none runs. */
  alive(name: string): Life | null {
    return this.living().findLast((life) => life.name === name) ?? null;
  }

  begin(name: string): void {
    const plan = this.plan.nodes.find((node) => node.name === name) as NodePlan;
    const run = ++this.#runs;
    const process: Process = { isDead: false, isPaused: false, held: [] };
    const life = new Life({ name, run, process, machine: this.#machineOf(name) });
    this.#lives.set(run, life);
    this.emit(run, { kind: 'node.start' });
    this.emit(run, { kind: 'process', name, weight: plan.weight });
    const station = this.network.station({
      ...{ name, process },
      onHeard: (heartbeat) => life.heard(heartbeat),
      onSent: (seq) => life.sent(seq),
    });
    life.station = station;
    const node = this.inside(process, () => this.#node(life, plan));
    life.node = node;
    this.kernel.after(this.draw.between(50, 400), process, () => {
      node.start().then(
        () => {
          life.isReady = true;
          this.emit(run, { kind: 'node.ready' });
        },
        (error: unknown) => {
          const code = (error as { code?: string }).code ?? String(error);
          this.emit(run, { kind: 'node.failed', message: code });
          this.die(life, { why: 'start failed', point: code, downMs: 2_000 });
        },
      );
    });
  }

  #node(life: Life, plan: NodePlan): ClusterNode {
    const { name, run, process, machine } = life;
    const { seed } = this.plan;
    const seat = { process, run, machine };
    const station = life.station as NonNullable<Life['station']>;
    return new ClusterNode({
      ...{
        name,
        weight: plan.weight,
        logger: loggerOf(this.counts, (happening) => this.emit(run, happening)),
        meter: meterOf(this.counts),
      },
      clock: machine.clockOf(process, drawOf(seed, `clock${run}`)),
      random: drawOf(seed, `node${run}`),
      store: this.#store.viewOf({ process, run, name }),
      probes: probersOf(this.#outsideOptions, seat) as ProbeLink<ProbeRequest, ProbeAnswer>,
      notifier: receiversOf(this.#outsideOptions, seat),
      zones: zoneNames,
      simulateRemote: seed % 4 === 0,
      control: this.network.control(station),
      wire: this.network.wire(station),
      onView: (view, incarnation) =>
        this.emit(run, { kind: 'view.followed', version: view.version, incarnation }),
      onFence: () => this.emit(run, { kind: 'fenced', version: this.#account.version }),
      onMode: ({ mode }) => this.emit(run, { kind: 'mode', mode }),
      onHandOff: (to, message) => this.#handOff(run, to, message),
      onReplaced: () => {
        this.emit(run, { kind: 'replaced' });
        this.die(life, { why: 'replaced', point: '', downMs: null });
      },
    });
  }

  #handOff(run: number, to: string, message: Message): void {
    if (!message.kind.startsWith('handoff.')) return;
    const { shard, epoch, version } = message as Message & Record<string, number>;
    const step = message.kind.slice(8);
    this.emit(run, {
      ...{ kind: 'handoff', step, to, shard: shard ?? -1 },
      ...{ epoch: epoch ?? 0, version: version ?? 0 },
    });
  }

  inside<Value>(process: Process, task: () => Value): Value {
    const before = this.kernel.current;
    this.kernel.current = process;
    try {
      return task();
    } finally {
      this.kernel.current = before;
    }
  }

  /** Ends a process as kill -9 does; it comes back after `downMs`, unless null. */
  die(
    life: Life,
    of: { why: string; point: string; downMs: number | null; isSilent?: boolean },
  ): void {
    if (life.process.isDead) return;
    const { why, point, downMs, isSilent = false } = of;
    this.emit(life.run, { kind: 'node.end', why, point });
    life.process.isDead = true;
    life.process.held = [];
    this.#store.lose(life.process);
    if (life.station !== null) this.network.remove(life.station, isSilent);
    for (const reject of life.asks) reject(new Error('connection reset'));
    if (downMs === null) return;
    const ms = this.isHealed ? Math.min(downMs, 1_000) : downMs;
    this.kernel.after(ms, null, () => {
      if (this.alive(life.name) === null) this.begin(life.name);
    });
  }

  stop(life: Life, downMs: number): void {
    if (!life.isReady || life.process.isPaused || life.isStopping) return;
    life.isStopping = true;
    life.isReady = false;
    const node = life.node as ClusterNode;
    this.kernel.after(0, life.process, () => {
      node.stop().then(
        () => this.die(life, { why: 'stop', point: '', downMs }),
        (error: unknown) => this.die(life, { why: 'stop failed', point: String(error), downMs }),
      );
    });
    this.kernel.after(stopPatienceMs, null, () =>
      this.die(life, { why: 'stop by force', point: '', downMs }),
    );
  }

  /** Stops a process; frozen: its machine's monotonic clock too. */
  freeze(life: Life, ms: number, frozen: boolean): void {
    if (life.process.isPaused) return;
    this.emit(life.run, { kind: 'node.pause', ms, frozen });
    life.process.isPaused = true;
    const startedT = this.kernel.now;
    const wake = (): void => {
      if (!life.process.isPaused) return;
      if (frozen) life.machine.stoodStill(this.kernel.now - startedT);
      if (life.process.isDead) return;
      this.kernel.resume(life.process);
      this.emit(life.run, { kind: 'node.resume' });
    };
    this.kernel.after(ms, null, wake);
    this.#wakes.add(wake);
  }

  readonly #wakes = new Set<() => void>();

  arm(kill: { node: string; point: string; downMs: number }): void {
    this.#armed.push(kill);
  }

  stepWall(name: string, deltaMs: number): void {
    this.#machineOf(name).stepWall(deltaMs);
    const life = this.alive(name);
    if (life !== null) this.emit(life.run, { kind: 'wall.step', deltaMs });
  }

  hit(process: Process, point: string): void {
    const life = this.living().find((one) => one.process === process);
    if (life === undefined || process.isPaused) return;
    const at = this.#armed.findIndex((one) => one.point === point && one.node === life.name);
    const [kill] = at === -1 ? [] : this.#armed.splice(at, 1);
    if (kill !== undefined) this.die(life, { why: 'crash', point, downMs: kill.downMs });
  }

  #heal(): void {
    this.isHealed = true;
    this.#armed = [];
    this.#weather.clear();
    this.emit(0, { kind: 'healed' });
    for (const wake of this.#wakes) wake();
    for (const { name } of this.plan.nodes) if (this.alive(name) === null) this.begin(name);
  }
}
