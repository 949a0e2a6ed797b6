// The channels against real receivers on loopback: HTTP(S) servers that behave badly, an SMTP server, no gateway at all.
// Signatures are checked by an implementation of their own, and by the vector of Standard Webhooks.
import { createHmac } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';
import t, { type Test } from 'tap';
import type { Egress } from '../../actors/notify/egress.ts';
import type { SmtpSettings } from '../../actors/notify/email.ts';
import { createNotifier, type NotifierOptions } from '../../actors/notify/notifier.ts';
import type { NotifiedBody } from '../../actors/notify/render.ts';
import { webhookSignature } from '../../actors/notify/webhook.ts';
import type { NotificationDoc } from '../../actors/resources.ts';
import { createEgress } from '../../prober/egress/dial.ts';
import { actorKey } from '../../runtime/ids.ts';
import type { DeliveryResult } from '../../runtime/ports.ts';
import { bodyFor, channel, signingSecret } from './notify-body.ts';
import { selfSigned } from './self-signed.ts';

const egress: Egress = createEgress({ preset: 'local' });
const identity = selfSigned();
const key = actorKey('t1/enA');
const atMs = 1_700_000_123_456;

interface Seen {
  readonly headers: http.IncomingHttpHeaders;
  readonly url: string;
  readonly body: string;
}

/** Starts a receiver; returns its base URL and what it saw. */
async function receiver(
  t: Test,
  answer: (request: http.IncomingMessage, response: http.ServerResponse) => void,
  secure = false,
): Promise<{ url: string; seen: Seen[] }> {
  const seen: Seen[] = [];
  const listener = (request: http.IncomingMessage, response: http.ServerResponse): void => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => {
      body += chunk;
    });
    request.on('end', () => {
      seen.push({ headers: request.headers, url: request.url ?? '', body });
      answer(request, response);
    });
  };
  const server = secure ? https.createServer(identity, listener) : http.createServer(listener);
  server.on('connection', (socket: net.Socket) => socket.on('error', () => socket.destroy()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `${secure ? 'https' : 'http'}://127.0.0.1:${port}`, seen };
}

async function rawReceiver(t: Test, onSocket: (socket: net.Socket) => void): Promise<string> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function deliver(
  notification: NotificationDoc,
  options: Partial<NotifierOptions> = {},
  over: Partial<NotifiedBody> = {},
  signal: AbortSignal = new AbortController().signal,
): Promise<DeliveryResult> {
  const notifier = createNotifier({ egress, smtp: null, timeoutMs: 5_000, ...options });
  const body = bodyFor(notification, over);
  const intent = { id: 'cafe01', alarm: 'alTest', n: 1, channel: notification.id, atMs, body };
  return notifier.deliver(key, intent, { attempt: 1, atMs, signal });
}

const webhook = (url: string) => channel('webhook', { url });

t.test('a webhook carries the token, the payload and a signature that verifies', async (t) => {
  const { url, seen } = await receiver(t, (_, response) => response.end('ok'));
  const result = await deliver(webhook(`${url}/hook?a=1`));
  t.same(result, { delivered: true, message: 'Success: Webhook successfully executed' });
  const [post] = seen;
  t.equal(post?.url, '/hook?a=1');
  t.match(post?.headers, {
    'content-type': 'application/json',
    'x-rackspace-webhook-token': 'token-of-the-account',
    'webhook-id': 'cafe01',
    'webhook-timestamp': '1700000123',
    'user-agent': 'Tocsin',
    host: new URL(url).host,
  });
  const secret = Buffer.from(signingSecret.slice('whsec_'.length), 'base64');
  const signed = createHmac('sha256', secret)
    .update(`cafe01.1700000123.${post?.body}`)
    .digest('base64');
  t.equal(post?.headers['webhook-signature'], `v1,${signed}`);
  t.equal(JSON.parse(post?.body ?? '').details.state, 'WARNING');
  await deliver(webhook(url.replace('http://', 'http://us%65r:p%40ss@')));
  const basic = Buffer.from('user:p@ss').toString('base64');
  t.equal(seen[1]?.headers.authorization, `Basic ${basic}`);
  t.equal(seen[1]?.body, post?.body, 'the body is the same on every attempt');
});

