// The only way out of this process, and of the notification adapters: resolve, validate all addresses, dial
// the validated literal (Host and SNI kept), compare the peer after connect (security.md §2.1–2.3).
// Must not know protocols above TLS, checks or channels.

import net from 'node:net';
import { networkInterfaces } from 'node:os';
import tls from 'node:tls';
import type { IpFamily } from '../../actors/check/types.ts';
import type { Cancellation } from '../cancellation.ts';
import { monotonicMs } from '../clock.ts';
import { ProbeError, type ProbeErrorClass, toProbeError } from '../errors.ts';
import { connectTimeoutMs, dialAddressesMax, dnsTimeoutMs, tlsTimeoutMs } from '../limits.ts';
import { type Address, parseAddress } from './address.ts';
import { createPolicy, type EgressPurpose, type PolicyOptions } from './policy.ts';
import { createNameResolver, normalizeHost, type ResolverOptions } from './resolve.ts';

export interface EgressOptions extends PolicyOptions {
  readonly resolver?: ResolverOptions;
}

export interface ResolveOptions {
  /** Name or address literal. */
  readonly host: string;
  /** Null where the protocol has no ports. */
  readonly port: number | null;
  readonly purpose: EgressPurpose;
  /** Wanted where `host` is a name. Null: IPv4 for probes, else IPv4 first, then IPv6. */
  readonly family?: IpFamily | null;
  readonly timeoutMs: number;
  readonly signal?: Cancellation;
}

export interface TlsOptions {
  /** Name for SNI and the identity check; an address literal is checked but not sent. Default: the host. */
  readonly servername?: string;
  /** Default true. Probes set false and report what is wrong. */
  readonly rejectUnauthorized?: boolean;
  /** PEM of further authorities. */
  readonly ca?: string;
}

export interface ConnectOptions extends ResolveOptions {
  readonly port: number;
  readonly tls?: TlsOptions;
  /** Called with the literal before it is dialled; throws to refuse (limits per destination). */
  readonly admit?: (address: string) => void;
}

export interface ResolvedTarget {
  /** Validated literals in the order to try, at least one. */
  readonly addresses: readonly string[];
  /** A private address that the operator allowed: bodies of its answers are not returned to tenants. */
  readonly restricted: boolean;
}

export interface Connection {
  readonly socket: net.Socket | tls.TLSSocket;
  /** The validated literal that answered. */
  readonly address: string;
  readonly restricted: boolean;
  /** Length of each phase; 0 where there was none. */
  readonly timings: { readonly dnsMs: number; readonly connectMs: number; readonly tlsMs: number };
}

/** The egress port. Every failure is a `ProbeError`; a destroyed socket stays behind in no case. */
export interface Egress {
  /** Returns a connected (and, with `tls`, encrypted) socket within `timeoutMs`. */
  connect(options: ConnectOptions): Promise<Connection>;
  /** Returns the validated addresses of a host, for protocols that bring their own socket. */
  resolve(options: ResolveOptions): Promise<ResolvedTarget>;
}

const interfacesAgeMs = 30_000;

