// One HTTP/1.1 request and its answer over a guarded connection. node:http parses (llhttp), on a socket that the
// egress guard opened: measured 172 µs a check against 135 µs for an own client, and the budget is 250 µs.
// Must not know redirects, authentication or metrics.

import http from 'node:http';
import type { Socket } from 'node:net';
import type { Cancellation } from '../cancellation.ts';
import { monotonicMs } from '../clock.ts';
import { ProbeError, toProbeError } from '../errors.ts';
import { headerBytesMax, interimAnswersMax } from '../limits.ts';
import { type HttpBody, readBody } from './http-body.ts';

export interface HttpRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  /** Names and values in turn, `Host` included. */
  readonly headers: readonly string[];
  readonly payload: Buffer | null;
}

export interface HttpAnswer {
  readonly code: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: HttpBody;
  /** Monotonic instants, ms. */
  readonly firstByteMs: number;
}

const emptyBody: HttpBody = { bytes: 0, truncated: 0, kept: Buffer.alloc(0) };

/**
 * Returns the answer to one request; the socket is destroyed when this settles. Throws `empty-response`,
 * `header-overflow`, `malformed-response`, `connection-reset`, `timeout` at the signal, or what `readBody` throws.
 */
export function exchange(
  socket: Socket,
  request: HttpRequest,
  options: { readonly keepBytes: number; readonly signal: Cancellation },
): Promise<HttpAnswer> {
  return new Promise<HttpAnswer>((resolve, reject) => {
    const sent = http.request({
      createConnection: () => socket,
      method: request.method,
      path: request.path,
      headers: request.headers as string[],
      maxHeaderSize: headerBytesMax,
    });
    let interim = 0;
    const end = () => {
      options.signal.removeEventListener('abort', onAbort);
      // The parser goes on through the bytes it has: thousands of interim answers in one read are not heard.
      sent.removeAllListeners('information');
      socket.destroy();
    };
    const fail = (error: unknown) => {
      end();
      reject(answerError(error, socket));
    };
    const onAbort = () => fail(new ProbeError('timeout'));
    const succeed = (answer: HttpAnswer) => {
      end();
      resolve(answer);
    };
    options.signal.addEventListener('abort', onAbort);
    sent.on('error', fail);
    sent.on('information', () => {
      interim += 1;
      if (interim > interimAnswersMax) fail(new ProbeError('header-overflow'));
    });
    sent.on('upgrade', (answer) => {
      const { statusCode: code = 101, headers } = answer;
      succeed({ code, headers, body: emptyBody, firstByteMs: monotonicMs() });
    });
    sent.on('response', (answer) => {
      const firstByteMs = monotonicMs();
      const { statusCode: code = 0, headers } = answer;
      // Before node:http ends the connection step by step: closing it at once spares the events of that.
      answer.prependListener('end', () => socket.destroy());
      readBody(answer, options.keepBytes).then(
        (body) => succeed({ code, headers, body, firstByteMs }),
        fail,
      );
    });
    sent.end(request.payload ?? undefined);
    if (options.signal.aborted) onAbort();
  });
}

/** A connection that closes without a byte of an answer is its own class: often a server that is overloaded. */
function answerError(error: unknown, socket: Socket): ProbeError {
  const known = toProbeError(error, 'malformed-response');
  const isReset = known.errorClass === 'connection-reset';
  const message = (error as Error).message;
  if (!isReset || message !== 'socket hang up') return known;
  return new ProbeError(socket.bytesRead === 0 ? 'empty-response' : 'incomplete-response', {
    cause: error,
  });
}
