// The egress guard: the corpus of address forms under both presets, ports, own API, names, the peer that is dialled.
import dgram from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { classify, inRange, parseAddress, parseRange } from '../../prober/egress/address.ts';
import { createDestinationLimit } from '../../prober/egress/destination-limit.ts';
import { createEgress, type ResolveOptions } from '../../prober/egress/dial.ts';
import { parseHosts } from '../../prober/egress/host-file.ts';
import {
  createPolicy,
  type EgressPurpose,
  type PolicyOptions,
} from '../../prober/egress/policy.ts';
import { normalizeHost } from '../../prober/egress/resolve.ts';
import { ProbeError, type ProbeErrorClass } from '../../prober/errors.ts';

const failing = (errorClass: ProbeErrorClass) => ({ errorClass }) as unknown as Error;

/** Form, allowed under `local`, allowed under `public`. */
const corpus: readonly (readonly [string, boolean, boolean])[] = [
  ['8.8.8.8', true, true],
  ['1.1.1.1', true, true],
  ['9.255.255.255', true, true],
  ['11.0.0.0', true, true],
  ['172.15.255.255', true, true],
  ['172.32.0.0', true, true],
  ['100.63.255.255', true, true],
  ['100.128.0.0', true, true],
  ['223.255.255.255', true, true],
  ['0.0.0.0', false, false],
  ['0.1.2.3', false, false],
  ['10.0.0.1', true, false],
  ['100.64.0.1', true, false],
  ['100.100.100.200', false, false],
  ['127.0.0.1', true, false],
  ['127.255.255.254', true, false],
  ['169.254.0.1', false, false],
  ['169.254.169.254', false, false],
  ['169.254.170.2', false, false],
  ['168.63.129.16', false, false],
  ['172.16.0.1', true, false],
  ['172.31.255.255', true, false],
  ['192.0.0.1', false, false],
  ['192.0.0.192', false, false],
  ['192.0.2.1', false, false],
  ['192.88.99.1', false, false],
  ['192.168.1.1', true, false],
  ['198.18.0.1', true, false],
  ['198.19.255.255', true, false],
  ['198.51.100.1', false, false],
  ['203.0.113.1', false, false],
  ['224.0.0.1', false, false],
  ['239.255.255.255', false, false],
  ['240.0.0.1', false, false],
  ['255.255.255.255', false, false],
  ['0x7f.1', true, false],
  ['2130706433', true, false],
  ['0177.0.0.1', true, false],
  ['127.1', true, false],
  ['0xa9fea9fe', false, false],
  ['①②⑦.⓪.⓪.①', true, false],
  ['::', false, false],
  ['::1', true, false],
  ['[::1]', true, false],
  ['::127.0.0.1', false, false],
  ['::7f00:1', false, false],
  ['::8.8.8.8', false, false],
  ['::ffff:127.0.0.1', true, false],
  ['::ffff:7f00:1', true, false],
  ['::ffff:8.8.8.8', true, true],
  ['::ffff:169.254.169.254', false, false],
  ['::ffff:a9fe:a9fe', false, false],
  ['::ffff:0:127.0.0.1', true, false],
  ['::ffff:0:169.254.169.254', false, false],
  ['64:ff9b::8.8.8.8', true, false],
  ['64:ff9b::169.254.169.254', false, false],
  ['64:ff9b::a9fe:a9fe', false, false],
  ['64:ff9b:1::169.254.169.254', false, false],
  ['64:ff9b:1:a9fe:a9:fe00::', false, false],
  ['100::1', false, false],
  ['2001::a9fe:a9fe:0:0:5601:5601', false, false],
  ['2001:0:808:808:0:0:f7f7:f7f7', true, false],
  ['2001:2::1', false, false],
  ['2001:db8::1', false, false],
  ['2002:a9fe:a9fe::1', false, false],
  ['2002:7f00:1::1', true, false],
  ['2002:808:808::1', true, false],
  ['2606:4700:4700::1111', true, true],
  ['2a00:1450:4001:80b::200e', true, true],
  ['3fff::1', false, false],
  ['4000::1', false, false],
  ['5f00::1', false, false],
  ['fc00::1', true, false],
  ['fd12:3456::1', true, false],
  ['fd00:ec2::254', false, false],
  ['fd20:ce::254', false, false],
  ['fe80::1', false, false],
  ['febf::1', false, false],
  ['fec0::1', false, false],
  ['ff02::1', false, false],
];

