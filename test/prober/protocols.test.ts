// remote.tcp, remote.dns, remote.ping against real servers on loopback; decoders under random bytes; the self-test that
// stands between an unanswered probe and "target down"; the queue.
import { execFileSync } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { ProbeAnswer, ProbeRequest } from '../../actors/check/types.ts';
import { createDispatcher } from '../../prober/dispatch.ts';
import { createDestinationLimit } from '../../prober/egress/destination-limit.ts';
import { ProbeError } from '../../prober/errors.ts';
import { signatureAlgorithm } from '../../prober/probe/certificate.ts';
import {
  decodeAnswer,
  encodeQuery,
  queryName,
  recordTypes,
} from '../../prober/probe/dns-packet.ts';
import { echoPacket, internetChecksum } from '../../prober/probe/icmp-socket.ts';
import { parsePingOutput } from '../../prober/probe/ping-program.ts';
import { createPinger, type Pinger } from '../../prober/probe/pinger.ts';
import { checkTypesSupported } from '../../prober/probe/registry.ts';
import { createSelfTest, parseAnchors } from '../../prober/self-test.ts';
import { cleanText, statusText, unescapeSendText } from '../../prober/text.ts';
import {
  attempt,
  attemptPorts,
  certificate,
  closedPort,
  dripping,
  metricsOf,
  rawServer,
} from './hostile.ts';

t.test('remote.tcp: connect, banner, send, body, named groups', async (t) => {
  const received: string[] = [];
  const port = await rawServer(t, (socket) => {
    socket.write('220 mail.test ESMTP ready\u0007\r\nmore');
    socket.on('data', (data) => {
      received.push(data.toString('latin1'));
      socket.write('250-hello\r\n250 version=7.1 duration=9\r\n');
    });
  });
  const tcp = (details: object) => attempt(t, 'remote.tcp', { port, ...details });
  const plain = await tcp({});
  t.match(plain, { status: 'success', address: '127.0.0.1', errorClass: null });
  t.same(Object.keys(metricsOf(t, plain)), ['duration', 'tt_connect']);
  const banner = metricsOf(t, await tcp({ port: `0${port}`, banner_match: 'mail\\.\\w+' }));
  t.match(banner, { banner: '220 mail.test ESMTP ready ', banner_match: 'mail.test' });
  t.ok('tt_firstbyte' in banner);
  const whole = metricsOf(
    t,
    await tcp({
      banner_match: '^220',
      send_body: 'EHLO \\x41\\r\\n',
      body_match: 'version=(?P<version>[0-9.]+) duration=(?P<duration>\\d)',
    }),
  );
  t.match(whole, { body_match: 'version=7.1 duration=9', version: '7.1' });
  t.not(whole['duration'], '9', 'a group never replaces a metric of the check');
  t.same(received, ['EHLO A\r\n']);
  t.match(metricsOf(t, await tcp({ banner_match: 'nope', send_body: 'x', body_match: 'y' })), {
    banner_match: '',
    body_match: '',
  });
  t.equal(received.length, 1, 'nothing is sent after a banner that does not match');
  t.match(metricsOf(t, await tcp({ body_match: 'never there' })), { body_match: '' });
  metricsOf(t, await tcp({ send_body: 'QUIT\\r\\n' }));
  while (!received.includes('QUIT\r\n')) await new Promise((resolve) => setTimeout(resolve, 5));
  t.pass('text is sent without a body to match');
});

