// How this node gets a connection to one NATS server: a raw probe first, then a connection without the client's own reconnect
// (clustering.md §6 Dialling). The client never closes a socket whose dial timed out before the server's INFO; the probe is
// destroyed whatever happens, so a hung server collects none. Must not know what is sent.
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type ConnectionOptions, connect, type NatsConnection, NatsError } from 'nats';
import { TocsinError } from '../../runtime/errors.ts';
import type { Clock } from '../../runtime/ports.ts';
import { natsLimits } from '../limits.ts';

/** How to get in; plain values, so that they cross to a thread. */
export interface NatsLogin {
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  /** null: no TLS. PEM texts. */
  readonly tls: NatsTls | null;
}

export interface NatsTls {
  /** Authority that signs the servers' certificates; absent: those of the system. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** The server wants TLS before it says anything. */
  readonly handshakeFirst: boolean;
}

export interface DialOptions {
  readonly login: NatsLogin;
  /** Connection's name in the server's lists. */
  readonly name: string;
  readonly inboxPrefix: string;
  /** Bound of connect after the probe, ms. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * Connects to the server at `address` (`host:port`). Rejects with `CL_NATS_UNREACHABLE` (no answer in time, refused) or
 * `CL_NATS_REFUSED` (wrong name or password, a certificate that does not fit). The connection does not reconnect.
 */
export async function dial(address: string, options: DialOptions): Promise<NatsConnection> {
  await probe(address, options);
  if (options.signal.aborted) throw unreachable(address, new Error('stopped'));
  let connection: NatsConnection;
  try {
    connection = await connect(connectionOptions(address, options));
  } catch (cause) {
    throw isRefusal(cause) ? refused(address, cause) : unreachable(address, cause);
  }
  if (options.signal.aborted) {
    await connection.close();
    throw unreachable(address, new Error('stopped'));
  }
  return connection;
}

function connectionOptions(address: string, options: DialOptions): ConnectionOptions {
  const { login } = options;
  return {
    servers: [address],
    name: options.name,
    reconnect: false,
    timeout: options.timeoutMs,
    pingInterval: natsLimits.pingIntervalMs,
    maxPingOut: natsLimits.pingsOut,
    ignoreClusterUpdates: true,
    noAsyncTraces: true,
    inboxPrefix: options.inboxPrefix,
    ...(login.user === undefined ? {} : { user: login.user }),
    ...(login.password === undefined ? {} : { pass: login.password }),
    ...(login.token === undefined ? {} : { token: login.token }),
    ...(login.tls === null ? { tls: null } : { tls: login.tls }),
  };
}

/** Resolves when the server at `address` speaks within the probe's time; the probe's socket is gone then. */
function probe(address: string, { login, clock, signal }: DialOptions): Promise<void> {
  const { host, port } = splitAddress(address);
  const first = login.tls?.handshakeFirst === true ? login.tls : null;
  return new Promise((resolve, reject) => {
    const socket: Socket =
      first === null
        ? connectTcp({ host, port })
        : connectTls({ host, port, ...tlsFiles(first), servername: serverName(host) });
    const limitMs = first === null ? natsLimits.probeMs : natsLimits.probeTlsMs;
    const cancel = clock.schedule(clock.monoMs() + limitMs, () =>
      settle(unreachable(address, new Error(`no word within ${limitMs} ms`))),
    );
    const stop = (): void => settle(unreachable(address, new Error('stopped')));
    const settle = (error: TocsinError | null): void => {
      cancel();
      signal.removeEventListener('abort', stop);
      socket.removeAllListeners();
      socket.on('error', () => undefined); // destroyed: whatever it still has to say does not matter
      socket.destroy();
      if (error === null) resolve();
      else reject(error);
    };
    signal.addEventListener('abort', stop);
    socket.on(first === null ? 'data' : 'secureConnect', () => settle(null));
    socket.on('error', (cause) =>
      settle(isRefusal(cause) ? refused(address, cause) : unreachable(address, cause)),
    );
    socket.on('close', () => settle(unreachable(address, new Error('closed by the server'))));
    if (signal.aborted) stop();
  });
}

function tlsFiles(tls: NatsTls): { ca?: string; cert?: string; key?: string } {
  return {
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls.key === undefined ? {} : { key: tls.key }),
  };
}

/** A name for SNI: none for an address. */
function serverName(host: string): string {
  return /^[\d.]+$|:/.test(host) ? '' : host;
}

/** Returns the parts of `host:port`; the port is 4222 where none is named. Throws `CL_BAD_NAME`. */
export function splitAddress(address: string): { readonly host: string; readonly port: number } {
  const match =
    /^(?:nats:\/\/|tls:\/\/)?(?:\[([0-9a-fA-F:.]+)\]|([^:/[\]\s]+))(?::(\d{1,5}))?$/.exec(address);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3] ?? 4222);
  if (host === undefined || port > 65_535) {
    throw new TocsinError('CL_BAD_NAME', `not the address of a server: ${address.slice(0, 80)}`);
  }
  return { host, port };
}

const refusals = new Set([
  'AUTHORIZATION_VIOLATION',
  'AUTHENTICATION_EXPIRED',
  'AUTHENTICATION_TIMEOUT',
  'BAD_AUTHENTICATION',
  'BAD_CREDS',
  'TLS',
  'SERVER_OPTION_NA',
]);

/** True where asking again soon is of no use: the server said no, or its certificate does not fit. */
function isRefusal(cause: unknown): boolean {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (cause instanceof NatsError && refusals.has(code)) return true;
  return /^ERR_TLS|^ERR_SSL|CERT|SELF_SIGNED|UNABLE_TO/.test(code);
}

function refused(address: string, cause: unknown): TocsinError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new TocsinError('CL_NATS_REFUSED', `NATS server ${address} refuses this node: ${why}`, {
    cause,
    details: { address },
  });
}

function unreachable(address: string, cause: unknown): TocsinError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new TocsinError('CL_NATS_UNREACHABLE', `NATS server ${address} not reached: ${why}`, {
    cause,
    retryable: true,
    details: { address },
  });
}
