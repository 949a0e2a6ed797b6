// Ids of history rows: UUIDs in version-1 layout, derived from an instant and a seed, so that writing a row again
// overwrites itself and ids of later instants sort behind (by time, after `timeOf`). RFC 9562 §5.1.
import { createHash } from 'node:crypto';

const gregorianOffsetMs = 12_219_292_800_000;

/** Returns the id for (`atMs`, `seed`); equal arguments give equal ids. */
export function timeId(atMs: number, seed: string): string {
  const digest = createHash('sha256').update(seed).digest();
  const ticks =
    (BigInt(Math.trunc(atMs)) + BigInt(gregorianOffsetMs)) * 10_000n +
    BigInt(digest.readUInt16BE(8) % 10_000);
  const hex = ticks.toString(16).padStart(15, '0');
  const clock = ((digest.readUInt16BE(0) & 0x3fff) | 0x8000).toString(16);
  // The multicast bit is set: the node part is no network card's address.
  const node =
    ((digest[2] as number) | 1).toString(16).padStart(2, '0') +
    digest.subarray(3, 8).toString('hex');
  return `${hex.slice(7)}-${hex.slice(3, 7)}-1${hex.slice(0, 3)}-${clock}-${node}`;
}

/** Returns the instant in an id of this layout, epoch ms; null for another text. */
export function timeOf(id: string): number | null {
  const parts = /^([0-9a-f]{8})-([0-9a-f]{4})-1([0-9a-f]{3})-[0-9a-f]{4}-[0-9a-f]{12}$/.exec(id);
  if (parts === null) return null;
  return Number(BigInt(`0x${parts[3]}${parts[2]}${parts[1]}`) / 10_000n) - gregorianOffsetMs;
}