t.test('remote.tcp: hostile servers and bad details', async (t) => {
  const silent = await rawServer(t, (socket) => socket.on('data', () => undefined));
  const closing = await rawServer(t, (socket) => socket.end());
  const endless = await rawServer(t, (socket) => {
    const write = () => {
      while (socket.writable && socket.write('x'.repeat(65_536)));
    };
    socket.on('drain', write);
    write();
  });
  const drip = await dripping(t, '', 'x', 20);
  const ask = (port: number, details: object = {}) =>
    attempt(t, 'remote.tcp', { port, ...details }, { timeoutMs: 600 });
  t.match(await ask(silent, { banner_match: 'x' }), { available: false, errorClass: 'timeout' });
  t.match(await ask(closing, { banner_match: 'x' }), {
    available: false,
    errorClass: 'empty-response',
  });
  t.match(
    metricsOf(t, await ask(endless, { banner_match: '^x+$' })),
    { banner: 'x'.repeat(80) },
    '1 GB banner',
  );
  t.match(metricsOf(t, await ask(endless, { body_match: 'y' })), { body_match: '' });
  t.match(await ask(drip, { banner_match: 'y' }), { outcome: 'observed' });
  t.match(await ask(await closedPort()), {
    errorClass: 'connection-refused',
    status: 'connection refused',
  });
  t.match(await ask(0), { errorClass: 'invalid-request' });
  t.match(await ask(silent, { send_body: 'a\r\nb' }), {
    errorClass: 'invalid-request',
    status: /control character/,
  });
  t.match(await ask(silent, { banner_match: '[' }), { errorClass: 'invalid-request' });
  t.same(unescapeSendText('a\\r\\n\\x00\\\\n\\q', 'x'), Buffer.from('a\r\n\0\\n\\q'));
});

t.test('remote.tcp over TLS reports the certificate', async (t) => {
  const server = tls.createServer(certificate(t, 30), (socket) => {
    socket.on('error', () => undefined);
    socket.write('* OK IMAP4 ready\r\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const details = { port, ssl: 'true', banner_match: 'IMAP4' };
  t.match(metricsOf(t, await attempt(t, 'remote.tcp', details)), {
    banner_match: 'IMAP4',
    cert_subject: '/O=Tocsin/CN=localhost',
  });
  const plain = await rawServer(t, (socket) => socket.write('220 no TLS here\r\n'));
  t.match(await attempt(t, 'remote.tcp', { ...details, port: plain }), {
    errorClass: 'tls-handshake',
  });
});

/** Encodes a name without compression. */
const name = (text: string) =>
  Buffer.concat([
    ...text
      .split('.')
      .map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)])),
    Buffer.from([0]),
  ]);

const u16 = (...numbers: number[]) => {
  const bytes = Buffer.alloc(numbers.length * 2);
  numbers.forEach((value, i) => {
    bytes.writeUInt16BE(value, i * 2);
  });
  return bytes;
};

/** Answers a query with this data for its type. */
function dnsReply(query: Buffer, data: readonly Buffer[], flags = 0x8180): Buffer {
  const question = query.subarray(12);
  const type = question.readUInt16BE(question.length - 4);
  const records = data.map((bytes) =>
    Buffer.concat([u16(0xc00c, type, 1, 0, 300, bytes.length), bytes]),
  );
  return Buffer.concat([
    query.subarray(0, 2),
    u16(flags, 1, records.length, 0, 0),
    question,
    ...records,
  ]);
}

async function dnsServer(
  t: Test,
  reply: (query: Buffer, isTcp: boolean) => Buffer | null,
): Promise<number> {
  const tcp = net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (data) => {
      const answer = reply(data.subarray(2), true);
      if (answer === null) return;
      const framed = Buffer.concat([u16(answer.length), answer]);
      socket.write(framed.subarray(0, 3));
      setImmediate(() => socket.write(framed.subarray(3)));
    });
  });
  tcp.listen(0, '127.0.0.1');
  await once(tcp, 'listening');
  const { port } = tcp.address() as AddressInfo;
  const udp = dgram.createSocket('udp4');
  udp.on('message', (query, remote) => {
    const answer = reply(query, false);
    if (answer !== null) udp.send(answer, remote.port, remote.address);
  });
  udp.bind(port, '127.0.0.1');
  await once(udp, 'listening');
  t.teardown(() => {
    udp.close();
    tcp.close();
  });
  return port;
}