async function isAllowed(
  options: PolicyOptions,
  host: string,
  more: Partial<ResolveOptions> = {},
): Promise<boolean> {
  const egress = createEgress({ ...options, resolver: { servers: ['127.0.0.1:1'] } });
  try {
    await egress.resolve({ host, port: 80, purpose: 'probe', timeoutMs: 1000, ...more });
    return true;
  } catch (error) {
    if (error instanceof ProbeError && error.errorClass === 'target-not-allowed') {
      t.equal(error.message, "prevented by ACL 'global'", 'no address in the text for tenants');
      return false;
    }
    throw error;
  }
}

t.test('every address form is judged by what it reaches', async (t) => {
  t.ok(corpus.length >= 40);
  for (const [host, local, wide] of corpus) {
    t.equal(await isAllowed({ preset: 'local' }, host), local, `${host} under local`);
    t.equal(await isAllowed({ preset: 'public' }, host), wide, `${host} under public`);
  }
});

t.test('what is no host is refused before any look-up', async (t) => {
  for (const host of [
    '',
    'a b',
    'fe80::1%eth0',
    '1.2.3.4.5',
    'a\r\nb',
    'x.0x7f',
    '[]',
    'a/b',
    'é\u0000',
    'a'.repeat(254),
  ]) {
    await t.rejects(
      isAllowed({ preset: 'local' }, host),
      { name: 'ProbeError' },
      JSON.stringify(host),
    );
  }
  t.equal(normalizeHost('Example.COM.'), 'example.com');
  t.equal(normalizeHost('bücher.example'), 'xn--bcher-kva.example');
});

t.test('no text lets a denied address through', (t) => {
  const policy = createPolicy({ preset: 'public' });
  const byte = fc.integer({ min: 0, max: 255 });
  fc.assert(
    fc.property(fc.array(byte, { minLength: 16, maxLength: 16 }), (bytes) => {
      const groups = Array.from({ length: 8 }, (_, i) =>
        (((bytes[i * 2] ?? 0) << 8) | (bytes[i * 2 + 1] ?? 0)).toString(16),
      );
      const address = parseAddress(groups.join(':'));
      if (address === null) throw new Error('eight groups are an address');
      if (`[${address.text}]` !== new URL(`http://[${groups.join(':')}]`).hostname) return false;
      const verdict = policy.judge({ address, port: 80, purpose: 'probe' }, () => []);
      const isGlobal =
        inRange(bytes, parseRange('2000::/3')) || inRange(bytes, parseRange('::ffff:0:0/96'));
      return !verdict.allowed || isGlobal;
    }),
  );
  fc.assert(
    fc.property(byte, byte, byte, byte, (a, b, c, d) => {
      const plain = parseAddress(`${a}.${b}.${c}.${d}`);
      const mapped = parseAddress(`::ffff:${a}.${b}.${c}.${d}`);
      if (plain === null || mapped === null) throw new Error('both are addresses');
      const judge = (address: typeof plain) =>
        policy.judge({ address, port: 80, purpose: 'probe' }, () => []).allowed;
      return judge(plain) === judge(mapped);
    }),
  );
  t.throws(() => createPolicy({ preset: 'public', deny: ['10.0.0.0/33'] }), RangeError);
  t.throws(() => createPolicy({ preset: 'public', allow: ['10.0.0'] }), RangeError);
  t.equal(classify([10, 0, 0, 1]), 'private');
  t.end();
});

t.test(
  'lists of the operator: deny wins, allow opens private ranges but never metadata',
  async (t) => {
    const allow = ['10.1.0.0/16', '169.254.0.0/16', 'fc00::/7'];
    t.equal(await isAllowed({ preset: 'public', allow }, '10.1.2.3'), true);
    t.equal(await isAllowed({ preset: 'public', allow }, '10.2.2.3'), false);
    t.equal(await isAllowed({ preset: 'public', allow }, '::ffff:10.1.2.3'), true);
    t.equal(await isAllowed({ preset: 'public', allow }, '169.254.169.254'), false);
    t.equal(await isAllowed({ preset: 'public', allow }, 'fd00:ec2::254'), false);
    t.equal(await isAllowed({ preset: 'public', allow, deny: ['10.1.2.0/24'] }, '10.1.2.3'), false);
    t.equal(await isAllowed({ preset: 'local', deny: ['8.8.8.8'] }, '::ffff:8.8.8.8'), false);
    const { restricted } = await createEgress({ preset: 'public', allow }).resolve({
      host: '10.1.2.3',
      port: 80,
      purpose: 'probe',
      timeoutMs: 100,
    });
    t.equal(restricted, true, 'bodies of allowed private targets are not returned');
  },
);

