// remote.http against real servers on loopback: metrics and status, redirects, authentication, compressed and hostile
// answers with their error classes, certificates. Every attempt must keep its deadline.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import https from 'node:https';
import type net from 'node:net';
import type { AddressInfo } from 'node:net';
import zlib from 'node:zlib';
import t, { type Test } from 'tap';
import type { ProbeRequest } from '../../actors/check/types.ts';
import { createEgress } from '../../prober/egress/dial.ts';
import { ProbeError } from '../../prober/errors.ts';
import { digestChallenge, parseChallenges } from '../../prober/probe/http-auth.ts';
import { planHttp } from '../../prober/probe/http-plan.ts';
import {
  answering,
  attempt,
  attemptPorts,
  certificate,
  closedPort,
  dripping,
  type KeyPair,
  metricsOf,
  rawServer,
} from './hostile.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

async function serve(t: Test, handler: Handler, keys?: KeyPair): Promise<number> {
  const server =
    keys === undefined ? http.createServer(handler) : https.createServer(keys, handler);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

const get = (t: Test, url: string, details: object = {}, more: Partial<ProbeRequest> = {}) =>
  attempt(t, 'remote.http', { url, ...details }, more);

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text;
}

t.test('a page: status line, metrics, matches, what was sent', async (t) => {
  const seen: IncomingMessage[] = [];
  const port = await serve(t, (request, response) => {
    seen.push(request);
    response.writeHead(request.url === '/missing' ? 404 : 200);
    response.end('all systems: operational\u0007');
  });
  const url = `http://127.0.0.1:${port}/status?x=1`;
  const answer = await get(t, url, {
    body: 'systems: (\\w+)',
    body_matches: { ok: 'oper[a-z]+', bad: 'down' },
    headers: { 'X-Probe': 'yes' },
    include_body: true,
  });
  const metrics = metricsOf(t, answer);
  t.match(answer, {
    status: /^code=200,rt=\d\.\d{3}s,bytes=25$/,
    errorClass: null,
    address: '127.0.0.1',
    debugInfo: null,
  });
  t.match(metrics, {
    code: '200',
    bytes: 25,
    truncated: 0,
    code_100: 0,
    code_200: 1,
    code_500: 0,
    body_match: 'systems: operational',
    body_match_ok: 'operational',
    body_match_bad: '',
    body: 'all systems: operational ',
  });
  t.ok(Number(metrics['duration']) >= Number(metrics['tt_firstbyte']));
  t.ok(Number(metrics['tt_firstbyte']) >= Number(metrics['tt_connect']));
  t.match(seen[0], {
    url: '/status?x=1',
    method: 'GET',
    headers: {
      host: `127.0.0.1:${port}`,
      'x-probe': 'yes',
      'accept-encoding': 'identity',
      'user-agent': 'Tocsin/test',
      connection: 'close',
    },
  });
  t.notOk(
    'metrics' in answer && answer.metrics.some((one) => one[0] === 'cert_end'),
    'no TLS, no certificate',
  );
  const missing = await get(t, `http://127.0.0.1:${port}/missing`, { body: 'x' }, { debug: true });
  t.match(metricsOf(t, missing), { code: '404', code_400: 1, body_match: '' }, '4xx is available');
  t.match(missing, { debugInfo: { body: 'all systems: operational\u0007' } });
});

t.test('methods and payloads; the payload goes to the first location only', async (t) => {
  const seen: string[] = [];
  const port = await serve(t, async (request, response) => {
    seen.push(
      `${request.method} ${request.url} ${await bodyOf(request)} ${request.headers['content-type'] ?? ''}`,
    );
    if (request.url === '/first') response.writeHead(307, { location: '/second' });
    if (request.url === '/post') response.writeHead(302, { location: 'second' });
    response.end('x');
  });
  const base = `http://127.0.0.1:${port}`;
  for (const method of ['HEAD', 'GET', 'POST', 'PUT', 'DELETE', 'INFO']) {
    const answer = await get(t, `${base}/m`, { method });
    // Node's own parser does not know INFO: its server says 400 to it, which is an answer.
    t.match(metricsOf(t, answer), { code: method === 'INFO' ? '400' : '200' }, method);
  }
  seen.length = 0;
  metricsOf(
    t,
    await get(t, `${base}/first`, {
      method: 'POST',
      payload: '{"a":1}\n',
      headers: { 'Content-Type': 'application/json' },
    }),
  );
  t.same(seen, ['POST /first {"a":1}\n application/json', 'POST /second  application/json']);
  seen.length = 0;
  metricsOf(t, await get(t, `${base}/post`, { method: 'POST', payload: 'a=1' }));
  t.same(seen, ['POST /post a=1 application/x-www-form-urlencoded', 'GET /second  ']);
});