t.test('remote.dns: every record type, over UDP and over TCP', async (t) => {
  const answers: Record<number, readonly Buffer[]> = {
    [recordTypes.A]: [Buffer.from([10, 1, 2, 3]), Buffer.from([10, 1, 2, 4])],
    [recordTypes.AAAA]: [Buffer.from('20010db8000000000000000000000001', 'hex')],
    [recordTypes.TXT]: [Buffer.from('\u0003abc\u0003def')],
    [recordTypes.MX]: [Buffer.concat([u16(10), name('mx.test')])],
    [recordTypes.SOA]: [
      Buffer.concat([name('ns.test'), name('root.test'), u16(0, 7, 0, 1, 0, 2, 0, 3, 0, 4)]),
    ],
  };
  const expected: Record<string, string> = {
    A: '10.1.2.3 10.1.2.4',
    AAAA: '2001:db8::1',
    TXT: 'abcdef',
    MX: '10 mx.test',
    SOA: 'ns.test root.test 7 1 2 3 4',
  };
  let isTruncated = false;
  const port = await dnsServer(t, (query, isTcp) => {
    const type = query.readUInt16BE(query.length - 4);
    if (isTruncated && !isTcp) return dnsReply(query, [], 0x8380);
    return dnsReply(query, answers[type] ?? [name('host.test')]);
  });
  for (const overTcp of [false, true]) {
    isTruncated = overTcp;
    for (const type of Object.keys(recordTypes)) {
      const answer = await attempt(t, 'remote.dns', { query: 'www.Test', record_type: type, port });
      t.match(
        metricsOf(t, answer),
        { answer: expected[type] ?? 'host.test', ttl: 300 },
        `${type}${overTcp ? ' over TCP' : ''}`,
      );
      t.match(answer, { status: /^rtt=/, address: '127.0.0.1' });
    }
  }
});

t.test('remote.dns: errors of the server, forgery, silence, garbage', async (t) => {
  const ask = (port: number, details: object = {}) =>
    attempt(
      t,
      'remote.dns',
      { query: 'x.test', record_type: 'A', port, ...details },
      { timeoutMs: 800 },
    );
  const code = (rcode: number) => dnsServer(t, (query) => dnsReply(query, [], 0x8180 | rcode));
  t.match(await ask(await code(3)), {
    available: false,
    errorClass: 'dns-answer',
    status: 'NXDOMAIN',
  });
  t.match(await ask(await code(2)), { errorClass: 'dns-answer', status: 'SERVFAIL' });
  t.match(await ask(await code(0)), { errorClass: 'dns-no-answer' });
  t.match(await ask(await dnsServer(t, () => null)), { errorClass: 'timeout' });
  t.match(await ask(await dnsServer(t, () => Buffer.from('garbage that is no dns'))), {
    errorClass: 'malformed-response',
  });
  const forged = await dnsServer(t, (query) => {
    const other = Buffer.from(query);
    other.writeUInt16BE(query.readUInt16BE(0) ^ 1, 0);
    return dnsReply(other, [Buffer.from([6, 6, 6, 6])]);
  });
  t.match(await ask(forged), { errorClass: 'timeout' }, 'an answer with another id is passed over');
  let sends = 0;
  const lossy = await dnsServer(t, (query) => {
    sends += 1;
    return sends < 2 ? null : dnsReply(query, [Buffer.from([1, 2, 3, 4])]);
  });
  const patient = await attempt(t, 'remote.dns', {
    query: 'x.test',
    record_type: 'A',
    port: lossy,
  });
  t.match(metricsOf(t, patient), { answer: '1.2.3.4' }, 'a lost datagram is sent again');
  t.match(await ask(await closedPort()), { errorClass: 'connection-refused' });
  t.match(await ask(53, { record_type: 'ANY' }), { errorClass: 'invalid-request' });
  t.match(await ask(53, { query: 'a..b' }), { errorClass: 'invalid-request' });
  t.match(await ask(53, { query: 'a\nb' }), { errorClass: 'invalid-request' });
  t.match(await ask(53, { query: `${'a'.repeat(64)}.test` }), { errorClass: 'invalid-request' });
});

