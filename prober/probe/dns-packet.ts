// DNS messages (RFC 1035): one question out, answers in. Pure bytes; every length is checked, names are
// bounded in length and jumps, so that no answer can make it loop or read outside. Throws `malformed-response`.
import { domainToASCII } from 'node:url';
import { parseAddress } from '../egress/address.ts';
import { ProbeError } from '../errors.ts';
import { dnsRecordsMax } from '../limits.ts';
import { wireText } from '../text.ts';

/** Record types that remote.dns asks for. */
export const recordTypes = {
  A: 1,
  NS: 2,
  MD: 3,
  MF: 4,
  CNAME: 5,
  SOA: 6,
  MB: 7,
  MG: 8,
  MR: 9,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
} as const;

export type RecordType = keyof typeof recordTypes;

export interface DnsRecord {
  readonly type: number;
  /** Seconds. */
  readonly ttl: number;
  readonly value: string;
}

export interface DnsAnswer {
  readonly id: number;
  readonly isTruncated: boolean;
  /** Response code; 0 is success. */
  readonly code: number;
  /** The question as the server repeats it: lower case name and type, null where it does not. */
  readonly question: { readonly name: string; readonly type: number } | null;
  /** Records of the answer section, at most 100. */
  readonly records: readonly DnsRecord[];
}

const headerBytes = 12;
const labelBytesMax = 63;
const nameBytesMax = 255;
const jumpsMax = 32;
const classInternet = 1;

const malformed = () => new ProbeError('malformed-response', { message: 'malformed dns answer' });

/** Returns the name that is asked for: ASCII, lower case, no last dot; an address with PTR as its reverse name. */
export function queryName(query: string, type: RecordType): string {
  wireText(query, 'query');
  const address = type === 'PTR' ? parseAddress(query) : null;
  if (address !== null) return reverseName(address.bytes);
  const bare = query.endsWith('.') ? query.slice(0, -1) : query;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII stays as it is
  return (/^[\u0000-\u007f]*$/.test(bare) ? bare : domainToASCII(bare)).toLowerCase();
}

function reverseName(bytes: readonly number[]): string {
  if (bytes.length === 4) return `${bytes.toReversed().join('.')}.in-addr.arpa`;
  const nibbles = bytes.flatMap((byte) => [byte >> 4, byte & 15]).reverse();
  return `${nibbles.map((nibble) => nibble.toString(16)).join('.')}.ip6.arpa`;
}

/** Returns a query for one name; throws `invalid-request` where the name cannot be written. */
export function encodeQuery(id: number, name: string, type: number): Buffer {
  const labels = name === '' ? [] : name.split('.').map((label) => Buffer.from(label, 'latin1'));
  const length = labels.reduce((sum, label) => sum + label.length + 1, 1);
  const isSane = labels.every((label) => label.length > 0 && label.length <= labelBytesMax);
  if (!isSane || length > nameBytesMax) {
    throw new ProbeError('invalid-request', { message: 'query: not a host name' });
  }
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(0x0100, 2);
  header.writeUInt16BE(1, 4);
  const tail = Buffer.alloc(5);
  tail.writeUInt16BE(type, 1);
  tail.writeUInt16BE(classInternet, 3);
  const written = labels.flatMap((label) => [Buffer.from([label.length]), label]);
  return Buffer.concat([header, ...written, tail]);
}

/** Returns what a message says; throws `malformed-response` for anything that is not a whole answer. */
export function decodeAnswer(packet: Buffer): DnsAnswer {
  if (packet.length < headerBytes) throw malformed();
  const flags = packet.readUInt16BE(2);
  if ((flags & 0x8000) === 0) throw malformed();
  const questions = packet.readUInt16BE(4);
  const answers = Math.min(dnsRecordsMax, packet.readUInt16BE(6));
  if (questions > 1) throw malformed();
  let at = headerBytes;
  let question: DnsAnswer['question'] = null;
  if (questions === 1) {
    const name = readName(packet, at);
    if (name.next + 4 > packet.length) throw malformed();
    question = { name: name.text.toLowerCase(), type: packet.readUInt16BE(name.next) };
    at = name.next + 4;
  }
  const isTruncated = (flags & 0x0200) !== 0;
  const records: DnsRecord[] = [];
  // A truncated answer is asked for again over TCP: its records are not worth reading.
  for (let i = 0; i < answers && !isTruncated; i += 1) {
    const { record, next } = readRecord(packet, at);
    records.push(record);
    at = next;
  }
  return { id: packet.readUInt16BE(0), isTruncated, code: flags & 15, question, records };
}

