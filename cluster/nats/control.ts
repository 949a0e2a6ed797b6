// The relays: one small control connection to every NATS server. Its subjects name the server, so control traffic never
// crosses a route, and the loss of a route or a server is never taken for the death of a node (clustering.md §6).
// Must not know what a heartbeat says.
import { Empty, type Msg, type NatsConnection, NatsError } from 'nats';
import type { Clock, Logger, Random } from '../../runtime/ports.ts';
import type { ControlListener, ControlPlane } from '../control-plane.ts';
import type { Peer } from '../frame.ts';
import { natsLimits } from '../limits.ts';
import { Line } from './line.ts';
import { inboxPrefix, isInbox, relayOf, type Subjects, subjectsOf } from './subjects.ts';
import type { NatsPlace } from './wire.ts';

export interface NatsControlOptions extends NatsPlace {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Returns the relays of this node; they are dialled from `begin` on, for ever. */
export function natsControl(options: NatsControlOptions): ControlPlane {
  return new NatsControl(options);
}

interface Relay {
  /** The server's address: what the detector calls it. */
  readonly name: string;
  line: Line | null;
  connection: NatsConnection | null;
  /** What the server calls itself, as part of subjects. */
  server: string;
  heardAtMonoMs: number;
  pings: number;
}

class NatsControl implements ControlPlane {
  readonly relays: readonly string[];
  readonly #options: NatsControlOptions;
  readonly #subjects: Subjects;
  readonly #prefix: string;
  readonly #relays = new Map<string, Relay>();
  #listener: ControlListener | null = null;
  #self: Peer | null = null;

  constructor(options: NatsControlOptions) {
    this.#options = options;
    this.#subjects = subjectsOf(options.cluster);
    this.#prefix = inboxPrefix(options.node);
    this.relays = [...new Set(options.servers)];
    for (const name of this.relays) {
      const unused = { line: null, connection: null, server: '', heardAtMonoMs: 0, pings: 0 };
      this.#relays.set(name, { name, ...unused });
    }
  }

  listen(listener: ControlListener): void {
    this.#listener = listener;
  }

  begin(peer: Peer): void {
    const before = this.#self;
    this.#self = peer;
    for (const relay of this.#relays.values()) {
      if (relay.line === null) relay.line = this.#dial(relay);
      else if (before?.incarnation !== peer.incarnation) relay.line.drop();
    }
  }

  broadcast(heartbeat: Uint8Array): number {
    let sent = 0;
    const nowMonoMs = this.#options.clock.monoMs();
    for (const relay of this.#relays.values()) {
      if (relay.connection === null) continue;
      if (nowMonoMs - relay.heardAtMonoMs > natsLimits.controlSilentMs) this.#giveUp(relay);
      else if (this.#publish(relay, heartbeat)) sent++;
    }
    return sent;
  }

  ping(name: string, peer: Peer): void {
    const relay = this.#relays.get(name);
    const connection = relay?.connection;
    if (relay === undefined || connection === null || connection === undefined) return;
    if (relay.pings >= natsLimits.pings) return;
    relay.pings++;
    const subject = this.#subjects.ping(peer, relay.server);
    connection
      .request(subject, Empty, { timeout: natsLimits.pingTimeoutMs })
      .then(
        () => this.#listener?.pong(name, peer),
        (error: unknown) => {
          const isNobody = error instanceof NatsError && error.code === '503';
          if (isNobody && relay.connection === connection) this.#listener?.nobody(name, peer);
        },
      )
      .finally(() => {
        relay.pings--;
      })
      .catch((error: unknown) => {
        this.#options.logger.error('nats.ping_failed', { relay: name, error: String(error) });
      });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#relays.values()].map((relay) => relay.line?.close()));
  }

  #dial(relay: Relay): Line {
    const { clock, login, logger, node, random } = this.#options;
    return new Line({
      nextAddress: () => relay.name,
      login,
      name: `tocsin ${node} control`,
      inboxPrefix: this.#prefix,
      timeoutMs: natsLimits.controlDialMs,
      clock,
      random,
      logger,
      onUp: (connection) => this.#up(relay, connection),
      onDown: () => this.#down(relay),
    });
  }

  #up(relay: Relay, connection: NatsConnection): void {
    if (this.#self === null) return;
    const server = relayOf(connection.info?.server_name ?? connection.info?.server_id ?? '');
    const twin = [...this.#relays.values()].find(
      (other) => other !== relay && other.connection !== null && other.server === server,
    );
    if (twin !== undefined) {
      // Two addresses of one server are one relay: counted twice it would outvote the others.
      const { logger } = this.#options;
      logger.error('nats.same_server', { server, address: relay.name, other: twin.name });
      return;
    }
    relay.server = server;
    relay.connection = connection;
    relay.heardAtMonoMs = this.#options.clock.monoMs();
    connection.subscribe(this.#subjects.heartbeat(server), {
      callback: (error, message) => this.#beat(relay, connection, error, message),
    });
    connection.subscribe(this.#subjects.ping(this.#self, server), {
      callback: (error, message) => {
        if (error !== null) this.#refused(relay, error);
        else if (isInbox(message.reply)) message.respond(Empty);
      },
    });
    this.#listener?.up(relay.name);
  }

  #beat(relay: Relay, of: NatsConnection, error: NatsError | null, message: Msg): void {
    if (error !== null) {
      this.#refused(relay, error);
      return;
    }
    if (relay.connection !== of) return;
    relay.heardAtMonoMs = this.#options.clock.monoMs();
    this.#listener?.beat(relay.name, message.data);
  }

  #refused(relay: Relay, error: NatsError): void {
    this.#options.logger.error('nats.control_refused', {
      relay: relay.name,
      error: error.message,
    });
  }

  #publish(relay: Relay, heartbeat: Uint8Array): boolean {
    try {
      relay.connection?.publish(this.#subjects.heartbeat(relay.server), heartbeat);
      return true;
    } catch (error) {
      this.#options.logger.debug('nats.not_sent', { relay: relay.name, error: String(error) });
      return false; // closing: the line sees it
    }
  }

  /** Silent for seconds though connected: made anew. */
  #giveUp(relay: Relay): void {
    this.#options.logger.warn('nats.silent', { server: relay.name });
    relay.line?.drop();
    this.#down(relay);
  }

  #down(relay: Relay): void {
    if (relay.connection === null) return;
    relay.connection = null;
    this.#listener?.down(relay.name);
  }
}