t.test('redirects: five at most, secrets stay home, the guard runs for each', async (t) => {
  const leaked: (string | undefined)[] = [];
  const elsewhere = await serve(t, (request, response) => {
    leaked.push(request.headers.authorization, request.headers['x-secret'] as string | undefined);
    response.end('elsewhere');
  });
  const port = await serve(t, (request, response) => {
    const [, kind, count] = (request.url ?? '').split('/');
    const locations: Record<string, string> = {
      loop: `/loop/${Number(count) + 1}`,
      chain: Number(count) > 0 ? `/chain/${Number(count) - 1}` : '',
      metadata: 'http://169.254.169.254/latest/meta-data',
      file: 'file:///etc/passwd',
      bad: 'http://[',
      elsewhere: `http://127.0.0.1:${elsewhere}/`,
    };
    const location = locations[kind ?? ''] ?? '';
    if (location !== '') response.writeHead(302, { location });
    response.end();
  });
  const base = `http://127.0.0.1:${port}`;
  t.match(metricsOf(t, await get(t, `${base}/chain/5`)), { code: '200' });
  t.match(await get(t, `${base}/chain/6`), { available: false, errorClass: 'redirect-loop' });
  t.match(await get(t, `${base}/loop/0`), {
    available: false,
    errorClass: 'redirect-loop',
    metrics: [],
  });
  t.match(await get(t, `${base}/metadata`), {
    available: false,
    errorClass: 'target-not-allowed',
    status: "prevented by ACL 'global'",
    address: null,
  });
  t.match(await get(t, `${base}/file`), { errorClass: 'redirect-refused' });
  t.match(await get(t, `${base}/bad`), { errorClass: 'redirect-refused' });
  t.match(metricsOf(t, await get(t, `${base}/loop/0`, { follow_redirects: false })), {
    code: '302',
    code_300: 1,
  });
  const secrets = { auth_user: 'u', auth_password: 'p', headers: { 'X-Secret': 's' } };
  t.match(metricsOf(t, await get(t, `${base}/elsewhere`, secrets)), { code: '200' });
  t.same(leaked, [undefined, undefined], 'neither credentials nor own headers cross origins');
});

t.test('authentication: Basic at once, Digest with SHA-256 before MD5', async (t) => {
  const seen: string[] = [];
  const hash = (name: string, text: string) => createHash(name).update(text).digest('hex');
  const port = await serve(t, (request, response) => {
    const authorization = request.headers.authorization ?? '';
    seen.push(authorization.split(' ')[0] ?? '');
    if (request.url === '/basic') {
      response.writeHead(
        authorization === `Basic ${Buffer.from('üser:p:w').toString('base64')}` ? 200 : 401,
      );
      response.end();
      return;
    }
    const name = request.url === '/md5' ? 'md5' : 'sha256';
    const algorithm = name === 'md5' ? 'MD5' : 'SHA-256';
    const field = (key: string) =>
      new RegExp(`\\b${key}="?([^",]+)"?`).exec(authorization)?.[1] ?? '';
    const ha1 = hash(name, 'üser:the "realm":p:w');
    const ha2 = hash(name, `GET:${request.url}`);
    const expected = hash(name, `${ha1}:n0nce:${field('nc')}:${field('cnonce')}:auth:${ha2}`);
    if (authorization.startsWith('Digest ') && field('response') === expected) {
      response.end('welcome');
      return;
    }
    const more = name === 'md5' ? '' : ', Digest realm="x", nonce="y", algorithm=MD5';
    response.writeHead(401, {
      'www-authenticate': `Basic realm="b", Digest realm="the \\"realm\\"", qop="auth,auth-int", algorithm=${algorithm}, nonce="n0nce", opaque="o"${more}`,
    });
    response.end();
  });
  const secrets = { auth_user: 'üser', auth_password: 'p:w' };
  const base = `http://127.0.0.1:${port}`;
  t.match(metricsOf(t, await get(t, `${base}/basic`, secrets)), { code: '200' });
  t.same(seen, ['Basic'], 'one request');
  seen.length = 0;
  t.match(metricsOf(t, await get(t, `${base}/sha`, secrets)), { code: '200' });
  t.match(metricsOf(t, await get(t, `${base}/md5`, secrets)), { code: '200' });
  t.same(seen, ['Basic', 'Digest', '', 'Digest'], 'the password is not offered in the clear again');
  t.match(metricsOf(t, await get(t, `http://%C3%BCser:p%3Aw@127.0.0.1:${port}/sha`)), {
    code: '200',
  });
  t.match(metricsOf(t, await get(t, `${base}/sha`, { auth_user: 'x', auth_password: 'y' })), {
    code: '401',
  });
  t.equal(digestChallenge('Digest realm="a", nonce="n", qop="auth-int"'), null);
  t.equal(parseChallenges('Negotiate, Basic realm="x", , Digest a=b').length, 3);
});