t.test('decoders refuse what is wrong and nothing else', (t) => {
  const query = encodeQuery(7, 'x.test', 1);
  const good = dnsReply(query, [Buffer.from([1, 2, 3, 4])]);
  t.match(decodeAnswer(good), { id: 7, records: [{ type: 1, ttl: 300, value: '1.2.3.4' }] });
  const isCalm = (bytes: Buffer): boolean => {
    try {
      decodeAnswer(bytes);
    } catch (error) {
      return error instanceof ProbeError;
    }
    return true;
  };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => isCalm(Buffer.from(bytes))),
    { numRuns: 3000 },
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 6 }),
      (changes) => {
        const bytes = Buffer.from(good);
        for (const [at, value] of changes) bytes[at] = value;
        return isCalm(bytes);
      },
    ),
    { numRuns: 3000 },
  );
  const loop = Buffer.concat([u16(7, 0x8180, 1, 0, 0, 0), Buffer.from([0xc0, 12, 0, 1, 0, 1])]);
  t.throws(() => decodeAnswer(loop), ProbeError, 'a name that points at itself');
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      (bytes) => typeof signatureAlgorithm(Buffer.from(bytes)) === 'string',
    ),
  );
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) =>
      /^[^\p{Cc}\p{Cs}]{0,80}$/u.test(cleanText(text, 80).replace(/[\t\n]/g, '')),
    ),
  );
  t.equal(statusText('a\r\nb\tc'), 'a  b c');
  t.equal(cleanText('x\ud800y', 10), 'x y');
  t.equal(queryName('1.2.3.4', 'PTR'), '4.3.2.1.in-addr.arpa');
  t.match(queryName('2001:db8::1', 'PTR'), /^1\.0\.0\..*\.8\.b\.d\.0\.1\.0\.0\.2\.ip6\.arpa$/);
  t.equal(queryName('Bücher.Example.', 'A'), 'xn--bcher-kva.example');
  t.same(
    parsePingOutput(
      '64 bytes from 127.0.0.1: icmp_seq=1 ttl=64 time=0.045 ms\n64 bytes: time=12 ms\ntime<1ms',
    ),
    [0.045, 12, 1],
  );
  t.equal(
    internetChecksum(echoPacket(4, 1).packet),
    0,
    'a packet with its checksum sums up to nothing',
  );
  t.end();
});

const ping = (t: Test, pinger: Pinger, details: object = {}, more: Partial<ProbeRequest> = {}) =>
  attempt(t, 'remote.ping', { ...details }, more, attemptPorts({ pinger }));

t.test('remote.ping: no way to ping is no observation', async (t) => {
  const pinger = createPinger({ socket4: null, socket6: null, program: null });
  t.equal(pinger.mode, 'none');
  t.match(await ping(t, pinger), {
    outcome: 'failed',
    failure: 'unsupported',
    message: /no way to ping/,
  });
});

t.test('remote.ping by the program: literal address, bounded, replies counted', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tocsin-ping-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const program = (script: string) => {
    const path = join(folder, `ping-${script.length}`);
    writeFileSync(path, `#!/bin/sh\n${script}\n`);
    chmodSync(path, 0o755);
    return createPinger({ socket4: null, socket6: null, program: path });
  };
  const replies = program(
    '[ "$*" = "-n -c 4 -i 0.2 -w 5 -- 127.0.0.1" ] || exit 2; for t in 1.0 2.0 3.0; do echo "64 bytes from 127.0.0.1: icmp_seq=1 ttl=64 time=$t ms"; done; exit 1',
  );
  const answer = await ping(t, replies, { count: 4 }, { timeoutMs: 5900 });
  t.equal(replies.mode, 'program');
  t.match(metricsOf(t, answer), {
    available: 75,
    average: 0.002,
    minimum: 0.001,
    maximum: 0.003,
    count: 4,
  });
  t.match(answer, { status: 'cnt=4,avail=75,min=0.0010,max=0.0030,avg=0.0020' });
  t.match(await ping(t, program('exit 1')), {
    available: false,
    errorClass: 'no-reply',
    status: 'cnt=5,avail=0,min=-nan,max=-nan,avg=-nan',
  });
  t.match(await ping(t, program('echo usage >&2; exit 2')), {
    outcome: 'failed',
    failure: 'unsupported',
  });
  const hanging = program('exec sleep 30');
  t.match(await ping(t, hanging, {}, { timeoutMs: 400 }), {
    available: false,
    errorClass: 'no-reply',
  });
  const many = await Promise.all(
    // Eight keep their places far longer than the four behind them may wait.
    Array.from({ length: 12 }, (_, at) => ping(t, hanging, {}, { timeoutMs: at < 8 ? 4000 : 300 })),
  );
  const refused = many.filter((one) => one.outcome === 'failed' && one.failure === 'overloaded');
  t.equal(refused.length, 4, 'eight programs at once; the others learned nothing about the target');
});

