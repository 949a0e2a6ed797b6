// Log-in, tokens, users and tenants: who may come in, for how long, and what ends it.
import { createHash, randomBytes } from 'node:crypto';
import t from 'tap';
import { AttemptGuard } from '../../api/attempt-guard.ts';
import { bootstrapAdmin } from '../../api/bootstrap.ts';
import { RateLimits } from '../../api/rate-limits.ts';
import { hashPassword, matchesPassword, randomText } from '../../api/secret.ts';
import { hashOf, matchesHash, newToken, parseToken } from '../../api/token.ts';
import { actorKey } from '../../runtime/ids.ts';
import type { Clock, Random } from '../../runtime/ports.ts';
import { adminKey, call, type Stack, startStack } from './stack.ts';

const random: Random = { next: () => 0.5, bytes: (count) => new Uint8Array(randomBytes(count)) };

function byKey(username: string, apiKey: string) {
  return { auth: { 'RAX-KSKEY:apiKeyCredentials': { username, apiKey } } };
}

function byPassword(username: string, password: string) {
  return { auth: { passwordCredentials: { username, password }, tenantName: 'ignored' } };
}

function logIn(stack: Stack, body: unknown) {
  return call(stack, 'POST', '/v2.0/tokens', {
    body,
    token: null,
    headers: { 'X-Auth-Token': '' },
  });
}

const users = '/v1.0/operator/tenants/100000/users';

t.test('a log-in answers as the identity service did', async (t) => {
  const stack = await startStack();
  t.teardown(() => stack.close());
  const reply = await logIn(stack, byKey('admin', adminKey));
  t.equal(reply.status, 200);
  const { access } = reply.body;
  t.match(access.token, {
    id: /^tcs_100000_/,
    expires: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
    tenant: { id: '100000', name: '100000' },
    'RAX-AUTH:authenticatedBy': ['APIKEY'],
  });
  t.same(access.serviceCatalog, [
    {
      name: 'cloudMonitoring',
      type: 'rax:monitor',
      endpoints: [{ tenantId: '100000', publicURL: `${stack.url}/v1.0/100000` }],
    },
  ]);
  t.match(access.user, {
    id: String,
    name: 'admin',
    roles: [{ id: '1', name: 'identity:user-admin' }, { id: '2' }],
  });
  t.equal((await call(stack, 'GET', '/entities', { token: access.token.id })).status, 200);
  const again = await logIn(stack, byKey('admin', adminKey));
  t.equal(again.body.access.token.id, access.token.id, 'a young token is handed out again');
  for (const body of [
    byKey('admin', 'wrong'),
    byKey('nobody', 'x'),
    byPassword('admin', 'x'),
    byKey('__proto__', 'x'),
  ]) {
    const refused = await logIn(stack, body);
    t.equal(refused.status, 401);
    t.match(refused.body, { unauthorized: { code: 401 }, type: 'unauthorizedError', code: 401 });
  }
  for (const body of [{}, { auth: null }, { auth: { passwordCredentials: { username: 1 } } }, []]) {
    const bad = await logIn(stack, body);
    t.match(bad.body, { badRequest: { code: 400 }, code: 400 });
  }
});

t.test(
  'a token is validated and revoked by its holder or an administrator of its tenant',
  async (t) => {
    const stack = await startStack();
    t.teardown(() => stack.close());
    const observer = await stack.token(['observer']);
    const own = await call(stack, 'GET', `/v2.0/tokens/${observer}`, { token: observer });
    t.match(own.body.access, { token: { id: observer }, user: { roles: [{ name: 'observer' }] } });
    t.equal((await call(stack, 'GET', `/v2.0/tokens/${observer}`)).status, 200);
    t.equal(
      (await call(stack, 'GET', `/v2.0/tokens/${stack.admin.token}`, { token: observer })).status,
      403,
    );
    const unknown = await call(stack, 'GET', '/v2.0/tokens/nonsense');
    t.match(unknown.body, { itemNotFound: { code: 404 }, code: 404 });
    t.equal((await call(stack, 'GET', `/v2.0/tokens/${observer}`, { token: null })).status, 401);
    t.equal(
      (await call(stack, 'DELETE', `/v2.0/tokens/${observer}`, { token: observer })).status,
      204,
    );
    t.equal((await call(stack, 'GET', '/entities', { token: observer })).status, 401);
    const first = (await logIn(stack, byKey('admin', adminKey))).body.access.token.id;
    await call(stack, 'DELETE', `/v2.0/tokens/${first}`, { token: first });
    const second = (await logIn(stack, byKey('admin', adminKey))).body.access.token.id;
    t.not(second, first, 'a revoked token is not handed out again');
  },
);

