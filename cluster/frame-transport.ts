// The Transport port over any wire that carries bytes from one incarnation to another: batching, credit, bounded queues, parts
// of large messages (frame.ts, link.ts). Frames are at most once: the router asks again with the same correlation id.
// Must not know NATS, nor who owns what.

import type { Transport } from '../runtime/cluster-ports.ts';
import type { Clock, Logger, Meter } from '../runtime/ports.ts';
import { notReady } from '../runtime/refusals.ts';
import { decodeFrame, encodeFrame, type Frame, type Peer } from './frame.ts';
import { frameLimits as limits } from './limits.ts';
import { Incoming, Outgoing, type Taken } from './link.ts';

/** What happens on a wire. */
export interface WireListener {
  frame(bytes: Uint8Array): void;
  /** Nobody listens as that incarnation, or so the wire says: a frame to it was lost. */
  nobody(peer: Peer): void;
  up(): void;
  down(): void;
}

/** Carries bytes to an incarnation of a node. At most once, in order per sender while it is up. */
export interface Wire {
  readonly isUp: boolean;
  listen(listener: WireListener): void;
  /** Listens as this incarnation from now on, and as no other. */
  begin(peer: Peer): void;
  /** Dropped where the wire is down. */
  publish(to: Peer, bytes: Uint8Array): void;
  close(): Promise<void>;
}

/** The runtime's port and what only the cluster needs of it. */
export interface NodeTransport extends Transport {
  /** Starts to listen as this incarnation, or goes on under a new one after a fence; links begin anew. */
  begin(incarnation: string): void;
  /** Adds a listener, told where nobody listens as the incarnation that was written to: this node's view may be old. */
  onUndeliverable(listener: (peer: Peer) => void): void;
  readonly isConnected: boolean;
}

export interface FrameTransportOptions {
  readonly node: string;
  readonly wire: Wire;
  /** Incarnation of a node in the agreed view; null: not a member. */
  readonly incarnationOf: (node: string) => string | null;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
}

interface Link {
  readonly peer: Peer;
  readonly outgoing: Outgoing;
  /** Start of the current 2 ms, and frames that left since. */
  windowAtMonoMs: number;
  windowFrames: number;
  isPlanned: boolean;
  isAsking: boolean;
}

/** Returns a transport over a wire; it is silent until `begin`. */
export function frameTransport(options: FrameTransportOptions): NodeTransport {
  return new FrameTransport(options);
}

class FrameTransport implements NodeTransport {
  readonly #options: FrameTransportOptions;
  readonly #links = new Map<string, Link>();
  /** By `node/incarnation`; the least recently heard leaves first. */
  readonly #incoming = new Map<string, Incoming>();
  /** Incarnation last heard of a node: the way back to one that is not in the view yet. */
  readonly #heard = new Map<string, string>();
  #self: Peer | null = null;
  #onFrame: (from: string, frame: Uint8Array) => void = () => undefined;
  readonly #undeliverableListeners: ((peer: Peer) => void)[] = [];
  #isClosed = false;

  constructor(options: FrameTransportOptions) {
    this.#options = options;
    options.wire.listen({
      frame: (bytes) => this.#receive(bytes),
      nobody: (peer) => this.#undeliverable(peer),
      up: () => this.#resume(),
      down: () => undefined,
    });
    options.meter.gauge('link_messages_waiting', () => {
      let waiting = 0;
      for (const { outgoing } of this.#links.values()) waiting += outgoing.waiting;
      return waiting;
    });
  }

  get isConnected(): boolean {
    return this.#options.wire.isUp;
  }

  begin(incarnation: string): void {
    this.#self = { node: this.#options.node, incarnation };
    this.#links.clear();
    this.#incoming.clear();
    this.#options.wire.begin(this.#self);
  }

  send(to: string, frame: Uint8Array, isControl = false): void {
    if (this.#self === null || this.#isClosed) throw notReady('this node has not joined');
    const link = this.#linkTo(to);
    if (link === null) throw notReady(`node ${to} is not a member`);
    try {
      link.outgoing.push(frame, this.#options.clock.monoMs(), isControl);
    } catch (error) {
      this.#options.meter.count('link_messages_refused', 1);
      throw error;
    }
    if (isControl) this.#flush(link);
    else this.#plan(link);
  }

  onFrame(listener: (from: string, frame: Uint8Array) => void): void {
    this.#onFrame = listener;
  }

  onUndeliverable(listener: (peer: Peer) => void): void {
    this.#undeliverableListeners.push(listener);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#links.clear();
    await this.#options.wire.close();
  }

  #linkTo(node: string): Link | null {
    const incarnation = this.#options.incarnationOf(node) ?? this.#heard.get(node);
    if (incarnation === undefined) return null;
    const known = this.#links.get(node);
    if (known !== undefined && known.peer.incarnation === incarnation) return known;
    this.#countLost(known);
    const link: Link = {
      peer: { node, incarnation },
      outgoing: new Outgoing(),
      windowAtMonoMs: Number.NEGATIVE_INFINITY,
      windowFrames: 0,
      isPlanned: false,
      isAsking: false,
    };
    this.#links.set(node, link);
    return link;
  }

  #countLost(link: Link | undefined): void {
    if (link === undefined || link.outgoing.waiting === 0) return;
    this.#options.meter.count('link_messages_lost', link.outgoing.waiting, 'incarnation');
  }

  /** A full frame leaves at once; else the first four within 2 ms at the end of their turn, further ones together after it. */
  #plan(link: Link): void {
    const { outgoing } = link;
    if (outgoing.waiting >= limits.messages || outgoing.waitingBytes >= limits.bytes) {
      this.#flush(link);
      return;
    }
    if (link.isPlanned) return;
    link.isPlanned = true;
    const { clock } = this.#options;
    const nowMonoMs = clock.monoMs();
    if (nowMonoMs - link.windowAtMonoMs >= limits.lingerMs) {
      link.windowAtMonoMs = nowMonoMs;
      link.windowFrames = 0;
    }
    const leave = (): void => {
      link.isPlanned = false;
      this.#flush(link);
    };
    if (link.windowFrames < limits.promptFrames) queueMicrotask(leave);
    else clock.schedule(link.windowAtMonoMs + limits.lingerMs, leave);
  }

