// The network of a simulated cluster: relays that know nothing of each other for heartbeats and pings, a bus for frames. Unlike
// cluster/memory/network.ts it knows processes: what reaches a stopped one waits in order, a frozen relay holds what it has,
// links fail in one direction. Must not know what is sent, but for the account of who acknowledged whose heartbeat.
import type { ControlListener, ControlPlane } from '../../cluster/control-plane.ts';
import type { Peer } from '../../cluster/frame.ts';
import type { Wire, WireListener } from '../../cluster/frame-transport.ts';
import { decodeHeartbeat, type Heartbeat } from '../../cluster/heartbeat.ts';
import type { Kernel, Process } from '../sim/kernel.ts';
import type { Draw } from '../sim/random.ts';

export const relayNames = ['r0', 'r1', 'r2'] as const;
const bus = 'bus';

export type RelayState = 'up' | 'dead' | 'frozen';
export type LinkState = 'well' | 'reset' | 'blackhole' | 'deaf' | 'mute';

/** A process on the network. */
export interface Station {
  readonly name: string;
  readonly process: Process;
  /** Told of heartbeats that reached the process, and of its own ones when they leave. */
  readonly onHeard: (heartbeat: Heartbeat) => void;
  readonly onSent: (seq: number) => void;
  peer: Peer | null;
  frames: WireListener | null;
  control: ControlListener | null;
  /** Connected, as the process sees it; `bus` among them. */
  readonly up: Set<string>;
  /** Subscribed, as the relay sees it. */
  readonly known: Set<string>;
  readonly inbox: Map<string, (() => void)[]>;
}

export interface Weather {
  delayMs: readonly [number, number];
  loss: number;
  duplication: number;
}

/** A watchdog or keep-alive gives a silent connection up after so long. */
const giveUpMs = 3_000;
const forgetMs = 2_000;

export class SimNetwork {
  readonly weather: Weather = { delayMs: [0.2, 2], loss: 0, duplication: 0 };
  readonly #kernel: Kernel;
  readonly #draw: Draw;
  readonly #stations = new Set<Station>();
  readonly #relays = new Map<string, RelayState>();
  readonly #links = new Map<string, LinkState>();
  /** Pairs of names whose frames do not pass, `from>to`. */
  #apart: (from: string, to: string) => boolean = () => false;
  readonly #lastT = new Map<string, number>();
  readonly #frozen = new Map<string, (() => void)[]>();

  constructor(kernel: Kernel, draw: Draw) {
    this.#kernel = kernel;
    this.#draw = draw;
  }

  /** Puts a process on the network. */
  station(of: Pick<Station, 'name' | 'process' | 'onHeard' | 'onSent'>): Station {
    const station: Station = {
      ...of,
      ...{ peer: null, frames: null, control: null },
      ...{ up: new Set<string>(), known: new Set<string>(), inbox: new Map() },
    };
    this.#stations.add(station);
    return station;
  }

  /** Its sockets are closed; a machine without power says nothing, and relays find out by themselves. */
  remove(station: Station, isSilent: boolean): void {
    const gone = (): void => {
      this.#stations.delete(station);
      station.known.clear();
    };
    station.up.clear();
    if (isSilent) this.#kernel.after(forgetMs, null, gone);
    else gone();
  }