t.test('compressed answers are inflated under caps', async (t) => {
  const text = 'needle '.concat('hay '.repeat(300));
  const encodings: Record<string, [string, Buffer]> = {
    gzip: ['gzip', zlib.gzipSync(text)],
    deflate: ['deflate', zlib.deflateSync(text)],
    raw: ['deflate', zlib.deflateRawSync(text)],
    br: ['br', zlib.brotliCompressSync(text)],
    identity: ['identity', Buffer.from(text)],
    two: ['gzip, gzip', zlib.gzipSync(zlib.gzipSync(text))],
    strange: ['zstd', Buffer.from(text)],
    broken: ['gzip', Buffer.from('this is not gzip at all')],
    short: ['gzip', zlib.gzipSync(text).subarray(0, 20)],
    bomb: ['gzip', zlib.gzipSync(Buffer.alloc(50_000_000))],
    long: [
      'gzip',
      zlib.gzipSync(
        Buffer.from(
          Array.from({ length: 6_000_000 }, (_, i) => ((i * i) >> 7) & (i % 8 === 0 ? 255 : 3)),
        ),
      ),
    ],
  };
  const port = await serve(t, (request, response) => {
    const [encoding, bytes] = encodings[(request.url ?? '').slice(1)] ?? ['', Buffer.alloc(0)];
    response.writeHead(200, { 'content-encoding': encoding });
    response.end(bytes);
  });
  const ask = (name: string) => get(t, `http://127.0.0.1:${port}/${name}`, { body: 'needle' });
  for (const name of ['gzip', 'deflate', 'raw', 'br', 'identity']) {
    t.match(metricsOf(t, await ask(name)), { body_match: 'needle', bytes: text.length }, name);
  }
  for (const name of ['two', 'strange']) {
    t.match(await ask(name), {
      errorClass: 'unknown-encoding',
      status: 'unknown content encoding',
    });
  }
  for (const name of ['broken', 'short'])
    t.match(await ask(name), { errorClass: 'malformed-encoding' });
  const before = process.memoryUsage().rss;
  for (let i = 0; i < 20; i += 1) {
    t.match(await ask('bomb'), { errorClass: 'decompression-bomb', status: 'zlib: out-of-memory' });
  }
  t.ok(process.memoryUsage().rss - before < 100e6, 'a bomb costs no memory');
  t.match(await ask('long'), { errorClass: /body-limit|decompression-bomb/ });
});

