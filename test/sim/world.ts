// One simulated world: a machine with a node that dies and comes back, its store, probers and receivers, people who change
// things, and the faults of the plan. A set of nodes later: each has a seat (process, run, machine) of its own.
// Must not know what is right: it only makes things happen and writes them down.
import type { ProbeAnswer, ProbeRequest } from '../../actors/check/types.ts';
import type { ActorKey, ShardId } from '../../runtime/ids.ts';
import type { Message } from '../../runtime/message.ts';
import type { ProbeLink } from '../../runtime/ports.ts';
import { Client, zoneNames } from './client.ts';
import { Kernel, type Process } from './kernel.ts';
import { Machine } from './machine.ts';
import { createNode, type Life } from './node.ts';
import type { Fault, Plan } from './plan.ts';
import { type Draw, drawOf } from './random.ts';
import { gaugesOf, loggerOf, meterOf } from './recorder.ts';
import { SimStore, type StoreWeather } from './store.ts';
import { type Outside, type OutsideOptions, probersOf, receiversOf } from './targets.ts';
import { type Happening, Trace } from './trace.ts';
import { happeningOf, setOutside, setStoreWeather } from './weather.ts';

/** Shutdown that takes longer is ended by force, as service managers do. */
const stopPatienceMs = 30_000;
const askPatienceMs = 10_000;

