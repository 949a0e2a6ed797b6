// The live rows of one tenant for all its streams on this node: from the event bus, and every 10 s from the changelog again,
// so that a lost message is no lost event. Each row goes out once. Lives while a stream of the tenant is open.
import type { HistoryRecord } from '../../runtime/ports.ts';
import type { ApiPorts } from '../ports.ts';
import type { StreamConnection } from './connection.ts';
import { eventOnce } from './event.ts';
import { changelogPages, overlapMs } from './replay.ts';

const rereadEveryMs = 10_000;
/** Ids known to have gone out; more than a tenant changes in the two minutes that re-reads overlap. */
const seenMax = 50_000;

type FeedPorts = Pick<ApiPorts, 'events' | 'history' | 'clock' | 'logger' | 'meter'>;

export class TenantFeed {
  readonly connections = new Set<StreamConnection>();
  readonly #ports: FeedPorts;
  readonly #tenant: string;
  readonly #seen = new Set<string>();
  readonly #unsubscribe: () => void;
  #cancel: () => void;
  #readFromMs: number;
  #isClosed = false;

  /** Subscribes at once. Throws `RT_QUEUE_FULL` where the bus has too many listeners. */
  constructor(ports: FeedPorts, tenant: string) {
    this.#ports = ports;
    this.#tenant = tenant;
    this.#readFromMs = ports.clock.nowMs();
    this.#unsubscribe = ports.events.subscribe(tenant, (record) => this.#deliver(record));
    this.#cancel = () => undefined;
    // What is there already is no news.
    void this.#read((record) => this.#remember(record.id)).finally(() => this.#arm());
  }

  close(): void {
    this.#isClosed = true;
    this.#unsubscribe();
    this.#cancel();
  }

  #arm(): void {
    if (this.#isClosed) return;
    const { clock } = this.#ports;
    this.#cancel = clock.schedule(clock.monoMs() + rereadEveryMs, () => {
      void this.#round().finally(() => this.#arm());
    });
  }

  async #round(): Promise<void> {
    await this.#read((record) => this.#deliver(record));
    await Promise.all([...this.connections].map((connection) => this.#recheck(connection)));
  }

  /** Reads from a minute before the last round; a store that does not answer is asked again next round. */
  async #read(take: (record: HistoryRecord) => void): Promise<void> {
    const startedAtMs = this.#ports.clock.nowMs();
    const range = {
      tenant: this.#tenant,
      fromMs: this.#readFromMs - overlapMs,
      toMs: startedAtMs + overlapMs,
    };
    try {
      for await (const rows of changelogPages(this.#ports.history, range)) {
        if (this.#isClosed) return;
        for (const row of rows) if (!this.#seen.has(row.id)) take(row);
      }
      this.#readFromMs = startedAtMs;
    } catch (error) {
      this.#ports.meter.count('api_stream_rereads_failed', 1);
      this.#ports.logger.warn('api.stream_reread_failed', { reason: String(error) });
    }
  }

  /** A token that was revoked or has ended closes its streams. */
  async #recheck(connection: StreamConnection): Promise<void> {
    try {
      if (!(await connection.isAllowed())) connection.end('the token is no longer valid');
    } catch (error) {
      // Nobody can tell just now: the stream goes on, as known tokens do.
      this.#ports.logger.debug('api.stream_recheck_failed', { reason: String(error) });
    }
  }

  #deliver(record: HistoryRecord): void {
    if (record.table !== 'changelog' || record.partition !== this.#tenant) return;
    if (record.seq > 0) {
      if (this.#seen.has(record.id)) return;
      this.#remember(record.id);
    }
    const bytes = eventOnce(record);
    for (const connection of this.connections) {
      if (!connection.offer(record, bytes)) this.#ports.meter.count('api_streams_cut', 1);
    }
  }

  #remember(id: string): void {
    if (this.#seen.size >= seenMax) {
      const oldest = this.#seen.values().next();
      if (!oldest.done) this.#seen.delete(oldest.value);
    }
    this.#seen.add(id);
  }
}
