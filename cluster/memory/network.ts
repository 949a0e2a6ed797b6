// A network in memory for tests and simulation: wires and relays between nodes of one process, with delay, loss, duplication,
// cuts and partitions, repeatable for a seed. Keeps the order per sender and receiver, as NATS does.
// Must not know what is sent.
import type { Clock, Random } from '../../runtime/ports.ts';
import type { ControlListener, ControlPlane } from '../control-plane.ts';
import type { Peer } from '../frame.ts';
import type { Wire, WireListener } from '../frame-transport.ts';

export interface MemoryNetworkOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Default 3. */
  readonly relays?: number;
}

/** Faults of the whole network; changed at any time. */
export interface NetworkFaults {
  /** Least and most delay of a message, ms. */
  delayMs: readonly [number, number];
  /** Share of frames that are lost, 0..1. */
  loss: number;
  /** Share of frames that arrive twice. */
  duplication: number;
}

interface Station {
  peer: Peer | null;
  frames: WireListener | null;
  isWireBegun: boolean;
  control: ControlListener | null;
  isControlBegun: boolean;
}

/** One network; every node takes its wire and its relays from it. */
export class MemoryNetwork {
  readonly relays: readonly string[];
  readonly faults: NetworkFaults = { delayMs: [0, 1], loss: 0, duplication: 0 };
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #stations = new Map<string, Station>();
  /** What is on the way from one node to another over one path, in order. */
  readonly #paths = new Map<string, (() => void)[]>();
  readonly #cuts = new Set<string>();
  #sides: ReadonlyMap<string, number> = new Map();

  constructor(options: MemoryNetworkOptions) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.relays = Array.from({ length: options.relays ?? 3 }, (_, index) => `r${index}`);
  }

  /** Nodes of different groups do not hear each other; a node in no group hears everybody. */
  partition(...groups: readonly (readonly string[])[]): void {
    this.#sides = new Map(groups.flatMap((group, side) => group.map((node) => [node, side])));
  }

  heal(): void {
    this.#sides = new Map();
    for (const cut of [...this.#cuts]) this.join(...(cut.split(' ') as [string, string]));
  }

  /** Cuts a node from a relay (`r0`…) or from the frames of all others (`frames`). */
  cut(node: string, from: string): void {
    this.#cuts.add(`${node} ${from}`);
    if (from === 'frames') this.#station(node).frames?.down();
    else this.#station(node).control?.down(from);
  }

  join(node: string, to: string): void {
    if (!this.#cuts.delete(`${node} ${to}`)) return;
    const station = this.#station(node);
    if (to === 'frames') station.frames?.up();
    else if (station.isControlBegun) station.control?.up(to);
  }

  /** Ends a node as kill -9 does: others are told that nobody listens. */
  kill(node: string): void {
    this.#stations.delete(node);
  }

  /** Returns the wire of a node. */
  wire(node: string): Wire {
    const network = this;
    return {
      get isUp() {
        return network.#isOn(node, 'frames') && network.#station(node).isWireBegun;
      },
      listen: (listener) => {
        this.#station(node).frames = listener;
      },
      begin: (peer) => {
        const station = this.#station(node);
        station.peer = peer;
        this.#send([node, node, 'frames'], () => {
          station.isWireBegun = true;
          station.frames?.up();
        });
      },
      publish: (to, bytes) => this.#frame(node, to, bytes),
      close: () => {
        this.#station(node).frames = null;
        return Promise.resolve();
      },
    };
  }

  /** Returns the relays as a node sees them. */
  control(node: string): ControlPlane {
    return {
      relays: this.relays,
      listen: (listener) => {
        this.#station(node).control = listener;
      },
      begin: (peer) => {
        const station = this.#station(node);
        const isFirst = !station.isControlBegun;
        station.isControlBegun = true;
        station.peer = peer;
        for (const relay of isFirst ? this.relays : []) {
          this.#send([node, node, relay], () => station.control?.up(relay));
        }
      },
      broadcast: (heartbeat) => this.#broadcast(node, heartbeat),
      ping: (relay, peer) => this.#ping(node, relay, peer),
      close: () => {
        this.#station(node).control = null;
        return Promise.resolve();
      },
    };
  }

  #station(node: string): Station {
    const known = this.#stations.get(node);
    if (known !== undefined) return known;
    const station: Station = {
      peer: null,
      frames: null,
      isWireBegun: false,
      control: null,
      isControlBegun: false,
    };
    this.#stations.set(node, station);
    return station;
  }

  #frame(from: string, to: Peer, bytes: Uint8Array): void {
    if (this.#random.next() < this.faults.loss) return;
    const copy = bytes.slice();
    const copies = this.#random.next() < this.faults.duplication ? 2 : 1;
    for (let at = 0; at < copies; at++) {
      this.#send([from, to.node, 'frames'], () => {
        const station = this.#stations.get(to.node);
        const isThere = station?.peer?.incarnation === to.incarnation && station.frames !== null;
        if (isThere) station.frames?.frame(copy);
        else
          this.#send([to.node, from, 'frames'], () => this.#stations.get(from)?.frames?.nobody(to));
      });
    }
  }

  #broadcast(from: string, heartbeat: Uint8Array): number {
    const copy = heartbeat.slice();
    const relays = this.relays.filter((relay) => this.#isOn(from, relay));
    for (const relay of relays) {
      for (const to of this.#stations.keys()) {
        this.#send([from, to, relay], () => this.#stations.get(to)?.control?.beat(relay, copy));
      }
    }
    return relays.length;
  }

  #ping(from: string, relay: string, peer: Peer): void {
    const back = (answer: (listener: ControlListener) => void): void =>
      this.#send([peer.node, from, relay], () => {
        const control = this.#stations.get(from)?.control;
        if (control !== null && control !== undefined) answer(control);
      });
    // A relay answers `nobody` itself, for a node that is not connected to it too.
    if (!this.#isOn(from, relay)) return;
    const isThere = (): boolean => {
      const station = this.#stations.get(peer.node);
      return station?.peer?.incarnation === peer.incarnation && station.control !== null;
    };
    if (isThere() && this.#isOn(peer.node, relay)) {
      this.#send([from, peer.node, relay], () => {
        if (isThere()) back((control) => control.pong(relay, peer));
      });
    } else {
      this.#send([from, from, relay], () => this.#stations.get(from)?.control?.nobody(relay, peer));
    }
  }

  /** Whether a node is connected at all. */
  #isOn(node: string, path: string): boolean {
    return !this.#cuts.has(`${node} ${path}`);
  }

  /** Brings something from one node to another over a path, later and in order, unless something is cut then. */
  #send([from, to, path]: readonly [string, string, string], deliver: () => void): void {
    if (!this.#connects(from, to, path)) return;
    const key = `${from} ${to} ${path}`;
    const waiting = this.#paths.get(key) ?? [];
    this.#paths.set(key, waiting);
    waiting.push(() => {
      if (this.#connects(from, to, path)) deliver();
    });
    const [least, most] = this.faults.delayMs;
    const delayMs = least + this.#random.next() * (most - least);
    // Whoever falls due takes the first in line: delays differ, the order does not.
    this.#clock.schedule(this.#clock.monoMs() + delayMs, () => waiting.shift()?.());
  }

  #connects(from: string, to: string, path: string): boolean {
    if (!this.#isOn(from, path) || !this.#isOn(to, path)) return false;
    const [left, right] = [this.#sides.get(from), this.#sides.get(to)];
    return left === undefined || right === undefined || left === right;
  }
}
