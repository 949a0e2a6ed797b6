// The SSRF corpus of security.md §2: every way to write or reach an address that must not be reached, and the sentinel
// that counts whoever gets there. Must not know how probes are run.
import dgram from 'node:dgram';
import { once } from 'node:events';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';

export type Preset = 'local' | 'public';

/** Denied under both presets: metadata, link-local, unspecified, multicast, reserved, and every form of them. */
const never: readonly string[] = [
  '0.0.0.0',
  '0',
  '0.0',
  '0x0',
  '00',
  '0.1.2.3',
  '169.254.169.254',
  '169.254.169.254.',
  '2852039166',
  '0xa9fea9fe',
  '0xA9.0xFE.0xA9.0xFE',
  '0251.0376.0251.0376',
  '025177524776',
  '169.254.43518',
  '169.16689662',
  '0xa9.254.0251.254',
  '１６９.２５４.１６９.２５４',
  '169。254。169。254',
  '①⑥⑨.②⑤④.①⑥⑨.②⑤④',
  '169.254.170.2',
  '169.254.0.1',
  '169.254.255.254',
  '100.100.100.200',
  '168.63.129.16',
  '192.0.0.192',
  '192.0.0.8',
  '192.0.2.1',
  '192.88.99.1',
  '198.51.100.7',
  '203.0.113.7',
  '224.0.0.1',
  '239.255.255.250',
  '240.0.0.1',
  '255.255.255.255',
  '0xffffffff',
  '[::]',
  '[::0]',
  '[0:0:0:0:0:0:0:0]',
  '[0:0:0:0:0:0:0.0.0.0]',
  '[::127.0.0.1]',
  '[::7f00:1]',
  '[::ffff:169.254.169.254]',
  '[::ffff:a9fe:a9fe]',
  '[0:0:0:0:0:ffff:a9fe:a9fe]',
  '[::FFFF:A9FE:A9FE]',
  '[::ffff:0.0.0.0]',
  '[::ffff:0:169.254.169.254]',
  '[64:ff9b::169.254.169.254]',
  '[64:ff9b::a9fe:a9fe]',
  '[64:ff9b:1::169.254.169.254]',
  '[64:ff9b:1:a9fe:a9:fe00::]',
  '[2002:a9fe:a9fe::1]',
  '[2001::a9fe:a9fe:0:0:5601:5601]',
  '[2001:db8::1]',
  '[2001:2::1]',
  '[100::1]',
  '[3fff::1]',
  '[5f00::1]',
  '[fd00:ec2::254]',
  '[fd00:ec2:0:0:0:0:0:254]',
  '[fe80::1]',
  '[febf:ffff::1]',
  '[fec0::1]',
  '[ff02::1]',
  '[ff0e::1]',
  '[4000::1]',
];

/** Denied under `public` besides: this machine, in every form. */
const loopback: readonly string[] = [
  '127.0.0.1',
  '127.0.0.1.',
  '127.1',
  '127.0.1',
  '0x7f.1',
  '0x7f000001',
  '0x7F.0x0.0x0.0x1',
  '0177.1',
  '0177.0.0.1',
  '0177.0.0.01',
  '017700000001',
  '2130706433',
  '127.000.000.001',
  '127.127.127.127',
  '127.255.255.254',
  '１２７.０.０.１',
  '127。0。0。1',
  '①②⑦.⓪.⓪.①',
  '%31%32%37.0.0.1',
  'localhost',
  'LOCALHOST',
  'localhost.',
  'ⓛocalhost',
  'loc\u00adalhost',
  '[::1]',
  '[0:0:0:0:0:0:0:1]',
  '[0000:0000:0000:0000:0000:0000:0000:0001]',
  '[::0001]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[::FfFf:7F00:0001]',
  '[0:0:0:0:0:ffff:127.0.0.1]',
];

/** Denied under `public` besides: private addresses, and what carries loopback through a translator. */
const inside: readonly string[] = [
  '[::ffff:10.0.0.1]',
  '[::ffff:0:127.0.0.1]',
  '[64:ff9b::127.0.0.1]',
  '[64:ff9b::7f00:1]',
  '[64:ff9b:1::7f00:1]',
  '[2002:7f00:1::]',
  '[2002:7f00:1::1]',
  '[2001::7f00:1:0:0:80ff:fffe]',
  '[fc00::1]',
  '[fd12:3456::1]',
  '10.0.0.1',
  '10.255.255.255',
  '0xa.0.0.1',
  '012.0.0.1',
  '100.64.0.1',
  '100.127.255.254',
  '172.16.0.1',
  '172.31.255.254',
  '192.168.0.1',
  '192.168.65535',
  '198.18.0.1',
  '198.19.255.254',
];

/** Returns every form of this machine: the node's own API is behind them. */
export function ownForms(): string[] {
  const cards = Object.values(networkInterfaces()).flatMap((card) => card ?? []);
  const addresses = cards.map(({ address, family }) =>
    family === 'IPv6' ? `[${address}]` : address,
  );
  return [...loopback, ...addresses, hostname()];
}

/** Returns the hosts that a preset must refuse, as they stand in a URL. */
export function refusedForms(preset: Preset): readonly string[] {
  return preset === 'local' ? never : [...never, ...inside, ...ownForms()];
}

/** Returns the literals among forms: what a name server can answer with. */
export function literalsOf(forms: readonly string[]): readonly string[] {
  const bare = forms.map((form) => form.replace(/^\[(.*)\]$/, '$1'));
  return [...new Set(bare.filter((form) => net.isIP(form) !== 0))];
}