t.test('failed log-ins are limited by user and by address', async (t) => {
  const stack = await startStack({
    limits: { loginFailuresPerUser: 3, loginFailuresPerAddress: 6 },
  });
  t.teardown(() => stack.close());
  for (let n = 0; n < 3; n++) t.equal((await logIn(stack, byKey('admin', 'x'))).status, 401);
  const blocked = await logIn(stack, byKey('admin', adminKey));
  t.equal(blocked.status, 429, 'the right key does not help then');
  t.match(blocked.body, { overLimit: { code: 429 }, type: 'rateLimitReached' });
  t.ok(Number(blocked.headers.get('retry-after')) > 0);
  for (let n = 0; n < 3; n++) t.equal((await logIn(stack, byKey(`u${n}`, 'x'))).status, 401);
  t.equal((await logIn(stack, byKey('fresh', 'x'))).status, 429);
});

t.test('unknown tokens of one address are limited too', async (t) => {
  const stack = await startStack({ limits: { tokenFailuresPerAddress: 3 } });
  t.teardown(() => stack.close());
  for (let n = 0; n < 3; n++)
    t.equal((await call(stack, 'GET', '/limits', { token: 'x' })).status, 401);
  t.equal((await call(stack, 'GET', '/limits', { token: 'x' })).status, 429);
});

t.test(
  'operators make tenants and users; a key is told once, a change ends all tokens',
  async (t) => {
    const stack = await startStack();
    t.teardown(() => stack.close());
    const made = await call(stack, 'POST', '/v1.0/operator/tenants', {
      body: { id: '200000', label: 'shop' },
    });
    t.equal(made.status, 201);
    t.equal(made.headers.get('x-object-id'), '200000');
    t.equal(
      (await call(stack, 'POST', '/v1.0/operator/tenants', { body: { id: '200000' } })).status,
      400,
    );
    for (const id of ['operator', 'UPPER', 'a/b', '', 7]) {
      t.equal(
        (await call(stack, 'POST', '/v1.0/operator/tenants', { body: { id } })).status,
        400,
        `${id}`,
      );
    }
    t.match(
      (await call(stack, 'POST', '/v1.0/operator/tenants', { body: {} })).headers.get(
        'x-object-id',
      ),
      /^\d+$/,
    );
    t.match((await call(stack, 'POST', '/v1.0/operator/tenants', { body: { colour: 1 } })).body, {
      message: "Validation error for key 'colour'",
      details: 'Unknown key',
    });
    const of200 = '/v1.0/operator/tenants/200000/users';
    const created = await call(stack, 'POST', of200, {
      body: { name: 'alice', roles: ['monitoring:creator'], password: 'correct horse' },
    });
    t.equal(created.status, 201);
    t.match(created.body, { name: 'alice', apiKey: /^[0-9a-f]{64}$/ });
    t.equal(
      (await call(stack, 'POST', of200, { body: { name: 'alice' } })).status,
      400,
      'names are unique',
    );
    t.equal(
      (await call(stack, 'POST', of200, { body: { name: 'b', roles: ['king'] } })).status,
      400,
    );
    t.equal(
      (await call(stack, 'POST', of200, { body: { name: 'b', password: 'short' } })).status,
      400,
    );
    t.equal(
      (await call(stack, 'POST', '/v1.0/operator/tenants/nope/users', { body: { name: 'b' } }))
        .status,
      404,
    );
    const listed = await call(stack, 'GET', of200);
    t.match(listed.body.values, [{ name: 'alice', roles: ['monitoring:creator'] }]);
    t.notMatch(listed.text, /[0-9a-f]{64}/, 'neither key nor hash');
    const session = (await logIn(stack, byPassword('alice', 'correct horse'))).body.access;
    t.equal(session.token.tenant.id, '200000');
    const alice = session.token.id;
    const slashed = '/v1.0/operator/tenants/100000%2FenX/limits';
    t.equal((await call(stack, 'GET', slashed)).status, 404, 'no key of another actor');
    t.equal((await call(stack, 'GET', '/v1.0/200000/entities', { token: alice })).status, 200);
    t.equal((await call(stack, 'GET', '/v1.0/100000/entities', { token: alice })).status, 403);
    t.equal((await call(stack, 'GET', of200, { token: alice })).status, 403);
    const rotated = await call(stack, 'POST', `${of200}/alice/key`, { body: {} });
    t.not(rotated.body.apiKey, created.body.apiKey);
    t.equal((await call(stack, 'GET', '/v1.0/200000/entities', { token: alice })).status, 401);
    t.equal((await logIn(stack, byKey('alice', created.body.apiKey))).status, 401);
    const fresh = (await logIn(stack, byKey('alice', rotated.body.apiKey))).body.access.token.id;
    t.equal(
      (await call(stack, 'PUT', `${of200}/alice`, { body: { roles: ['observer'] } })).status,
      204,
    );
    t.equal((await call(stack, 'GET', '/v1.0/200000/entities', { token: fresh })).status, 401);
    t.equal((await call(stack, 'DELETE', `${users}/alice`)).status, 404, 'of another tenant');
    t.equal((await call(stack, 'DELETE', `${of200}/alice`)).status, 204);
    t.equal((await logIn(stack, byKey('alice', rotated.body.apiKey))).status, 401);
    t.equal((await call(stack, 'DELETE', `${users}/admin`)).status, 403, 'not themselves');
    t.equal(
      (await call(stack, 'PUT', `${users}/admin`, { body: { roles: ['admin'] } })).status,
      403,
    );
  },
);

