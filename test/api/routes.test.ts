// The table of routes: complete, described, and guarded. Every operation is called with every kind of credential.
import t from 'tap';
import type { Role } from '../../actors/resources.ts';
import { ok } from '../../api/answer.ts';
import type { RoleClass } from '../../api/roles.ts';
import { checkRoutes, type Route } from '../../api/route.ts';
import { allRoutes } from '../../api/routes/all.ts';
import { createTenant } from '../../api/tenant-create.ts';
import { ownChange } from '../../api/token-issue.ts';
import { TocsinError } from '../../runtime/errors.ts';
import { call, startStack } from './stack.ts';

const classes: Readonly<Record<Role, readonly RoleClass[]>> = {
  admin: ['read', 'readChecks', 'create', 'test', 'admin'],
  'monitoring:admin': ['read', 'readChecks', 'create', 'test', 'admin'],
  'identity:user-admin': ['read', 'readChecks', 'create', 'test', 'admin'],
  'monitoring:creator': ['read', 'readChecks', 'create', 'test'],
  observer: ['read', 'test'],
  'monitoring:observer': ['read', 'test'],
  operator: ['operator'],
};

const pathOf = (route: Route, tenant: string): string =>
  route.path.replace(':tenant', tenant).replace(/:\w+/g, 'zzNobody1');

const isStream = (route: Route): boolean => route.response.type === 'text/event-stream';

t.test('every operation takes every credential as its role class says', async (t) => {
  const stack = await startStack();
  t.teardown(() => stack.close());
  const routes = allRoutes(stack.ports, () => ({}));
  const { app } = stack.api;
  const ask = async (route: Route, token: string | null, tenant = stack.admin.tenantId) => {
    const answer = await app.inject({
      method: route.method,
      url: pathOf(route, tenant),
      headers: token === null ? {} : { 'x-auth-token': token },
      ...(route.method === 'POST' || route.method === 'PUT' ? { payload: {} } : {}),
    });
    return {
      status: answer.statusCode,
      type: answer.body.startsWith('{') ? answer.json().type : undefined,
    };
  };
  t.ok(routes.length > 100, `${routes.length} routes`);
  await createTenant(stack.ports, {
    tenant: '200000',
    label: 'other',
    limits: stack.ports.tenantLimits,
    change: ownChange('t1', 'test', '/test'),
  });
  const foreign = await stack.token(['admin'], '200000');
  const expired = stack.admin.token.replace(/_[0-9a-f]{8}$/, '_00000000');
  const guarded = routes.filter((route) => route.role !== 'public');
  for (const route of guarded) {
    const name = `${route.method} ${route.path}`;
    t.match(
      await ask(route, null),
      { status: 401, type: 'unauthorizedError' },
      `${name}, no token`,
    );
    t.match(await ask(route, 'nonsense'), { status: 401 }, `${name}, nonsense`);
    t.match(await ask(route, expired), { status: 401 }, `${name}, changed token`);
    if (route.tenant === 'path') {
      t.match(
        await ask(route, foreign),
        { status: 403, type: 'forbiddenError' },
        `${name}, foreign token`,
      );
    } else {
      t.match(await ask(route, foreign), { status: 403 }, `${name}, not an operator`);
    }
  }
  for (const [role, allowed] of Object.entries(classes)) {
    const token = await stack.token([role as Role]);
    for (const route of guarded) {
      const name = `${role}: ${route.method} ${route.path}`;
      const mayCall = allowed.includes(route.role);
      if (mayCall && (isStream(route) || route.id === 'traceroute')) continue;
      const { status, type } = await ask(route, token);
      if (mayCall) {
        t.not(type, 'missingCapabilitiesError', `${name} may`);
        t.not(status, 401, name);
        t.not(status, 500, name);
      } else t.same({ status, type }, { status: 403, type: 'missingCapabilitiesError' }, name);
    }
  }
});

t.test('the most permissive role wins', async (t) => {
  const stack = await startStack();
  t.teardown(() => stack.close());
  const token = await stack.token(['observer', 'monitoring:creator']);
  t.equal((await call(stack, 'POST', '/entities', { token, body: { label: 'a' } })).status, 201);
  const observer = await stack.token(['observer']);
  t.equal((await call(stack, 'GET', '/entities', { token: observer })).status, 200);
  t.equal((await call(stack, 'GET', '/agent_tokens', { token: observer })).status, 403);
});

