// All live streams of this node: caps, one feed for each tenant, heartbeats, replay on resumption, and the end at shutdown.
import type { ServerResponse } from 'node:http';
import { ApiError } from '../errors.ts';
import type { ApiPorts } from '../ports.ts';
import { type ConnectionOptions, StreamConnection } from './connection.ts';
import { TenantFeed } from './feed.ts';
import { positionOf, replay } from './replay.ts';

export interface StreamRequest extends Omit<ConnectionOptions, 'queueBytesMax'> {
  /** `<changelog id>.<seq>`; null: from now on. */
  readonly lastEventId: string | null;
}

const heartbeatEveryMs = 15_000;
/** How long a resuming client may take for a page of what it missed. */
const drainWaitMs = 30_000;

export class StreamHub {
  readonly #ports: ApiPorts;
  readonly #feeds = new Map<string, TenantFeed>();
  #open = 0;
  #cancelHeartbeat: (() => void) | null = null;
  #isClosed = false;

  constructor(ports: ApiPorts) {
    this.#ports = ports;
    ports.meter.gauge('api_streams', () => this.#open);
  }

  /** Throws 429 or 503 where no further stream may open. */
  demandRoom(tenant: string): void {
    const { streamsMax, streamsPerTenantMax } = this.#ports.limits;
    const ofTenant = this.#feeds.get(tenant)?.connections.size ?? 0;
    const headers = { 'Retry-After': '10', 'Reply-After': '10' };
    if (ofTenant >= streamsPerTenantMax) {
      throw new ApiError('rateLimitReached', 'The tenant has too many live streams', { headers });
    }
    if (this.#open >= streamsMax || this.#isClosed) {
      throw new ApiError('systemFailureError', 'The node has too many live streams', { headers });
    }
  }

  /** Opens a stream on a response whose head is written. */
  open(raw: ServerResponse, request: StreamRequest): void {
    const { limits } = this.#ports;
    const queueBytesMax = limits.streamQueueBytesMax;
    const connection = new StreamConnection(raw, { ...request, queueBytesMax });
    raw.socket?.setNoDelay(true);
    try {
      this.#join(connection);
    } catch (error) {
      this.#ports.logger.warn('api.stream_refused', { reason: String(error) });
      connection.end('the node has too many listeners');
      return;
    }
    void this.#begin(connection, request);
  }

  /** Ends all streams; their clients resume at another node. */
  close(): void {
    this.#isClosed = true;
    this.#cancelHeartbeat?.();
    for (const feed of this.#feeds.values()) {
      for (const connection of feed.connections) connection.end('the node is stopping');
      feed.close();
    }
    this.#feeds.clear();
  }

  #join(connection: StreamConnection): void {
    const { tenant } = connection;
    const feed = this.#feeds.get(tenant) ?? new TenantFeed(this.#ports, tenant);
    this.#feeds.set(tenant, feed);
    feed.connections.add(connection);
    this.#open += 1;
    this.#beat();
    connection.onClose(() => {
      this.#open -= 1;
      feed.connections.delete(connection);
      if (feed.connections.size > 0 || this.#feeds.get(tenant) !== feed) return;
      feed.close();
      this.#feeds.delete(tenant);
    });
  }

  async #begin(connection: StreamConnection, request: StreamRequest): Promise<void> {
    try {
      const position = await this.#positionOf(request);
      connection.write(this.#hello(request, position !== null));
      if (position !== null && request.lastEventId !== null) {
        await this.#replay(connection, { ...request, lastEventId: request.lastEventId }, position);
      }
      await connection.goLive();
    } catch (error) {
      this.#ports.logger.warn('api.stream_replay_failed', { reason: String(error) });
      connection.end('the history cannot be read just now');
    }
  }

  #positionOf(request: StreamRequest) {
    const { history } = this.#ports;
    return request.lastEventId === null
      ? Promise.resolve(null)
      : positionOf(history, request.tenant, request.lastEventId);
  }

  async #replay(
    connection: StreamConnection,
    request: StreamRequest & { readonly lastEventId: string },
    position: NonNullable<Awaited<ReturnType<typeof positionOf>>>,
  ): Promise<void> {
    const { tenant, key, lastEventId } = request;
    const nowMs = this.#ports.clock.nowMs();
    const pages = replay(this.#ports.history, { tenant, key, lastEventId, nowMs }, position);
    for await (const rows of pages) {
      for (const row of rows) if (!connection.send(row)) return;
      await this.#drained(connection);
    }
  }

  #drained(connection: StreamConnection): Promise<void> {
    const { clock } = this.#ports;
    const cancel = clock.schedule(clock.monoMs() + drainWaitMs, () => connection.cut());
    return connection.drained().finally(cancel);
  }

  #hello(request: StreamRequest, isResumed: boolean): string {
    const data = {
      node: this.#ports.node.id,
      tenant: request.tenant,
      timestamp: this.#ports.clock.nowMs(),
      resumed: isResumed,
    };
    return `retry: 2000\nevent: hello\ndata: ${JSON.stringify(data)}\n\n`;
  }

  #beat(): void {
    if (this.#cancelHeartbeat !== null || this.#isClosed) return;
    const { clock } = this.#ports;
    this.#cancelHeartbeat = clock.schedule(clock.monoMs() + heartbeatEveryMs, () => {
      this.#cancelHeartbeat = null;
      if (this.#open === 0) return;
      for (const feed of this.#feeds.values()) {
        for (const connection of feed.connections) connection.write(': beat\n\n');
      }
      this.#beat();
    });
  }
}
