// A client that says what it is told, well-formed or not, from any loopback address, and never waits for ever.
import { Agent, request } from 'node:http';
import net from 'node:net';
import { constants, gunzipSync } from 'node:zlib';

export interface Asked {
  readonly method: string;
  /** Path and query, as they go on the wire. */
  readonly path: string;
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string | null;
  /** Address to come from: failures are counted by address. */
  readonly from?: string;
}

export interface Answered {
  /** 0: no answer in time; -1: the connection broke. */
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  /** At most 256 KiB of it. */
  readonly text: string;
  readonly tookMs: number;
}

const answerBytesMax = 256 * 1024;
const waitMs = 20_000;
/** Live streams do not end: this much of one is enough. */
const streamMs = 150;

/** Asks a server on loopback. */
export class ApiClient {
  readonly port: number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });

  constructor(port: number) {
    this.port = port;
  }

  close(): void {
    this.#agent.destroy();
  }

  /** Resolves with what came; never rejects. Throws where Node refuses to write the request. */
  ask(asked: Asked): Promise<Answered> {
    const startedMs = performance.now();
    const body = asked.body ?? null;
    const headers: Record<string, string | number> = { ...asked.headers };
    if (typeof asked.token === 'string') headers['X-Auth-Token'] = asked.token;
    if (body !== null) headers['Content-Length'] ??= Buffer.byteLength(body);
    return new Promise((resolve) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      const end = (status: number, found: Answered['headers'] = {}): void => {
        clearTimeout(timer);
        const text = plainText(Buffer.concat(chunks), found);
        resolve({ status, headers: found, text, tookMs: performance.now() - startedMs });
      };
      const sent = request({
        host: '127.0.0.1',
        port: this.port,
        method: asked.method,
        path: asked.path,
        headers,
        ...(asked.from === undefined
          ? { agent: this.#agent }
          : { agent: false, localAddress: asked.from }),
      });
      let timer = setTimeout(() => {
        end(0);
        sent.destroy();
      }, waitMs);
      sent.on('error', () => end(-1));
      sent.on('response', (response) => {
        const { statusCode = 0, headers: found } = response;
        const done = (): void => end(statusCode, found);
        if (String(found['content-type']).includes('event-stream')) {
          clearTimeout(timer);
          timer = setTimeout(() => {
            done();
            sent.destroy();
          }, streamMs);
        }
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes <= answerBytesMax) chunks.push(chunk);
        });
        response.on('end', done);
        response.on('error', done);
      });
      sent.end(body ?? undefined);
    });
  }

  /** Sends raw bytes; resolves with what came until the server closed or 1 s passed. */
  raw(bytes: Buffer | string): Promise<string> {
    return new Promise((resolve) => {
      const socket = net.connect(this.port, '127.0.0.1');
      let text = '';
      const end = (): void => {
        clearTimeout(timer);
        socket.destroy();
        resolve(text);
      };
      const timer = setTimeout(end, 1000);
      socket.on('data', (chunk) => {
        text = (text + chunk.toString('latin1')).slice(0, answerBytesMax);
      });
      socket.on('error', end);
      socket.on('close', end);
      socket.write(bytes);
    });
  }
}

/** What is packed is unpacked: a canary would hide in it. */
function plainText(bytes: Buffer, headers: Answered['headers']): string {
  const isPacked = headers['content-encoding'] === 'gzip' && bytes.length > 0;
  return isPacked
    ? gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }).toString()
    : bytes.toString();
}

let addresses = 0;

/** Returns a loopback address that nobody came from before. */
export function freshAddress(): string {
  addresses += 1;
  return `127.66.${(addresses >> 8) & 255}.${addresses & 255}`;
}

/** Requests that no HTTP client writes. */
export const rawRequests: readonly (string | Buffer)[] = [
  'GET\r\n\r\n',
  'GET /\r\n\r\n',
  'GET / HTTP/9.9\r\n\r\n',
  'get /livez http/1.1\r\n\r\n',
  'GET /livez HTTP/1.1\r\n\r\n',
  'GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
  'GET //livez HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n',
  'GET http://evil.example/v1.0 HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n',
  'CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: a\r\n\r\n',
  'TRACE /v1.0 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  'GET /%00 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  'GET /%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  'GET /v1.0/%c3%28/limits HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  'GET /v1.0/../../etc/passwd HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  'GET /v1.0/..%2f..%2fetc%2fpasswd HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  'GET /\xff\xfe HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
  'POST /v2.0/tokens HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: a\r\n\r\n',
  'POST /v2.0/tokens HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n',
  'POST /v2.0/tokens HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
  'POST /v2.0/tokens HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n',
  'POST /v2.0/tokens HTTP/1.1\r\nHost: a\r\nExpect: 200-maybe\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}',
  'POST /v2.0/tokens HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}',
  'GET /v1.0 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
  'GET /v1.0 HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  `GET /${'a'.repeat(10_000)} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
  `GET /v1.0 HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`,
  `GET /v1.0 HTTP/1.1\r\nHost: a\r\n${'X: a\r\n'.repeat(5000)}\r\n`,
  `POST /v2.0/tokens HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\nConnection: close\r\n\r\n${'x'.repeat(1000)}`,
  'GET /livez HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(50),
  Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]),
  Buffer.alloc(4096),
  Buffer.alloc(4096, 0xff),
];