t.test('the vector of Standard Webhooks verifies', (t) => {
  const body = '{"event_type":"ping","data":{"success":true}}';
  t.equal(
    webhookSignature(signingSecret, 'msg_loFOjxBNrRLzqYUf', 1_731_705_121, body),
    'v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=',
  );
  t.end();
});

const expected = (status: number) =>
  `Unexpected status code "${status}". Expected one of: /2[0-9]{2}/`;

t.test('the status line decides', async (t) => {
  const cases: [number, Record<string, string>, DeliveryResult][] = [
    [204, {}, { delivered: true, message: 'Success: Webhook successfully executed' }],
    [404, {}, { delivered: false, message: expected(404) }],
    [500, { 'retry-after': '7' }, { delivered: false, message: expected(500) }],
    [410, {}, { delivered: false, message: expected(410), final: true }],
    [429, {}, { delivered: false, message: expected(429) }],
    [
      429,
      { 'retry-after': '120' },
      { delivered: false, message: expected(429), retryAfterMs: 120_000 },
    ],
    [429, { 'retry-after': 'soon' }, { delivered: false, message: expected(429) }],
    [
      503,
      { 'retry-after': new Date(Math.floor(atMs / 1_000) * 1_000 + 60_000).toUTCString() },
      { delivered: false, message: expected(503), retryAfterMs: 60_000 - (atMs % 1_000) },
    ],
    [
      503,
      { 'retry-after': '999999999' },
      { delivered: false, message: expected(503), retryAfterMs: 21_600_000 },
    ],
    [
      503,
      { 'retry-after': new Date(0).toUTCString() },
      { delivered: false, message: expected(503), retryAfterMs: 0 },
    ],
  ];
  for (const [status, headers, outcome] of cases) {
    const { url } = await receiver(t, (_, response) => response.writeHead(status, headers).end());
    t.same(await deliver(webhook(url)), outcome, `${status} ${JSON.stringify(headers)}`);
  }
});

t.test('a redirect is a failure and is never followed', async (t) => {
  const target = await receiver(t, (_, response) => response.end());
  for (const status of [301, 302, 303, 307, 308]) {
    const { url } = await receiver(t, (_, response) =>
      response.writeHead(status, { location: target.url }).end(),
    );
    t.same(await deliver(webhook(url)), { delivered: false, message: expected(status) });
  }
  t.equal(target.seen.length, 0);
});

t.test('a receiver that drips its answer costs one deadline, no more', async (t) => {
  let timer: NodeJS.Timeout | undefined;
  t.teardown(() => clearInterval(timer));
  const url = await rawReceiver(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n');
    timer = setInterval(() => socket.destroyed || socket.write('x-drip: 1\r\n'), 50);
  });
  const started = performance.now();
  const result = await deliver(webhook(url), { timeoutMs: 600 });
  t.same(result, { delivered: false, message: 'ETIMEDOUT, No answer within 0.6 seconds' });
  t.ok(performance.now() - started < 3_000);
});

t.test('a slow or giant body changes nothing, and is cut off', async (t) => {
  let closed: () => void = () => undefined;
  const wasCut = new Promise<void>((resolve) => {
    closed = resolve;
  });
  const giant = await receiver(t, (_, response) => {
    response.on('close', closed);
    const more = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      response.once('drain', more);
    };
    more();
  });
  t.match(await deliver(webhook(giant.url)), { delivered: true });
  await wasCut;
  const slow = await receiver(t, (_, response) => response.write('never ends'));
  t.match(await deliver(webhook(slow.url)), { delivered: true });
});

