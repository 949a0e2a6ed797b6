// remote.http: from check details to what will be sent and looked for. Pure. Refuses what must not reach a wire.
import { flag, optionalText, requiredText, textPairs } from '../details.ts';
import { ProbeError } from '../errors.ts';
import { wireText } from '../text.ts';
import type { Credentials } from './http-auth.ts';
import { compilePattern, type Pattern } from './pattern.ts';

export interface HttpPlan {
  readonly method: string;
  readonly url: URL;
  /** User headers as given; dropped across origins. */
  readonly headers: readonly (readonly [string, string])[];
  /** Sent to the first location only. */
  readonly payload: Buffer | null;
  readonly credentials: Credentials | null;
  readonly followRedirects: boolean;
  readonly includeBody: boolean;
  /** Metric name and the pattern it reports. */
  readonly matches: readonly (readonly [metric: string, pattern: Pattern])[];
}

const methods = new Set(['HEAD', 'GET', 'POST', 'PUT', 'DELETE', 'INFO']);
const refusedHeaders = new Set([
  'content-length',
  'user-agent',
  'host',
  'connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
  'te',
  'trailer',
  'expect',
]);
const urlCharsMax = 8096;
const headersMax = 10;
const matchesMax = 4;

const refuse = (message: string) => new ProbeError('invalid-request', { message });

/** Returns the plan of these details; throws `invalid-request` with the field in its text. */
export function planHttp(details: Readonly<Record<string, unknown>>): HttpPlan {
  const url = httpUrl(requiredText(details, 'url', urlCharsMax));
  const method = optionalText(details, 'method', 10) ?? 'GET';
  if (!methods.has(method)) throw refuse('method: not supported');
  const payload = optionalText(details, 'payload', 1024);
  return {
    method,
    url,
    headers: userHeaders(details),
    payload: payload === null ? null : Buffer.from(payload),
    credentials: credentialsOf(details, url),
    followRedirects: flag(details, 'follow_redirects', true),
    includeBody: flag(details, 'include_body', false),
    matches: matchesOf(details),
  };
}

/** Returns the URL of a user string; only http and https. */
function httpUrl(text: string): URL {
  const url = parseUrl(wireText(text, 'url'));
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw refuse('url: only http and https');
  }
  return url;
}

function parseUrl(text: string): URL {
  try {
    return new URL(text);
  } catch (cause) {
    throw new ProbeError('invalid-request', { message: 'url: not a URL', cause });
  }
}

function userHeaders(details: Readonly<Record<string, unknown>>): [string, string][] {
  return textPairs(details, 'headers', headersMax).map(([name, value]) => {
    const lower = name.toLowerCase();
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) throw refuse('headers: bad header name');
    if (refusedHeaders.has(lower) || lower.startsWith('proxy-')) {
      throw refuse(`headers: ${lower} is not allowed`);
    }
    // Header values are bytes on the wire: what lies beyond Latin-1 goes as UTF-8.
    return [name, Buffer.from(wireText(value, 'headers')).toString('latin1')];
  });
}

function credentialsOf(details: Readonly<Record<string, unknown>>, url: URL): Credentials | null {
  const user = optionalText(details, 'auth_user', 255) ?? decodeURIComponentOrSame(url.username);
  const password =
    optionalText(details, 'auth_password', 255) ?? decodeURIComponentOrSame(url.password);
  if (user === '' && password === '') return null;
  return { user: wireText(user, 'auth_user'), password: wireText(password, 'auth_password') };
}

/** User information of a URL; text that is no percent-encoding stands for itself. */
function decodeURIComponentOrSame(text: string): string {
  if (text === '') return '';
  return /%(?![0-9a-fA-F]{2})/.test(text) ? text : Buffer.from(unescapeBytes(text)).toString();
}

const unescapeBytes = (text: string): number[] =>
  Array.from(text.matchAll(/%([0-9a-fA-F]{2})|([^%])/g), (match) =>
    match[1] === undefined ? (match[2] ?? '').charCodeAt(0) : Number.parseInt(match[1], 16),
  );

function matchesOf(details: Readonly<Record<string, unknown>>): [string, Pattern][] {
  const body = optionalText(details, 'body', 255);
  const named = textPairs(details, 'body_matches', matchesMax).map(
    ([key, source]): [string, Pattern] => {
      if (!/^[-_ a-z0-9]{1,50}$/i.test(key)) throw refuse('body_matches: bad key');
      return [`body_match_${key}`, compilePattern(source, 'body_matches')];
    },
  );
  return body === null ? named : [['body_match', compilePattern(body, 'body')], ...named];
}
