// Hostile name servers for remote.dns: codes, truncation, pointers, forged ids and questions, sizes, silence.
import type net from 'node:net';
import { answers, type ZooServer } from './zoo-server.ts';

type Packet = (query: Buffer) => Buffer;

interface Shape {
  readonly flags?: number;
  readonly answers?: number;
  readonly questions?: number;
  readonly body?: Buffer;
}

/** Returns an answer that repeats the question of `query`, then `body`. */
function reply(query: Buffer, shape: Shape = {}): Buffer {
  const header = Buffer.alloc(12);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(0x8180 | (shape.flags ?? 0), 2);
  header.writeUInt16BE(shape.questions ?? 1, 4);
  header.writeUInt16BE(shape.answers ?? 0, 6);
  return Buffer.concat([header, query.subarray(12), shape.body ?? Buffer.alloc(0)]);
}

const pointer = (to: number): Buffer => Buffer.from([0xc0 | (to >> 8), to & 0xff]);

/** Returns a TXT record; `name` by default the pointer to the question. */
function record(data: Buffer, more: { name?: Buffer; ttl?: number; type?: number } = {}): Buffer {
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(more.type ?? 16, 0);
  fixed.writeUInt16BE(1, 2);
  fixed.writeUInt32BE(more.ttl ?? 60, 4);
  fixed.writeUInt16BE(data.length, 8);
  return Buffer.concat([more.name ?? pointer(12), fixed, data]);
}

const text = (value: string): Buffer =>
  Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
const good = (query: Buffer): Buffer => reply(query, { answers: 1, body: record(text('hi')) });
const big = (query: Buffer): Buffer => {
  const data = Buffer.concat(Array.from({ length: 254 }, () => text('x'.repeat(254))));
  return reply(query, { answers: 1, body: record(data) });
};
const framed = (packet: Buffer): Buffer => {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(packet.length);
  return Buffer.concat([length, packet]);
};

/** A server whose UDP answer is `packet`. */
const udp = (name: string, expected: string | null, packet: Packet): ZooServer => ({
  name: `DNS: ${name}`,
  expects: { dns: expected },
  start: (zoo) => zoo.dns((query, send) => send(packet(query)), null),
});

/** A server that answers truncated over UDP, and so over TCP. */
const tcp = (
  name: string,
  expected: string | null,
  serve: (query: Buffer, socket: net.Socket) => void,
): ZooServer => ({
  name: `DNS over TCP: ${name}`,
  expects: { dns: expected },
  start: (zoo) => zoo.dns((query, send) => send(reply(query, { flags: 0x0200 })), serve),
});

/** A question that nobody asked: `evi.test`. */
const otherQuestion = (query: Buffer): Buffer => {
  const packet = good(query);
  packet.write('evi', 13);
  return packet;
};
/** Offset of the first record behind the question zoo.test. */
const behind = 12 + 10 + 4;

const deepPointers = (query: Buffer): Buffer => {
  const chain = Array.from({ length: 60 }, (_, at) =>
    pointer(at === 0 ? 12 : behind + (at - 1) * 2),
  );
  const name = Buffer.concat(chain);
  // The owner name of the record is the last pointer of the chain that lies before it.
  return reply(query, { answers: 1, body: Buffer.concat([name, record(text('x'))]) });
};

