// What goes over the wire, byte by byte where old clients are strict: headers, chunks, lenient bodies, refusals of what is no
// request, CORS, JSONP, gzip, limits, and answers while the store is down.
import { get } from 'node:https';
import { connect } from 'node:net';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import t from 'tap';
import { createTenant } from '../../api/tenant-create.ts';
import { ownChange } from '../../api/token-issue.ts';
import { TocsinError } from '../../runtime/errors.ts';
import { selfSigned } from '../actors/self-signed.ts';
import { call, make, type Stack, startStack } from './stack.ts';

interface RawReply {
  readonly status: number;
  readonly head: string;
  readonly body: string;
  readonly bytes: Buffer;
}

/** Sends bytes and returns what comes until the server closes. */
function raw(stack: Stack, text: string): Promise<RawReply> {
  const { hostname, port } = new URL(stack.url);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(Number(port), hostname, () => socket.write(text));
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer')));
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', reject);
    socket.on('close', () => {
      const bytes = Buffer.concat(chunks);
      const at = bytes.indexOf('\r\n\r\n');
      const head = bytes.subarray(0, at).toString();
      resolve({
        status: Number(head.split(' ')[1]),
        head,
        body: bytes.subarray(at + 4).toString(),
        bytes: bytes.subarray(at + 4),
      });
    });
  });
}

function request(
  stack: Stack,
  method: string,
  path: string,
  lines: readonly string[] = [],
  body = '',
) {
  const { host } = new URL(stack.url);
  const head = [
    `${method} ${path} HTTP/1.1`,
    `Host: ${host}`,
    `X-Auth-Token: ${stack.admin.token}`,
    'Connection: close',
    ...lines,
  ];
  return raw(stack, `${head.join('\r\n')}\r\n\r\n${body}`);
}

const stack = await startStack();
t.teardown(() => stack.close());
const base = `/v1.0/${stack.admin.tenantId}`;

t.test('a GET is chunked and carries the headers of the original', async (t) => {
  const { status, head } = await request(stack, 'GET', `${base}/entities`);
  t.equal(status, 200);
  for (const line of [
    /^X-RateLimit-Limit: \d+$/m,
    /^X-RateLimit-Remaining: \d+$/m,
    /^X-RateLimit-Used: \d+$/m,
    /^X-RateLimit-Window: 24 hours$/m,
    /^X-RateLimit-Type: global$/m,
    /^X-Response-Id: \.rh-\w{4}\.h-node1\.r-\w{8}\.c-\d+\.ts-\d+\.v-1\.0\.0$/m,
    /^X-LB: node1$/m,
    /^Vary: Accept-Encoding$/m,
    /^Transfer-Encoding: chunked$/m,
    /^Content-Type: application\/json; charset=UTF-8$/m,
    /^Date: /m,
  ]) {
    t.match(head.replaceAll('\r', ''), line);
  }
  t.notMatch(head, /content-length/i);
});

t.test('201 and 204 have no body, and say so', async (t) => {
  const body = '{"label":"raw"}';
  const lines = ['Content-Type: application/json; charset=UTF-8', `Content-Length: ${body.length}`];
  const created = await request(stack, 'POST', `${base}/entities`, lines, body);
  const id = /^X-Object-ID: (\w+)\r$/m.exec(created.head)?.[1] ?? '';
  t.equal(created.status, 201);
  t.match(created.head, /^Content-Length: 0\r$/m);
  t.match(created.head, /^Content-Type: text\/plain\r$/m);
  t.match(created.head, new RegExp(`^Location: ${stack.url}${base}/entities/${id}\r$`, 'm'));
  const removed = await request(stack, 'DELETE', `${base}/entities/${id}`, [
    'Content-Type: application/json',
    'Content-Length: 0',
  ]);
  t.equal(removed.status, 204);
  t.match(removed.head, /^Content-Length: 0\r$/m);
  t.match(removed.head, /^Content-Type: text\/plain\r$/m);
  t.equal(removed.body, '');
});

