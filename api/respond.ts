// Puts an answer on the wire: status, the headers that v1.0 clients rely on, gzip, JSONP. The only writer of responses.
// Fastify's own sending is left out: it drops Content-Length on 204 and sets it on GET bodies, where old clients need the
// opposite. Must not know routes or resources.
import type { ServerResponse } from 'node:http';
import { gzip } from 'node:zlib';
import type { Answer } from './answer.ts';
import { type RateCharge, rateWindow } from './rate-limits.ts';

/** What of the request the answer depends on. */
export interface AnswerContext {
  readonly method: string;
  readonly txnId: string;
  readonly nodeId: string;
  readonly charge: RateCharge;
  readonly acceptEncoding: string;
  /** Browser requests carry Origin: they get the CORS headers. */
  readonly hasOrigin: boolean;
  /** Callback name; null: plain JSON. */
  readonly jsonp: string | null;
}

type Headers = Record<string, string>;

/** Below this many bytes gzip costs more than it saves. */
const gzipBytesMin = 1_024;

/** Silence of a client that has not taken all of its answer. */
const drainMs = 30_000;

export const jsonType = 'application/json; charset=UTF-8';
const textLike = /^(application\/(json|javascript)|text\/|image\/svg)/;

/** Writes the answer; resolves once it is handed to the socket. The caller has taken the response over from Fastify. */
export async function respond(
  raw: ServerResponse,
  answer: Answer,
  context: AnswerContext,
): Promise<void> {
  if (raw.destroyed || raw.writableEnded || raw.headersSent) return;
  const headers = { ...commonHeaders(context), ...(answer.headers ?? {}) };
  if (answer.kind === 'stream') {
    raw.writeHead(200, { ...headers, 'Content-Type': answer.type });
    answer.open(raw);
  } else if (answer.kind === 'empty') {
    writeEmpty(raw, answer.status, headers);
  } else {
    await writeBody(raw, answer, headers, context);
  }
}

/** Returns the headers of every response. */
function commonHeaders(context: AnswerContext): Headers {
  const { charge } = context;
  return {
    'X-RateLimit-Limit': String(charge.limit),
    'X-RateLimit-Remaining': String(Math.max(0, charge.limit - charge.used)),
    'X-RateLimit-Used': String(charge.used),
    'X-RateLimit-Window': rateWindow,
    'X-RateLimit-Type': charge.type,
    'X-Response-Id': context.txnId,
    'X-LB': context.nodeId,
    Vary: 'Accept-Encoding',
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Referrer-Policy': 'no-referrer',
    'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
    ...(context.hasOrigin
      ? {
          'Access-Control-Allow-Origin': '*',
          'Access-Control-Expose-Headers': 'X-Response-Id, WWW-Authenticate',
        }
      : {}),
  };
}

function writeEmpty(raw: ServerResponse, status: number, headers: Headers): void {
  const own = status === 304 ? {} : { 'Content-Length': '0', 'Content-Type': 'text/plain' };
  raw.writeHead(status, { ...own, ...headers });
  raw.end();
}

async function writeBody(
  raw: ServerResponse,
  answer: Extract<Answer, { readonly kind: 'json' | 'bytes' }>,
  headers: Headers,
  context: AnswerContext,
): Promise<void> {
  const { type, bytes } = answer.kind === 'json' ? encoded(answer.body, context.jsonp) : answer;
  const all: Headers = { 'Content-Type': type, ...headers };
  const plain = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const zipped = wantsGzip(plain, type, context.acceptEncoding) ? await zip(plain) : null;
  if (zipped !== null) all['Content-Encoding'] = 'gzip';
  if (raw.destroyed || raw.headersSent) return;
  const body = zipped ?? plain;
  // Bodies of GET are chunked: an old client expects no Content-Length there.
  if (context.method !== 'GET') all['Content-Length'] = String(body.length);
  raw.writeHead(answer.status, all);
  raw.end(body);
  if (raw.writableLength > 0) limitDrain(raw);
}

/** A client that does not take its answer must not hold its bytes for ever. */
function limitDrain(raw: ServerResponse): void {
  const { socket } = raw;
  if (typeof socket?.setTimeout === 'function') raw.setTimeout(drainMs, () => raw.destroy());
}

function encoded(
  body: unknown,
  jsonp: string | null,
): { readonly type: string; readonly bytes: Uint8Array } {
  const json = JSON.stringify(body);
  if (jsonp === null) return { type: jsonType, bytes: Buffer.from(json) };
  // U+2028 and U+2029 end a line in older scripts.
  const script = json.replace(/\u2028/g, '\\u2028').replace(/\u2029/g, '\\u2029');
  return {
    type: 'application/javascript; charset=UTF-8',
    bytes: Buffer.from(`${jsonp}(${script})`),
  };
}

function wantsGzip(bytes: Uint8Array, type: string, acceptEncoding: string): boolean {
  if (acceptEncoding === '' || bytes.byteLength < gzipBytesMin || !textLike.test(type))
    return false;
  return acceptEncoding
    .toLowerCase()
    .split(',')
    .some((part) => /^\s*(gzip|\*)\s*(;\s*q=(1(\.0*)?|0?\.\d*[1-9]\d*))?\s*$/.test(part));
}

function zip(bytes: Uint8Array): Promise<Buffer | null> {
  return new Promise((resolve) => {
    gzip(bytes, { level: 1 }, (error, zipped) => resolve(error === null ? zipped : null));
  });
}