function readRecord(packet: Buffer, start: number): { record: DnsRecord; next: number } {
  const at = readName(packet, start).next;
  if (at + 10 > packet.length) throw malformed();
  const type = packet.readUInt16BE(at);
  const ttl = packet.readUInt32BE(at + 4);
  const length = packet.readUInt16BE(at + 8);
  const next = at + 10 + length;
  if (next > packet.length) throw malformed();
  return { record: { type, ttl, value: readValue(packet, type, at + 10, next) }, next };
}

function readValue(packet: Buffer, type: number, start: number, end: number): string {
  switch (type) {
    case recordTypes.A:
      return readIpv4(packet, start, end);
    case recordTypes.AAAA:
      return readIpv6(packet, start, end);
    case recordTypes.TXT:
      return readStrings(packet, start, end);
    case recordTypes.MX:
      if (start + 3 > end) throw malformed();
      return `${packet.readUInt16BE(start)} ${nameWithin(packet, start + 2, end).text}`;
    case recordTypes.SOA:
      return readStart(packet, start, end);
    case recordTypes.NS:
    case recordTypes.MD:
    case recordTypes.MF:
    case recordTypes.CNAME:
    case recordTypes.MB:
    case recordTypes.MG:
    case recordTypes.MR:
    case recordTypes.PTR:
      return nameWithin(packet, start, end).text;
    default:
      return '';
  }
}

function readIpv4(packet: Buffer, start: number, end: number): string {
  if (end - start !== 4) throw malformed();
  return packet.subarray(start, end).join('.');
}

function readIpv6(packet: Buffer, start: number, end: number): string {
  if (end - start !== 16) throw malformed();
  const groups = Array.from({ length: 8 }, (_, i) => packet.readUInt16BE(start + i * 2));
  const text = groups.map((group) => group.toString(16)).join(':');
  return parseAddress(text)?.text ?? text;
}

function readStrings(packet: Buffer, start: number, end: number): string {
  let text = '';
  for (let at = start; at < end; ) {
    const length = packet[at] ?? 0;
    if (at + 1 + length > end) throw malformed();
    text += packet.toString('latin1', at + 1, at + 1 + length);
    at += 1 + length;
  }
  return text;
}

function readStart(packet: Buffer, start: number, end: number): string {
  const primary = nameWithin(packet, start, end);
  const mailbox = nameWithin(packet, primary.next, end);
  if (mailbox.next + 20 > end) throw malformed();
  const numbers = [0, 4, 8, 12, 16].map((offset) => packet.readUInt32BE(mailbox.next + offset));
  return [primary.text, mailbox.text, ...numbers].join(' ');
}

function nameWithin(packet: Buffer, start: number, end: number): { text: string; next: number } {
  const name = readName(packet, start);
  if (name.next > end) throw malformed();
  return name;
}

/** Returns a name and where it ends; pointers only go back, at most 32 of them. */
function readName(packet: Buffer, start: number): { text: string; next: number } {
  const labels: string[] = [];
  let at = start;
  let next: number | null = null;
  let length = 0;
  let jumps = 0;
  for (let size = sizeAt(packet, at); size > 0; size = sizeAt(packet, at)) {
    if (size >= 0xc0) {
      next ??= at + 2;
      jumps += 1;
      if (jumps > jumpsMax) throw malformed();
      at = pointerAt(packet, at);
    } else {
      length += size + 1;
      if (length > nameBytesMax) throw malformed();
      labels.push(labelAt(packet, at, size));
      at += 1 + size;
    }
  }
  return { text: labels.join('.'), next: next ?? at + 1 };
}

function sizeAt(packet: Buffer, at: number): number {
  const size = packet[at];
  if (size === undefined) throw malformed();
  return size;
}

function pointerAt(packet: Buffer, at: number): number {
  const target = at + 1 < packet.length ? packet.readUInt16BE(at) & 0x3fff : at;
  if (target >= at) throw malformed();
  return target;
}

function labelAt(packet: Buffer, at: number, size: number): string {
  if (size > labelBytesMax || at + 1 + size > packet.length) throw malformed();
  return packet.toString('latin1', at + 1, at + 1 + size);
}