  #flush(link: Link): void {
    if (!this.#options.wire.isUp || this.#links.get(link.peer.node) !== link) return;
    const nowMonoMs = this.#options.clock.monoMs();
    for (;;) {
      const taken = link.outgoing.take(nowMonoMs);
      if (taken === null) break;
      this.#publish(link, taken, false);
    }
    if (link.outgoing.droppedStale > 0) {
      this.#options.meter.count('link_messages_lost', link.outgoing.droppedStale, 'waited');
      link.outgoing.droppedStale = 0;
    }
    if (link.outgoing.isBlocked && link.outgoing.waiting > 0) this.#askCredit(link);
  }

  #publish(link: Link, taken: Taken, asksCredit: boolean): void {
    const { meter, wire } = this.#options;
    if (this.#self === null) return;
    const got = this.#incomingOf(link.peer).tell();
    const frame: Frame = { from: this.#self, ...taken, ...got, asksCredit };
    link.windowFrames++;
    wire.publish(link.peer, encodeFrame(frame));
    meter.count('frames_sent', 1);
    meter.count('frame_messages_sent', taken.items.length);
  }

  /** Without credit: what was sent may be lost, and only an answer tells. */
  #askCredit(link: Link): void {
    if (link.isAsking) return;
    link.isAsking = true;
    const { clock } = this.#options;
    clock.schedule(clock.monoMs() + limits.askCreditMs, () => {
      link.isAsking = false;
      if (this.#links.get(link.peer.node) !== link || !link.outgoing.isBlocked) return;
      this.#options.meter.count('link_blocked', 1);
      if (this.#options.wire.isUp) this.#publish(link, link.outgoing.totals, true);
      this.#askCredit(link);
    });
  }

  #incomingOf(peer: Peer): Incoming {
    const key = `${peer.node}/${peer.incarnation}`;
    const known = this.#incoming.get(key) ?? new Incoming();
    this.#incoming.delete(key);
    this.#incoming.set(key, known);
    if (this.#incoming.size > limits.peers) {
      const [oldest] = this.#incoming.keys();
      this.#incoming.delete(oldest as string);
    }
    return known;
  }

  #receive(bytes: Uint8Array): void {
    if (this.#isClosed) return;
    let frame: Frame;
    try {
      frame = decodeFrame(bytes);
    } catch (error) {
      this.#options.meter.count('decode_rejected', 1, 'link');
      this.#options.logger.warn('link.frame_refused', { error: String(error) });
      return;
    }
    const { node, incarnation } = frame.from;
    this.#remember(frame.from);
    const incoming = this.#incomingOf(frame.from);
    const messages = incoming.accept(frame);
    const link = this.#linkTo(node);
    const isCurrent = link !== null && link.peer.incarnation === incarnation;
    if (isCurrent) link.outgoing.acknowledge(frame.gotMessages, frame.gotBytes);
    for (const message of messages) this.#onFrame(node, message);
    if (!isCurrent) return;
    if (link.outgoing.waiting > 0) this.#plan(link);
    if (incoming.owesNews || frame.asksCredit) this.#publish(link, link.outgoing.totals, false);
  }

  #remember(peer: Peer): void {
    this.#heard.delete(peer.node);
    this.#heard.set(peer.node, peer.incarnation);
    if (this.#heard.size > limits.peers) {
      const [oldest] = this.#heard.keys();
      this.#heard.delete(oldest as string);
    }
  }

  #undeliverable(peer: Peer): void {
    if (this.#isClosed) return;
    this.#options.meter.count('frames_undeliverable', 1);
    if (this.#heard.get(peer.node) === peer.incarnation) this.#heard.delete(peer.node);
    for (const listener of this.#undeliverableListeners) listener(peer);
  }

  #resume(): void {
    for (const link of this.#links.values()) this.#flush(link);
  }
}