  setRelay(relay: string, state: RelayState): void {
    const before = this.#relays.get(relay) ?? 'up';
    this.#relays.set(relay, state);
    if (state === before) return;
    if (state === 'dead') this.#frozen.delete(relay);
    if (before === 'frozen' && state === 'up') this.#thaw(relay);
    for (const station of this.#stations) this.#settle(station, relay);
  }

  /** A node's way to a relay, or to the bus. */
  setLink(name: string, relay: string, state: LinkState): void {
    this.#links.set(`${name} ${relay}`, state);
    for (const station of this.#stations) {
      if (station.name === name) this.#settle(station, relay);
    }
  }

  /** Frames from one node to another do not pass where this says so. */
  part(isApart: (from: string, to: string) => boolean): void {
    this.#apart = isApart;
  }

  control(station: Station): ControlPlane {
    return {
      relays: relayNames,
      listen: (listener) => {
        station.control = listener;
      },
      begin: (peer) => {
        station.peer = peer;
        for (const relay of relayNames) this.#settle(station, relay);
      },
      broadcast: (bytes) => this.#broadcast(station, bytes),
      ping: (relay, peer) => this.#ping(station, relay, peer),
      close: () => {
        station.control = null;
        for (const relay of relayNames) {
          station.up.delete(relay);
          station.known.delete(relay);
        }
        return Promise.resolve();
      },
    };
  }

  wire(station: Station): Wire {
    return {
      get isUp() {
        return station.up.has(bus);
      },
      listen: (listener) => {
        station.frames = listener;
      },
      begin: (peer) => {
        station.peer = peer;
        if (station.up.has(bus)) this.#later(station, bus, () => station.frames?.up());
        else this.#settle(station, bus);
      },
      publish: (to, bytes) => this.#frame(station, to, bytes),
      close: () => {
        station.frames = null;
        station.up.delete(bus);
        station.known.delete(bus);
        return Promise.resolve();
      },
    };
  }

  /** Brings a connection to where relay and link allow it to be. */
  #settle(station: Station, relay: string): void {
    const state = this.#relays.get(relay) ?? 'up';
    const link = this.#links.get(`${station.name} ${relay}`) ?? 'well';
    if (station.peer === null || station.process.isDead) return;
    const isGood = state === 'up' && link === 'well';
    if (isGood) {
      const ms = this.#draw.between(2, 150);
      this.#kernel.after(ms, station.process, () => this.#connect(station, relay));
      return;
    }
    const isLoud = state === 'dead' || link === 'reset';
    if (isLoud) station.known.delete(relay);
    const since = `${state} ${link}`;
    const ms = isLoud ? this.#draw.between(1, 60) : giveUpMs;
    this.#kernel.after(ms, station.process, () => {
      const now = `${this.#relays.get(relay) ?? 'up'} ${this.#links.get(`${station.name} ${relay}`) ?? 'well'}`;
      if (now === since) this.#down(station, relay);
    });
    if (!isLoud && state === 'up') {
      this.#kernel.after(forgetMs, null, () => {
        const isStill = this.#links.get(`${station.name} ${relay}`) === link;
        if (isStill && link !== 'deaf') station.known.delete(relay);
      });
    }
  }

  #connect(station: Station, relay: string): void {
    const state = this.#relays.get(relay) ?? 'up';
    const link = this.#links.get(`${station.name} ${relay}`) ?? 'well';
    if (state !== 'up' || link !== 'well' || station.up.has(relay)) {
      if (state === 'up' && link === 'well' && this.#listens(station, relay))
        station.known.add(relay);
      return;
    }
    if (!this.#listens(station, relay)) return;
    station.up.add(relay);
    station.known.add(relay);
    if (relay === bus) station.frames?.up();
    else station.control?.up(relay);
  }

  #listens(station: Station, relay: string): boolean {
    return relay === bus ? station.frames !== null : station.control !== null;
  }

  #down(station: Station, relay: string): void {
    station.known.delete(relay);
    if (!station.up.delete(relay)) return;
    if (relay === bus) station.frames?.down();
    else station.control?.down(relay);
  }

  #broadcast(from: Station, bytes: Uint8Array): number {
    const copy = bytes.slice();
    const heartbeat = decodeHeartbeat(copy);
    from.onSent(heartbeat.seq);
    const relays = relayNames.filter((relay) => from.up.has(relay));
    for (const relay of relays) {
      if (!this.#leaves(from, relay)) continue;
      for (const to of this.#stations) {
        if (this.#draw.next() < this.weather.loss) continue;
        this.#pass(relay, [from, to], () => {
          if (!to.known.has(relay)) return;
          to.onHeard(heartbeat);
          to.control?.beat(relay, copy);
        });
      }
    }
    return relays.length;
  }

  #ping(from: Station, relay: string, peer: Peer): void {
    if (!from.up.has(relay) || !this.#leaves(from, relay)) return;
    const to = [...this.#stations].find(
      (one) => one.known.has(relay) && isPeer(one.peer, peer) && one.control !== null,
    );
    if (to === undefined) {
      this.#pass(relay, [from, from], () => from.control?.nobody(relay, peer));
      return;
    }
    this.#pass(relay, [from, to], () => {
      if (!isPeer(to.peer, peer) || !this.#leaves(to, relay)) return;
      this.#pass(relay, [to, from], () => from.control?.pong(relay, peer));
    });
  }

  #frame(from: Station, peer: Peer, bytes: Uint8Array): void {
    if (!from.up.has(bus) || !this.#leaves(from, bus)) return;
    const { weather } = this;
    if (this.#draw.next() < weather.loss) return;
    const to = [...this.#stations].find((one) => one.known.has(bus) && isPeer(one.peer, peer));
    const isApart = this.#apart(from.name, peer.node);
    if (to === undefined || (isApart && this.#draw.chance(0.3))) {
      this.#pass(bus, [from, from], () => from.frames?.nobody(peer));
      return;
    }
    if (isApart) return;
    const copies = this.#draw.next() < weather.duplication ? 2 : 1;
    for (let at = 0; at < copies; at++) {
      const copy = bytes.slice();
      this.#pass(bus, [from, to], () => {
        if (isPeer(to.peer, peer)) to.frames?.frame(copy);
      });
    }
  }

  /** What a process sends gets as far as the relay. */
  #leaves(station: Station, relay: string): boolean {
    const link = this.#links.get(`${station.name} ${relay}`) ?? 'well';
    const state = this.#relays.get(relay) ?? 'up';
    return state !== 'dead' && (link === 'well' || link === 'deaf');
  }

  /** A relay brings something to a station: later, in order per pair, held while it is frozen. */
  #pass(relay: string, [from, to]: readonly [Station, Station], deliver: () => void): void {
    const state = this.#relays.get(relay) ?? 'up';
    if (state === 'dead') return;
    if (state === 'frozen') {
      const held = this.#frozen.get(relay) ?? [];
      if (held.length < 5_000) held.push(() => this.#pass(relay, [from, to], deliver));
      this.#frozen.set(relay, held);
      return;
    }
    const link = this.#links.get(`${to.name} ${relay}`) ?? 'well';
    if (link !== 'well' && link !== 'mute') return;
    this.#later(to, `${relay} ${from.name}`, () => {
      if (to.up.has(relay) && (this.#relays.get(relay) ?? 'up') !== 'dead') deliver();
    });
  }

  #later(to: Station, path: string, deliver: () => void): void {
    const inbox = to.inbox.get(path) ?? [];
    to.inbox.set(path, inbox);
    inbox.push(deliver);
    const [least, most] = this.weather.delayMs;
    const key = `${to.name} ${path}`;
    const dueT = this.#kernel.now + this.#draw.between(least, most);
    const t = Math.max(dueT, (this.#lastT.get(key) ?? 0) + 1e-5);
    this.#lastT.set(key, t);
    // Whoever falls due takes the first in line: a stopped process finds its sockets in order.
    this.#kernel.at(t, to.process, () => inbox.shift()?.());
  }

  #thaw(relay: string): void {
    const held = this.#frozen.get(relay) ?? [];
    this.#frozen.delete(relay);
    if (this.#draw.chance(0.7)) for (const pass of held) pass();
  }
}

function isPeer(own: Peer | null, peer: Peer): boolean {
  return own?.node === peer.node && own.incarnation === peer.incarnation;
}