t.test('the served description is OpenAPI 3.1 and leaves no route out', async (t) => {
  const stack = await startStack();
  t.teardown(() => stack.close());
  const { body } = await call(stack, 'GET', '/openapi.json', { token: null });
  t.equal(body.openapi, '3.1.0');
  const described = new Set<string>();
  for (const operations of Object.values(body.paths as Record<string, Record<string, unknown>>)) {
    for (const operation of Object.values(operations)) {
      described.add((operation as { operationId: string }).operationId);
    }
  }
  const wanted = allRoutes(stack.ports, () => ({})).map((route) => route.id);
  t.same([...described].sort(), [...wanted].sort());
  const create = body.paths['/v1.0/{tenant}/entities'].post;
  t.same(create.security, [{ token: [] }]);
  t.same(create.requestBody.content['application/json'].schema.required, ['label']);
});

t.test('a table with a hole is refused', (t) => {
  const good: Route = {
    method: 'POST',
    path: '/v1.0/:tenant/things',
    id: 'createThing',
    tag: 'things',
    summary: 'Create',
    role: 'create',
    tenant: 'path',
    rate: 'global',
    audit: 'actor',
    query: {},
    body: null,
    response: { status: 201, schema: null },
    own: false,
    handle: async () => ok({}),
  };
  checkRoutes([good]);
  const broken: readonly [string, Partial<Record<keyof Route, unknown>>][] = [
    ['no role', { role: undefined }],
    ['no audit rule', { audit: 'none' }],
    ['no handler', { handle: undefined }],
    ['tenant rule without a tenant in the path', { path: '/v1.0/things' }],
    ['tenant in the path without a rule', { tenant: 'none' }],
    ['a tenant named by others than operators', { tenant: 'named' }],
    ['an undescribed parameter', { path: '/v1.0/:tenant/things/:unheardOf' }],
    ['an audited read', { method: 'GET' }],
  ];
  for (const [what, change] of broken) {
    t.throws(() => checkRoutes([{ ...good, ...change } as Route]), TocsinError, what);
  }
  t.throws(() => checkRoutes([good, { ...good, id: 'other' }]), /twice/);
  t.throws(() => checkRoutes([good, { ...good, path: '/v1.0/:tenant/others' }]), /twice/);
  t.end();
});

t.test('unknown paths are 404, known ones with another method 405', async (t) => {
  const stack = await startStack();
  t.teardown(() => stack.close());
  const unknown = await call(stack, 'GET', '/nothing/here');
  t.equal(unknown.status, 404);
  t.match(unknown.body, { type: 'notFoundError', code: 404, txnId: /^\.rh-/ });
  t.equal(unknown.headers.get('x-response-id'), unknown.body.txnId);
  const wrong = await call(stack, 'DELETE', '/entities');
  t.equal(wrong.status, 405);
  t.equal(wrong.headers.get('allow'), 'GET, POST, OPTIONS');
  t.equal((await call(stack, 'GET', '/entities/')).status, 200, 'a trailing slash is fine');
  t.equal((await call(stack, 'GET', '//entities//')).status, 200, 'doubled slashes too');
  t.equal((await call(stack, 'GET', '/v1.0/operator/entities')).status, 403);
  t.equal((await call(stack, 'GET', '/entities/%E0%A4%A')).status, 400, 'a broken escape');
  t.equal((await call(stack, 'GET', `/entities/${'x'.repeat(600)}`)).status, 404);
});

t.test('what is not built yet says so', async (t) => {
  const stack = await startStack();
  t.teardown(() => stack.close());
  const missing: readonly [string, string][] = [
    ['GET', '/entities/enX/checks/chY/metrics'],
    ['GET', '/entities/enX/checks/chY/metrics/mzaaa.duration/plot'],
    ['GET', '/views/metric_list'],
    ['POST', '/__experiments/multiplot'],
    ['POST', '/monitoring_zones'],
    ['PUT', '/monitoring_zones/pzX'],
    ['DELETE', '/private_monitoring_zones/pzX'],
    ['POST', '/monitoring_zones/mzaaa/traceroute'],
    ['POST', '/agent_tokens'],
    ['POST', '/agent_installers'],
    ['POST', '/agents/x/upgrade'],
  ];
  for (const [method, path] of missing) {
    const body = method === 'GET' || method === 'DELETE' ? {} : { body: {} };
    const reply = await call(stack, method, path, body);
    t.equal(reply.status, 501, `${method} ${path}`);
    t.equal(reply.body.type, 'notImplementedError');
  }
  t.same((await call(stack, 'GET', '/agents')).body.values, []);
  t.equal((await call(stack, 'GET', '/agents/-1')).status, 404);
  t.match((await call(stack, 'GET', '/agents/-1/host_info/memory')).body, {
    code: 400,
    type: 'agentDoesNotExist',
    details: 'Agent -1 does not exist',
  });
  t.match((await call(stack, 'GET', '/views/agent_host_info')).body, { message: /include/ });
  t.equal((await call(stack, 'GET', '/views/connections')).status, 400);
});
