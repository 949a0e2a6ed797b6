// What people and their programs write: criteria, settings, requests, tokens, addresses.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CriteriaError, compileCriteria } from '../../actors/criteria/criteria.ts';
import { isMailAddress } from '../../actors/notify/mail-address.ts';
import { observation } from '../../actors/observation/observation.ts';
import { parseUrl } from '../../actors/url.ts';
import { url } from '../../actors/validate.ts';
import { attributesOf } from '../../api/body.ts';
import type { Call } from '../../api/call.ts';
import { pageRequest } from '../../api/page.ts';
import { flagOf, valuesOf, wholeOf } from '../../api/query.ts';
import type { Route } from '../../api/route.ts';
import { allowedMethods } from '../../api/route-match.ts';
import { positionOf } from '../../api/stream/replay.ts';
import { newToken, parseToken } from '../../api/token.ts';
import { ConfigError } from '../../config/errors.ts';
import { loadConfig } from '../../config/load.ts';
import { TocsinError } from '../../runtime/errors.ts';
import { actorKey } from '../../runtime/ids.ts';
import type { History } from '../../runtime/ports.ts';
import { timeId, timeOf } from '../../runtime/time-id.ts';
import { seededRandom } from '../clock.ts';
import { bytes, type Decoder, isApi, must, text, value } from './decoder.ts';

const golden = JSON.parse(
  readFileSync(new URL('../golden/alarm-golden.json', import.meta.url), 'utf8'),
) as readonly { readonly criteria: string | null }[];
const words = [
  'if',
  'return',
  'new AlarmStatus(',
  'CRITICAL',
  'WARNING',
  'OK',
  "metric['a']",
  'metric["__proto__"]',
  'rate(',
  'previous(',
  'percentage(',
  'regex',
  "'(a+)+$'",
  '&&',
  '||',
  ':set consecutiveCount=3',
  ':set consistencyLevel=ALL',
  '#{code}',
  '/*',
  '*/',
  '#',
  '(((((((',
];
const seen = observation({ slotAtMs: 1, atMs: 1, available: true, status: 'fine' }, [
  ['code', 's', '200', 'unknown'],
  ['d', 'n', 1.5, 'ms'],
]);

function compile(source: string): void {
  const compiled = compileCriteria(source);
  const { state, status } = compiled.evaluate(seen, seen);
  must(['OK', 'WARNING', 'CRITICAL'].includes(state) && status.length <= 1024, 'a verdict');
  compiled.explain(seen, null);
}

const scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'tocsin-fuzz-'));
process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));
const yamlWords = [
  '&a [',
  '*a',
  '<<: ',
  '!!binary |',
  '? ',
  '- ',
  '|',
  '>',
  '{toString: 1}',
  '---',
  '%YAML 1.2',
];
const yaml: readonly string[] = [
  'listen: 127.0.0.1:7420\ndata: ./data\nzones: [mzlocal, mzother]\nminPeriod: 10\n',
  'egress: public\nlimits: contract\nadminApiKey: 0123456789abcdef\nanchors:\n  - 10.0.0.1\n',
  'smtpHost: mail.test\nsmtpFrom: a@b.test\nsmtpSecure: true\nlisten: "[::1]:1"\n',
];

function readYaml(input: string): void {
  writeFileSync(join(scratch, 'tocsin.yaml'), input);
  const config = loadConfig({ environment: {}, flags: [], folder: scratch });
  must(Number.isInteger(config.listenPort) && config.listenPort <= 65_535, 'a port');
}

const flags = [
  '--listen=127.0.0.1:1',
  '--min-period',
  '5',
  '--zones',
  'mza,mzb',
  '--log-level=info',
];
const route = {
  own: true,
  body: { use: 'attributes', schema: { properties: { label: {}, list: {} }, required: ['label'] } },
} as unknown as Route;
const bodies = [
  '{"label":"x","list":[1,2,{"a":null}]}',
  '{"label":"\\u0000\\ud800","__proto__":{"a":1}}',
  '\ufeff{"label":"x"}',
  `{"label":${'['.repeat(100)}${']'.repeat(100)}}`,
].map((body) => Buffer.from(body));
const types = ['application/json', 'application/json; charset=utf-8', 'text/plain', undefined];

