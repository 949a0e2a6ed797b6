// Validation of checks (api.md §§5, 9.4, 10.1): rule texts, defaults, conversions, targets, and the catalogue.
import t from 'tap';
import { checkTypes } from '../../actors/check/catalogue.ts';
import { type CheckRules, createCheck, updateCheck } from '../../actors/check/check.ts';
import type { CheckDoc, EntityDoc } from '../../actors/resources.ts';
import { email, hash, hostname, integer, ip, type Rule, url } from '../../actors/validate.ts';

const rules: CheckRules = {
  zones: new Set(['mzA', 'mzB']),
  minPeriodMs: 10_000,
  supportedTypes: new Set(checkTypes.map((type) => type.id)),
  qualifiedNames: false,
};
const entity: EntityDoc = {
  id: 'enA',
  label: 'web',
  ip_addresses: { main: '192.0.2.1' },
  metadata: null,
  agent_id: null,
  managed: false,
  uri: null,
  created_at: 0,
  updated_at: 0,
};
const http = {
  type: 'remote.http',
  details: { url: 'http://example.com/x' },
  monitoring_zones_poll: ['mzA'],
};
const ping = { type: 'remote.ping', target_alias: 'main', monitoring_zones_poll: ['mzA'] };

function refusalOf(attributes: Record<string, unknown>, use = rules) {
  const outcome = createCheck(attributes, entity, use);
  return outcome.ok ? null : [outcome.error.type, outcome.error.message, outcome.error.details];
}

function made(attributes: Record<string, unknown>, use = rules): CheckDoc {
  const outcome = createCheck(attributes, entity, use);
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.error));
  return { id: 'chA', ...outcome.value, created_at: 1, updated_at: 1 };
}

const invalid = (key: string, rule: string | RegExp) => [
  'badRequest',
  `Validation error for key '${key}'`,
  rule,
];

t.test('defaults are filled in and unknown keys ignored', async (t) => {
  t.same(made({ ...http, nonsense: 1 }), {
    id: 'chA',
    type: 'remote.http',
    label: null,
    details: {
      url: 'http://example.com/x',
      method: 'GET',
      follow_redirects: true,
      include_body: false,
    },
    monitoring_zones_poll: ['mzA'],
    period: 60,
    timeout: 30,
    target_alias: null,
    target_hostname: 'example.com',
    target_resolver: 'IPv4',
    disabled: false,
    metadata: null,
    created_at: 1,
    updated_at: 1,
  });
});

t.test('numeric strings, booleans as texts and null are taken', async (t) => {
  const check = made({
    ...ping,
    period: '100',
    timeout: '2',
    disabled: '1',
    label: null,
    details: { count: '03' },
  });
  t.equal(check.period, 100);
  t.equal(check.timeout, 2);
  t.equal(check.disabled, true);
  t.same(check.details, { count: 3 });
  t.equal(made({ ...ping, period: null }).period, 60);
  t.equal(made({ ...ping, disabled: 'false' }).disabled, false);
});

