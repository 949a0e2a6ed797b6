// Settings: precedence of file, environment and flags, and a clear refusal of everything that is not known.
import { writeFileSync } from 'node:fs';
import t from 'tap';
import { loadConfig, printable } from '../../config/load.ts';
import { settings } from '../../config/schema.ts';

const load = (
  environment: Record<string, string> = {},
  flags: string[] = [],
  folder = t.testdirName,
) => loadConfig({ environment, flags, folder });

t.test('defaults are those of the design', (t) => {
  t.match(load(), {
    listenHost: '127.0.0.1',
    listenPort: 7420,
    zones: ['mzlocal'],
    minPeriodMs: 10_000,
    egress: 'local',
    limits: 'open',
    adminApiKey: null,
    smtp: null,
    tls: null,
  });
  t.end();
});

t.test('flags win over the environment, the environment over the file', (t) => {
  const folder = t.testdir({
    'tocsin.yaml': 'listen: 127.0.0.1:1111\nzones: [mzone, mztwo]\nminPeriod: 5\n',
  });
  t.match(load({}, [], folder), { listenPort: 1111, zones: ['mzone', 'mztwo'], minPeriodMs: 5000 });
  t.match(load({ TOCSIN_LISTEN: '127.0.0.1:2222' }, [], folder), { listenPort: 2222 });
  t.match(
    load({ TOCSIN_LISTEN: '127.0.0.1:2222' }, ['--listen', '[::1]:3333', '--min-period=1'], folder),
    { listenHost: '::1', listenPort: 3333, minPeriodMs: 1000 },
  );
  t.end();
});

t.test('unknown keys are refused wherever they stand', (t) => {
  t.throws(() => load({ TOCSIN_LISTN: 'x' }), { code: 'CF_UNKNOWN_KEY', message: /TOCSIN_LISTN/ });
  t.throws(() => load({}, ['--nope', '1']), { code: 'CF_UNKNOWN_KEY' });
  t.throws(() => load({}, [], t.testdir({ 'tocsin.yaml': 'listenn: 1\n' })), {
    code: 'CF_UNKNOWN_KEY',
    message: /listenn/,
  });
  t.throws(() => load({}, [], t.testdir({ 'tocsin.yaml': '- a\n' })), { code: 'CF_UNREADABLE' });
  t.throws(() => load({}, [], t.testdir({ 'tocsin.yaml': 'a: [\n' })), { code: 'CF_UNREADABLE' });
  t.doesNotThrow(
    () => load({ TOCSIN_URL: 'http://127.0.0.1:1' }),
    'variables of the command line are not settings of a node',
  );
  t.end();
});

t.test('bad values are refused with what is expected', (t) => {
  const table: [Record<string, string>, RegExp][] = [
    [{ TOCSIN_MIN_PERIOD: '0' }, /1 to 30/],
    [{ TOCSIN_MIN_PERIOD: '31' }, /1 to 30/],
    [{ TOCSIN_MIN_PERIOD: '5s' }, /whole number/],
    [{ TOCSIN_EGRESS: 'open' }, /local, public/],
    [{ TOCSIN_LIMITS: 'none' }, /open, contract/],
    [{ TOCSIN_LISTEN: '7420' }, /host:port/],
    [{ TOCSIN_LISTEN: '127.0.0.1:70000' }, /host:port/],
    [{ TOCSIN_LISTEN: '0.0.0.0:7420' }, /TLS/],
    [{ TOCSIN_ZONES: 'mza,mza' }, /different/],
    [{ TOCSIN_ZONES: '1' }, /zone ids/],
    [{ TOCSIN_ADMIN_API_KEY: 'short' }, /16 to 128/],
    [{ TOCSIN_NODE: 'a b' }, /letters/],
    [{ TOCSIN_TLS_CERT: 'x' }, /go together/],
    [{ TOCSIN_SMTP_HOST: 'mail' }, /TOCSIN_SMTP_FROM/],
    [{ TOCSIN_ALLOW_PLAIN_HTTP: 'yes' }, /true or false/],
  ];
  for (const [environment, expected] of table)
    t.throws(
      () => load(environment),
      { code: 'CF_BAD_VALUE', message: expected },
      JSON.stringify(environment),
    );
  t.end();
});