t.test('operators set limits and end quarantines', async (t) => {
  const stack = await startStack({
    ports: () => ({
      findings: async () => ({
        findings: [{ node: 'node1', level: 'advice', topic: 'tls', text: 'use it' }],
        answered_by: 'node1',
        unreachable: ['node2'],
      }),
    }),
  });
  t.teardown(() => stack.close());
  const limits = '/v1.0/operator/tenants/100000/limits';
  t.equal(
    (await call(stack, 'PUT', limits, { body: { entities: 1, rate: { global: 9_999 } } })).status,
    204,
  );
  t.match((await call(stack, 'GET', limits)).body, { entities: 1, rate: { global: 9_999 } });
  t.equal((await call(stack, 'PUT', limits, { body: { entities: -1 } })).status, 400);
  t.equal((await call(stack, 'PUT', limits, { body: { rate: { king: 1 } } })).status, 400);
  t.equal((await call(stack, 'POST', '/entities', { body: { label: 'one' } })).status, 201);
  t.match((await call(stack, 'POST', '/entities', { body: { label: 'two' } })).body, {
    type: 'limitReached',
    code: 400,
  });
  stack.catalog.quarantine(actorKey('100000/enPaused'), 'a test says so', 'operator');
  t.equal((await call(stack, 'POST', '/entities/enPaused/release', { body: {} })).status, 204);
  t.equal((await call(stack, 'POST', '/entities/enFine/release', {})).status, 400);
  t.equal((await call(stack, 'POST', '/entities/enPaused/release', { body: {} })).status, 400);
  t.match((await call(stack, 'GET', '/v1.0/operator/doctor')).body, {
    findings: [{ node: 'node1', topic: 'tls' }],
    unreachable: ['node2'],
  });
  const operator = await stack.token(['operator']);
  t.equal(
    (await call(stack, 'GET', '/entities', { token: operator })).status,
    403,
    'an operator reads no tenant',
  );
});