/** Runs this file's child mode in a network of its own, where everybody may ping. */
t.test('remote.ping by the ICMP socket, in a network namespace', (t) => {
  const script = [
    'echo "0 2147483647" > /proc/sys/net/ipv4/ping_group_range && ip link set lo up &&',
    `exec "$0" --import tsx "$1"`,
  ].join(' ');
  const entry = new URL('./ping-child.ts', import.meta.url).pathname;
  let printed: string;
  try {
    printed = execFileSync('unshare', ['-n', 'sh', '-c', script, process.execPath, entry], {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 30_000,
    }).toString();
  } catch (error) {
    t.comment(`no network namespace here: ${String((error as Error).message).slice(0, 200)}`);
    t.end();
    return;
  }
  const { pingMode, answers } = JSON.parse(printed) as { pingMode: string; answers: ProbeAnswer[] };
  t.equal(pingMode, 'socket');
  for (const answer of answers.slice(0, 2)) {
    t.match(metricsOf(t, answer), { available: 100, count: 3 });
    t.match(answer, { status: /^cnt=3,avail=100,min=0\.\d{4}/ });
  }
  t.match(answers[2], { outcome: 'observed', available: false, errorClass: /unreachable/ });
  t.end();
});

t.test('the self-test stands before "down"', async (t) => {
  let now = 0;
  let reachable = new Set<string>();
  const asked: string[] = [];
  const isReachable = async (peer: { address: string }) => {
    asked.push(peer.address);
    return reachable.has(peer.address);
  };
  const make = (anchors: string[] = []) =>
    createSelfTest({ anchors, isReachable, nowMs: () => now });
  const suspect = { family: 4, address: '198.18.0.99' } as const;
  const test = make();
  t.equal(await test.verdict(suspect), true, 'nobody known: passed');
  for (const i of [1, 2, 3]) test.noteSuccess(`198.18.0.${i}`, 80);
  t.equal(await test.verdict(suspect), true, 'others answered just now');
  t.same(asked, []);
  now += 2000;
  t.equal(await test.verdict(suspect), false, 'nobody is reachable any more');
  t.same(asked.sort(), ['198.18.0.1', '198.18.0.2', '198.18.0.3']);
  asked.length = 0;
  reachable = new Set(['198.18.0.2']);
  t.equal(await test.verdict(suspect), false, 'the verdict is kept for some seconds');
  t.same(asked, []);
  now += 6000;
  t.equal(await test.verdict(suspect), true, 'one of three is enough');
  t.equal(await test.verdict({ family: 6, address: null }), true, 'another family knows nobody');
  t.equal(test.known({ family: 4, address: '127.0.0.1' }), true, 'loopback proves nothing');
  now += 120_000;
  reachable = new Set();
  t.equal(await test.verdict(suspect), true, 'successes are forgotten after a minute');
  const anchored = make(['198.18.9.9:443', '[2001:4860::1]:53']);
  t.equal(await anchored.verdict(suspect), false, 'an anchor decides alone');
  t.equal(await anchored.verdict({ family: 6, address: null }), false);
  t.same(parseAnchors(['1.1.1.1', '::1']), [
    { address: '1.1.1.1', port: null },
    { address: '::1', port: null },
  ]);
  for (const bad of ['example.com', '1.1.1.1:0', '1.1.1.1:99999', ':80'])
    t.throws(() => parseAnchors([bad]), RangeError);

  const down = attemptPorts({
    egress: {
      connect: async (options) => {
        options.admit?.('198.18.0.99');
        throw new ProbeError('connect-timeout');
      },
      resolve: async () => ({ addresses: ['198.18.0.99'], restricted: false }),
    },
    selfTest: anchored,
  });
  now += 10_000;
  const failed = await attempt(t, 'remote.tcp', { port: 80 }, { target: '198.18.0.99' }, down);
  t.match(failed, { outcome: 'failed', failure: 'local-network', message: /connect timeout/ });
  reachable = new Set(['198.18.9.9']);
  now += 10_000;
  const honest = await attempt(t, 'remote.tcp', { port: 80 }, { target: '198.18.0.99' }, down);
  t.match(honest, {
    outcome: 'observed',
    available: false,
    errorClass: 'connect-timeout',
    address: '198.18.0.99',
  });
});

