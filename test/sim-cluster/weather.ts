// The faults of a plan as they strike and pass: kills and pauses at once; relays, links, store and receivers for a while.
// What several faults say of one thing is laid over each other anew at each change.
import { receiverUrl } from '../sim/client.ts';
import type { Outside } from '../sim/targets.ts';
import type { ClusterFault } from './faults.ts';
import { type LinkState, type RelayState, relayNames } from './network.ts';
import type { StoreWeather } from './store.ts';
import type { ClusterWorld } from './world.ts';

interface Active {
  readonly fault: ClusterFault;
  /** Of one that comes and goes: it is there now. */
  isOn: boolean;
}

export class ClusterWeather {
  readonly #world: ClusterWorld;
  readonly #outside: Outside;
  #active: Active[] = [];
  readonly #walls = new Map<string, number>();

  constructor(world: ClusterWorld, outside: Outside) {
    this.#world = world;
    this.#outside = outside;
  }

  /** Makes a fault happen now. */
  strike(fault: ClusterFault): void {
    const world = this.#world;
    if (world.isHealed) return;
    const untilT = world.kernel.now + ('ms' in fault ? fault.ms : 0);
    world.emit(0, { kind: 'fault', fault: fault.kind, what: whatOf(fault), untilT });
    const life = 'node' in fault && fault.node !== null ? world.alive(fault.node) : null;
    switch (fault.kind) {
      case 'kill': {
        const { node, point, downMs, isSilent } = fault;
        if (point !== 'now') world.arm({ node, point, downMs });
        else if (life !== null) world.die(life, { why: 'crash', point, downMs, isSilent });
        return;
      }
      case 'drain':
        if (life !== null) world.stop(life, fault.downMs);
        return;
      case 'pause':
      case 'freeze':
        if (life !== null) world.freeze(life, fault.ms, fault.kind === 'freeze');
        return;
      case 'twin':
        if (life?.isReady === true) world.begin(fault.node);
        return;
      case 'wall':
        this.#walls.set(fault.node, (this.#walls.get(fault.node) ?? 0) + fault.deltaMs);
        world.stepWall(fault.node, fault.deltaMs);
        return;
      default:
        this.#lasting(fault, fault.ms);
    }
  }

  /** All is well from now on. */
  clear(): void {
    this.#active = [];
    for (const [name, deltaMs] of this.#walls) this.#world.stepWall(name, -deltaMs);
    this.#walls.clear();
    this.#settle();
  }

  /** The store as a node meets it. */
  storeOf(name: string): StoreWeather {
    const weather: StoreWeather = { isOut: false, slowFactor: 1, unknownChance: 0 };
    for (const { fault } of this.#active) {
      if (fault.kind !== 'store' || (fault.node !== null && fault.node !== name)) continue;
      if (fault.what === 'out') weather.isOut = true;
      else if (fault.what === 'slow') weather.slowFactor = 50;
      else weather.unknownChance = 0.2;
    }
    return weather;
  }

  #lasting(fault: ClusterFault, ms: number): void {
    const { kernel } = this.#world;
    const active: Active = { fault, isOn: true };
    this.#active.push(active);
    this.#settle();
    const flaps = 'flaps' in fault ? fault.flaps : 0;
    for (let flap = 1; flap <= flaps; flap++) {
      kernel.after((ms * flap) / (flaps + 1), null, () => {
        active.isOn = !active.isOn;
        this.#settle();
      });
    }
    kernel.after(ms, null, () => {
      this.#active = this.#active.filter((one) => one !== active);
      this.#settle();
    });
  }

  #settle(): void {
    const { network } = this.#world;
    this.#settleRelays();
    this.#settleLinks();
    const parts = this.#on('partition');
    network.part((from, to) =>
      parts.some(({ side, state }) => {
        const [isFrom, isTo] = [side.includes(from), side.includes(to)];
        if (isFrom === isTo) return false;
        // Deaf: the side hears nothing; mute: nobody hears it.
        if (state === 'deaf') return isTo;
        return state === 'mute' ? isFrom : true;
      }),
    );
    network.weather.loss = Math.max(0, ...this.#on('frames').map(({ loss }) => loss));
    network.weather.duplication = Math.max(0, ...this.#on('frames').map(({ copies }) => copies));
    this.#outside.receivers.clear();
    for (const { receiver, mode } of this.#on('receiver')) {
      this.#outside.receivers.set(receiverUrl(receiver), mode);
    }
  }

  #settleRelays(): void {
    const states = new Map<string, RelayState>();
    for (const { relays, state } of this.#on('relay')) {
      for (const relay of relays) states.set(relay, state);
    }
    const isDown = this.#on('natsDown').length > 0;
    for (const relay of [...relayNames, 'bus']) {
      this.#world.network.setRelay(relay, isDown ? 'dead' : (states.get(relay) ?? 'up'));
    }
  }

  #settleLinks(): void {
    const states = new Map<string, LinkState>();
    for (const { node, relays, state } of this.#on('link')) {
      for (const relay of relays) states.set(`${node} ${relay}`, state);
    }
    for (const { side, relays, state } of this.#on('partition')) {
      for (const { name } of this.#world.plan.nodes) {
        relayNames.forEach((relay, at) => {
          if (at < relays !== side.includes(name)) states.set(`${name} ${relay}`, state);
        });
      }
    }
    for (const { name } of this.#world.plan.nodes) {
      for (const relay of [...relayNames, 'bus']) {
        this.#world.network.setLink(name, relay, states.get(`${name} ${relay}`) ?? 'well');
      }
    }
  }

  #on<Kind extends ClusterFault['kind']>(kind: Kind): Extract<ClusterFault, { kind: Kind }>[] {
    return this.#active.flatMap(({ fault, isOn }) =>
      isOn && fault.kind === kind ? [fault as Extract<ClusterFault, { kind: Kind }>] : [],
    );
  }
}

function whatOf(fault: ClusterFault): string {
  const node = 'node' in fault && fault.node !== null ? fault.node : 'all';
  if (fault.kind === 'kill') return `${node} ${fault.point}`;
  if (fault.kind === 'store') return `${fault.what} ${node}`;
  if (fault.kind === 'receiver') return fault.mode;
  if ('state' in fault) return `${fault.state} ${node}`;
  return node;
}