t.test('hostile answers have a precise class each', async (t) => {
  const ok = 'HTTP/1.1 200 OK\r\n';
  const table: readonly (readonly [string, Promise<number>, object])[] = [
    [
      'closes at once',
      rawServer(t, (socket) => socket.once('data', () => socket.end())),
      { errorClass: 'empty-response' },
    ],
    [
      'resets',
      rawServer(t, (socket) => socket.once('data', () => socket.resetAndDestroy())),
      { errorClass: 'connection-reset', status: 'connection reset by peer' },
    ],
    ['no HTTP', answering(t, 'SSH-2.0-OpenSSH_9.2\r\n'), { errorClass: 'malformed-response' }],
    ['bad status line', answering(t, 'HTTP/9.9 abc\r\n\r\n'), { errorClass: 'malformed-response' }],
    [
      'bad header',
      answering(t, `${ok}bad header\u0000: x\r\n\r\n`),
      { errorClass: 'malformed-response' },
    ],
    [
      'two lengths',
      answering(t, `${ok}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx`),
      { errorClass: 'malformed-response' },
    ],
    [
      'bad chunk',
      answering(t, `${ok}Transfer-Encoding: chunked\r\n\r\nzz\r\nfoo`),
      { errorClass: 'malformed-response' },
    ],
    [
      'huge chunk extension',
      answering(
        t,
        `${ok}Transfer-Encoding: chunked\r\n\r\n1;${'x'.repeat(20_000)}\r\na\r\n0\r\n\r\n`,
      ),
      { errorClass: /header-overflow|malformed-response/ },
    ],
    ['cut header', answering(t, 'HTTP/1.1 200 OK\r\nA: b'), { errorClass: 'incomplete-response' }],
    [
      'cut body',
      answering(t, `${ok}Content-Length: 100\r\n\r\nshort`),
      { errorClass: 'incomplete-response' },
    ],
    [
      'cut chunk',
      answering(t, `${ok}Transfer-Encoding: chunked\r\n\r\n5\r\nab`),
      { errorClass: 'incomplete-response' },
    ],
    [
      'huge header',
      answering(t, `${ok}X: ${'y'.repeat(20_000)}\r\n\r\n`),
      { errorClass: 'header-overflow' },
    ],
    [
      'many headers',
      answering(t, `${ok}${'X: y\r\n'.repeat(20_000)}\r\n`),
      { errorClass: 'header-overflow' },
    ],
    [
      'endless 1xx',
      answering(t, 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(100), 'silence'),
      { errorClass: 'header-overflow' },
    ],
    [
      'silence',
      rawServer(t, (socket) => socket.on('data', () => undefined)),
      { errorClass: 'timeout', status: 'timeout' },
    ],
    ['header drip', dripping(t, ok, 'X-A: b\r\n', 20), { errorClass: 'timeout' }],
    [
      'body drip',
      dripping(t, `${ok}Content-Length: 9999\r\n\r\n`, 'x', 20),
      { errorClass: 'timeout' },
    ],
    [
      'chunk drip',
      dripping(t, `${ok}Transfer-Encoding: chunked\r\n\r\n`, '1\r\nx\r\n', 20),
      { errorClass: 'timeout' },
    ],
    [
      'closed port',
      closedPort(),
      { errorClass: 'connection-refused', status: 'connection refused' },
    ],
  ];
  await Promise.all(
    table.map(async ([name, port, expected]) => {
      const answer = await get(
        t,
        `http://127.0.0.1:${await port}/`,
        { body: 'x' },
        { timeoutMs: 700 },
      );
      t.match(answer, { outcome: 'observed', available: false, metrics: [], ...expected }, name);
    }),
  );
});

t.test('odd but complete answers are available', async (t) => {
  const ok = 'HTTP/1.1 200 OK\r\n';
  const table: readonly (readonly [string, Promise<number>, object])[] = [
    ['until close', answering(t, `${ok}\r\nuntil the end`), { bytes: 13, body_match: 'end' }],
    ['HTTP/1.0', answering(t, 'HTTP/1.0 200 OK\r\n\r\nend'), { body_match: 'end' }],
    [
      '1xx before',
      answering(t, `HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${ok}Content-Length: 3\r\n\r\nend`),
      { code: '200', body_match: 'end' },
    ],
    [
      'switching',
      answering(
        t,
        'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n',
        'silence',
      ),
      { code: '101', code_100: 1 },
    ],
    [
      'chunks',
      answering(
        t,
        `${ok}Transfer-Encoding: chunked\r\n\r\n3\r\nthe\r\n4\r\n end\r\n0\r\nX: y\r\n\r\n`,
        'silence',
      ),
      { bytes: 7, body_match: 'end' },
    ],
    ['endless', dripping(t, `${ok}\r\n`, 'x'.repeat(200_000), 5), { truncated: 1 }],
    [
      'long',
      answering(t, `${ok}Content-Length: 3000000\r\n\r\n${'x'.repeat(3_000_000)}`),
      { truncated: 3_000_000 - 1024 * 1024 },
    ],
    [
      'no body',
      answering(t, 'HTTP/1.1 204 No Content\r\n\r\n', 'silence'),
      { code: '204', bytes: 0 },
    ],
  ];
  for (const [name, port, expected] of table) {
    const answer = await get(
      t,
      `http://127.0.0.1:${await port}/`,
      { body: 'end' },
      { timeoutMs: 3000 },
    );
    t.match(metricsOf(t, answer), expected, name);
  }
});

