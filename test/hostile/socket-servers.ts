// Hostile servers below HTTP: silence, drips, resets and closes in every phase, banners, TLS that is none or never ends.
import type net from 'node:net';
import tls from 'node:tls';
import { answers, drip, flood, greets, sends, type Zoo, type ZooServer } from './zoo-server.ts';

/** The start of a TLS record: handshake, ServerHello of 200 bytes that never come. */
const helloStart = Buffer.from([0x16, 3, 3, 0, 204, 2, 0, 0, 200, 3, 3]);
const fatalAlert = (code: number): Buffer => Buffer.from([0x15, 3, 3, 0, 2, 2, code]);
const httpStart = 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n';

const silences: readonly ZooServer[] = [
  {
    name: 'accepts and never reads',
    expects: {
      http: 'timeout',
      https: 'tls-timeout',
      tls: 'tls-timeout',
      banner: 'timeout',
      body: 'timeout',
      connect: null,
    },
    start: (zoo) => zoo.tcp((socket) => void socket.pause(), { pauseOnConnect: true }),
  },
  {
    name: 'reads and never answers',
    expects: { http: 'timeout', tls: 'tls-timeout', banner: 'timeout', body: 'timeout' },
    start: greets((socket) => void socket.resume()),
  },
  {
    name: 'one letter a second',
    // A banner that pauses is over: what came is the banner.
    expects: { http: 'timeout', tls: 'tls-timeout', banner: null, body: null },
    start: greets((socket) => {
      socket.resume();
      socket.write('H');
      drip(socket, 'T', 1000);
    }),
  },
  {
    name: 'ten letters a second',
    // The pattern is found in the first letter.
    expects: { http: 'malformed-response', banner: 'timeout', body: null },
    start: greets((socket) => {
      socket.resume();
      drip(socket, 'a', 100);
    }),
  },
];

/** A reset may come before the handshake begins. */
const early = ['tls-handshake', 'connection-reset'] as const;

const phases: readonly ZooServer[] = [
  {
    name: 'RST at once',
    expects: {
      http: 'connection-reset',
      tls: early,
      banner: ['empty-response', 'connection-reset'],
    },
    start: greets((socket) => void socket.resetAndDestroy()),
  },
  {
    name: 'RST after the request',
    expects: { http: 'connection-reset', tls: 'tls-handshake', body: 'empty-response' },
    start: answers((socket) => void socket.resetAndDestroy()),
  },
  {
    name: 'RST in the headers',
    expects: { http: ['incomplete-response', 'connection-reset'] },
    start: answers((socket) => socket.write('HTTP/1.1 200', () => socket.resetAndDestroy())),
  },
  {
    name: 'RST in the body',
    expects: { http: ['connection-reset', 'incomplete-response'] },
    start: answers((socket) => {
      socket.write(`${httpStart}x`, () => setTimeout(() => socket.resetAndDestroy(), 20));
    }),
  },
  {
    name: 'FIN at once',
    expects: { http: 'empty-response', tls: 'tls-handshake', banner: 'empty-response' },
    start: greets((socket) => void socket.end()),
  },
  {
    name: 'FIN after the request',
    expects: { http: 'empty-response', tls: 'tls-handshake', body: 'empty-response' },
    start: answers((socket) => void socket.end()),
  },
  {
    name: 'FIN in the headers',
    expects: { http: 'incomplete-response' },
    start: sends('HTTP/1.1 2'),
  },
  {
    name: 'FIN in the body',
    expects: { http: 'incomplete-response' },
    start: sends(`${httpStart}x`),
  },
  {
    name: 'whole answer, never closed',
    expects: { http: null },
    start: answers((socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx')),
  },
  {
    name: 'answers before the request, then silence',
    expects: { http: null },
    start: greets((socket) => {
      socket.resume();
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx');
    }),
  },
];

const banners: readonly ZooServer[] = [
  {
    name: 'a banner of a gigabyte',
    expects: { http: 'malformed-response', banner: null, body: null, tls: 'tls-handshake' },
    start: greets((socket) => {
      socket.resume();
      flood(socket, Buffer.alloc(65_536, 'A'));
    }),
  },
  {
    name: 'a banner of NUL bytes',
    expects: { http: 'malformed-response', banner: null, body: null, tls: 'tls-handshake' },
    start: greets((socket) => void socket.end(Buffer.alloc(4096))),
  },
  {
    name: 'a banner of terminal escapes and broken UTF-8',
    expects: { banner: null, body: null, http: 'malformed-response' },
    start: greets((socket) =>
      socket.end(Buffer.from('\x1b]0;owned\x07\x1b[2J\xc3\x28\xff\ud800"<script>\r\n', 'latin1')),
    ),
  },
  {
    name: 'newlines without end',
    // To an HTTP parser blank lines before the answer are noise of old servers; they count as headers.
    expects: { banner: null, body: null },
    start: greets((socket) => {
      socket.resume();
      flood(socket, Buffer.alloc(4096, '\n'));
    }),
  },
  {
    name: 'SMTP that multiplies its greeting',
    expects: { banner: null, body: null, http: 'malformed-response' },
    start: greets((socket) => {
      socket.resume();
      flood(socket, Buffer.from('220-more to come\r\n'.repeat(100)));
    }),
  },
];

const h2Settings = Buffer.from([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100]);
const otherProtocols: readonly ZooServer[] = [
  {
    name: 'HTTP/2 preface and SETTINGS',
    expects: { http: 'malformed-response', banner: null },
    start: greets((socket) =>
      socket.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), h2Settings])),
    ),
  },
  {
    name: 'HTTP/2 frames of garbage',
    expects: { http: 'malformed-response' },
    start: answers((socket) => socket.end(Buffer.concat([h2Settings, Buffer.alloc(500, 0xff)]))),
  },
  {
    name: 'GOAWAY',
    expects: { http: 'malformed-response' },
    start: answers((socket) => socket.end(Buffer.from([0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0]))),
  },
];

