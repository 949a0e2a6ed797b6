// Making and checking secrets: random texts, API keys, passwords. The randomness comes in as a port.
// Passwords are hashed by scrypt (low entropy); keys and tokens by sha256 (see token.ts).
import { scrypt, timingSafeEqual } from 'node:crypto';
import type { Random } from '../runtime/ports.ts';

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** 16 MiB and about 50 ms a hash: the interactive cost of the scrypt paper. */
const cost = { N: 16_384, r: 8, p: 1, keyBytes: 32, saltBytes: 16 } as const;

/** Returns `length` characters of [0-9A-Za-z], each uniform. */
export function randomText(random: Random, length: number): string {
  let text = '';
  while (text.length < length) {
    for (const byte of random.bytes(length * 2)) {
      // 248 is the largest multiple of 62 below 256: what is above would favour the first letters.
      if (byte < 248 && text.length < length) text += alphabet[byte % 62];
    }
  }
  return text;
}

/** Returns the first `length` characters of a hash's bytes in [0-9A-Za-z]: an id derived from what is hashed. */
export function textOfBytes(bytes: Uint8Array, length: number): string {
  let value = BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
  let text = '';
  for (let at = 0; at < length; at++) {
    text += alphabet[Number(value % 62n)];
    value /= 62n;
  }
  return text;
}

/** Returns a new API key: 256 bits, hex. */
export function newApiKey(random: Random): string {
  return Buffer.from(random.bytes(32)).toString('hex');
}

/** Returns a new secret that signs webhooks (standard-webhooks v1). */
export function newSigningSecret(random: Random): string {
  return `whsec_${Buffer.from(random.bytes(32)).toString('base64')}`;
}

/** Returns `scrypt$N$salt$hash` of a password. */
export async function hashPassword(password: string, random: Random): Promise<string> {
  const salt = Buffer.from(random.bytes(cost.saltBytes));
  const hash = await derive(password, salt, cost.N);
  return `scrypt$${cost.N}$${salt.toString('base64url')}$${hash.toString('base64url')}`;
}

/** True where `password` has this hash. An unusable hash is false and takes as long: a user's existence does not show. */
export async function matchesPassword(password: string, stored: string | null): Promise<boolean> {
  const parts = /^scrypt\$(\d{1,7})\$([\w-]{16,64})\$([\w-]{16,128})$/.exec(stored ?? '');
  if (parts === null) {
    await derive(password, Buffer.alloc(cost.saltBytes), cost.N);
    return false;
  }
  const expected = Buffer.from(parts[3] as string, 'base64url');
  const salt = Buffer.from(parts[2] as string, 'base64url');
  const actual = await derive(password, salt, Number(parts[1]));
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}

function derive(password: string, salt: Uint8Array, n: number): Promise<Buffer> {
  const options = { N: n, r: cost.r, p: cost.p, maxmem: 256 * n * cost.r };
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFC'), salt, cost.keyBytes, options, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}
