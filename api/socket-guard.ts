// What happens below HTTP requests: caps on sockets, and answers to bytes that are no request (431, 408, 400).
// Must not know routes.
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { errorBody } from './error-answer.ts';
import { ApiError } from './errors.ts';
import type { ApiPorts } from './ports.ts';
import { jsonType } from './respond.ts';

/** Caps open sockets of the node and of one address; what is above is closed at once and counted. */
export function capConnections(server: Server, ports: ApiPorts): void {
  const open = new Map<string, number>();
  server.maxConnections = ports.limits.connectionsMax;
  server.on('drop', () => ports.meter.count('api_connections_refused', 1));
  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? '';
    const count = (open.get(address) ?? 0) + 1;
    open.set(address, count);
    socket.once('close', () => {
      const left = (open.get(address) ?? 1) - 1;
      if (left <= 0) open.delete(address);
      else open.set(address, left);
    });
    if (count <= ports.limits.connectionsPerAddressMax) return;
    ports.meter.count('api_connections_refused', 1);
    socket.destroy();
  });
}

/** Answers what could not be parsed as a request, in the API's error shape, and closes. */
export function answerClientError(
  error: NodeJS.ErrnoException,
  socket: Socket,
  newTxnId: () => string,
): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const { status, reason, fault } = faultOf(error.code ?? '');
  const txnId = newTxnId();
  const body = JSON.stringify(errorBody(fault, txnId));
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\nContent-Type: ${jsonType}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
      `X-Response-Id: ${txnId}\r\nConnection: close\r\n\r\n${body}`,
  );
}

function faultOf(code: string): {
  readonly status: number;
  readonly reason: string;
  readonly fault: ApiError;
} {
  if (code === 'HPE_HEADER_OVERFLOW') {
    const message = 'The headers are too large';
    const fault = new ApiError('requestTooLargeError', message, { status: 431 });
    return { status: 431, reason: 'Request Header Fields Too Large', fault };
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    const fault = new ApiError('requestTimeout', 'The request did not come in time', {
      status: 408,
    });
    return { status: 408, reason: 'Request Timeout', fault };
  }
  const fault = new ApiError('badRequest', 'The request is not valid HTTP');
  return { status: 400, reason: 'Bad Request', fault };
}