const packets: readonly ZooServer[] = [
  udp('NXDOMAIN', 'dns-answer', (query) => reply(query, { flags: 3 })),
  udp('SERVFAIL', 'dns-answer', (query) => reply(query, { flags: 2 })),
  udp('a code that nobody knows', 'dns-answer', (query) => reply(query, { flags: 15 })),
  udp('no records', 'dns-no-answer', (query) => reply(query)),
  udp('only another type', 'dns-no-answer', (query) =>
    reply(query, { answers: 1, body: record(Buffer.from([127, 0, 0, 1]), { type: 1 }) }),
  ),
  udp('a pointer to itself', 'malformed-response', (query) =>
    reply(query, { answers: 1, body: record(text('x'), { name: pointer(behind) }) }),
  ),
  udp('a pointer ahead', 'malformed-response', (query) =>
    reply(query, { answers: 1, body: record(text('x'), { name: pointer(behind + 40) }) }),
  ),
  udp('a pointer beyond the end', 'malformed-response', (query) =>
    reply(query, { answers: 1, body: record(text('x'), { name: pointer(0x3fff) }) }),
  ),
  udp('sixty pointers', 'malformed-response', deepPointers),
  udp('a label of 64 bytes', 'malformed-response', (query) =>
    reply(query, { answers: 1, body: Buffer.concat([Buffer.from([64]), Buffer.alloc(80, 'a')]) }),
  ),
  udp('a name of 300 bytes', 'malformed-response', (query) =>
    reply(query, {
      answers: 1,
      body: Buffer.concat(Array.from({ length: 6 }, () => text('a'.repeat(60)))),
    }),
  ),
  udp('65535 answers announced', 'malformed-response', (query) =>
    reply(query, { answers: 0xffff, body: record(text('x')) }),
  ),
  udp('two questions', 'malformed-response', (query) => reply(query, { questions: 2 })),
  udp('a TXT string longer than its record', 'malformed-response', (query) =>
    reply(query, { answers: 1, body: record(Buffer.from([200, 120])) }),
  ),
  udp('a record longer than the packet', 'malformed-response', (query) =>
    good(query).subarray(0, -1),
  ),
  udp('a query instead of an answer', 'malformed-response', (query) => query),
  udp('eleven bytes', 'malformed-response', (query) => query.subarray(0, 11)),
  udp('no bytes', 'malformed-response', () => Buffer.alloc(0)),
  udp('a wrong id', 'timeout', (query) => {
    const packet = good(query);
    packet.writeUInt16BE(packet.readUInt16BE(0) ^ 1, 0);
    return packet;
  }),
  udp('another question', 'timeout', otherQuestion),
  udp('no question', 'timeout', (query) =>
    Buffer.concat([
      reply(query, { questions: 0, answers: 1 }).subarray(0, 12),
      record(text('x'), { name: Buffer.from([0]) }),
    ]),
  ),
  udp('a TTL of 2^32 - 1', null, (query) =>
    reply(query, { answers: 1, body: record(text('x'), { ttl: 0xffff_ffff }) }),
  ),
  udp('control characters and markup in TXT', null, (query) =>
    reply(query, { answers: 1, body: record(text('\x1b[2J\0<script>\r\n')) }),
  ),
  udp('the largest datagram', null, (query) => {
    const data = Buffer.concat(Array.from({ length: 240 }, () => text('x'.repeat(254))));
    return reply(query, { answers: 1, body: record(data) });
  }),
];

const streams: readonly ZooServer[] = [
  tcp('truncated again', 'dns-no-answer', (query, socket) =>
    socket.write(framed(reply(query, { flags: 0x0200 }))),
  ),
  tcp('64 KB of TXT', null, (query, socket) => socket.write(framed(big(query)))),
  tcp('another question', 'malformed-response', (query, socket) =>
    socket.write(framed(otherQuestion(query))),
  ),
  tcp('a message of no bytes', 'malformed-response', (_query, socket) =>
    socket.write(Buffer.from([0, 0])),
  ),
  tcp('silence', 'timeout', () => undefined),
  tcp('closed early', 'incomplete-response', (query, socket) =>
    socket.end(framed(good(query)).subarray(0, 20)),
  ),
  tcp('one byte a second', 'timeout', (query, socket) => {
    const bytes = framed(good(query));
    let at = 0;
    const timer = setInterval(() => socket.write(bytes.subarray(at, ++at)), 1000);
    socket.on('close', () => clearInterval(timer));
  }),
  tcp('more bytes than announced', null, (query, socket) =>
    socket.write(Buffer.concat([framed(good(query)), Buffer.alloc(100_000)])),
  ),
];

/** Every hostile name server. */
export const dnsServers: readonly ZooServer[] = [
  ...packets,
  ...streams,
  {
    name: 'DNS: silence',
    expects: { dns: 'timeout' },
    start: (zoo) => zoo.dns(() => undefined, null),
  },
  {
    name: 'DNS: nobody listens on UDP',
    expects: { dns: 'connection-refused' },
    start: answers(() => undefined),
  },
  {
    name: 'DNS: a hundred wrong answers, then the right one',
    expects: { dns: null },
    start: (zoo) =>
      zoo.dns((query, send) => {
        for (let n = 0; n < 100; n++) send(otherQuestion(query));
        send(good(query));
      }, null),
  },
];