t.test('links name the host of the request, never a forwarded one', async (t) => {
  const body = '{"label":"host"}';
  const text = [
    `POST ${base}/entities HTTP/1.1`,
    'Host: watch.example:8443',
    'X-Forwarded-Host: evil.example',
    'X-Forwarded-Proto: https',
    `X-Auth-Token: ${stack.admin.token}`,
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n');
  const { head } = await raw(stack, text);
  t.match(head, /^Location: http:\/\/watch\.example:8443\/v1\.0\//m);
});

t.test('odd bodies of old clients never give a 400', async (t) => {
  const entity = await make(stack, '/entities', { label: 'odd' });
  const json = ['Content-Type: application/json', 'Content-Length: 2'];
  t.equal((await request(stack, 'GET', `${base}/entities/${entity}`, json, '{}')).status, 200);
  t.equal((await request(stack, 'GET', `${base}/entities`, ['Content-Length: 0'])).status, 200);
  t.equal(
    (await request(stack, 'GET', `${base}/entities`, ['Content-Type: application/json'])).status,
    200,
  );
  t.equal((await request(stack, 'DELETE', `${base}/entities/${entity}`, json, '{}')).status, 204);
  const test = `${base}/notifications/ntTechnicalContactsEmail/test`;
  t.equal((await request(stack, 'POST', test, json, '""')).status, 200);
  t.equal((await request(stack, 'POST', test, ['Content-Length: 0'])).status, 200);
  const put = await request(stack, 'PUT', `${base}/account`, json, '""');
  t.equal(put.status, 204);
  const noType = await request(
    stack,
    'POST',
    `${base}/entities`,
    ['Content-Length: 13'],
    '{"label":"n"}',
  );
  t.equal(noType.status, 201, 'a body without a type is taken for JSON');
});

t.test('the content type is JSON, or the body is refused; nothing passes unread', async (t) => {
  const types = [
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/jsonx',
    'application/json x',
    'multipart/form-data; boundary=a',
  ];
  for (const type of types) {
    const reply = await call(stack, 'POST', '/entities', {
      body: '{"label":"n"}',
      headers: { 'Content-Type': type },
    });
    t.equal(reply.status, 415, type);
    t.match(reply.body, { type: 'unsupportedMediaTypeError', code: 415, txnId: String });
  }
  const characters = fc.constantFrom(...'aj/; =\t-xo"\u00e4');
  const mutation = fc.tuple(
    fc.nat(16),
    fc.string({ unit: characters, maxLength: 4 }),
    fc.constantFrom('application/json', 'Application/JSON;charset=utf-8'),
  );
  await fc.assert(
    fc.asyncProperty(mutation, async ([at, inserted, type]) => {
      const mutated = type.slice(0, at) + inserted + type.slice(at);
      const answer = await stack.api.app.inject({
        method: 'POST',
        url: `${base}/entities`,
        headers: { 'x-auth-token': stack.admin.token, 'content-type': mutated },
        payload: '{"label":""}',
      });
      // 400: the label was validated; 415: nothing was read.
      return (
        answer.statusCode === 415 ||
        (answer.statusCode === 400 && answer.json().message.includes('label'))
      );
    }),
    { numRuns: 150 },
  );
});

t.test('bodies are bounded in bytes, depth and items', async (t) => {
  const big = await call(stack, 'POST', '/entities', { body: { label: 'x'.repeat(300_000) } });
  t.match(big.body, { type: 'requestTooLargeError', code: 413 });
  const nested = `{"label":"n","metadata":${'{"a":'.repeat(40)}1${'}'.repeat(40)}}`;
  t.match((await call(stack, 'POST', '/entities', { body: nested })).body, {
    code: 400,
    message: /nested/,
  });
  const deep = `{"a":${'['.repeat(60_000)}${']'.repeat(60_000)}}`;
  t.equal((await call(stack, 'POST', '/entities', { body: deep })).status, 400);
  const long = { label: 'a', critical_state: new Array(1_001).fill('x') };
  t.match((await call(stack, 'POST', '/notification_plans', { body: long })).body, {
    message: /1000 items/,
  });
  const proto = await call(stack, 'POST', '/entities', {
    body: '{"label":"p","__proto__":{"id":"x"},"metadata":{"__proto__":"a"}}',
  });
  t.equal(proto.status, 201);
  const bom = await call(stack, 'POST', '/entities', { body: '\ufeff{"label":"bom"}' });
  t.equal(bom.status, 201);
});

t.test('what is no request is answered in the shape of all errors', async (t) => {
  const garbage = await raw(stack, 'NONSENSE\r\n\r\n');
  t.equal(garbage.status, 400);
  t.match(JSON.parse(garbage.body), { type: 'badRequest', code: 400, txnId: /^\.rh/ });
  const huge = await request(stack, 'GET', `${base}/entities`, [`X-Big: ${'y'.repeat(20_000)}`]);
  t.equal(huge.status, 431);
  t.match(JSON.parse(huge.body), { type: 'requestTooLargeError', code: 431 });
  const long = await call(stack, 'GET', `/entities?a=${'z'.repeat(9_000)}`);
  t.equal(long.status, 414);
  t.match(long.body, { type: 'requestTooLargeError' });
});

t.test('OPTIONS needs no token and tells what the original told', async (t) => {
  for (const path of [`${base}/entities`, '/nothing', '/v2.0/tokens']) {
    const { status, head } = await raw(
      stack,
      `OPTIONS ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
    );
    t.equal(status, 204);
    for (const line of [
      'Access-Control-Allow-Origin: *',
      'Access-Control-Allow-Methods: POST, GET, PUT, DELETE, OPTIONS',
      'Access-Control-Max-Age: 86400',
      'Access-Control-Allow-Headers: X-Auth-Token, Content-Type, Accept',
      'Access-Control-Allow-Credentials: true',
      'Access-Control-Expose-Headers: X-Response-Id, WWW-Authenticate',
    ]) {
      t.ok(head.includes(line), line);
    }
  }
  const cross = await call(stack, 'GET', '/entities', { headers: { Origin: 'https://x.example' } });
  t.equal(cross.headers.get('access-control-allow-origin'), '*');
});

t.test('JSONP takes the token from the query, for GET with a callback only', async (t) => {
  const token = encodeURIComponent(stack.admin.token);
  const reply = await call(stack, 'GET', `/limits?X-Auth-Token=${token}&jsonp=my.cb_1`, {
    token: null,
  });
  t.equal(reply.status, 200);
  t.match(reply.headers.get('content-type'), /^application\/javascript/);
  t.match(reply.text, /^my\.cb_1\(\{.*\}\)$/);
  t.equal((await call(stack, 'GET', `/limits?X-Auth-Token=${token}`, { token: null })).status, 401);
  const evil = await call(stack, 'GET', `/limits?X-Auth-Token=${token}&jsonp=alert(1)//`, {
    token: null,
  });
  t.equal(evil.status, 400);
  t.notMatch(evil.text, /alert/);
  const page = await call(stack, 'GET', `/check_types?limit=1&jsonp=cb&X-Auth-Token=${token}`, {
    token: null,
  });
  t.notMatch(page.text, new RegExp(stack.admin.token), 'no link repeats the token');
});

t.test('gzip is used where it is taken and worth it', async (t) => {
  const zipped = await request(stack, 'GET', '/openapi.json', ['Accept-Encoding: gzip, deflate']);
  t.match(zipped.head, /^Content-Encoding: gzip\r$/m);
  const plain = await request(stack, 'GET', '/openapi.json');
  t.notMatch(plain.head, /content-encoding/i);
  const refused = await request(stack, 'GET', '/openapi.json', ['Accept-Encoding: gzip;q=0']);
  t.notMatch(refused.head, /content-encoding/i);
  const small = await request(stack, 'GET', `${base}/limits`, ['Accept-Encoding: gzip']);
  t.notMatch(small.head, /content-encoding/i);
  t.equal(JSON.parse(gunzipSync(dechunked(zipped.bytes)).toString()).openapi, '3.1.0');
});

function dechunked(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const end = bytes.indexOf('\r\n', at);
    const length = Number.parseInt(bytes.subarray(at, end).toString(), 16);
    if (!(length > 0)) return Buffer.concat(parts);
    parts.push(bytes.subarray(end + 2, end + 2 + length));
    at = end + 2 + length + 2;
  }
}

t.test('a tenant with a colon works plain, escaped and in capitals', async (t) => {
  const change = ownChange('t1', 'test', '/test');
  const tenant = 'hybrid:000000';
  await createTenant(stack.ports, { tenant, label: 'h', limits: stack.ports.tenantLimits, change });
  const token = await stack.token(['admin'], tenant);
  for (const spelled of [tenant, 'hybrid%3A000000', 'HYBRID:000000']) {
    const reply = await call(stack, 'POST', `/v1.0/${spelled}/entities`, {
      token,
      body: { label: 'a' },
    });
    t.equal(reply.status, 201, spelled);
    t.match(reply.headers.get('location'), /\/v1\.0\/hybrid:000000\/entities\/en/);
  }
});

t.test('the page, its files and their guard', async (t) => {
  const web = new Map([
    ['/', { type: 'text/html; charset=utf-8', bytes: Buffer.from('<!doctype html>') }],
    [
      '/page.js',
      { type: 'text/javascript; charset=utf-8', bytes: Buffer.from('1;'.repeat(2_000)) },
    ],
  ]);
  const own = await startStack({ web });
  t.teardown(() => own.close());
  const page = await call(own, 'GET', '/', { token: null, headers: { Accept: 'text/html,*/*' } });
  t.equal(page.text, '<!doctype html>');
  t.match(page.headers.get('content-security-policy'), /require-trusted-types-for 'script'/);
  t.equal(page.headers.get('x-content-type-options'), 'nosniff');
  t.equal(page.headers.get('cross-origin-opener-policy'), 'same-origin');
  const tag = page.headers.get('etag') ?? '';
  const again = await call(own, 'GET', '/', {
    token: null,
    headers: { Accept: 'text/html', 'If-None-Match': tag },
  });
  t.equal(again.status, 304);
  const discovered = await call(own, 'GET', '/', {
    token: null,
    headers: { Accept: 'application/json' },
  });
  t.match(discovered.body, { versions: [{ id: 'v1.0' }] });
  const script = await fetch(`${own.url}/page.js`);
  t.equal((await script.text()).length, 4_000);
  t.equal((await fetch(`${own.url}/../package.json`)).status, 404);
  t.equal((await fetch(`${own.url}/page.js%00`)).status, 404);
});

t.test('health says what is missing; metrics are text', async (t) => {
  let ready = false;
  const own = await startStack({
    ports: () => ({ health: () => ({ live: true, ready, reasons: ready ? [] : ['loading'] }) }),
  });
  t.teardown(() => own.close());
  t.match(await call(own, 'GET', '/readyz', { token: null }), {
    status: 503,
    body: { reasons: ['loading'] },
  });
  ready = true;
  t.equal((await call(own, 'GET', '/readyz', { token: null })).status, 200);
  t.equal((await call(own, 'GET', '/livez', { token: null })).status, 200);
  t.match((await call(own, 'GET', '/metrics', { token: null })).text, /tocsin_api_requests_total/);
});

t.test('under contract limits the rates of v1.0 hold, by class', async (t) => {
  const own = await startStack({ mode: 'contract' });
  t.teardown(() => own.close());
  let last = await call(own, 'POST', '/test-notification', { body: {} });
  t.equal(last.headers.get('x-ratelimit-limit'), '200');
  for (let n = 1; n < 200; n++) last = await call(own, 'POST', '/test-notification', { body: {} });
  t.equal(last.status, 400);
  t.equal(last.headers.get('x-ratelimit-remaining'), '0');
  const refused = await call(own, 'POST', '/test-notification', { body: {} });
  t.equal(refused.status, 429);
  t.match(refused.body, { type: 'rateLimitReached', code: 429 });
  t.ok(Number(refused.headers.get('reply-after')) > 80_000);
  t.equal(refused.headers.get('retry-after'), refused.headers.get('reply-after'));
  t.equal((await call(own, 'GET', '/entities')).status, 200, 'other classes go on');
  const limits = (await call(own, 'GET', '/limits')).body;
  t.same(limits.rate.test_notification, { limit: 200, used: 200, window: '24 hours' });
  t.match(limits, {
    resource: { checks: 1000, alarms: 10_000 },
    rate: { global: { limit: 50_000 } },
  });
});

t.test(
  'an actor that cannot answer is a 503 to repeat; a broken one a 500 that tells nothing',
  async (t) => {
    let fault: Error | null = null;
    const own = await startStack({
      ports: (ports) => ({
        router: {
          ask: (key, message, options) =>
            fault === null ? ports.router.ask(key, message, options) : Promise.reject(fault),
        },
      }),
    });
    t.teardown(() => own.close());
    const codes: readonly [string, boolean, number, string][] = [
      ['RT_DEADLINE', true, 503, 'systemFailureError'],
      ['RT_COMMIT_FAILED', true, 503, 'systemFailureError'],
      ['RT_QUARANTINED', false, 503, 'systemFailureError'],
      ['RT_STEP_FAILED', false, 500, 'internalError'],
      ['RT_BAD_KEY', false, 404, 'notFoundError'],
    ];
    for (const [code, retryable, status, type] of codes) {
      fault = new TocsinError(code, 'secret inner words', { retryable });
      const reply = await call(own, 'GET', '/usage');
      t.match(reply.body, { code: status, type, txnId: String }, code);
      t.notMatch(reply.text, /secret inner words/);
      t.equal(reply.headers.has('retry-after'), status === 503, code);
    }
    fault = new Error('a bug');
    const reply = await call(own, 'GET', '/usage');
    t.match(reply.body, { code: 500, type: 'internalError', message: 'Internal error' });
    const logged = own.logs.find((line) => line.fields['txnId'] === reply.body.txnId);
    t.match(logged?.fields, { reason: 'a bug', status: 500 });
  },
);

t.test('a gone store gives 503, and refused changes are answered all the same', async (t) => {
  let down = false;
  const gone = () => Promise.reject(new TocsinError('ST_UNAVAILABLE', 'down', { retryable: true }));
  const own = await startStack({
    ports: (ports) => ({
      accounts: { ...ports.accounts, user: (name) => (down ? gone() : ports.accounts.user(name)) },
      history: {
        append: (rows) => (down ? gone() : ports.history.append(rows)),
        page: (query) => (down ? gone() : ports.history.page(query)),
        get: (table, partition, id) => ports.history.get(table, partition, id),
        after: (query) => ports.history.after(query),
      },
    }),
  });
  t.teardown(() => own.close());
  down = true;
  t.equal((await call(own, 'GET', '/entities')).status, 200, 'known tokens go on working');
  const audits = await call(own, 'GET', '/audits');
  t.match(audits.body, { code: 503, type: 'systemFailureError' });
  const body = { auth: { passwordCredentials: { username: 'admin', password: 'x' } } };
  const login = await call(own, 'POST', '/v2.0/tokens', { body, token: null });
  t.equal(login.status, 503);
  t.ok(login.headers.has('retry-after'));
  t.match(login.body, { serviceUnavailable: { code: 503 }, type: 'systemFailureError' });
  const refused = await call(own, 'POST', '/entities', { body: {} });
  t.equal(refused.status, 400);
  t.ok(own.logs.some((line) => line.event === 'api.audit_lost'));
});

t.test('sockets of one address are capped', async (t) => {
  const own = await startStack({ limits: { connectionsPerAddressMax: 2 } });
  t.teardown(() => own.close());
  const { hostname, port } = new URL(own.url);
  const open = [1, 2].map(() => connect(Number(port), hostname));
  t.teardown(() => open.map((socket) => socket.destroy()));
  await Promise.all(
    open.map((socket) => new Promise((resolve) => socket.once('connect', resolve))),
  );
  await new Promise<void>((resolve) => {
    const third = connect(Number(port), hostname);
    third.on('error', () => undefined);
    third.once('close', () => resolve());
  });
  t.pass('the third was closed');
});

t.test('with a certificate the API speaks TLS, and links say https', async (t) => {
  const { key, cert } = selfSigned();
  const own = await startStack({ ports: () => ({ tls: { key, cert } }) });
  t.teardown(() => own.close());
  t.match(own.url, /^https:\/\/127\.0\.0\.1:\d+$/);
  const text = await new Promise<string>((resolve, reject) => {
    get(`${own.url}/`, { ca: cert }, (answer) => {
      let body = '';
      answer.on('data', (chunk) => {
        body += chunk;
      });
      answer.on('end', () => resolve(body));
    }).on('error', reject);
  });
  t.match(JSON.parse(text).links[0].href, `${own.url}/v2.0/tokens`);
});