/** Returns the egress of these options; throws RangeError where a CIDR cannot be read. */
export function createEgress(options: EgressOptions): Egress {
  const policy = createPolicy(options);
  const names = createNameResolver(options.resolver);
  const ownAddresses = createOwnAddresses();

  const lookUp = async (host: string, asked: ResolveOptions): Promise<readonly string[]> => {
    const families = familiesOf(asked);
    const budgetMs = Math.min(dnsTimeoutMs, asked.timeoutMs);
    const limits = { timeoutMs: budgetMs, signal: asked.signal };
    if (families.length === 1) return within(names.resolve(host, families[0] ?? 4), limits);
    const both = Promise.allSettled(families.map((family) => names.resolve(host, family)));
    const found = await within(both, limits);
    const addresses = found.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
    if (addresses.length > 0) return addresses;
    throw found[0]?.status === 'rejected' ? found[0].reason : new ProbeError('dns-failure');
  };

  const validate = (address: Address, asked: ResolveOptions): boolean => {
    const destination = { address, port: asked.port, purpose: asked.purpose };
    const verdict = policy.judge(destination, ownAddresses);
    if (verdict.allowed) return verdict.restricted;
    throw new ProbeError('target-not-allowed', {
      detail: `${asked.host} ${address.text} ${asked.port ?? ''}: ${verdict.reason}`,
    });
  };

  const resolve = async (asked: ResolveOptions): Promise<ResolvedTarget> => {
    const host = normalizeHost(asked.host);
    const literal = parseAddress(host);
    if (literal !== null) {
      return { addresses: [literal.text], restricted: validate(literal, asked) };
    }
    const found = (await lookUp(host, asked)).map(parsed);
    let restricted = false;
    for (const address of found) restricted = validate(address, asked) || restricted;
    return { addresses: found.map((address) => address.text), restricted };
  };

  const connect = async (asked: ConnectOptions): Promise<Connection> => {
    const startedMs = monotonicMs();
    const { addresses, restricted } = await resolve(asked);
    const dnsMs = monotonicMs() - startedMs;
    const tried = asked.purpose === 'probe' ? 1 : dialAddressesMax;
    let failure: ProbeError | null = null;
    for (const address of addresses.slice(0, tried)) {
      asked.admit?.(address);
      try {
        const opened = await open(address, asked, startedMs + asked.timeoutMs);
        return { ...opened, address, restricted, timings: { dnsMs, ...opened.timings } };
      } catch (error) {
        failure = toProbeError(error, 'network-unreachable');
        if (asked.signal?.aborted === true) break;
      }
    }
    throw failure ?? new ProbeError('dns-failure');
  };

  return { connect, resolve };
}

/** Returns a connection to one literal, encrypted where asked, before `endMs` of the monotonic clock. */
async function open(address: string, asked: ConnectOptions, endMs: number) {
  const startedMs = monotonicMs();
  const leftMs = () => Math.max(1, endMs - monotonicMs());
  const budgetMs = Math.min(connectTimeoutMs, leftMs());
  const socket = await openTcp(address, asked.port, budgetMs, asked.signal);
  const connectedMs = monotonicMs();
  const connectMs = connectedMs - startedMs;
  if (asked.tls === undefined) return { socket, timings: { connectMs, tlsMs: 0 } };
  const secured = await openTls(socket, asked.tls, asked, leftMs());
  return { socket: secured, timings: { connectMs, tlsMs: monotonicMs() - connectedMs } };
}

function parsed(literal: string): Address {
  const address = parseAddress(literal);
  if (address === null) throw new ProbeError('invalid-target', { detail: literal });
  return address;
}

function familiesOf(asked: ResolveOptions): readonly (4 | 6)[] {
  if (asked.family === 'IPv4') return [4];
  if (asked.family === 'IPv6') return [6];
  return asked.purpose === 'probe' ? [4] : [4, 6];
}

function createOwnAddresses(): () => readonly string[] {
  let addresses: readonly string[] = [];
  let untilMs = -1;
  return () => {
    if (monotonicMs() < untilMs) return addresses;
    untilMs = monotonicMs() + interfacesAgeMs;
    addresses = Object.values(networkInterfaces()).flatMap((cards) =>
      (cards ?? []).map((card) => card.address),
    );
    return addresses;
  };
}

interface Limits {
  readonly timeoutMs: number;
  readonly signal: Cancellation | undefined;
}

/** Returns what the look-up returns, or throws `dns-timeout` at the limit; the look-up itself goes on. */
function within<T>(lookUp: Promise<T>, { timeoutMs, signal }: Limits): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const stop = guard(timeoutMs, signal, 'dns-timeout', (error) => reject(error));
    lookUp.then(
      (value) => {
        stop();
        resolve(value);
      },
      (error: unknown) => {
        stop();
        reject(error);
      },
    );
  });
}

/** Calls `fail` once, at the time-out or when the signal aborts; returns what ends the watch. */
function guard(
  timeoutMs: number,
  signal: Cancellation | undefined,
  errorClass: ProbeErrorClass,
  fail: (error: ProbeError) => void,
): () => void {
  const onAbort = () => {
    stop();
    fail(signal?.reason instanceof ProbeError ? signal.reason : new ProbeError(errorClass));
  };
  // An attempt that ends before this phase may last needs no timer of its own.
  const timer = endsWithin(signal, timeoutMs) ? undefined : setTimeout(onAbort, timeoutMs);
  const stop = () => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  };
  signal?.addEventListener('abort', onAbort);
  if (signal?.aborted === true) queueMicrotask(onAbort);
  return stop;
}