t.test('ports: mail only for mail, internal ports only where the operator says', async (t) => {
  const judge = (port: number, purpose: EgressPurpose, options: Partial<PolicyOptions> = {}) =>
    isAllowed({ preset: 'public', ...options }, '8.8.8.8', { port, purpose });
  t.equal(await judge(25, 'probe'), false);
  t.equal(await judge(25, 'smtp'), true);
  for (const port of [4222, 6222, 8222, 7000, 7199, 9042, 2375, 6443, 10_250]) {
    t.equal(await judge(port, 'probe'), false, `port ${port}`);
  }
  t.equal(await judge(9042, 'probe', { allowPorts: [9042] }), true);
  t.equal(await isAllowed({ preset: 'local' }, '8.8.8.8', { port: 25 }), true);
});

t.test("the node's own API is no notification target, its host is", async (t) => {
  const ask = (host: string, port: number, purpose: EgressPurpose, self = '127.0.0.1') =>
    isAllowed({ preset: 'local', self: { host: self, port: 7420 } }, host, { port, purpose });
  t.equal(await ask('127.0.0.1', 7420, 'notify'), false);
  t.equal(await ask('localhost', 7420, 'notify'), false);
  t.equal(await ask('::ffff:127.0.0.1', 7420, 'notify'), false);
  t.equal(await ask('127.0.0.1', 7421, 'notify'), true);
  t.equal(await ask('127.0.0.1', 7420, 'probe'), true, 'it may watch itself');
  t.equal(await ask('127.0.0.2', 7420, 'notify', '0.0.0.0'), false, 'listening everywhere');
  t.equal(await ask('::1', 7420, 'notify', '::'), false);
  t.equal(await ask('8.8.8.8', 7420, 'notify', '0.0.0.0'), true);
});