t.test('broken answers are failures with a reason', async (t) => {
  const closing = await rawReceiver(t, (socket) => socket.once('data', () => socket.end()));
  const garbage = await rawReceiver(t, (socket) =>
    socket.once('data', () => socket.end('SSH-2.0-x\r\n')),
  );
  const giant = await rawReceiver(t, (socket) =>
    socket.once('data', () => socket.write(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(200_000)}\r\n\r\n`)),
  );
  const upgrading = await rawReceiver(t, (socket) =>
    socket.once('data', () =>
      socket.write('HTTP/1.1 101 S\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'),
    ),
  );
  const free = await rawReceiver(t, () => undefined);
  t.match(await deliver(webhook(closing)), {
    delivered: false,
    message: /ECONNRESET|hang up|closed/,
  });
  t.match(await deliver(webhook(garbage)), {
    delivered: false,
    message: /^HPE_\w+, Malformed response$/,
  });
  t.match(await deliver(webhook(giant)), {
    delivered: false,
    message: 'HPE_HEADER_OVERFLOW, Response headers are too large',
  });
  t.match(await deliver(webhook(upgrading), { timeoutMs: 1_000 }), { delivered: false });
  const silent = await deliver(webhook(free), { timeoutMs: 300 });
  t.match(silent, { delivered: false, message: /^ETIMEDOUT/ });
  t.match(await deliver(webhook('http://127.0.0.1:1/')), {
    delivered: false,
    message: 'ECONNREFUSED, Connection refused',
  });
  t.match(await deliver(webhook('ftp://127.0.0.1/')), { delivered: false, message: 'Invalid URL' });
  t.match(await deliver(webhook('not a url')), { delivered: false, message: 'Invalid URL' });
});

t.test('an aborted attempt ends at once', async (t) => {
  const url = await rawReceiver(t, () => undefined);
  const abort = new AbortController();
  const result = deliver(webhook(url), {}, {}, abort.signal);
  setImmediate(() => abort.abort(new Error('the node stops')));
  t.same(await result, { delivered: false, message: 'the node stops' });
  t.match(await deliver(webhook(url), {}, {}, AbortSignal.abort(new Error('stopped'))), {
    delivered: false,
  });
});

t.test('denied targets are failures that name no address', async (t) => {
  const self = new URL((await receiver(t, (_, response) => response.end())).url);
  const guarded = createEgress({
    preset: 'local',
    self: { host: '127.0.0.1', port: Number(self.port) },
  });
  const result = await deliver(webhook(self.href), { egress: guarded });
  t.equal(result.delivered, false);
  t.notMatch(result.message, /127\.0\.0\.1/);
  t.match(await deliver(webhook('http://169.254.169.254/latest')), {
    delivered: false,
    message: "prevented by ACL 'global'",
  });
});

t.test('certificates are verified', async (t) => {
  const { url, seen } = await receiver(t, (_, response) => response.end(), true);
  t.match(await deliver(webhook(url)), {
    delivered: false,
    message: /Self-signed certificate|verify/,
  });
  t.equal(seen.length, 0, 'nothing was sent');
  t.match(await deliver(webhook(url), { ca: identity.cert }), { delivered: true });
  const { port } = new URL(url);
  t.match(await deliver(webhook(`https://localhost:${port}/`), { ca: identity.cert }), {
    delivered: true,
  });
});

t.test('pagerduty and victorops get their events at their endpoints', async (t) => {
  const { url, seen } = await receiver(t, (_, response) => response.writeHead(202).end());
  const pager = channel('pagerduty', {
    service_key: 'k1',
    service_endpoint: `${url}/create_event.json`,
  });
  t.match(await deliver(pager), { delivered: true, message: 'Success: PagerDuty event sent' });
  t.match(JSON.parse(seen[0]?.body ?? ''), { service_key: 'k1', event_type: 'trigger' });
  const victor = channel('victorops', { api_key: 'a1', routing_key: 'r.1' });
  t.match(await deliver(victor, { victoropsEndpoint: `${url}/alert` }), { delivered: true });
  t.equal(seen[1]?.url, '/alert/a1/r.1');
  t.match(JSON.parse(seen[1]?.body ?? ''), { message_type: 'WARNING', monitoring_tool: 'Tocsin' });
});

