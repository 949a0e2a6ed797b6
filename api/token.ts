// The text of a token: `tcs_<tenant>_<public id>_<32 random bytes>_<crc>`. Made once, shown once, stored as a hash only.
// Read from the end, for a tenant id may hold `_`. Owns the form; must not know users or where hashes are stored.
import { createHash, timingSafeEqual } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { Random } from '../runtime/ports.ts';
import { randomText } from './secret.ts';

const form = /^tcs_([a-z0-9][a-z0-9:._-]{0,63})_([0-9A-Za-z]{12})_([\w-]{43})_([0-9a-f]{8})$/;

export interface ParsedToken {
  readonly tenant: string;
  /** Public part: names the token in logs and documents. */
  readonly id: string;
}

/** Returns a new token's text and its public id. */
export function newToken(
  tenant: string,
  random: Random,
): { readonly text: string; readonly id: string } {
  const id = randomText(random, 12);
  const secret = Buffer.from(random.bytes(32)).toString('base64url');
  const start = `tcs_${tenant}_${id}_${secret}`;
  return { text: `${start}_${checksum(start)}`, id };
}

/** Returns the tenant and public id of a token text, or null where it is no token: a mistyped one costs no look-up. */
export function parseToken(text: string): ParsedToken | null {
  if (text.length > 200) return null;
  const parts = form.exec(text);
  if (parts === null) return null;
  const crc = parts[4] as string;
  if (checksum(text.slice(0, -crc.length - 1)) !== crc) return null;
  return { tenant: parts[1] as string, id: parts[2] as string };
}

/** Returns sha256 of a text as hex: enough for secrets of high entropy. */
export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** True where `text` hashes to `hash`; takes the same time whatever differs. */
export function matchesHash(text: string, hash: string): boolean {
  const expected = Buffer.from(hash, 'hex');
  const actual = createHash('sha256').update(text).digest();
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(8, '0');
}
