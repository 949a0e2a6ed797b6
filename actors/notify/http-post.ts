// One POST over HTTP(S) through the guarded egress: connect, send, read the status line, within one deadline.
// Never follows redirects, never throws for the receiver's fault, never shows a byte of the answer's body (no oracle).
// Must not know what is posted.
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { isIP, type Socket } from 'node:net';
import type { DeliveryResult } from '../../runtime/ports.ts';
import { parseUrl } from '../url.ts';
import type { Egress } from './egress.ts';

export interface HttpPostOptions {
  readonly egress: Egress;
  /** Whole attempt, look-up to status line. */
  readonly timeoutMs: number;
  /** Certificates trusted besides the system's, PEM. */
  readonly ca?: string;
}

export interface HttpPost {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly signal: AbortSignal;
  /** Wall clock of the attempt: a `Retry-After` date counts from it. */
  readonly atMs: number;
}

/** Read of an answer's body before the connection is cut. */
const answerBytesMax = 16_384;
/** Longest pause that a receiver can ask for. */
const retryAfterMsMax = 6 * 3_600_000;

interface Answer {
  readonly status: number;
  readonly retryAfter: string | undefined;
}

/**
 * Posts once. Delivered: the answer's status is 2xx. 410 is final; `Retry-After` of 429 and 503 is passed on.
 * Everything else that can go wrong is a result with a text for the notification's history.
 */
export async function httpPost(options: HttpPostOptions, post: HttpPost): Promise<DeliveryResult> {
  const url = parseUrl(post.url);
  if (url === null) return { delivered: false, message: 'Invalid URL' };
  const deadline = AbortSignal.timeout(options.timeoutMs);
  const signal = AbortSignal.any([deadline, post.signal]);
  try {
    const socket = await connected(options, url, signal);
    return resultOf(await exchanged(socket, post, signal), post.atMs);
  } catch (error) {
    if (post.signal.aborted) return { delivered: false, message: failureText(post.signal.reason) };
    if (deadline.aborted) return { delivered: false, message: timedOut(options.timeoutMs) };
    return { delivered: false, message: failureText(error) };
  }
}

async function connected(options: HttpPostOptions, url: URL, signal: AbortSignal): Promise<Socket> {
  const secure = url.protocol === 'https:';
  if (!secure && url.protocol !== 'http:') throw new Error('Invalid URL');
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const named = isIP(host) === 0 ? { servername: host } : {};
  const trusted = options.ca === undefined ? {} : { ca: options.ca };
  const { socket } = await options.egress.connect({
    host,
    port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
    purpose: 'notify',
    ...(secure ? { tls: { ...named, rejectUnauthorized: true, ...trusted } } : {}),
    timeoutMs: options.timeoutMs,
    signal,
  });
  if (signal.aborted) {
    socket.destroy();
    throw signal.reason;
  }
  return socket;
}

/** Resolves with the status line; the body is read to its end or limit behind the result, and within the deadline. */
function exchanged(socket: Socket, post: HttpPost, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const url = new URL(post.url);
    const request = httpRequest({
      createConnection: () => socket,
      method: 'POST',
      host: url.hostname,
      path: `${url.pathname}${url.search}`,
      headers: headersOf(url, post),
      setHost: false,
    });
    const abort = (): void => {
      socket.destroy();
      reject(signal.reason);
    };
    signal.addEventListener('abort', abort, { once: true });
    request.once('close', () => {
      signal.removeEventListener('abort', abort);
      socket.destroy();
      reject(new Error('Connection closed without an answer'));
    });
    request.on('error', reject);
    request.once('response', (response) => {
      resolve({ status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'] });
      drain(request, response);
    });
    request.end(post.body);
  });
}

function headersOf(url: URL, post: HttpPost): Record<string, string> {
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  const authorization =
    credentials === ':'
      ? {}
      : { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` };
  return {
    host: url.host,
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(post.body)),
    'user-agent': 'Tocsin',
    accept: '*/*',
    connection: 'close',
    ...authorization,
    ...post.headers,
  };
}

function drain(request: ClientRequest, response: IncomingMessage): void {
  let left = answerBytesMax;
  response.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) request.destroy();
  });
  // The status has decided; what breaks behind it changes nothing.
  response.on('error', () => request.destroy());
}

function resultOf(answer: Answer, atMs: number): DeliveryResult {
  const { status } = answer;
  if (status >= 200 && status <= 299) return { delivered: true, message: `HTTP ${status}` };
  const message = `Unexpected status code "${status}". Expected one of: /2[0-9]{2}/`;
  if (status === 410) return { delivered: false, message, final: true };
  const asked = status === 429 || status === 503 ? pauseMs(answer.retryAfter, atMs) : null;
  return asked === null
    ? { delivered: false, message }
    : { delivered: false, message, retryAfterMs: asked };
}

function pauseMs(retryAfter: string | undefined, atMs: number): number | null {
  if (retryAfter === undefined) return null;
  const text = retryAfter.trim();
  const askedMs = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - atMs;
  if (!Number.isFinite(askedMs)) return null;
  return Math.min(Math.max(askedMs, 0), retryAfterMsMax);
}

function timedOut(timeoutMs: number): string {
  return `ETIMEDOUT, No answer within ${timeoutMs / 1_000} seconds`;
}

const knownFailures: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'Connection refused',
  ECONNRESET: 'Connection reset by peer',
  EPIPE: 'Connection closed by peer',
  ETIMEDOUT: 'Connection timed out',
  ENOTFOUND: 'Domain name not found',
  EHOSTUNREACH: 'No route to host',
  ENETUNREACH: 'Network is unreachable',
  CERT_HAS_EXPIRED: 'Certificate has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'Self-signed certificate',
  SELF_SIGNED_CERT_IN_CHAIN: 'Self-signed certificate in the chain',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'Unable to verify the certificate',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'Unable to verify the certificate',
  ERR_TLS_CERT_ALTNAME_INVALID: 'Certificate is for another name',
  HPE_HEADER_OVERFLOW: 'Response headers are too large',
};

/** Returns a text for the notification's history; at most 256 characters, without the socket's address. */
export function failureText(error: unknown): string {
  for (const code of [codeOf(error), codeOf((error as { cause?: unknown } | null)?.cause)]) {
    const known = knownFailures[code];
    if (known !== undefined) return `${code}, ${known}`;
    if (code.startsWith('HPE_')) return `${code}, Malformed response`;
  }
  const text = error instanceof Error ? error.message : String(error);
  return (text === '' ? 'Unknown failure' : text).slice(0, 256);
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown } | null | undefined)?.code ?? '');
}