t.test('types without a gateway fail finally and say so', async (t) => {
  for (const type of ['sms', 'managed', 'atomHopper'] as const) {
    t.match(await deliver(channel(type)), {
      delivered: false,
      final: true,
      message: /has no .* gateway/,
    });
  }
  t.match(await deliver(channel('email', { address: 'a@example.org' })), {
    delivered: false,
    message: /No mail server is configured/,
  });
});

t.test('the notifier never throws, and isolates receivers', async (t) => {
  const broken: Egress = { connect: () => Promise.reject(new TypeError('bug')) };
  t.same(await deliver(webhook('http://example.org'), { egress: broken }), {
    delivered: false,
    message: 'bug',
  });
  const notifier = createNotifier({ egress, smtp: null });
  const odd = { id: 'x', alarm: 'a', n: 1, channel: 'c', atMs, body: null };
  const delivery = { attempt: 1, atMs, signal: new AbortController().signal };
  t.match(await notifier.deliver(key, odd, delivery), { delivered: false, final: true });
  t.equal(notifier.receiverOf(odd), 'unknown:c');
  const named = (notification: NotificationDoc) =>
    notifier.receiverOf({ ...odd, body: bodyFor(notification) });
  t.equal(named(webhook('https://a.example:8443/x')), 'webhook:t1/ntOne@a.example:8443');
  t.equal(named(channel('email', { address: 'a@b.org' })), 'email:t1/ntOne');
});

t.test('an attempt uses the newer version of its channel where the node knows one', (t) => {
  const older = webhook('https://a.example/x');
  const receiverWith = (known: NotificationDoc | null) =>
    createNotifier({ egress, smtp: null, newest: () => known }).receiverOf({
      ...{ id: 'x', alarm: 'a', n: 1, channel: 'c', atMs, body: bodyFor(older) },
    });
  const moved = { ...older, details: { url: 'https://b.example/x' } };
  t.equal(receiverWith({ ...moved, updated_at: 2 }), 'webhook:t1/ntOne@b.example');
  t.equal(receiverWith({ ...moved, updated_at: 0 }), 'webhook:t1/ntOne@a.example', 'an older copy');
  t.equal(receiverWith(null), 'webhook:t1/ntOne@a.example', 'it was deleted');
  t.end();
});

t.test('a test notification has placeholder objects and tells how it went', async (t) => {
  const { url, seen } = await receiver(t, (request, response) =>
    response.writeHead(request.url === '/no' ? 404 : 200).end(),
  );
  const notifier = createNotifier({ egress, smtp: null });
  const account = {
    id: 'ac1',
    metadata: null,
    webhook_token: 'tttttttttt',
    signing_secret: signingSecret,
    technical_contacts: [],
  };
  const request = { tenant: 't1', account, id: 'beef', txnId: '.rh-t', atMs };
  const { signal } = new AbortController();
  const good = await notifier.deliverTest({ ...request, notification: webhook(url) }, signal);
  t.same(good, { status: 'success', message: 'Success: Webhook successfully executed' });
  t.match(JSON.parse(seen[0]?.body ?? ''), {
    entity: { id: 'enTest' },
    check: { id: 'chTest' },
    alarm: { id: 'alTest' },
  });
  const bad = await notifier.deliverTest(
    { ...request, notification: webhook(`${url}/no`) },
    signal,
  );
  t.same(bad, { status: 'error', message: expected(404) });
});

