// What may stand in the `details` of a check, by type: names, rules, defaults and descriptions of the fields (api.md §10.1).
// The one table behind validation and the check type catalogue. Must not know targets, zones or periods.
import { compileRegexes } from '../criteria/regex.ts';
import {
  type Attribute,
  all,
  boolean,
  fail,
  hash,
  hostname,
  integer,
  isHash,
  oneOf,
  pass,
  port,
  type Rule,
  type Schema,
  shape,
  string,
  url,
} from '../validate.ts';

/** One field of a check type. */
export interface DetailField extends Attribute {
  readonly description: string;
}

/** Text of 1..255 characters that compiles as a regular expression (RE2). */
const pattern: Rule = all(string(1, 255), (value) => {
  const compiled = compileRegexes([value as string]);
  return 'message' in compiled
    ? fail(`Invalid regular expression: ${compiled.message}`)
    : pass(value);
});

const reservedHeaders = new Set([
  'content-length',
  'user-agent',
  'host',
  'connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
]);

const headers: Rule = all(hash({ k: [1, 50], v: [1, 50], max: 10 }), (value) => {
  for (const [name, text] of Object.entries(value as Record<string, string>)) {
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name))
      return fail(`Key ${name}: Invalid header name`);
    if (reservedHeaders.has(name.toLowerCase())) return fail(`Key ${name}: Header is not allowed`);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
    if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(text)) {
      return fail(`Value for key '${name}': Invalid header value`);
    }
  }
  return pass(value);
});

const bodyMatches: Rule = all(hash({ k: [1, 50], v: pattern, max: 4 }), (value) => {
  for (const name of Object.keys(value as Record<string, string>)) {
    if (!/^[-_ a-z0-9]+$/i.test(name)) return fail(`Key ${name}: Invalid key`);
  }
  return pass(value);
});

const required = (rule: Rule, description: string): DetailField => ({
  rule,
  description,
  required: true,
});
const optional = (rule: Rule, description: string): DetailField => ({ rule, description });
const defaulted = (rule: Rule, value: unknown, description: string): DetailField => ({
  rule,
  description,
  default: value,
});

const portOf = (number: number) => defaulted(port, number, `Port number (default: ${number})`);
const ssl = optional(boolean, 'Enable SSL');

const http: Readonly<Record<string, DetailField>> = {
  url: required(url(), 'Target URL'),
  method: defaulted(
    oneOf('HEAD', 'GET', 'POST', 'PUT', 'DELETE', 'INFO'),
    'GET',
    'HTTP method (default: GET)',
  ),
  headers: optional(headers, 'Hash of headers which are sent with the request'),
  body: optional(pattern, 'Body match regular expression (body is limited to 100k)'),
  body_matches: optional(bodyMatches, 'Hash of body match names and regular expressions'),
  follow_redirects: defaulted(boolean, true, 'Follow redirects (default: true)'),
  auth_user: optional(string(1, 255), 'Optional auth user'),
  auth_password: optional(string(1, 255), 'Optional auth password'),
  payload: optional(string(1, 1024), 'Request body, sent to the first location only'),
  include_body: defaulted(boolean, false, 'Include the body as a metric (default: false)'),
};

const text255 = string(1, 255);

/** Every remote check type. Order: as the catalogue lists them. */
export const detailFields: Readonly<Record<string, Readonly<Record<string, DetailField>>>> = {
  'remote.dns': {
    query: required(dnsName, 'DNS query'),
    record_type: required(
      oneOf(...'A AAAA TXT MX SOA CNAME PTR NS MB MD MF MG MR'.split(' ')),
      'DNS record type',
    ),
    port: portOf(53),
  },
  'remote.ftp-banner': { port: portOf(21) },
  'remote.http': http,
  'remote.imap-banner': { port: portOf(143), ssl },
  'remote.mssql-banner': { port: portOf(1433), ssl },
  'remote.mysql-banner': { port: portOf(3306), ssl },
  'remote.ping': {
    count: defaulted(
      integer(1, 15),
      5,
      'Number of pings to send within a single check (default: 5)',
    ),
  },
  'remote.pop3-banner': { port: portOf(110), ssl },
  'remote.postgresql-banner': { port: portOf(5432), ssl },
  'remote.smtp': {
    port: portOf(25),
    ehlo: optional(text255, 'EHLO parameter'),
    from: optional(text255, 'From parameter'),
    to: optional(
      string(0, 255),
      'To parameter. If blank a quit is issued before sending a To line',
    ),
    payload: optional(string(1, 1024), 'Specifies the payload'),
    starttls: optional(boolean, 'Should the connection be upgraded to TLS/SSL?'),
  },
  'remote.smtp-banner': { port: portOf(25), ssl },
  'remote.ssh': { port: portOf(22) },
  'remote.tcp': {
    port: required(port, 'Port number'),
    banner_match: optional(pattern, 'Banner match regular expression'),
    body_match: optional(pattern, 'Body match regular expression'),
    send_body: optional(string(1, 1024), 'Sent after the banner was verified'),
    ssl,
  },
  'remote.telnet-banner': {
    port: portOf(23),
    banner_match: optional(pattern, 'Banner match regular expression'),
    ssl,
  },
};

function dnsName(value: unknown) {
  if (typeof value === 'string' && /^[\d.]+$/.test(value)) return pass(value);
  return hostname()(value);
}

const limits = { k: [1, 255], max: 256 } as const;
const rules = new Map(
  Object.entries(detailFields).map(([type, fields]) => [type, shape(fields as Schema, limits)]),
);

/**
 * Returns the rule for the details of a check type: known fields validated, defaults filled in, unknown fields kept.
 * Every type of `detailFields` has one.
 */
export function detailsRule(type: string): Rule {
  const rule = rules.get(type);
  return (value) => {
    if (rule === undefined) return fail(`Invalid value '${type}'`);
    if (!isHash(value)) return fail('Not a hash');
    return JSON.stringify(value).length > detailsCharactersMax
      ? fail(`Details are larger than ${detailsCharactersMax} characters`)
      : rule(value);
  };
}

/** Details ride in every probe request: 10 headers, a URL, a payload and patterns stay far below. */
const detailsCharactersMax = 65_536;