t.test('secrets never show in what is printed or refused', (t) => {
  const config = load({
    TOCSIN_ADMIN_API_KEY: 'k'.repeat(20),
    TOCSIN_SMTP_HOST: 'mail',
    TOCSIN_SMTP_FROM: 'a@b.example',
    TOCSIN_SMTP_PASSWORD: 'hush-hush',
  });
  const text = JSON.stringify(printable(config));
  t.notMatch(text, /kkkk|hush/);
  t.match(config.smtp, { password: 'hush-hush', port: 587, requireTls: true });
  t.end();
});

t.test('every setting has one variable, one key and a meaning', (t) => {
  t.equal(new Set(settings.map((s) => s.key)).size, settings.length);
  t.equal(new Set(settings.map((s) => s.variable)).size, settings.length);
  for (const setting of settings) t.match(setting.variable, /^TOCSIN_[A-Z_]+$/);
  t.end();
});

t.test('a file beside the checkout is read from the given folder only', (t) => {
  const folder = t.testdir({});
  writeFileSync(`${folder}/tocsin.yaml`, 'node: n7\n');
  t.equal(load({}, [], folder).node, 'n7');
  t.equal(load().node, 'node1');
  t.end();
});

const member = {
  TOCSIN_CLUSTER: 'c1',
  TOCSIN_NATS: '10.0.0.1,10.0.0.2:4333',
  TOCSIN_CASSANDRA: '[::1]:9043',
};

t.test('a cluster is named, with its servers, and defaults to public egress', (t) => {
  const config = load({ ...member, TOCSIN_NATS_USER: 'n', TOCSIN_NATS_PASSWORD: 'hidden-word' });
  t.match(config, {
    egress: 'public',
    publicUrl: null,
    cluster: {
      name: 'c1',
      nats: { servers: ['10.0.0.1:4222', '10.0.0.2:4333'], tls: null },
      cassandra: { contactPoints: ['[::1]:9043'], keyspace: 'tocsin', replicas: 3, login: null },
      serial: 'local',
      failureZone: 'zone1',
      weight: 4,
    },
  });
  t.notMatch(JSON.stringify(printable(config)), /hidden-word/, 'secrets are not printed');
  t.equal(load({ ...member, TOCSIN_EGRESS: 'local' }).egress, 'local');
  t.equal(load().cluster, null);
  t.end();
});

t.test('cluster settings that contradict each other are refused', (t) => {
  const table: [Record<string, string>, RegExp][] = [
    [{ TOCSIN_NATS: '10.0.0.1' }, /TOCSIN_CLUSTER is wanted/],
    [{ TOCSIN_CLUSTER: 'c1' }, /TOCSIN_NATS: 1 to 9/],
    [{ ...member, TOCSIN_CLUSTER: 'a.b' }, /TOCSIN_CLUSTER/],
    [{ ...member, TOCSIN_NATS: 'a,a:4222' }, /twice/],
    [{ ...member, TOCSIN_NATS: 'nats://a:1' }, /host:port/],
    [{ ...member, TOCSIN_CASSANDRA: 'a:0' }, /host:port/],
    [{ ...member, TOCSIN_CASSANDRA_KEYSPACE: 'Up' }, /KEYSPACE/],
    [{ ...member, TOCSIN_NATS_USER: 'n' }, /TOCSIN_NATS_PASSWORD go together/],
    [{ ...member, TOCSIN_NATS_CERT: 'c' }, /go together/],
    [{ ...member, TOCSIN_CASSANDRA_CERT: 'c', TOCSIN_CASSANDRA_KEY: 'k' }, /CASSANDRA_CA/],
    [{ ...member, TOCSIN_WEIGHT: '17' }, /0 to 16/],
    [{ ...member, TOCSIN_PUBLIC_URL: 'example.com' }, /URL/],
  ];
  for (const [environment, expected] of table)
    t.throws(
      () => load(environment),
      { code: 'CF_BAD_VALUE', message: expected },
      JSON.stringify(environment),
    );
  t.end();
});