interface Mail {
  readonly from: string;
  readonly to: readonly string[];
  readonly ehlo: string;
  readonly secure: boolean;
  readonly user: unknown;
  readonly text: string;
}

/** Starts a mail server that refuses recipients at `refused.example`. */
async function mailServer(
  t: Test,
  options: { secure?: boolean; noStartTls?: boolean; stall?: boolean } = {},
): Promise<{ smtp: SmtpSettings; mails: Mail[] }> {
  const mails: Mail[] = [];
  const server = new SMTPServer({
    ...identity,
    secure: options.secure === true,
    hideSTARTTLS: options.noStartTls === true,
    disabledCommands: options.noStartTls === true ? ['STARTTLS'] : [],
    authOptional: true,
    onAuth: (auth, _, done) => done(null, { user: auth.username }),
    onRcptTo: ({ address }, _, done) =>
      done(address.endsWith('@refused.example') ? new Error('no such user') : null),
    onData: (stream, session, done) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope;
        mails.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map((one) => one.address),
          ehlo: String(session.hostNameAppearsAs),
          secure: session.secure,
          user: session.user ?? null,
          text: Buffer.concat(chunks).toString('utf8'),
        });
        if (options.stall !== true) done(null);
      });
    },
  });
  server.on('error', () => undefined);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  t.teardown(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const { port } = server.server.address() as AddressInfo;
  const from = 'Tocsin Watch <watch@mail.example>';
  const smtp = {
    host: '127.0.0.1',
    port,
    secure: options.secure === true,
    from,
    ca: identity.cert,
  };
  return { smtp, mails };
}

function decoded(mail: Mail | undefined): { head: string; text: string } {
  const [head = '', body = ''] = (mail?.text ?? '').split('\r\n\r\n');
  return { head, text: Buffer.from(body, 'base64').toString('utf8') };
}

const mailTo = (address: string) => channel('email', { address });

t.test(
  'a mail goes out over STARTTLS to one recipient, with a Message-ID from the id',
  async (t) => {
    const { smtp, mails } = await mailServer(t);
    const settings = { ...smtp, user: 'u', password: 'p' };
    const result = await deliver(
      mailTo('ops@example.org'),
      { smtp: settings },
      { status: 'ärger — größer' },
    );
    t.same(result, { delivered: true, message: 'Success: Email successfully sent' });
    const [mail] = mails;
    t.match(mail, {
      from: 'watch@mail.example',
      to: ['ops@example.org'],
      ehlo: 'mail.example',
      secure: true,
      user: 'u',
    });
    const { head, text } = decoded(mail);
    t.match(head, /^Message-ID: <cafe01@mail\.example>$/im);
    t.match(head, /^Subject: \*\* WARNING: Test check on Test entity \*\*$/m);
    t.match(head, /^Content-Transfer-Encoding: base64$/m);
    t.match(head, /^Auto-Submitted: auto-generated$/m);
    t.match(head, /^From: "?Tocsin Watch"? <watch@mail\.example>$/m);
    t.notMatch(head, /^List-|^X-Mailer/im);
    t.match(text, /Status: ärger — größer/);
    const again = await deliver(mailTo('ops@example.org'), {
      smtp: { ...smtp, ehloName: 'fixed.example' },
    });
    t.ok(again.delivered);
    t.equal(mails[1]?.ehlo, 'fixed.example');
    t.match(
      decoded(mails[1]).head,
      /^Message-ID: <cafe01@mail\.example>$/im,
      'the same on every attempt',
    );
  },
);