t.test('what must not reach a wire or a parser is refused', async (t) => {
  const url = 'http://127.0.0.1:1/';
  const table: readonly (readonly [object, RegExp])[] = [
    [{ url: 'http://127.0.0.1/\r\nX: y' }, /control character in url/],
    [{ url: 'file:///etc/passwd' }, /only http and https/],
    [{ url: 'gopher://127.0.0.1/' }, /only http and https/],
    [{ url: 'nonsense' }, /not a URL/],
    [{}, /url: is required/],
    [{ url, method: 'CONNECT' }, /method/],
    [{ url, headers: { Host: 'other' } }, /host is not allowed/],
    [{ url, headers: { 'Transfer-Encoding': 'chunked' } }, /transfer-encoding/],
    [{ url, headers: { 'Proxy-Authorization': 'x' } }, /proxy-authorization/],
    [{ url, headers: { 'X Y': 'x' } }, /bad header name/],
    [{ url, headers: { X: 'a\r\nB: c' } }, /control character/],
    [{ url, auth_user: 'a\nb', auth_password: 'x' }, /control character/],
    [{ url, body: '(' }, /not a regular expression/],
    [{ url, body: 'x'.repeat(256) }, /longer than 255/],
    [{ url, body_matches: { 'a.b': 'x' } }, /bad key/],
    [{ url, body_matches: { a: '1', b: '2', c: '3', d: '4', e: '5' } }, /more than 4/],
    [{ url, follow_redirects: 'maybe' }, /boolean/],
  ];
  for (const [details, message] of table) {
    const answer = await attempt(t, 'remote.http', { ...details });
    t.match(answer, {
      outcome: 'observed',
      available: false,
      errorClass: 'invalid-request',
      status: message,
    });
  }
  t.throws(() => planHttp({ url: 5 }), ProbeError);
});

t.test('a hostile expression neither holds the loop nor calls the target down', async (t) => {
  const port = await serve(t, (_request, response) => response.end('a'.repeat(100_000)));
  let lateMs = 0;
  let lastMs = performance.now();
  const watch = setInterval(() => {
    lateMs = Math.max(lateMs, performance.now() - lastMs - 5);
    lastMs = performance.now();
  }, 5);
  t.teardown(() => clearInterval(watch));
  const url = `http://127.0.0.1:${port}/`;
  metricsOf(t, await get(t, url, { body: 'a{3}' }, { timeoutMs: 20_000 }));
  lateMs = 0;
  const hostile = await get(t, url, { body: '(.*a){100}' }, { timeoutMs: 20_000 });
  t.match(hostile, { outcome: 'failed', failure: 'internal', message: /took too long/ });
  t.ok(lateMs < 150, `the loop was held for ${Math.round(lateMs)} ms`);
  t.match(
    metricsOf(t, await get(t, url, { body: 'a{3}' }, { timeoutMs: 20_000 })),
    { body_match: 'aaa' },
    'the pool is well again',
  );
});