t.test('a probe that ignores its deadline is answered for', async (t) => {
  const probes = new Map([['remote.stuck', () => new Promise<never>(() => undefined)]]);
  const answer = await attempt(t, 'remote.stuck', {}, { timeoutMs: 200 }, attemptPorts({ probes }));
  t.match(answer, { outcome: 'observed', available: false, errorClass: 'timeout' });
  const broken = new Map([['remote.broken', async () => Promise.reject(new TypeError('a bug'))]]);
  const crashed = await attempt(t, 'remote.broken', {}, {}, attemptPorts({ probes: broken }));
  t.match(crashed, { outcome: 'failed', failure: 'internal' });
  t.match(await attempt(t, 'remote.ftp-banner', {}), { outcome: 'failed', failure: 'unsupported' });
  t.same(checkTypesSupported, ['remote.dns', 'remote.http', 'remote.ping', 'remote.tcp']);
});

t.test('limits per destination end as overloaded, not as down', async (t) => {
  const port = await rawServer(t, (socket) => socket.end());
  const ports = attemptPorts({ destinations: createDestinationLimit() });
  const answers = await Promise.all(
    Array.from({ length: 14 }, () => attempt(t, 'remote.tcp', { port }, {}, ports)),
  );
  t.equal(
    answers.filter((one) => one.outcome === 'failed' && one.failure === 'overloaded').length,
    4,
  );
  t.equal(answers.filter((one) => one.outcome === 'observed' && one.available).length, 10);
});

t.test('the queue: bounded, in order, never late', async (t) => {
  const running: { limitMs: number; finish: () => void }[] = [];
  const dispatcher = createDispatcher({
    attemptsMax: 2,
    queueLengthMax: 2,
    run: (request, limitMs) =>
      new Promise((resolve) => {
        const finish = () =>
          resolve({
            id: request.id,
            startedAtMs: 0,
            durationMs: 0,
            outcome: 'failed',
            failure: 'internal',
            message: '',
          });
        running.push({ limitMs, finish });
      }),
  });
  const done = new Map<string, ProbeAnswer>();
  const submit = (id: string, timeoutMs: number) =>
    dispatcher.submit(
      {
        id,
        zone: 'z',
        type: 'x',
        details: {},
        target: 'x',
        resolver: null,
        timeoutMs,
        debug: false,
      },
      (answer) => done.set(id, answer),
    );
  for (const id of ['a', 'b', 'c', 'd', 'e']) submit(id, 1000);
  t.match(done.get('e'), { failure: 'overloaded' }, 'the queue is full: refused at once');
  t.same(dispatcher.stats(), { inFlight: 2, queued: 2 });
  running[0]?.finish();
  await new Promise((resolve) => setImmediate(resolve));
  t.same([running.length, dispatcher.stats().queued], [3, 1]);
  t.equal(running[2]?.limitMs, 1000, 'a short wait costs nothing');
  while (!done.has('d')) await new Promise((resolve) => setTimeout(resolve, 20));
  t.match(done.get('d'), { failure: 'overloaded', message: /waited too long/ });
  t.equal(running.length, 3, 'it was never run late');
});
