// A connection that is made again whenever it ends: the loop around dial.ts. A refusal is told once and asked again seldom.
// Must not know what is sent over it.
import type { NatsConnection } from 'nats';
import { TocsinError } from '../../runtime/errors.ts';
import type { Clock, Logger, Random } from '../../runtime/ports.ts';
import { natsLimits } from '../limits.ts';
import { dial, type NatsLogin } from './dial.ts';

/** What a line is made with. */
export interface LineOptions {
  /** Address of the next try. */
  readonly nextAddress: () => string;
  readonly login: NatsLogin;
  readonly name: string;
  readonly inboxPrefix: string;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The connection stands; called before anything of it is heard. */
  readonly onUp: (connection: NatsConnection, address: string) => void;
  /** It is gone, and another is under way. */
  readonly onDown: () => void;
}

/** A connection that is made again whenever it ends, until it is closed. */
export class Line {
  readonly #options: LineOptions;
  readonly #abort = new AbortController();
  readonly #ended: Promise<void>;
  #connection: NatsConnection | null = null;
  #lastFault = '';

  constructor(options: LineOptions) {
    this.#options = options;
    this.#ended = this.#run();
  }

  /** The connection that stands, or null. */
  get connection(): NatsConnection | null {
    return this.#connection;
  }

  /** Ends the connection that stands, at once; another is made. */
  drop(): void {
    const connection = this.#connection;
    this.#connection = null;
    if (connection !== null) closeQuietly(connection);
  }

  /** Ends it for good; resolves when no socket of it is left. */
  async close(): Promise<void> {
    this.#abort.abort();
    this.drop();
    await this.#ended;
  }

  async #run(): Promise<void> {
    while (!this.#abort.signal.aborted) {
      const pauseMs = await this.#once();
      await this.#pause(pauseMs);
    }
  }

  /** One connection from dial to end; returns the pause until the next. */
  async #once(): Promise<number> {
    const { nextAddress, onDown, onUp, random } = this.#options;
    const soonMs = natsLimits.redialMinMs * (1 + random.next());
    const address = nextAddress();
    let connection: NatsConnection;
    try {
      connection = await dial(address, { ...this.#options, signal: this.#abort.signal });
    } catch (error) {
      if (this.#abort.signal.aborted) return 0;
      return this.#report(error) ? natsLimits.refusedPauseMs : soonMs;
    }
    this.#lastFault = '';
    this.#connection = connection;
    const gone = connection.closed();
    watch(connection, address, this.#options.logger);
    try {
      onUp(connection, address);
    } catch (error) {
      // It ended before it could be used.
      this.#options.logger.warn('nats.lost_at_once', { address, error: String(error) });
      this.drop();
    }
    await gone;
    this.#connection = null;
    onDown();
    return soonMs;
  }

  /** Logs a fault once while it lasts; true where the server refused. */
  #report(error: unknown): boolean {
    const isRefused = error instanceof TocsinError && error.code === 'CL_NATS_REFUSED';
    const message = error instanceof Error ? error.message : String(error);
    if (message !== this.#lastFault) {
      const event = isRefused ? 'nats.refused' : 'nats.unreachable';
      this.#options.logger[isRefused ? 'error' : 'warn'](event, { message });
    }
    this.#lastFault = message;
    return isRefused;
  }

  #pause(ms: number): Promise<void> {
    const { signal } = this.#abort;
    if (signal.aborted) return Promise.resolve();
    const { clock } = this.#options;
    return new Promise((resolve) => {
      const wake = (): void => {
        cancel();
        signal.removeEventListener('abort', wake);
        resolve();
      };
      const cancel = clock.schedule(clock.monoMs() + ms, wake);
      signal.addEventListener('abort', wake);
    });
  }
}

/** Logs what the server refuses on a connection: a forbidden publish shows nowhere else. Ends with the connection. */
async function watchStatus(
  connection: NatsConnection,
  address: string,
  logger: Logger,
): Promise<void> {
  for await (const status of connection.status()) {
    if (String(status.type) !== 'error') continue;
    logger.warn('nats.error', {
      address,
      fault: String(status.data),
      ...(status.permissionContext ?? {}),
    });
  }
}

function watch(connection: NatsConnection, address: string, logger: Logger): void {
  watchStatus(connection, address, logger).catch((error: unknown) => {
    logger.warn('nats.status_ended', { address, error: String(error) });
  });
}

function closeQuietly(connection: NatsConnection): void {
  connection.close().catch(() => undefined); // it was ending anyway: the loop waits for closed()
}