const tlsTrouble: readonly ZooServer[] = [
  {
    name: 'TLS: half a ServerHello',
    expects: { tls: 'tls-timeout', https: 'tls-timeout' },
    start: answers((socket) => socket.write(helloStart)),
  },
  {
    name: 'TLS: half a ServerHello, then FIN',
    expects: { tls: 'tls-handshake', https: 'tls-handshake' },
    start: sends(helloStart),
  },
  {
    name: 'TLS: a ServerHello that drips',
    expects: { tls: 'tls-timeout' },
    start: answers((socket) => {
      socket.write(helloStart);
      drip(socket, Buffer.from([0]), 100);
    }),
  },
  {
    name: 'TLS: garbage',
    expects: { tls: 'tls-handshake' },
    start: sends(Buffer.alloc(500, 0xaa)),
  },
  {
    name: 'TLS: plain HTTP',
    expects: { https: 'tls-handshake', tls: 'tls-handshake' },
    start: sends('HTTP/1.1 400 Bad Request\r\n\r\n'),
  },
  {
    name: 'TLS: a record of 65535 bytes',
    expects: { tls: 'tls-handshake' },
    start: answers((socket) => socket.end(Buffer.from([0x16, 3, 3, 0xff, 0xff, 2]))),
  },
  {
    name: 'TLS: records of no bytes without end',
    expects: { tls: 'tls-handshake' },
    start: answers((socket) => flood(socket, Buffer.from([0x16, 3, 3, 0, 0]))),
  },
  {
    name: 'TLS: warnings without end',
    expects: { tls: 'tls-handshake' },
    start: answers((socket) => flood(socket, Buffer.from([0x15, 3, 3, 0, 2, 1, 0x5a]))),
  },
  {
    name: 'TLS: refuses the name (SNI)',
    expects: { tls: 'tls-handshake', https: 'tls-handshake' },
    start: sends(fatalAlert(112)),
  },
  { name: 'TLS: internal error', expects: { tls: 'tls-handshake' }, start: sends(fatalAlert(80)) },
  {
    name: 'TLS: echoes the ClientHello',
    expects: { tls: 'tls-handshake' },
    start: greets((socket) => void socket.pipe(socket)),
  },
];

/** Every hostile server below HTTP that needs no certificate. */
export const socketServers: readonly ZooServer[] = [
  ...silences,
  ...phases,
  ...banners,
  ...otherProtocols,
  ...tlsTrouble,
];

interface Pair {
  readonly key: string;
  readonly cert: string;
}

/** Returns TLS servers that misbehave once the handshake is done, or do it in an old way. */
export function tlsServers(pair: Pair): readonly ZooServer[] {
  const served =
    (serve: (socket: net.Socket) => void, options: tls.TlsOptions = {}) =>
    (zoo: Zoo) => {
      const server = tls.createServer({ ...pair, ...options }, (socket) => {
        zoo.adopt(socket);
        serve(socket);
      });
      server.on('connection', (socket) => zoo.adopt(socket));
      server.on('tlsClientError', () => undefined);
      return zoo.listen(server);
    };
  const quiet = (socket: net.Socket): void => void socket.resume();
  return [
    {
      name: 'TLS: silent after the handshake',
      expects: { https: 'timeout', tls: null },
      start: served(quiet),
    },
    {
      name: 'TLS: closes after the handshake',
      expects: { https: 'empty-response', tls: null },
      start: served((socket) => void socket.end()),
    },
    {
      name: 'TLS: cuts the TCP connection after the request',
      expects: { https: 'empty-response' },
      start: served((socket) => socket.once('data', () => socket.destroy())),
    },
    {
      name: 'TLS: answers plain text inside',
      expects: { https: 'malformed-response' },
      start: served((socket) => socket.end('hello')),
    },
    {
      name: 'TLS: redirects to http',
      expects: { https: 'redirect-refused' },
      start: served((socket) =>
        socket.once('data', () =>
          socket.end('HTTP/1.1 302 F\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n'),
        ),
      ),
    },
    {
      name: 'TLS: 1.1 only',
      expects: { https: 'tls-handshake', tls: 'tls-handshake' },
      start: served(quiet, {
        minVersion: 'TLSv1',
        maxVersion: 'TLSv1.1',
        ciphers: 'DEFAULT@SECLEVEL=0',
      }),
    },
    {
      name: 'TLS: wants a client certificate (1.2)',
      expects: { https: 'tls-handshake' },
      start: served(quiet, { requestCert: true, rejectUnauthorized: true, maxVersion: 'TLSv1.2' }),
    },
    {
      name: 'TLS: wants a client certificate (1.3)',
      expects: { https: 'tls-handshake' },
      start: served(quiet, { requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' }),
    },
    {
      name: 'TLS: insists on another protocol (ALPN)',
      expects: { tls: null },
      start: served(quiet, { ALPNProtocols: ['h2'] }),
    },
    {
      name: 'TLS: renegotiates without end (1.2)',
      expects: { tls: null, https: 'timeout' },
      start: served(
        (socket) => {
          const renegotiate = (): void => {
            if (socket.destroyed) return;
            (socket as tls.TLSSocket).renegotiate({ rejectUnauthorized: false }, () => undefined);
          };
          socket.resume();
          const timer = setInterval(renegotiate, 50);
          socket.on('close', () => clearInterval(timer));
        },
        { maxVersion: 'TLSv1.2' },
      ),
    },
  ];
}
