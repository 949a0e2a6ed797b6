// Basic and Digest (RFC 7616: SHA-256, MD5 and their session forms) for HTTP probes: pure text to text.
// Must not know sockets. The client nonce comes from the caller.
import { createHash } from 'node:crypto';
import { ProbeError } from '../errors.ts';
import { wireText } from '../text.ts';

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

export interface Challenge {
  /** Lower case. */
  readonly scheme: string;
  /** Names in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
}

const challengesMax = 16;
const hashes: Readonly<Record<string, string>> = {
  md5: 'md5',
  'md5-sess': 'md5',
  'sha-256': 'sha256',
  'sha-256-sess': 'sha256',
};
const preference = ['sha-256', 'sha-256-sess', 'md5', 'md5-sess'];

/** Returns the value of an Authorization header for Basic. */
export function basicAuthorization(credentials: Credentials): string {
  const pair = `${credentials.user}:${credentials.password}`;
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}

/** Returns the challenges of a WWW-Authenticate header, at most 16; what cannot be read ends the list. */
export function parseChallenges(header: string): Challenge[] {
  const found: { scheme: string; parameters: Map<string, string> }[] = [];
  const part = /[\s,]*([!#$%&'*+.^_`|~\w-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?/y;
  for (let match = part.exec(header); match !== null; match = part.exec(header)) {
    const [, name = '', quoted, plain] = match;
    if (quoted === undefined && plain === undefined) {
      if (found.length >= challengesMax) return found;
      found.push({ scheme: name.toLowerCase(), parameters: new Map() });
    } else {
      const value = quoted === undefined ? (plain ?? '') : quoted.replace(/\\(.)/g, '$1');
      found.at(-1)?.parameters.set(name.toLowerCase(), value);
    }
  }
  return found;
}

/** Returns the best Digest challenge that this client can answer, or null. */
export function digestChallenge(header: string): Challenge | null {
  const usable = parseChallenges(header).filter((challenge) => {
    const qop = challenge.parameters.get('qop');
    const isAuth = qop === undefined || qop.split(/\s*,\s*/).includes('auth');
    return challenge.scheme === 'digest' && isAuth && preference.includes(algorithmOf(challenge));
  });
  const rank = (challenge: Challenge) => preference.indexOf(algorithmOf(challenge));
  return usable.sort((a, b) => rank(a) - rank(b))[0] ?? null;
}

const algorithmOf = (challenge: Challenge): string =>
  (challenge.parameters.get('algorithm') ?? 'MD5').toLowerCase();

/**
 * Returns the value of an Authorization header that answers `challenge` for one request.
 * Throws `auth-unsupported` where the challenge lacks a nonce or holds what must not be sent back.
 */
export function digestAuthorization(
  challenge: Challenge,
  credentials: Credentials,
  request: { readonly method: string; readonly path: string; readonly clientNonce: string },
): string {
  const realm = challenge.parameters.get('realm') ?? '';
  const nonce = challenge.parameters.get('nonce');
  if (nonce === undefined) throw new ProbeError('auth-unsupported');
  const algorithm = algorithmOf(challenge);
  const hash = (text: string) =>
    createHash(hashes[algorithm] ?? 'md5')
      .update(text)
      .digest('hex');
  const { method, path, clientNonce } = request;
  const base = hash(`${credentials.user}:${realm}:${credentials.password}`);
  const ha1 = algorithm.endsWith('-sess') ? hash(`${base}:${nonce}:${clientNonce}`) : base;
  const ha2 = hash(`${method}:${path}`);
  const hasQop = challenge.parameters.has('qop');
  const middle = hasQop ? `${nonce}:00000001:${clientNonce}:auth` : nonce;
  const opaque = challenge.parameters.get('opaque');
  const fields = [
    `username=${quoted(credentials.user)}`,
    `realm=${quoted(realm)}`,
    `nonce=${quoted(nonce)}`,
    `uri=${quoted(path)}`,
    `algorithm=${challenge.parameters.get('algorithm') ?? 'MD5'}`,
    `response="${hash(`${ha1}:${middle}:${ha2}`)}"`,
    ...(hasQop ? [`qop=auth`, `nc=00000001`, `cnonce="${clientNonce}"`] : []),
    ...(opaque === undefined ? [] : [`opaque=${quoted(opaque)}`]),
  ];
  try {
    return `Digest ${wireText(fields.join(', '), 'digest challenge')}`;
  } catch (cause) {
    // The user's own texts were checked before: what is wrong came from the target.
    throw new ProbeError('auth-unsupported', { cause });
  }
}

const quoted = (value: string): string => `"${value.replace(/["\\]/g, '\\$&')}"`;
