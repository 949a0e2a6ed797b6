// What the zoo's servers are made of: listeners on loopback that misbehave as told, and the kinds of probe that visit
// them. Must not know which misbehaviour has which error class.
import dgram from 'node:dgram';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import type { ProbeRequest } from '../../actors/check/types.ts';

/** How a server is visited. */
export type Visit =
  | 'http'
  | 'https'
  /** remote.http with credentials. */
  | 'auth'
  /** remote.tcp: connect only, first line, answer to a text, TLS. */
  | 'connect'
  | 'banner'
  | 'body'
  | 'tls'
  | 'dns';

/** Error class that a visit must end with; null: available. A list where a race of packets decides. */
export type Expected = string | null | readonly string[];

export interface ZooServer {
  readonly name: string;
  readonly expects: Readonly<Partial<Record<Visit, Expected>>>;
  /** Starts it; returns its port. */
  readonly start: (zoo: Zoo) => Promise<number>;
}

/** Owns every listener and socket of a zoo, so that all end together. */
export class Zoo {
  readonly #closers: (() => void)[] = [];
  readonly #sockets = new Set<net.Socket>();

  /** Registers what ends with the zoo. */
  onClose(close: () => void): void {
    this.#closers.push(close);
  }

  /** Destroys a socket with the zoo; its errors are part of the game. */
  adopt(socket: net.Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
  }

  /** Starts a TCP server; returns its port. */
  async tcp(serve: (socket: net.Socket) => void, options: net.ServerOpts = {}): Promise<number> {
    const server = net.createServer(options, (socket) => {
      this.adopt(socket);
      serve(socket);
    });
    return this.listen(server);
  }

  /** Listens on a free port of loopback. */
  async listen(server: net.Server): Promise<number> {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    this.onClose(() => server.close());
    return (server.address() as AddressInfo).port;
  }

  /** Starts a name server on UDP and TCP of one port. */
  async dns(
    udp: (query: Buffer, send: (answer: Buffer) => void) => void,
    tcp: ((query: Buffer, socket: net.Socket) => void) | null,
  ): Promise<number> {
    const port = await this.tcp((socket) => {
      socket.on('data', (data) => {
        if (tcp !== null && data.length > 2) tcp(data.subarray(2), socket);
      });
    });
    const socket = dgram.createSocket('udp4');
    socket.on('error', () => undefined);
    socket.on('message', (query, from) => {
      udp(query, (answer) => socket.send(answer, from.port, from.address, () => undefined));
    });
    socket.bind(port, '127.0.0.1');
    await once(socket, 'listening');
    this.onClose(() => socket.close());
    return port;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    for (const close of this.#closers) close();
  }
}

/** Writes without end, as fast as the other side reads. */
export function flood(socket: net.Socket, piece: Buffer): void {
  const push = (): void => {
    while (!socket.destroyed && socket.writable) if (!socket.write(piece)) return;
  };
  socket.on('drain', push);
  push();
}

/** Writes a piece every so often, without end. */
export function drip(socket: net.Socket, piece: string | Buffer, everyMs: number): void {
  const timer = setInterval(() => socket.write(piece), everyMs);
  socket.on('close', () => clearInterval(timer));
}

/** A server that answers the first bytes of each connection. */
export function answers(serve: (socket: net.Socket) => void): (zoo: Zoo) => Promise<number> {
  return (zoo) => zoo.tcp((socket) => socket.once('data', () => serve(socket)));
}

/** A server that answers with these bytes and closes. */
export function sends(bytes: string | Buffer): (zoo: Zoo) => Promise<number> {
  return answers((socket) => {
    socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    socket.end();
  });
}

/** A server that speaks first. */
export function greets(serve: (socket: net.Socket) => void): (zoo: Zoo) => Promise<number> {
  return (zoo) => zoo.tcp(serve);
}

let requests = 0;

/** Returns the request of a visit. */
export function visitOf(visit: Visit, port: number, timeoutMs: number): ProbeRequest {
  requests += 1;
  const http = (scheme: string) => ({ url: `${scheme}://127.0.0.1:${port}/`, body: 'x+' });
  const details: Record<Visit, Record<string, unknown>> = {
    http: http('http'),
    https: http('https'),
    auth: { ...http('http'), auth_user: 'u', auth_password: 'p' },
    connect: { port },
    banner: { port, banner_match: '[^ ]*' },
    body: { port, send_body: 'x\\r\\n', body_match: '.*' },
    tls: { port, ssl: true },
    dns: { port, query: 'zoo.test', record_type: 'TXT' },
  };
  const type = visit === 'dns' ? 'remote.dns' : 'remote.tcp';
  const isHttp = visit === 'http' || visit === 'https' || visit === 'auth';
  return {
    id: `zoo-${requests}`,
    zone: 'mzzoo',
    type: isHttp ? 'remote.http' : type,
    details: details[visit],
    target: '127.0.0.1',
    resolver: null,
    timeoutMs,
    debug: false,
  };
}
