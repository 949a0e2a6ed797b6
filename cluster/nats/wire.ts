// The data connection: frames to and from this incarnation over one NATS connection. It hears itself through the server, and
// a connection that stays silent for 600 ms is given up for another server (clustering.md §18.3). Must not know frames.
import type { Msg, NatsConnection } from 'nats';
import type { Clock, Logger, Meter, Random } from '../../runtime/ports.ts';
import type { Peer } from '../frame.ts';
import type { Wire, WireListener } from '../frame-transport.ts';
import { frameLimits, natsLimits } from '../limits.ts';
import type { NatsLogin } from './dial.ts';
import { Line } from './line.ts';
import { inboxPrefix, nobodyInbox, peerOfNobody, type Subjects, subjectsOf } from './subjects.ts';

export interface NatsPlace {
  readonly cluster: string;
  readonly node: string;
  /** `host:port` of every server of the cluster. */
  readonly servers: readonly string[];
  readonly login: NatsLogin;
}

export interface NatsWireOptions extends NatsPlace {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
}

/** Returns the wire of this node; it begins to dial at `begin`. */
export function natsWire(options: NatsWireOptions): Wire {
  return new NatsWire(options);
}

/** An echo is one byte; every frame is longer. */
const echo = new Uint8Array([0]);
const noResponders = 503;

class NatsWire implements Wire {
  readonly #options: NatsWireOptions;
  readonly #subjects: Subjects;
  readonly #prefix: string;
  readonly #servers: string[];
  #listener: WireListener | null = null;
  #self: Peer | null = null;
  #line: Line | null = null;
  #connection: NatsConnection | null = null;
  /** Heard itself over the connection: frames to this node arrive. */
  #isUp = false;
  #heardAtMonoMs = 0;
  #echoedAtMonoMs = 0;
  #cancelEcho: (() => void) | null = null;
  #nextServer = 0;

  constructor(options: NatsWireOptions) {
    this.#options = options;
    this.#subjects = subjectsOf(options.cluster);
    this.#prefix = inboxPrefix(options.node);
    this.#servers = shuffled(options.servers, options.random);
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  listen(listener: WireListener): void {
    this.#listener = listener;
  }

  begin(peer: Peer): void {
    const before = this.#self;
    this.#self = peer;
    if (this.#line === null) this.#line = this.#dial();
    else if (before?.incarnation !== peer.incarnation) this.#line.drop();
  }

  publish(to: Peer, bytes: Uint8Array): void {
    const connection = this.#connection;
    if (connection === null || !this.#isUp) return;
    try {
      connection.publish(this.#subjects.frames(to), bytes, {
        reply: nobodyInbox(this.#prefix, to),
      });
    } catch (error) {
      // Closed a moment ago, or more than the server takes: lost like any frame.
      this.#options.meter.count('frames_not_sent', 1);
      this.#options.logger.debug('nats.not_sent', { to: to.node, error: String(error) });
    }
  }

  async close(): Promise<void> {
    this.#down();
    await this.#line?.close();
  }

  #dial(): Line {
    const { login, clock, random, logger, node } = this.#options;
    return new Line({
      nextAddress: () => this.#servers[this.#nextServer++ % this.#servers.length] as string,
      login,
      name: `tocsin ${node} frames`,
      inboxPrefix: this.#prefix,
      timeoutMs: login.tls === null ? natsLimits.dialMs : natsLimits.dialTlsMs,
      clock,
      random,
      logger,
      onUp: (connection, address) => this.#begin(connection, address),
      onDown: () => this.#down(),
    });
  }

  #begin(connection: NatsConnection, address: string): void {
    if (this.#self === null) return;
    const { clock, logger, meter } = this.#options;
    this.#connection = connection;
    this.#heardAtMonoMs = clock.monoMs();
    this.#echoedAtMonoMs = this.#heardAtMonoMs;
    connection.subscribe(this.#subjects.frames(this.#self), {
      callback: (error, message) => {
        if (error !== null) logger.error('nats.frames_refused', { address, error: error.message });
        else if (connection === this.#connection) this.#receive(message);
      },
    });
    connection.subscribe(`${this.#prefix}.nobody.>`, {
      callback: (error, message) => {
        if (error === null && connection === this.#connection) this.#nobody(message);
      },
    });
    const maxPayload = connection.info?.max_payload ?? 0;
    if (maxPayload < frameLimits.frameBytesMax) {
      logger.error('nats.max_payload_too_small', { maxPayload, least: frameLimits.frameBytesMax });
    }
    logger.info('nats.connected', { address, server: connection.info?.server_name ?? '' });
    meter.count('nats_connects', 1, 'frames');
    this.#echo();
  }

  #receive(message: Msg): void {
    this.#heardAtMonoMs = this.#options.clock.monoMs();
    if (message.data.length > echo.length) {
      this.#listener?.frame(message.data);
      return;
    }
    if (this.#isUp) return;
    this.#isUp = true;
    this.#listener?.up();
  }

  #nobody(message: Msg): void {
    if (message.headers?.code !== noResponders) return;
    const peer = peerOfNobody(this.#prefix, message.subject);
    if (peer !== null) this.#listener?.nobody(peer);
  }

  /** Sends to itself through the server; a connection that does not bring it back is given up. */
  #echo(): void {
    const connection = this.#connection;
    if (connection === null || this.#self === null) return;
    const { clock, logger } = this.#options;
    const nowMonoMs = clock.monoMs();
    // Late itself: this loop was blocked, and what came meanwhile has not been read yet.
    const isLate = nowMonoMs - this.#echoedAtMonoMs > 2 * natsLimits.echoEveryMs;
    if (isLate) this.#heardAtMonoMs = nowMonoMs;
    this.#echoedAtMonoMs = nowMonoMs;
    if (nowMonoMs - this.#heardAtMonoMs > natsLimits.echoSilentMs) {
      logger.warn('nats.silent', { server: connection.getServer() });
      this.#line?.drop();
      this.#down();
      return;
    }
    try {
      connection.publish(this.#subjects.frames(this.#self), echo);
    } catch (error) {
      logger.debug('nats.not_sent', { error: String(error) }); // closing: the line sees it
    }
    this.#cancelEcho = clock.schedule(nowMonoMs + natsLimits.echoEveryMs, () => this.#echo());
  }

  #down(): void {
    this.#cancelEcho?.();
    this.#cancelEcho = null;
    this.#connection = null;
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#listener?.down();
  }
}

/** Returns the addresses in an order of this node's own: nodes spread over servers. */
function shuffled(addresses: readonly string[], random: Random): string[] {
  const order = addresses.map((address) => ({ address, at: random.next() }));
  return order.sort((left, right) => left.at - right.at).map(({ address }) => address);
}