/** A signal that aborts by itself at its `endMs`, as an attempt's does. */
const endsWithin = (signal: Cancellation | undefined, timeoutMs: number): boolean =>
  signal?.endMs !== undefined && signal.endMs - monotonicMs() <= timeoutMs;

/** A later error of a socket reaches its user as `close`; without a listener it would end the process. */
const heard = (): void => undefined;

function openTcp(
  address: string,
  port: number,
  timeoutMs: number,
  signal: Cancellation | undefined,
): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: address, port, autoSelectFamily: false });
    const fail = (error: unknown) => {
      stop();
      socket.destroy();
      reject(toProbeError(error, 'network-unreachable'));
    };
    const stop = guard(timeoutMs, signal, 'connect-timeout', fail);
    socket.once('error', fail);
    socket.once('connect', () => {
      stop();
      socket.removeListener('error', fail);
      socket.on('error', heard);
      if (isPeer(socket, address)) resolve(socket);
      else if (socket.remoteAddress === undefined) fail(new ProbeError('connection-reset'));
      else fail(new ProbeError('target-not-allowed', { detail: `peer ${socket.remoteAddress}` }));
    });
  });
}

/** Compares the peer of a connection with the literal that was validated. */
function isPeer(socket: net.Socket, address: string): boolean {
  const peer = socket.remoteAddress;
  if (peer === address) return true;
  return peer !== undefined && parseAddress(peer)?.text === parseAddress(address)?.text;
}

/** Keys below 112 bits (RSA 1024) are refused, too, where certificates are verified; probes look at everything. */
const strictCiphers = 'DEFAULT@SECLEVEL=2';
let probeContext: tls.SecureContext | null = null;
let strictContext: tls.SecureContext | null = null;

/** One context for all: building one reads the authorities anew. */
function secureContextOf(options: TlsOptions): tls.SecureContext {
  if (options.rejectUnauthorized === false) {
    probeContext ??= tls.createSecureContext();
    return probeContext;
  }
  if (options.ca !== undefined) {
    const ca = [...tls.rootCertificates, options.ca];
    return tls.createSecureContext({ ca, ciphers: strictCiphers });
  }
  strictContext ??= tls.createSecureContext({ ciphers: strictCiphers });
  return strictContext;
}

/** Node's own check, but a certificate without names (SAN) is for nobody: its common name does not count (RFC 9525). */
function identityFault(host: string, certificate: tls.PeerCertificate): Error | undefined {
  if (certificate.subjectaltname !== undefined) return tls.checkServerIdentity(host, certificate);
  const code = 'ERR_TLS_CERT_ALTNAME_INVALID';
  return Object.assign(new Error('the certificate names no host'), { code });
}

function openTls(
  socket: net.Socket,
  options: TlsOptions,
  asked: ConnectOptions,
  leftMs: number,
): Promise<tls.TLSSocket> {
  return new Promise((resolve, reject) => {
    const servername = options.servername ?? normalizeHost(asked.host);
    const secured = tls.connect({
      socket,
      // RFC 6066: no address literals in SNI; `host` is what the certificate is compared with.
      ...(net.isIP(servername) === 0 ? { servername } : { host: servername }),
      rejectUnauthorized: options.rejectUnauthorized ?? true,
      secureContext: secureContextOf(options),
      checkServerIdentity: identityFault,
    });
    const fail = (error: unknown) => {
      stop();
      secured.destroy();
      socket.destroy();
      reject(tlsError(error));
    };
    const stop = guard(Math.min(tlsTimeoutMs, leftMs), asked.signal, 'tls-timeout', fail);
    secured.once('error', fail);
    secured.once('secureConnect', () => {
      stop();
      secured.removeListener('error', fail);
      secured.on('error', heard);
      resolve(secured);
    });
  });
}

function tlsError(error: unknown): ProbeError {
  if (error instanceof ProbeError) return error;
  const { code, message: detail } = error as NodeJS.ErrnoException;
  if (code === 'ECONNRESET' || code === 'EPIPE') {
    const message = 'connection closed during tls handshake';
    return new ProbeError('tls-handshake', { message, detail, cause: error });
  }
  return new ProbeError('tls-handshake', { detail, cause: error });
}