t.test('the first start makes one administrator, once', async (t) => {
  const stack = await startStack();
  t.teardown(() => stack.close());
  t.match(stack.admin, {
    tenantId: '100000',
    username: 'admin',
    apiKey: adminKey,
    token: /^tcs_100000_/,
  });
  t.equal(await bootstrapAdmin(stack.ports), null, 'the second start makes none');
  const order: string[] = [];
  const other = await bootstrapAdmin(
    {
      ...stack.ports,
      accounts: {
        ...stack.ports.accounts,
        putUser: (user) => {
          order.push('decided');
          return stack.ports.accounts.putUser(user);
        },
      },
    },
    { tenantId: '300000', username: 'root', onPrepared: async () => void order.push('prepared') },
  );
  t.same(order, ['prepared', 'decided'], 'the secrets are kept before the write that decides');
  t.match(other, { tenantId: '300000', apiKey: /^[0-9a-f]{64}$/ });
  const lost: string[] = [];
  const loser = await bootstrapAdmin(
    { ...stack.ports, accounts: { ...stack.ports.accounts, putUser: async () => false } },
    {
      tenantId: '300000',
      username: 'late',
      onPrepared: async (admin) => void lost.push(admin.token),
    },
  );
  t.equal(loser, null);
  t.equal(
    (await call(stack, 'GET', '/v1.0/300000/entities', { token: lost[0] ?? '' })).status,
    401,
    'its token is revoked',
  );
  await t.rejects(bootstrapAdmin(stack.ports, { tenantId: 'operator', username: 'x' }), {
    code: 'AP_BOOTSTRAP_FAILED',
  });
});

t.test('a token is read from its end, and a changed character is found', (t) => {
  for (const tenant of ['1', 'a_b_c', 'hybrid:000000', 'tcs_x']) {
    const made = newToken(tenant, random);
    t.same(parseToken(made.text), { tenant, id: made.id });
    t.equal(parseToken(`${made.text}x`), null);
    for (let at = 0; at < made.text.length; at += 7) {
      const other = made.text[at] === 'q' ? 'r' : 'q';
      t.equal(
        parseToken(made.text.slice(0, at) + other + made.text.slice(at + 1)),
        null,
        `at ${at}`,
      );
    }
  }
  const hash = createHash('sha256').update('a').digest('hex');
  t.equal(hashOf('a'), hash);
  t.ok(matchesHash('a', hash));
  t.notOk(matchesHash('b', hash));
  t.notOk(matchesHash('a', 'short'));
  t.end();
});

t.test('passwords are hashed by scrypt with a salt of their own', async (t) => {
  const [one, two] = await Promise.all([
    hashPassword('secret words', random),
    hashPassword('secret words', random),
  ]);
  t.not(one, two);
  t.ok(await matchesPassword('secret words', one));
  t.notOk(await matchesPassword('secret word', one));
  t.notOk(await matchesPassword('secret words', null));
  t.notOk(await matchesPassword('secret words', 'scrypt$x'));
  t.match(randomText(random, 12), /^[0-9A-Za-z]{12}$/);
});

t.test('windows of limits and failures end', (t) => {
  let monoMs = 0;
  const clock: Clock = { nowMs: () => 0, monoMs: () => monoMs, schedule: () => () => undefined };
  const rates = new RateLimits(clock);
  t.match(rates.charge('t', 'global', 1), { refused: false, used: 1, resetSeconds: 86_400 });
  t.match(rates.charge('t', 'global', 1), { refused: true, used: 1 });
  t.match(rates.charge('u', 'global', 1), { refused: false });
  monoMs = 24 * 3_600_000;
  t.equal(rates.used('t', 'global'), 0);
  t.match(rates.charge('t', 'global', 1), { refused: false, used: 1 });
  const guard = new AttemptGuard(clock, 1_000);
  guard.failed('a');
  guard.failed('a');
  t.equal(guard.blockedSeconds('a', 2), 1);
  guard.succeeded('a');
  t.equal(guard.blockedSeconds('a', 2), 0);
  guard.failed('b');
  monoMs += 1_000;
  t.equal(guard.blockedSeconds('b', 1), 0);
  t.end();
});