/** Ways to hide the host within a URL; `{}` stands for host and port. */
export const disguises: readonly string[] = [
  'http://{}/',
  'http://user:secret@{}/',
  'http://good.example:80@{}/',
  'http:\\\\{}\\',
  'http:////{}/',
  '//{}/',
  'HTTP://{}/',
  'http:/\t/{}/',
  'http://{}?@good.example/',
  'http://{}#@good.example/',
  'http://{}\\@good.example/',
];

/** Hops live in this network, one address a probe: `public` allows ten probes a second to each. */
export const hopNetwork = '127.77.0.0/16';
let hops = 0;
export const hopAddress = (): string => {
  hops += 1;
  return `127.77.${(hops >> 8) & 255}.${hops & 255}`;
};

export interface Trap {
  /** Port of the sentinel on every local address. */
  readonly sentinelPort: number;
  readonly hopPort: number;
  /** Local addresses at which the sentinel was reached. */
  readonly reached: readonly string[];
  /** Returns a URL at a hop server that redirects `count` times and then to `location`. */
  chain(count: number, location: string): string;
  close(): void;
}

async function listening(server: net.Server): Promise<number> {
  server.listen({ port: 0, host: '::', ipv6Only: false });
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Starts the sentinel, which listens on every address of the machine, and the server of the redirects. */
export async function setTrap(): Promise<Trap> {
  const reached: string[] = [];
  const locations: string[] = [];
  const sentinel = net.createServer((socket) => {
    reached.push(socket.localAddress ?? '?');
    socket.on('error', () => undefined);
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret');
  });
  const hop = http.createServer((request, response) => {
    const [, left = '0', at = '0'] = (request.url ?? '').split('/');
    const host = request.headers.host ?? '';
    const next =
      Number(left) > 1 ? `http://${host}/${Number(left) - 1}/${at}` : locations[Number(at)];
    // Written raw: Node's own headers refuse what some of the disguises hold.
    const line = Buffer.from(`Location: ${next}\r\n`, 'utf8').toString('latin1');
    response.socket?.end(`HTTP/1.1 302 Found\r\n${line}Content-Length: 0\r\n\r\n`, 'latin1');
  });
  const sentinelPort = await listening(sentinel);
  const hopPort = await listening(hop);
  return {
    sentinelPort,
    hopPort,
    reached,
    chain(count, location) {
      locations.push(location);
      return `http://${hopAddress()}:${hopPort}/${count}/${locations.length - 1}`;
    },
    close() {
      sentinel.close();
      hop.close();
      hop.closeAllConnections();
    },
  };
}

export interface NameServer {
  readonly server: string;
  /** Answers of a name in turn, the last for ever: addresses, or `=name` for an alias. */
  set(name: string, ...answers: readonly (readonly string[])[]): void;
  close(): void;
}

/** Starts a name server that changes its mind: TTL 0, other answers each time. */
export async function lyingNameServer(): Promise<NameServer> {
  const names = new Map<string, (readonly string[])[]>();
  const socket = dgram.createSocket('udp4');
  socket.on('message', (query, from) => {
    const { name, end } = nameAt(query, 12);
    const family = query.readUInt16BE(end) === 28 ? 6 : 4;
    const turns = names.get(name) ?? [[]];
    const now = (turns.length > 1 ? turns.shift() : turns[0]) ?? [];
    const records = now.flatMap((answer) => recordsOf(answer, family, names));
    const header = Buffer.alloc(12);
    query.copy(header, 0, 0, 2);
    header.writeUInt16BE(0x8180, 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(records.length, 6);
    const packet = Buffer.concat([header, query.subarray(12, end + 4), ...records]);
    socket.send(packet, from.port, from.address, () => undefined);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    server: `127.0.0.1:${socket.address().port}`,
    set: (name, ...answers) => void names.set(name, [...answers]),
    close: () => socket.close(),
  };
}

function nameAt(packet: Buffer, start: number): { name: string; end: number } {
  const labels: string[] = [];
  let at = start;
  for (let size = packet[at] ?? 0; size > 0; size = packet[at] ?? 0) {
    labels.push(packet.toString('latin1', at + 1, at + 1 + size));
    at += 1 + size;
  }
  return { name: labels.join('.').toLowerCase(), end: at + 1 };
}

/** Records of one answer; an alias brings the records of its name along, as a resolver's answer does. */
function recordsOf(
  answer: string,
  family: 4 | 6,
  names: ReadonlyMap<string, readonly (readonly string[])[]>,
  owner: Buffer = Buffer.from([0xc0, 12]),
): Buffer[] {
  if (answer.startsWith('=')) {
    const target = wireName(answer.slice(1));
    const behind = names.get(answer.slice(1))?.[0] ?? [];
    const alias = recordOf(owner, 5, target);
    return [alias, ...behind.flatMap((one) => recordsOf(one, family, names, target))];
  }
  if (net.isIP(answer) !== family) return [];
  return [recordOf(owner, family === 4 ? 1 : 28, addressBytes(answer))];
}

const wireName = (name: string): Buffer =>
  Buffer.concat([
    ...name
      .split('.')
      .map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)])),
    Buffer.from([0]),
  ]);

function recordOf(owner: Buffer, type: number, data: Buffer): Buffer {
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(type, 0);
  fixed.writeUInt16BE(1, 2);
  fixed.writeUInt16BE(data.length, 8);
  return Buffer.concat([owner, fixed, data]);
}

function addressBytes(literal: string): Buffer {
  if (net.isIP(literal) === 4) return Buffer.from(literal.split('.').map(Number));
  // The URL parser writes any IPv6 form in groups without dots.
  const bare = new URL(`http://[${literal}]/`).hostname.slice(1, -1);
  const [head = '', tail] = bare.split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = new Array<string>(8 - front.length - back.length).fill('0');
  const groups = [...front, ...zeros, ...back].map((group) => group.padStart(4, '0'));
  return Buffer.from(groups.join(''), 'hex');
}