function readBody(input: Buffer): void {
  const type = types[input.length % types.length];
  const attributes = attributesOf(route, type, input);
  must(
    Object.keys(attributes).every((name) => name === 'label' || name === 'list'),
    'known keys',
  );
  must(!Object.hasOwn(Object.prototype, 'polluted') && !('a' in {}), 'prototypes as they were');
}

function readQuery(input: string): void {
  const query = new URLSearchParams(input);
  for (const name of ['limit', 'from', 'to']) {
    const whole = wholeOf(query, name);
    must(whole === null || Number.isSafeInteger(whole), 'a whole number');
  }
  flagOf(query, 'reverse');
  valuesOf(query, 'id');
  const { limit } = pageRequest({ query } as unknown as Call);
  must(limit >= 1 && limit <= 1000, 'a limit');
}

const random = seededRandom(1);
const tokens = ['tenant', 'a', '123456', 'x'.repeat(60)].map((name) => newToken(name, random).text);
const emptyHistory = { get: async () => null } as unknown as History;
const methodsOf = allowedMethods([
  { method: 'GET', path: '/v1.0/:tenant/entities/:entity' } as unknown as Route,
]);

const urls = [
  'https://user:pass@example.test:8080/a?b#c',
  'http://①②⑦.⓪.⓪.①/',
  'http://[::1]:7420/',
  Buffer.from('http://①②⑦.⓪.⓪.①:1/').toString('latin1'),
];

function readUrl(input: string): void {
  const rule = url();
  const judged = rule(input) as { readonly ok?: boolean };
  must(typeof judged === 'object', 'a judgement');
  parseUrl(input);
}

const asList = (input: unknown): string[] =>
  Array.isArray(input)
    ? input.map((one) => (typeof one === 'string' ? one : (JSON.stringify(one) ?? '')))
    : [];

/** Decoders of users' input. */
export const textDecoders: readonly Decoder[] = [
  text('URL', { corpus: urls, words: ['@', '\\', '//', 'ï¼'] }, readUrl),
  text(
    'criteria',
    { corpus: golden.flatMap((row) => row.criteria ?? []), words },
    compile,
    (error) => error instanceof CriteriaError,
  ),
  {
    // Read once, at the start, from the operator's own file.
    ...text(
      'settings file',
      { corpus: yaml, words: yamlWords },
      readYaml,
      (error) => error instanceof ConfigError,
    ),
    slowMs: 5000,
  },
  value(
    'flags',
    [flags],
    (input) => loadConfig({ environment: {}, flags: asList(input), folder: scratch }),
    (error) => error instanceof ConfigError,
  ),
  bytes('API body', bodies, readBody, isApi),
  text(
    'API query',
    {
      corpus: ['limit=10&marker=x&from=1&to=2&reverse=true&id=a&id[]=b'],
      words: ['limit=', '&', 'from='],
    },
    readQuery,
    isApi,
  ),
  text('API path', { corpus: ['/v1.0/t/entities/e'], words: ['/', '//', '%2f'] }, methodsOf),
  text('token', { corpus: tokens, words: ['_', 'tcs_'] }, (input) => {
    const parsed = parseToken(input);
    must(parsed === null || parsed.id.length === 12, 'a token');
  }),
  text(
    'Last-Event-ID',
    { corpus: [`${timeId(1_700_000_000_000, 'x')}.12`], words: ['.', '-'] },
    (input) => positionOf(emptyHistory, 't', input),
  ),
  text('time id', { corpus: [timeId(1_700_000_000_000, 'x')] }, (input) => {
    const at = timeOf(input);
    must(at === null || Number.isFinite(at), 'an instant');
  }),
  text(
    'actor key',
    { corpus: ['tenant/entity', 'é/ü'] },
    actorKey,
    (error) => error instanceof TocsinError,
  ),
  text('mail address', { corpus: ['a.b@c.test'], words: ['@', '.', '"', ','] }, (input) => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there
    must(!isMailAddress(input) || !/[\s,;<>"\u0000-\u001f]/.test(input), 'one plain address');
  }),
];