t.test('without trust in the certificate or without STARTTLS no mail leaves', async (t) => {
  const { ca: _, ...untrusted } = (await mailServer(t)).smtp;
  t.match(await deliver(mailTo('a@example.org'), { smtp: untrusted }), {
    delivered: false,
    message: /self-signed|certificate/i,
  });
  const plain = await mailServer(t, { noStartTls: true });
  t.match(await deliver(mailTo('a@example.org'), { smtp: plain.smtp }), { delivered: false });
  t.equal(plain.mails.length, 0);
  const allowed = { ...plain.smtp, requireTls: false };
  t.match(await deliver(mailTo('a@example.org'), { smtp: allowed }), { delivered: true });
  t.equal(plain.mails[0]?.secure, false);
  const implicit = await mailServer(t, { secure: true });
  t.match(await deliver(mailTo('a@example.org'), { smtp: implicit.smtp }), { delivered: true });
  t.equal(implicit.mails[0]?.secure, true);
});

t.test('no text of a tenant becomes a recipient or a header', async (t) => {
  const { smtp, mails } = await mailServer(t);
  const attacks = [
    'a@example.org, b@example.org',
    'team: a@example.org, b@example.org;',
    'a@example.org\r\nBcc: b@example.org',
    'a@example.org>\r\nRCPT TO:<b@example.org',
    '"a@example.org" <b@example.org>',
    'a@example.org\u0000',
  ];
  for (const address of attacks) {
    t.same(await deliver(mailTo(address), { smtp }), {
      delivered: false,
      message: 'Invalid email',
      final: true,
    });
  }
  t.equal(mails.length, 0);
  const label = 'x\r\nBcc: evil@example.org\r\n\r\nbody\u2028';
  const body = bodyFor(mailTo('a@example.org'));
  const over = {
    entity: { ...body.entity, label },
    check: { ...body.check, label },
    status: label,
  };
  t.ok((await deliver(mailTo('a@example.org'), { smtp }, over)).delivered);
  t.same(mails[0]?.to, ['a@example.org']);
  t.notMatch(decoded(mails[0]).head, /^Bcc:/im);
  const sender = { ...smtp, from: 'x\r\nBcc: e@example.org <a@example.org>' };
  t.match(await deliver(mailTo('a@example.org'), { smtp: sender }), {
    delivered: false,
    message: /smtp\.from/,
  });
  const host = { ...smtp, ehloName: 'x\r\nMAIL FROM:<e@example.org>' };
  t.ok((await deliver(mailTo('a@example.org'), { smtp: host })).delivered);
  t.equal(mails[1]?.ehlo, 'localhost');
});

t.test(
  'technical contacts get one mail each; a retry writes only to those without one',
  async (t) => {
    const { smtp, mails } = await mailServer(t);
    const contacts = channel('technicalContactsEmail');
    const notifier = createNotifier({ egress, smtp, timeoutMs: 5_000 });
    const to = (technical_contacts: readonly string[]) => {
      const body = bodyFor(contacts, { technical_contacts });
      const intent = { id: 'cafe02', alarm: 'a', n: 1, channel: 'c', atMs, body };
      return notifier.deliver(key, intent, {
        attempt: 1,
        atMs,
        signal: new AbortController().signal,
      });
    };
    t.match(await to([]), { delivered: false, final: true, message: /no technical contacts/ });
    const list = ['a@example.org', 'b@refused.example', 'c@example.org'];
    t.match(await to(list), { delivered: false, message: /b@refused\.example: .*no such user/ });
    t.match(await to(list), { delivered: false });
    t.same(
      mails.map((one) => one.to),
      [['a@example.org'], ['c@example.org']],
    );
    t.ok((await to(['a@example.org', 'c@example.org'])).delivered);
    t.equal(mails.length, 2);
  },
);

t.test('a mail server that stalls costs one deadline', async (t) => {
  const { smtp } = await mailServer(t, { stall: true });
  const result = await deliver(mailTo('a@example.org'), { smtp, timeoutMs: 700 });
  t.same(result, { delivered: false, message: 'Mail server did not answer within 0.7 seconds' });
  const dead = await deliver(mailTo('a@example.org'), { smtp: { ...smtp, port: 1 } });
  t.match(dead, { delivered: false, message: /Mail server: .*refused/i });
});
