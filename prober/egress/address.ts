// What an address is: parsed to bytes, classified by numeric ranges (IANA special-purpose registries,
// security.md §2.5), transition forms unwrapped. Pure. Must not know presets, ports or tenants.
import { createRequire } from 'node:module';
import { isIP } from 'node:net';
import type Ipaddr from 'ipaddr.js';

/** Not by `import`: for a CommonJS package that loads an analyser of 5 MB, which nothing else in a prober needs. */
const ipaddr: typeof Ipaddr = createRequire(import.meta.url)('ipaddr.js');

/** An address as bytes: 4 or 16 of them. */
export interface Address {
  readonly bytes: readonly number[];
  /** Canonical text: dotted quads, or RFC 5952 for IPv6. */
  readonly text: string;
}

export type AddressClass =
  | 'global'
  | 'private'
  | 'loopback'
  | 'shared'
  | 'benchmark'
  | 'link-local'
  | 'metadata'
  | 'unspecified'
  | 'multicast'
  | 'broadcast'
  | 'reserved'
  /** An IPv6 form that carries an IPv4 address. */
  | 'mapped'
  | 'transition';

/** A range: first bytes, compared over `bits`. */
export interface Range {
  readonly bytes: readonly number[];
  readonly bits: number;
}

/** Returns the address of a literal (no zone id, no brackets, no short or octal forms), else null. */
export function parseAddress(literal: string): Address | null {
  const family = isIP(literal);
  if (family === 4) {
    const bytes = literal.split('.').map(Number);
    return { bytes, text: bytes.join('.') };
  }
  if (family !== 6 || literal.includes('%')) return null;
  const bytes = parseIpv6(literal);
  return { bytes, text: new ipaddr.IPv6([...bytes]).toRFC5952String() };
}

/** Bytes of what `isIP` calls IPv6. Not by ipaddr.js: 2.5.0 reads `::8.8.8.8` as `::ffff:8.8.8.8`, which is elsewhere. */
function parseIpv6(literal: string): readonly number[] {
  const [head = '', tail] = literal.split('::');
  const front = ipv6Groups(head);
  const back = ipv6Groups(tail ?? '');
  return [...front, ...new Array<number>(16 - front.length - back.length).fill(0), ...back];
}

function ipv6Groups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

/** Returns the range of `address/bits` or of a single address; throws RangeError for anything else. */
export function parseRange(text: string): Range {
  const [literal = '', bitsText, ...rest] = text.trim().split('/');
  const address = parseAddress(literal);
  if (address === null || rest.length > 0) throw new RangeError(`not an address range: ${text}`);
  const bitsMax = address.bytes.length * 8;
  if (bitsText === undefined) return { bytes: address.bytes, bits: bitsMax };
  const bits = /^\d{1,3}$/.test(bitsText) ? Number(bitsText) : -1;
  if (bits < 0 || bits > bitsMax) throw new RangeError(`not an address range: ${text}`);
  return { bytes: address.bytes, bits };
}

/** Returns whether an address lies in a range; families never match each other. */
export function inRange(bytes: readonly number[], range: Range): boolean {
  if (bytes.length !== range.bytes.length) return false;
  const whole = range.bits >> 3;
  for (let i = 0; i < whole; i += 1) if (bytes[i] !== range.bytes[i]) return false;
  const left = range.bits & 7;
  if (left === 0) return true;
  const mask = 0xff & (0xff << (8 - left));
  return ((bytes[whole] ?? 0) & mask) === ((range.bytes[whole] ?? 0) & mask);
}

const table = (rows: readonly (readonly [string, AddressClass])[]) =>
  rows.map(([text, found]) => ({ range: parseRange(text), found }));

// The first match decides: exceptions stand before the range that holds them.
const classes4 = table([
  ['169.254.169.254', 'metadata'],
  ['169.254.170.2', 'metadata'],
  ['169.254.170.23', 'metadata'],
  ['169.254.169.123', 'metadata'],
  ['100.100.100.200', 'metadata'],
  ['192.0.0.192', 'metadata'],
  ['168.63.129.16', 'metadata'],
  ['0.0.0.0', 'unspecified'],
  ['0.0.0.0/8', 'reserved'],
  ['10.0.0.0/8', 'private'],
  ['100.64.0.0/10', 'shared'],
  ['127.0.0.0/8', 'loopback'],
  ['169.254.0.0/16', 'link-local'],
  ['172.16.0.0/12', 'private'],
  ['192.0.0.0/24', 'reserved'],
  ['192.0.2.0/24', 'reserved'],
  ['192.88.99.0/24', 'reserved'],
  ['192.168.0.0/16', 'private'],
  ['198.18.0.0/15', 'benchmark'],
  ['198.51.100.0/24', 'reserved'],
  ['203.0.113.0/24', 'reserved'],
  ['224.0.0.0/4', 'multicast'],
  ['255.255.255.255', 'broadcast'],
  ['240.0.0.0/4', 'reserved'],
]);

const classes6 = table([
  ['fd00:ec2::254', 'metadata'],
  ['fd00:ec2::23', 'metadata'],
  ['fd20:ce::254', 'metadata'],
  ['fd00:42::42', 'metadata'],
  ['::', 'unspecified'],
  ['::1', 'loopback'],
  ['::/96', 'reserved'],
  ['::ffff:0:0/96', 'mapped'],
  ['::ffff:0:0:0/96', 'transition'],
  ['64:ff9b::/96', 'transition'],
  ['64:ff9b:1::/48', 'transition'],
  ['100::/64', 'reserved'],
  ['2001::/32', 'transition'],
  ['2001::/23', 'reserved'],
  ['2001:db8::/32', 'reserved'],
  ['2002::/16', 'transition'],
  ['3fff::/20', 'reserved'],
  ['5f00::/16', 'reserved'],
  ['fc00::/7', 'private'],
  ['fe80::/10', 'link-local'],
  ['fec0::/10', 'reserved'],
  ['ff00::/8', 'multicast'],
  ['2000::/3', 'global'],
  ['::/0', 'reserved'],
]);

/** Returns the class of an address; what no row names is global for IPv4 and reserved for IPv6. */
export function classify(bytes: readonly number[]): AddressClass {
  for (const row of bytes.length === 4 ? classes4 : classes6) {
    if (inRange(bytes, row.range)) return row.found;
  }
  return 'global';
}

const teredo = parseRange('2001::/32');
const sixToFour = parseRange('2002::/16');
const localNat64 = parseRange('64:ff9b:1::/48');

/**
 * Returns every IPv4 address that a mapped or transition form carries (Teredo carries two: server and,
 * inverted, client). Empty for other addresses.
 */
export function embedded(bytes: readonly number[]): readonly (readonly number[])[] {
  if (bytes.length !== 16) return [];
  if (inRange(bytes, teredo)) {
    return [bytes.slice(4, 8), bytes.slice(12, 16).map((byte) => byte ^ 0xff)];
  }
  if (inRange(bytes, sixToFour)) return [bytes.slice(2, 6)];
  // RFC 6052 with a /48 prefix skips byte 8; operators also use a /96 below it: both are checked.
  if (inRange(bytes, localNat64)) {
    return [[...bytes.slice(6, 8), ...bytes.slice(9, 11)], bytes.slice(12, 16)];
  }
  const found = classify(bytes);
  return found === 'mapped' || found === 'transition' ? [bytes.slice(12, 16)] : [];
}