/** A name server on loopback that answers A queries from a table. */
async function nameServer(t: Test, table: Readonly<Record<string, readonly string[]>>) {
  const socket = dgram.createSocket('udp4');
  let queries = 0;
  socket.on('message', (query, remote) => {
    queries += 1;
    const labels: string[] = [];
    let at = 12;
    for (let size = query[at] ?? 0; size > 0; size = query[at] ?? 0) {
      labels.push(query.toString('latin1', at + 1, at + 1 + size));
      at += 1 + size;
    }
    const addresses = table[labels.join('.').toLowerCase()];
    if (addresses === undefined) return;
    const isIpv4 = query.readUInt16BE(at + 1) === 1;
    const records = (isIpv4 ? addresses : []).map((address) =>
      Buffer.concat([
        Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]),
        Buffer.from(address.split('.').map(Number)),
      ]),
    );
    const header = Buffer.from(query.subarray(0, at + 5));
    header.writeUInt16BE(0x8180, 2);
    header.writeUInt16BE(records.length, 6);
    header.writeUInt16BE(0, 10);
    socket.send(Buffer.concat([header, ...records]), remote.port, remote.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.teardown(() => socket.close());
  return { server: `127.0.0.1:${socket.address().port}`, queries: () => queries };
}

t.test(
  'names: all addresses are validated, answers are kept, silence is dns-timeout',
  async (t) => {
    const dns = await nameServer(t, {
      'good.test': ['127.0.0.1', '127.0.0.2'],
      'mixed.test': ['8.8.8.8', '169.254.169.254'],
      'empty.test': [],
    });
    const resolver = { servers: [dns.server], timeoutMs: 100, tries: 1 };
    const egress = createEgress({ preset: 'local', resolver });
    const ask = (host: string, more: Partial<ResolveOptions> = {}) =>
      egress.resolve({ host, port: 80, purpose: 'probe', timeoutMs: 2000, ...more });
    t.same((await ask('good.test')).addresses, ['127.0.0.1', '127.0.0.2']);
    const before = dns.queries();
    t.same((await ask('GOOD.test.')).addresses, ['127.0.0.1', '127.0.0.2']);
    t.equal(dns.queries(), before, 'the second look-up came from the cache');
    await t.rejects(ask('mixed.test'), failing('target-not-allowed'), 'one bad address is enough');
    await t.rejects(ask('empty.test'), failing('dns-failure'));
    await t.rejects(ask('silent.test'), failing('dns-timeout'));
    const startedMs = performance.now();
    const slow = createEgress({ preset: 'local', resolver: { ...resolver, timeoutMs: 5000 } });
    const options = { host: 'silent.test', port: 80, purpose: 'probe', timeoutMs: 80 } as const;
    await t.rejects(slow.resolve(options), failing('dns-timeout'));
    t.ok(performance.now() - startedMs < 1000, 'the caller does not wait for the resolver');
    t.same((await ask('good.test', { purpose: 'notify', family: null })).addresses.length, 2);
  },
);

t.test('the hosts file answers first and is read again when it changes', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tocsin-hosts-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const hostsFile = join(folder, 'hosts');
  writeFileSync(hostsFile, '127.0.0.5 box box.lan # my box\n');
  const egress = createEgress({
    preset: 'local',
    resolver: { hostsFile, servers: ['127.0.0.1:1'] },
  });
  const ask = (host: string) => egress.resolve({ host, port: 1, purpose: 'probe', timeoutMs: 500 });
  t.same((await ask('BOX.lan')).addresses, ['127.0.0.5']);
  t.same((await ask('localhost')).addresses, ['127.0.0.1'], 'known without the file');
  writeFileSync(hostsFile, '127.0.0.66 box\n');
  const untilMs = performance.now() + 5000;
  while ((await ask('box')).addresses[0] !== '127.0.0.66' && performance.now() < untilMs) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  t.same((await ask('box')).addresses, ['127.0.0.66']);
  t.same(
    [...parseHosts('bad line\n::1 a b\n# c\n127.0.0.1')],
    [
      ['a', ['::1']],
      ['b', ['::1']],
    ],
  );
});

t.test('connect: dials the literal, names its failures, leaves no socket behind', async (t) => {
  const server = net.createServer((socket) => socket.on('error', () => undefined).end('hi'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const egress = createEgress({ preset: 'local' });
  const connection = await egress.connect({
    host: 'localhost',
    port,
    purpose: 'notify',
    timeoutMs: 1000,
  });
  t.equal(connection.address, '127.0.0.1');
  t.ok(connection.timings.connectMs >= 0);
  connection.socket.destroy();
  const free = net.createServer().listen(0, '127.0.0.1');
  await once(free, 'listening');
  const freePort = (free.address() as AddressInfo).port;
  free.close();
  await once(free, 'close');
  await t.rejects(
    egress.connect({ host: '127.0.0.1', port: freePort, purpose: 'probe', timeoutMs: 1000 }),
    failing('connection-refused'),
  );
  const early = AbortSignal.abort();
  await t.rejects(
    egress.connect({ host: '127.0.0.1', port, purpose: 'probe', timeoutMs: 1000, signal: early }),
    failing('connect-timeout'),
  );
  const refused = { host: '127.0.0.1', port, purpose: 'probe', timeoutMs: 1000 } as const;
  const admit = () => {
    throw new ProbeError('overloaded');
  };
  await t.rejects(egress.connect({ ...refused, admit }), failing('overloaded'));
});

t.test('a destination gets ten probes a second and fifty at once, whoever asks', (t) => {
  let now = 0;
  const limit = createDestinationLimit(() => now);
  const enter = () => {
    const held = new Set<string>();
    limit.enter('8.8.8.8', held);
    return held;
  };
  const held = Array.from({ length: 10 }, enter);
  t.throws(enter, failing('overloaded'), 'the eleventh within the second');
  limit.enter('8.8.8.8', held[0] as Set<string>);
  t.pass('the same attempt connects again freely');
  limit.enter('8.8.4.4', new Set());
  for (let i = 0; i < 40; i += 1) {
    now += 100;
    held.push(enter());
  }
  now += 1000;
  t.throws(enter, failing('overloaded'), 'the fifty-first at once');
  limit.leave(held[0] as Set<string>);
  t.doesNotThrow(enter);
  t.end();
});