t.test('https: not verified for availability, but told', async (t) => {
  const url = (port: number) => `https://localhost:${port}/`;
  const local = { target: 'localhost' };
  const good = await serve(t, (_request, response) => response.end('hi'), certificate(t, 30));
  const metrics = metricsOf(t, await get(t, url(good), {}, local));
  t.match(metrics, {
    code: '200',
    cert_subject: '/O=Tocsin/CN=localhost',
    cert_issuer: '/O=Tocsin/CN=localhost',
    cert_error: 'DEPTH_ZERO_SELF_SIGNED_CERT',
    cert_bits: 256,
    cert_type: 'ec',
    cert_sig_algo: 'ecdsa-with-SHA256',
    ssl_session_version: 'TLSv1.3',
    cert_subject_alternative_names: 'localhost',
  });
  t.ok(Math.abs(Number(metrics['cert_end_in']) - 30 * 86_400) < 3600);
  t.equal(Number(metrics['cert_end']) - Number(metrics['cert_start']), 30 * 86_400);
  const expired = await serve(t, (_request, response) => response.end('hi'), certificate(t, -1));
  const old = metricsOf(t, await get(t, url(expired), {}, local));
  t.ok(Number(old['cert_end_in']) < 0);
  t.match(old['cert_error'], /EXPIRED|SELF_SIGNED/);
  t.match(
    metricsOf(t, await get(t, `https://127.0.0.1:${good}/`)),
    { code: '200' },
    'no SNI for literals',
  );
  const keys = certificate(t, 30);
  const downgrade = await serve(
    t,
    (_request, response) => {
      response.writeHead(302, { location: 'http://localhost/' });
      response.end();
    },
    keys,
  );
  t.match(await get(t, url(downgrade), {}, local), { errorClass: 'redirect-refused' });
  const plain = await answering(t, 'HTTP/1.1 400 Bad Request\r\n\r\n');
  t.match(await get(t, url(plain), {}, local), { errorClass: 'tls-handshake' });
  const silent = await rawServer(t, (socket) => socket.on('data', () => undefined));
  t.match(await get(t, url(silent), {}, { ...local, timeoutMs: 300 }), {
    errorClass: 'tls-timeout',
  });
  const half = await rawServer(t, (socket) =>
    socket.once('data', () => socket.end('\u0016\u0003\u0003')),
  );
  t.match(await get(t, url(half), {}, local), { errorClass: 'tls-handshake' });
});

t.test('egress verifies certificates for notifications', async (t) => {
  const keys = certificate(t, 30);
  const port = await serve(t, (_request, response) => response.end('hi'), keys);
  const egress = createEgress({ preset: 'local' });
  const options = { host: 'localhost', port, purpose: 'notify', timeoutMs: 2000 } as const;
  await t.rejects(egress.connect({ ...options, tls: {} }), {
    name: 'ProbeError',
    message: 'tls handshake failed',
  });
  const { socket } = await egress.connect({ ...options, tls: { ca: keys.cert } });
  t.match(socket, { authorized: true });
  socket.destroy();
});

t.test('bodies of private targets that an operator allowed are not returned', async (t) => {
  const port = await serve(t, (_request, response) => response.end('internal secret'));
  const ports = attemptPorts({
    egress: createEgress({ preset: 'public', allow: ['127.0.0.0/8'] }),
  });
  const details = { url: `http://127.0.0.1:${port}/`, include_body: true, body: 'secret' };
  const answer = await attempt(t, 'remote.http', details, { debug: true }, ports);
  const metrics = metricsOf(t, answer);
  t.match(metrics, { body_match: 'secret' });
  t.notOk('body' in metrics);
  t.match(answer, { debugInfo: null });
});

t.test('IPv6 where it is asked for', async (t) => {
  const server = http.createServer((_request, response) => response.end('six'));
  server.on('error', () => undefined);
  server.listen(0, '::1');
  const isUp = await Promise.race([
    once(server, 'listening').then(() => true),
    once(server, 'error').then(() => false),
  ]);
  if (!isUp) {
    t.comment('no IPv6 on this machine');
    return;
  }
  t.teardown(() => server.close());
  const { port } = server.address() as net.AddressInfo;
  const literal = await get(t, `http://[::1]:${port}/`, {}, { target: '::1' });
  t.match(literal, { address: '::1', available: true });
});

t.test('a thousand hostile answers leave nothing behind', async (t) => {
  const ports = await Promise.all([
    answering(t, 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort'),
    answering(t, `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`),
    answering(t, 'garbage'),
    answering(t, `HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(2_000_000)}`),
  ]);
  const round = (count: number) =>
    Promise.all(
      Array.from({ length: count }, (_, i) =>
        attempt(
          t,
          'remote.http',
          { url: `http://127.0.0.1:${ports[i % ports.length]}/` },
          { timeoutMs: 20_000 },
        ),
      ),
    );
  await round(200);
  const before = process.memoryUsage().rss;
  for (let i = 0; i < 16; i += 1) await round(50);
  const grownMb = (process.memoryUsage().rss - before) / 1e6;
  t.ok(grownMb < 150, `memory grew by ${Math.round(grownMb)} MB`);
});