export class World {
  readonly trace = new Trace();
  readonly counts = new Map<string, number>();
  readonly #plan: Plan;
  readonly #kernel: Kernel;
  readonly #machine: Machine;
  readonly #store: SimStore;
  readonly #client: Client;
  readonly #draw: Draw;
  readonly #weather: StoreWeather = { isOut: false, slowFactor: 1, unknownChance: 0 };
  readonly #outside: Outside = { probers: new Map(), receivers: new Map() };
  readonly #outsideOptions: OutsideOptions;
  #life: Life | null = null;
  #runs = 0;
  #isHealed = false;
  #isOver = false;
  /** Crashes that wait for their point. */
  #armed: Extract<Fault, { kind: 'crash' }>[] = [];
  #active: Fault[] = [];

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#draw = drawOf(plan.seed, 'world');
    this.#kernel = new Kernel(drawOf(plan.seed, 'ties'));
    this.#machine = new Machine(this.#kernel, plan);
    const emit = (run: number, happening: Happening) => this.#emit(run, happening);
    const hit = (process: Process, point: string) => this.#hit(process, point);
    this.#store = new SimStore({
      kernel: this.#kernel,
      draw: drawOf(plan.seed, 'store'),
      weather: this.#weather,
      latencyMs: plan.storeMs,
      lateWrites: plan.lateWrites,
      stragglers: plan.stragglers,
      lateDraw: drawOf(plan.seed, 'late'),
      echoes: plan.echoes ?? 0,
      echoDraw: drawOf(plan.seed, 'echoes'),
      emit,
      hit,
    });
    this.#outsideOptions = {
      kernel: this.#kernel,
      draw: drawOf(plan.seed, 'outside'),
      outside: this.#outside,
      targets: plan.targets,
      tookT: new Map(),
      emit,
      hit,
    };
    this.#client = new Client({
      plan,
      ask: (key, message) => this.#ask(key, message),
      emit: (happening) => this.#emit(0, happening),
      wait: (ms) => this.#kernel.until(this.#kernel.now + ms),
      now: () => this.#kernel.now,
    });
  }

  get events(): number {
    return this.#kernel.events;
  }

  get simulatedMs(): number {
    return this.#kernel.now;
  }

  /** Lives through the plan. */
  async run(): Promise<void> {
    const { healT } = this.#plan;
    this.#begin();
    this.#kernel.at(500, null, () => void this.#client.setUp());
    for (const fault of this.#plan.faults)
      this.#kernel.at(fault.at, null, () => this.#strike(fault));
    for (const { at, kind, salt } of this.#plan.changes) {
      this.#kernel.at(at, null, () => void this.#client.change(kind, salt));
    }
    for (const at of this.#plan.spots) {
      this.#kernel.at(at, null, () => void this.#lookAtAll('spot'));
    }
    this.#kernel.at(healT, null, () => {
      this.#heal();
      this.#end().then(
        () => {
          this.#isOver = true;
        },
        (error: unknown) => {
          this.#emit(0, { kind: 'log', level: 'error', event: 'sim.failed', text: String(error) });
          this.#isOver = true;
        },
      );
    });
    await this.#kernel.run(() => this.#isOver);
    if (!this.#isOver) throw new Error('the world stopped moving');
  }

  async #end(): Promise<void> {
    const { mode, quietMs } = this.#plan;
    if (mode === 'liveness') {
      await this.#pause(quietMs);
      await this.#lookAt('end');
    }
    this.#emit(0, { kind: 'phase', phase: 'last crash' });
    this.#crash('last', 1_000);
    for (let waited = 0; this.#life?.isReady !== true && waited < 120; waited++)
      await this.#pause(500);
    await this.#pause(15_000);
    await this.#lookAt('again');
    const stored = await this.#store.look(this.#client.tenants.map((tenant) => tenant.name));
    this.#emit(0, { kind: 'stored', stored });
  }

  #pause(ms: number): Promise<void> {
    return this.#kernel.until(this.#kernel.now + ms);
  }

  /** Reads everything back through the actors. */
  async #lookAt(when: string): Promise<void> {
    const life = this.#life;
    if (life?.isReady !== true) return;
    await this.#lookAtAll(when);
    for (const { key } of this.#client.tenants) {
      await this.#read(`${when} plans`, key, 'plan.list');
      await this.#read(`${when} suppressions`, key, 'suppression.list');
    }
    const values = gaugesOf(life.node);
    this.#emit(life.run, { kind: 'gauges', when, values });
  }

  async #lookAtAll(when: string): Promise<void> {
    for (const { key } of [...this.#client.entities]) await this.#read(when, key, 'entity.live');
  }

  async #read(when: string, key: ActorKey, kind: string): Promise<void> {
    const reply = await this.#ask(key, { kind }).catch((error: unknown) => ({
      error: String(error),
    }));
    this.#emit(0, { kind: 'live', when, key, live: JSON.parse(JSON.stringify(reply ?? null)) });
  }

  #emit(run: number, happening: Happening): void {
    // What a dead process still says in its last turn has no effect, and is not written down.
    if (
      run !== 0 &&
      run !== this.#life?.run &&
      happening.kind !== 'claim' &&
      happening.kind !== 'commit'
    ) {
      if (happening.kind !== 'ticks') return;
    }
    const { now } = this.#kernel;
    const t = Math.round(now * 1000) / 1000;
    const mono = Math.round(this.#machine.monoMs() * 1000) / 1000;
    this.trace.add({ ...happening, t, wall: this.#machine.wallMs(), mono, run });
  }

  // The life of the node.

  #begin(): void {
    const run = ++this.#runs;
    const process: Process = { isDead: false, isPaused: false, held: [] };
    const seat = { process, run, machine: this.#machine };
    const draw = drawOf(this.#plan.seed, `node${run}`);
    const logger = loggerOf((happening) => this.#emit(run, happening));
    const node = this.#inside(process, () =>
      createNode({
        clock: this.#machine.clockOf(process, drawOf(this.#plan.seed, `clock${run}`)),
        random: draw,
        logger,
        meter: meterOf(this.counts),
        store: this.#store.viewOf(process, run),
        probes: probersOf(this.#outsideOptions, seat) as ProbeLink<ProbeRequest, ProbeAnswer>,
        notifier: receiversOf(this.#outsideOptions, seat),
        shards: this.#client.shards() as unknown as ShardId[],
        zones: zoneNames,
        simulateRemote: this.#plan.seed % 4 === 0,
      }),
    );
    const life: Life = { process, run, node, isReady: false, asks: new Set() };
    this.#life = life;
    this.#emit(run, { kind: 'node.start' });
    this.#kernel.after(this.#draw.between(50, 400), process, () => {
      node.start().then(
        () => {
          if (process.isDead) return;
          life.isReady = true;
          this.#emit(run, { kind: 'node.ready' });
        },
        (error: unknown) => {
          if (process.isDead) return;
          this.#emit(run, { kind: 'node.failed', message: String(error) });
          this.#die(life, 'start failed', '', 2_000);
        },
      );
    });
  }

  #inside<Value>(process: Process, task: () => Value): Value {
    const before = this.#kernel.current;
    this.#kernel.current = process;
    try {
      return task();
    } finally {
      this.#kernel.current = before;
    }
  }

  #crash(point: string, downMs: number): void {
    if (this.#life !== null) this.#die(this.#life, 'crash', point, downMs);
  }

  #die(life: Life, why: string, point: string, downMs: number): void {
    if (life.process.isDead) return;
    this.#emit(life.run, { kind: 'node.end', why, point });
    life.process.isDead = true;
    // Who dies while its machine stands still does not take the machine along: the next process finds it running.
    if (life.process.isPaused) this.#wake();
    life.process.held = [];
    this.#life = null;
    this.#store.lose(life.process);
    for (const reject of life.asks) reject(new Error('connection reset'));
    const isReboot = downMs > 5_000 && this.#draw.chance(0.3);
    const backT = this.#isHealed
      ? this.#kernel.now + Math.min(downMs, 1_000)
      : this.#kernel.now + downMs;
    const cancel = this.#kernel.at(backT, null, () => this.#back(isReboot));
    this.#cancelBack = cancel;
  }

  #cancelBack: () => void = () => undefined;

  #back(isReboot: boolean): void {
    if (this.#life !== null) return;
    if (isReboot) this.#machine.reboot(this.#draw.between(1_000, 9_000_000));
    this.#begin();
  }

  #stop(downMs: number): void {
    const life = this.#life;
    if (life === null || !life.isReady || life.process.isPaused) return;
    life.isReady = false;
    this.#inside(life.process, () => {
      this.#kernel.after(0, life.process, () => {
        life.node.stop().then(
          () => this.#die(life, 'stop', '', downMs),
          () => this.#die(life, 'stop failed', '', downMs),
        );
      });
    });
    this.#kernel.after(stopPatienceMs, null, () => this.#die(life, 'stop by force', '', downMs));
  }

  #freeze(ms: number, frozen: boolean): void {
    const life = this.#life;
    if (life === null || life.process.isPaused) return;
    this.#emit(life.run, { kind: 'node.pause', ms, frozen });
    life.process.isPaused = true;
    const startedT = this.#kernel.now;
    let isOver = false;
    const wake = (): void => {
      if (isOver) return;
      isOver = true;
      if (frozen) this.#machine.stoodStill(this.#kernel.now - startedT);
      if (life.process.isDead) return;
      this.#emit(life.run, { kind: 'node.resume' });
      this.#kernel.resume(life.process);
    };
    this.#wake = wake;
    this.#kernel.after(ms, null, wake);
  }

  #wake: () => void = () => undefined;

  // The client's way in.

  #ask(key: ActorKey, message: Message): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const life = this.#life;
      if (life === null || !life.isReady) {
        this.#kernel.after(20, null, () => reject(new Error('connection refused')));
        return;
      }
      let isOver = false;
      const end = (task: () => void): void => {
        if (isOver) return;
        isOver = true;
        life.asks.delete(lost);
        task();
      };
      const lost = (error: Error): void => {
        this.#kernel.after(1, null, () => end(() => reject(error)));
      };
      life.asks.add(lost);
      this.#kernel.after(askPatienceMs, null, () => end(() => reject(new Error('timeout'))));
      this.#kernel.after(this.#draw.between(0.2, 3), life.process, () => {
        const back = (task: () => void): void => {
          if (life.process.isDead) return;
          this.#hit(life.process, 'api.answered');
          const owner = life.process.isDead ? life.process : null;
          this.#kernel.after(this.#draw.between(0.2, 3), owner, () => end(task));
        };
        life.node.router.ask(key, message).then(
          (value) => back(() => resolve(value)),
          (error: unknown) => back(() => reject(error as Error)),
        );
      });
    });
  }

  // Faults.

  #hit(process: Process, point: string): void {
    const at = this.#armed.findIndex((one) => one.point === point);
    if (at === -1 || this.#life?.process !== process || process.isPaused) return;
    const [fault] = this.#armed.splice(at, 1);
    this.#crash(point, fault?.downMs ?? 0);
  }

  #strike(fault: Fault): void {
    if (this.#isHealed) return;
    this.#emit(0, happeningOf(fault, this.#kernel.now));
    switch (fault.kind) {
      case 'crash':
        if (fault.point === 'now') this.#crash('now', fault.downMs);
        else this.#armed.push(fault);
        return;
      case 'stop':
        this.#stop(fault.downMs);
        return;
      case 'pause':
        this.#freeze(fault.ms, false);
        return;
      case 'freeze':
        this.#freeze(fault.ms, true);
        return;
      case 'wall':
        this.#stepWall(fault.deltaMs);
        return;
      case 'wallSteps':
        for (let step = 0; step < fault.steps; step++) {
          this.#kernel.after(step * 1_000, null, () => this.#stepWall(fault.deltaMs));
        }
        return;
      default:
        this.#active.push(fault);
        this.#setWeather();
        this.#kernel.after(fault.ms, null, () => {
          this.#active = this.#active.filter((one) => one !== fault);
          this.#setWeather();
        });
    }
  }

  #stepWall(deltaMs: number): void {
    if (this.#isHealed) return;
    this.#machine.stepWall(deltaMs);
    this.#emit(0, { kind: 'wall.step', deltaMs });
  }

  #setWeather(): void {
    setStoreWeather(this.#weather, this.#active);
    setOutside(this.#outside, this.#active);
  }

  #heal(): void {
    this.#emit(0, { kind: 'phase', phase: 'healed' });
    this.#isHealed = true;
    this.#armed = [];
    this.#active = [];
    this.#setWeather();
    if (this.#life?.process.isPaused === true) this.#wake();
    if (this.#life === null) {
      this.#cancelBack();
      this.#back(false);
    }
  }
}
