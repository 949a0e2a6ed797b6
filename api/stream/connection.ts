// One client of a live stream: writes events, drops repeats, keeps heartbeats, and cuts a client that is too slow (it resumes).
// Must not know where rows come from.
import type { ServerResponse } from 'node:http';
import type { ActorKey } from '../../runtime/ids.ts';
import type { HistoryRecord } from '../../runtime/ports.ts';
import { eventBytes } from './event.ts';

export interface ConnectionOptions {
  readonly tenant: string;
  /** Only rows of this actor; null: all of the tenant. */
  readonly key: ActorKey | null;
  /** Bytes that may wait in the socket. */
  readonly queueBytesMax: number;
  /** Still allowed to listen? Asked every 10 s. */
  readonly isAllowed: () => Promise<boolean>;
}

/** Ids of events sent, to drop repeats; and rows that wait while a replay runs. */
const sentMax = 20_000;
const waitingMax = 10_000;
const batchRows = 200;

export class StreamConnection {
  readonly tenant: string;
  readonly isAllowed: () => Promise<boolean>;
  readonly #raw: ServerResponse;
  readonly #options: ConnectionOptions;
  readonly #sent = new Set<string>();
  #waiting: HistoryRecord[] | null = [];

  constructor(raw: ServerResponse, options: ConnectionOptions) {
    this.tenant = options.tenant;
    this.isAllowed = options.isAllowed;
    this.#raw = raw;
    this.#options = options;
  }

  get isOpen(): boolean {
    return !this.#raw.destroyed && !this.#raw.writableEnded;
  }

  /** Bytes that the client has not taken yet. */
  get waitingBytes(): number {
    return this.#raw.writableLength;
  }

  onClose(listener: () => void): void {
    this.#raw.once('close', listener);
  }

  /** Sends a live row, or keeps it while a replay runs. `bytes`: its event, made once for all clients. False: cut off. */
  offer(record: HistoryRecord, bytes: () => Uint8Array): boolean {
    if (this.#waiting === null) return this.send(record, bytes);
    if (this.#waiting.length >= waitingMax) return this.cut();
    this.#waiting.push(record);
    return true;
  }

  /** Ends the replay: what came meanwhile is sent, as fast as the client takes it. */
  async goLive(): Promise<void> {
    while (this.#waiting !== null && this.#waiting.length > 0) {
      for (const record of this.#waiting.splice(0, batchRows)) if (!this.send(record)) return;
      await this.drained();
    }
    this.#waiting = null;
  }

  /** Sends a row unless it is another tenant's or entity's, or was sent before. */
  send(record: HistoryRecord, bytes: () => Uint8Array = () => eventBytes(record)): boolean {
    if (record.partition !== this.tenant) return true;
    if (this.#options.key !== null && record.key !== this.#options.key) return true;
    const isCommitted = record.seq > 0;
    if (isCommitted && this.#sent.has(record.id)) return true;
    if (isCommitted) this.#remember(record.id);
    return this.write(bytes());
  }

  /** Writes an event as it is. False: the client is gone or was cut off. */
  write(event: string | Uint8Array): boolean {
    if (!this.isOpen) return false;
    this.#raw.write(event);
    return this.#raw.writableLength > this.#options.queueBytesMax ? this.cut() : true;
  }

  /** Resolves when the client has taken what waits, or is gone. */
  drained(): Promise<void> {
    if (!this.isOpen || !this.#raw.writableNeedDrain) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#raw.off('drain', done);
        this.#raw.off('close', done);
        resolve();
      };
      this.#raw.on('drain', done);
      this.#raw.on('close', done);
    });
  }

  /** Closes the connection at once. */
  cut(): false {
    this.#raw.destroy();
    return false;
  }

  /** Ends the stream with a last event that says why. */
  end(reason: string): void {
    if (!this.isOpen) return;
    this.#raw.end(`event: bye\ndata: ${JSON.stringify({ reason })}\n\n`);
  }

  #remember(id: string): void {
    if (this.#sent.size >= sentMax) {
      const oldest = this.#sent.values().next();
      if (!oldest.done) this.#sent.delete(oldest.value);
    }
    this.#sent.add(id);
  }
}