const refusals: readonly [
  name: string,
  attributes: Record<string, unknown>,
  ...ReturnType<typeof invalid>,
][] = [
  ['no type', {}, ...invalid('type', 'Missing required key (type)')],
  [
    'empty type',
    { ...http, type: '' },
    ...invalid('type', /^Invalid value ''\. Should be one of \(remote\.dns,/),
  ],
  ['agent type', { ...http, type: 'agent.cpu' }, ...invalid('type', /Should be one of/)],
  [
    'no zones',
    { type: 'remote.ping', target_alias: 'main' },
    ...invalid('monitoring_zones_poll', 'Missing required key (monitoring_zones_poll)'),
  ],
  [
    'zones null',
    { ...ping, monitoring_zones_poll: null },
    ...invalid('monitoring_zones_poll', 'Missing required key (monitoring_zones_poll)'),
  ],
  [
    'zones empty',
    { ...ping, monitoring_zones_poll: [] },
    ...invalid('monitoring_zones_poll', 'Array is empty'),
  ],
  [
    'zones text',
    { ...ping, monitoring_zones_poll: 'mzA' },
    ...invalid('monitoring_zones_poll', 'Not an array'),
  ],
  [
    'zone twice',
    { ...ping, monitoring_zones_poll: ['mzA', 'mzA'] },
    ...invalid('monitoring_zones_poll', 'item mzA is repeated more then once'),
  ],
  ['period short', { ...ping, period: 9 }, ...invalid('period', 'Value out of range (10..1800)')],
  ['period long', { ...ping, period: 1801 }, ...invalid('period', 'Value out of range (10..1800)')],
  ['period no number', { ...ping, period: 'x' }, ...invalid('period', 'Invalid integer')],
  ['period half', { ...ping, period: 60.5 }, ...invalid('period', 'Invalid integer')],
  [
    'timeout = period',
    { ...ping, period: 20, timeout: 20 },
    ...invalid('timeout', 'Value out of range (2..19)'),
  ],
  ['timeout 1', { ...ping, timeout: 1 }, ...invalid('timeout', 'Value out of range (2..59)')],
  ['label empty', { ...ping, label: '' }, ...invalid('label', 'String is empty')],
  [
    'label long',
    { ...ping, label: 'x'.repeat(256) },
    ...invalid('label', 'String is not in range (1..255)'),
  ],
  ['label number', { ...ping, label: 5 }, ...invalid('label', 'Not a string')],
  ['disabled', { ...ping, disabled: 'yes' }, ...invalid('disabled', 'Not a boolean')],
  ['metadata', { ...ping, metadata: [] }, ...invalid('metadata', 'Not a hash')],
  [
    'metadata key',
    { ...ping, metadata: { '': 1 } },
    ...invalid('metadata', 'Key : String is empty'),
  ],
  [
    'no target',
    { type: 'remote.ping', monitoring_zones_poll: ['mzA'] },
    ...invalid('target_hostname', /Missing required key/),
  ],
  [
    'two targets',
    { ...ping, target_hostname: 'a.example' },
    ...invalid('target_hostname', /Only one of/),
  ],
  ['unknown alias', { ...ping, target_alias: 'x' }, ...invalid('target_alias', /ip_addresses/)],
  [
    'hostname',
    { ...ping, target_alias: null, target_hostname: 'a b' },
    ...invalid('target_hostname', 'Not a valid hostname, IPv4 or IPv6 address'),
  ],
  [
    'hostname 256',
    { ...ping, target_alias: null, target_hostname: '1.2.3.256' },
    ...invalid('target_hostname', 'Not a valid hostname, IPv4 or IPv6 address'),
  ],
  [
    'resolver',
    { ...ping, target_resolver: 'IPv5' },
    ...invalid('target_resolver', "Invalid value 'IPv5'. Should be one of (IPv4,IPv6)"),
  ],
  ['details text', { ...http, details: 'x' }, ...invalid('details', 'Not a hash')],
  [
    'http url missing',
    { ...http, details: undefined },
    ...invalid('details.url', 'Missing required key (details.url)'),
  ],
  ['http url', { ...http, details: { url: 'ftp://x' } }, ...invalid('details.url', 'Invalid URL')],
  [
    'http method',
    { ...http, details: { ...http.details, method: 'get' } },
    ...invalid('details.method', /Should be one of \(HEAD,GET/),
  ],
  [
    'http reserved header',
    { ...http, details: { ...http.details, headers: { HOST: 'x' } } },
    ...invalid('details.headers', 'Key HOST: Header is not allowed'),
  ],
  [
    'http header long',
    { ...http, details: { ...http.details, headers: { a: 'x'.repeat(51) } } },
    ...invalid('details.headers', "Value for key 'a': String is not in range (1..50)"),
  ],
  [
    'http header split',
    { ...http, details: { ...http.details, headers: { a: 'x\r\ny' } } },
    ...invalid('details.headers', "Value for key 'a': Invalid header value"),
  ],
  [
    'http body regex',
    { ...http, details: { ...http.details, body: '(' } },
    ...invalid('details.body', /^Invalid regular expression/),
  ],
  [
    'http matches',
    {
      ...http,
      details: { ...http.details, body_matches: { a: '1', b: '2', c: '3', d: '4', e: '5' } },
    },
    ...invalid('details.body_matches', 'Hash has more than 4 keys'),
  ],
  [
    'http payload',
    { ...http, details: { ...http.details, payload: 'x'.repeat(1025) } },
    ...invalid('details.payload', 'String is not in range (1..1024)'),
  ],
  [
    'ping count',
    { ...ping, details: { count: 16 } },
    ...invalid('details.count', 'Value out of range (1..15)'),
  ],
  [
    'tcp port missing',
    { ...ping, type: 'remote.tcp' },
    ...invalid('details.port', 'Missing required key (details.port)'),
  ],
  [
    'tcp port',
    { ...ping, type: 'remote.tcp', details: { port: 65_536 } },
    ...invalid('details.port', 'Value out of range [1,65535]'),
  ],
  [
    'dns type',
    { ...ping, type: 'remote.dns', details: { query: 'example.com', record_type: 'AXFR' } },
    ...invalid('details.record_type', /Should be one of/),
  ],
];

for (const [name, attributes, type, message, details] of refusals) {
  t.test(`refused: ${name}`, async (t) => {
    const refusal = refusalOf(attributes);
    t.equal(refusal?.[0], type);
    t.equal(refusal?.[1], message);
    if (typeof details === 'string') t.equal(refusal?.[2], details);
    else t.match(refusal?.[2], details);
  });
}

t.test('an unknown zone is a missing requirement', async (t) => {
  t.same(refusalOf({ ...ping, monitoring_zones_poll: ['mzX'] }), [
    'requiredNotFoundError',
    'Required object does not exist',
    'Object "MonitoringZone" with key "mzX" does not exist',
  ]);
});

t.test('a known type that no prober can run is refused with a clear text', async (t) => {
  const use = { ...rules, supportedTypes: new Set(['remote.ping']) };
  t.match(refusalOf(http, use)?.[2], /No prober of this installation can run/);
});

t.test('each remote type takes its own fields and keeps unknown ones', async (t) => {
  const valid: Record<string, Record<string, unknown>> = {
    'remote.dns': { query: 'example.com', record_type: 'MX' },
    'remote.http': {
      url: 'https://example.com',
      body_matches: { 'a b_1-': 'x+' },
      auth_user: 'u',
      auth_password: 'p',
    },
    'remote.smtp': { ehlo: 'me', from: 'a', to: '', starttls: 'true' },
    'remote.tcp': { port: '0080', banner_match: '^SSH', body_match: 'x', send_body: 'y', ssl: 1 },
    'remote.telnet-banner': { banner_match: 'login' },
  };
  for (const { id } of checkTypes) {
    const check = made({ ...ping, type: id, details: { ...valid[id], own: 'kept' } });
    t.equal(check.details['own'], 'kept', id);
    t.not(check.details['port'], '0080', id);
  }
  t.equal(
    made({ ...ping, type: 'remote.tcp', details: valid['remote.tcp'] ?? {} }).details['port'],
    80,
  );
  t.equal(made({ ...ping, type: 'remote.ssh' }).details['port'], 22);
  t.equal(made({ ...ping }).details['count'], 5);
});

t.test('targets: http derives it, one excludes the other, PUT switches', async (t) => {
  t.equal(
    made({ ...http, details: { url: 'http://[2001:db8::1]:8080/' } }).target_hostname,
    '2001:db8::1',
  );
  t.equal(made({ ...http, details: { url: 'http://[2001:db8::1]/' } }).target_resolver, null);
  t.equal(made({ ...http, target_alias: 'main' }).target_hostname, null);
  const check = made({ ...ping });
  const put = (attributes: Record<string, unknown>, from = check) => {
    const outcome = updateCheck(from, attributes, entity, rules);
    return outcome.ok ? outcome.value : null;
  };
  const named = put({ target_hostname: 'a.example' });
  t.match(named, { target_alias: null, target_hostname: 'a.example', target_resolver: 'IPv4' });
  const back = put({ target_alias: 'main' }, { ...check, ...named });
  t.match(back, { target_alias: 'main', target_hostname: null, target_resolver: null });
  t.match(put({ target_alias: null, target_hostname: 'b.example' }), {
    target_hostname: 'b.example',
  });
  const web = made({ ...http });
  t.equal(
    put({ details: { url: 'http://other.example/' } }, web)?.target_hostname,
    'other.example',
  );
  const fixed = made({ ...http, target_hostname: '192.0.2.9' });
  t.equal(put({ details: { url: 'http://other.example/' } }, fixed)?.target_hostname, '192.0.2.9');
  const strict = createCheck(
    { ...ping, target_alias: null, target_hostname: 'localhost' },
    entity,
    { ...rules, qualifiedNames: true },
  );
  t.match(strict, { ok: false, error: { details: 'Domain name is not fully qualified.' } });
});

t.test('PUT: partial, type immutable, details replaced whole', async (t) => {
  const check = made({ ...http, label: 'old', details: { ...http.details, body: 'x' } });
  const put = (attributes: Record<string, unknown>) =>
    updateCheck(check, attributes, entity, rules);
  t.match(put({ unknown: 1 }), { ok: true, value: { label: 'old', period: 60 } });
  t.match(put({ label: null }), { ok: true, value: { label: null } });
  t.match(put({ type: 'remote.http' }), { ok: true });
  t.match(put({ type: 'remote.ping' }), {
    ok: false,
    error: { details: 'Attempted to mutate immutable field' },
  });
  const details = put({ details: { url: 'http://example.com/y' } });
  t.notOk(details.ok && 'body' in details.value.details);
  t.match(put({ period: 20 }), {
    ok: false,
    error: { message: "Validation error for key 'timeout'" },
  });
  t.match(put({ period: 20, timeout: 10 }), { ok: true, value: { period: 20, timeout: 10 } });
});

t.test('short periods: timeout 1 is allowed, at period 1 equal to it', async (t) => {
  const use = { ...rules, minPeriodMs: 1000 };
  t.equal(made({ ...ping, period: 1 }, use).timeout, 1);
  t.equal(made({ ...ping, period: 2 }, use).timeout, 1);
  t.equal(made({ ...ping, period: 3 }, use).timeout, 2);
  t.equal(refusalOf({ ...ping, period: 1, timeout: 2 }, use)?.[2], 'Value out of range (1..1)');
});

t.test('the catalogue lists all remote types in the form of the API', async (t) => {
  t.equal(checkTypes.length, 14);
  t.match(
    checkTypes.find((type) => type.id === 'remote.ping'),
    {
      type: 'remote',
      category: 'remote',
      supported_platforms: null,
      fields: [{ name: 'count', optional: true }],
    },
  );
});

t.test('shared rules: hosts, addresses, mail, URLs, hashes', async (t) => {
  const table: readonly [rule: Rule, good: readonly unknown[], bad: readonly unknown[]][] = [
    [
      ip,
      ['192.0.2.1', '::1', '2001:db8::1'],
      ['1.2.3', '0x7f.1.1.1', '127.1', 'fe80::1%eth0', '', 5],
    ],
    [
      hostname(),
      ['a', 'a.example', 'a.example.', '_x.example', '::1', '192.0.2.1'],
      ['', '-a', 'a..b', 'a_b c', '1.2.3.4.5', 'x'.repeat(64)],
    ],
    [
      email,
      ['a@example.com', 'a.b+c@x.example'],
      ['a', 'a@', '@b', 'a@b c', 'a@@b.c', 'a\r\n@b.c', 'a,b@c.d'],
    ],
    [
      url(),
      ['http://x', 'https://x.example:8443/y?z'],
      ['x', 'javascript:x', 'http://', 'ftp://x', 'http://x'.padEnd(8097, 'y')],
    ],
    [
      hash({ k: [1, 2], max: 1 }),
      [{}, { a: 1 }],
      [{ a: 1, b: 2 }, { abc: 1 }, JSON.parse('{"__proto__":1}'), [], 'x'],
    ],
    [integer(-5, 5), [0, '-5', '05'], ['1.0', 1.5, '6', true, [], '9'.repeat(30)]],
  ];
  for (const [rule, good, bad] of table) {
    for (const value of good) t.ok(rule(value).ok, JSON.stringify(value));
    for (const value of bad) t.notOk(rule(value).ok, JSON.stringify(value).slice(0, 60));
  }
});
