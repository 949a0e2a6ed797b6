// Resources of v1.0 over a whole node: what clients create, change, list and delete, with the headers and errors they rely on.
import t from 'tap';
import { call, eventually, make, type Stack, startStack } from './stack.ts';

const stack: Stack = await startStack();
t.teardown(() => stack.close());

const base = `${stack.url}/v1.0/${stack.admin.tenantId}`;

function checkBody(over: object = {}): object {
  return {
    type: 'remote.http',
    details: { url: 'http://127.0.0.1/' },
    monitoring_zones_poll: ['mzaaa', 'mzbbb', 'mzccc'],
    period: '60',
    timeout: '30',
    target_alias: 'main',
    ...over,
  };
}

async function entityWithCheck(): Promise<{ readonly entity: string; readonly check: string }> {
  const entity = await make(stack, '/entities', {
    label: 'web',
    ip_addresses: { main: '127.0.0.1' },
  });
  return { entity, check: await make(stack, `/entities/${entity}/checks`, checkBody()) };
}

t.test(
  'create, read, change and delete answer with the headers that old clients read',
  async (t) => {
    const created = await call(stack, 'POST', '/entities', { body: { label: 'db', unknown: 1 } });
    const id = created.headers.get('x-object-id') ?? '';
    t.equal(created.status, 201);
    t.match(id, /^en[0-9A-Za-z]{8}$/);
    t.equal(created.headers.get('location'), `${base}/entities/${id}`);
    t.equal(created.headers.get('content-length'), '0');
    t.equal(created.headers.get('content-type'), 'text/plain');
    t.equal(created.text, '');
    const read = await call(stack, 'GET', `/entities/${id}`);
    t.match(read.body, { id, label: 'db', uri: null, agent_id: null, active_suppressions: [] });
    t.notOk('unknown' in read.body, 'unknown keys are ignored');
    const changed = await call(stack, 'PUT', `/entities/${id}`, { body: { label: 'db2' } });
    t.equal(changed.status, 204);
    t.equal(changed.headers.get('location'), `${base}/entities/${id}`);
    t.equal(changed.headers.get('x-object-id'), id);
    t.equal((await call(stack, 'GET', `/entities/${id}`)).body.label, 'db2');
    const removed = await call(stack, 'DELETE', `/entities/${id}`);
    t.equal(removed.status, 204);
    t.match((await call(stack, 'GET', `/entities/${id}`)).body, {
      type: 'notFoundError',
      code: 404,
      message: 'Object does not exist',
      details: `Object "Entity" with key "${id}" does not exist`,
    });
    t.equal((await call(stack, 'DELETE', `/entities/${id}`)).status, 404);
  },
);

t.test('numeric strings become numbers, and defaults are filled in', async (t) => {
  const { entity, check } = await entityWithCheck();
  const { body } = await call(stack, 'GET', `/entities/${entity}/checks/${check}`);
  t.equal(body.period, 60);
  t.equal(body.timeout, 30);
  t.match(body, { disabled: false, collectors: [], confd_name: null, confd_hash: null });
  t.match(body.details, { method: 'GET', follow_redirects: true, include_body: false });
});

t.test('refused bodies name the key in the wording that clients parse', async (t) => {
  const { entity, check } = await entityWithCheck();
  const refusals: readonly [string, unknown, object][] = [
    [
      '/entities',
      {},
      { message: "Validation error for key 'label'", details: 'Missing required key (label)' },
    ],
    ['/entities', { label: '' }, { message: "Validation error for key 'label'" }],
    ['/entities', [], { message: 'The body must be a JSON object' }],
    ['/entities', '{"label":', { message: 'The body is not valid JSON' }],
    [`/entities/${entity}/checks`, { type: '' }, { message: "Validation error for key 'type'" }],
    [
      `/entities/${entity}/alarms`,
      { type: '' },
      { message: "Validation error for key 'check_id'" },
    ],
    [
      `/entities/${entity}/test-alarm`,
      { criteria: 'return OK' },
      { message: "Validation error for key 'check_data'" },
    ],
    [
      `/entities/${entity}/test-alarm`,
      { criteria: 'return OK', check_data: [] },
      { type: 'badRequest' },
    ],
    [
      '/notifications',
      { label: 'a', type: 'webhook', details: { url: 'x' } },
      { message: "Validation error for key 'details.url'" },
    ],
    ['/suppressions', {}, { code: 400 }],
    [
      '/alarm_examples/remote.http_body_match_1',
      { values: {} },
      { message: "Validation error for key 'string'" },
    ],
  ];
  for (const [path, body, wanted] of refusals) {
    const reply = await call(stack, 'POST', path, { body });
    t.equal(reply.status, 400, `${path} ${JSON.stringify(body)}`);
    t.match(reply.body, { type: String, code: 400, message: String, txnId: String, ...wanted });
    t.ok('details' in reply.body);
  }
  const parse = await call(stack, 'POST', `/entities/${entity}/alarms`, {
    body: {
      check_id: check,
      notification_plan_id: 'npTechnicalContactsEmail',
      criteria: "if (metric['a'] > 1kb) { return OK }",
    },
  });
  t.match(parse.body, {
    type: 'alarmParseError',
    details: { error_position: 19, error_line: 1, error_column: 19, input: /1kb/ },
  });
  const plan = await call(stack, 'POST', `/entities/${entity}/alarms`, {
    body: { check_id: check, notification_plan_id: 'npNobody' },
  });
  t.match(plan.body, { type: 'requiredNotFoundError', code: 400 });
  const parent = await call(stack, 'POST', '/entities/enNobody/checks', { body: checkBody() });
  t.match(parent.body, { code: 404, message: 'Parent does not exist' });
});

t.test('lists are pages in id order, with a marker for the next one', async (t) => {
  const entity = await make(stack, '/entities', {
    label: 'many',
    ip_addresses: { main: '127.0.0.1' },
  });
  for (let n = 0; n < 5; n++) await make(stack, `/entities/${entity}/checks`, checkBody());
  const seen: string[] = [];
  let path = `/entities/${entity}/checks?limit=2`;
  for (let pages = 0; pages < 3; pages++) {
    const { body } = await call(stack, 'GET', path);
    t.equal(body.metadata.limit, 2);
    t.equal(body.metadata.count, body.values.length);
    seen.push(...body.values.map((one: { id: string }) => one.id));
    if (body.metadata.next_marker === null) {
      t.equal(body.metadata.next_href, null);
      break;
    }
    t.ok(body.metadata.next_href.startsWith(`${base}/entities/${entity}/checks?`));
    path = body.metadata.next_href.slice(base.length);
  }
  t.equal(seen.length, 5);
  t.same(seen, [...seen].sort());
  const one = await call(stack, 'GET', `/entities/${entity}/checks?id=${seen[1]}&id=chNobody`);
  t.same(
    one.body.values.map((check: { id: string }) => check.id),
    [seen[1]],
  );
  for (const limit of ['0', '1001', 'x', '-1', '1.5']) {
    const reply = await call(stack, 'GET', `/entities?limit=${limit}`);
    t.match(reply.body, { type: 'invalidLimit', code: 400 }, limit);
  }
  t.equal((await call(stack, 'GET', '/notifications?-1')).status, 200, 'stray parameters are fine');
});

t.test('entities are listed across pages, and chosen by id', async (t) => {
  const ids = [];
  for (let n = 0; n < 4; n++) ids.push(await make(stack, '/entities', { label: `p${n}` }));
  const seen: string[] = [];
  let marker: string | null = '';
  while (marker !== null) {
    const { body } = await call(
      stack,
      'GET',
      `/entities?limit=3${marker === '' ? '' : `&marker=${marker}`}`,
    );
    seen.push(...body.values.map((one: { id: string }) => one.id));
    marker = body.metadata.next_marker;
  }
  t.ok(ids.every((id) => seen.includes(id)));
  t.same(seen, [...seen].sort());
  t.equal(new Set(seen).size, seen.length);
  const chosen = await call(stack, 'GET', `/entities?id=${ids[0]}&id=enNobody`);
  t.same(
    chosen.body.values.map((one: { id: string }) => one.id),
    [ids[0]],
  );
});

t.test('a repeated create with one Idempotency-Key makes one object', async (t) => {
  const headers = { 'Idempotency-Key': 'order 66' };
  const create = (body: object) => call(stack, 'POST', '/entities', { body, headers });
  const first = await create({ label: 'once' });
  const again = await create({ label: 'once' });
  t.equal(first.status, 201);
  t.equal(again.status, 201);
  t.equal(again.headers.get('x-object-id'), first.headers.get('x-object-id'));
  const other = await create({ label: 'other' });
  t.match(other.body, { code: 400, type: 'badRequest' });
  const plan = await call(stack, 'POST', '/notification_plans', { body: { label: 'p' }, headers });
  t.equal(plan.status, 201);
  const same = await call(stack, 'POST', '/notification_plans', { body: { label: 'p' }, headers });
  t.equal(same.headers.get('x-object-id'), plan.headers.get('x-object-id'));
  const long = { 'Idempotency-Key': 'x'.repeat(129) };
  t.equal(
    (await call(stack, 'POST', '/entities', { body: { label: 'a' }, headers: long })).status,
    400,
  );
});

t.test('plans, notifications and suppressions guard what depends on them', async (t) => {
  const { entity, check } = await entityWithCheck();
  const hook = await make(stack, '/notifications', {
    label: 'hook',
    type: 'webhook',
    details: { url: 'https://example.com/' },
  });
  const plan = await make(stack, '/notification_plans', { label: 'page', critical_state: [hook] });
  const alarm = await make(stack, `/entities/${entity}/alarms`, {
    check_id: check,
    notification_plan_id: plan,
  });
  await eventually('the plan counts its alarm', async () => {
    const { body } = await call(stack, 'GET', '/views/alarmCountsPerNp');
    const row = body.values.find(
      (one: { notification_plan_id: string }) => one.notification_plan_id === plan,
    );
    return row?.alarm_count === 1 ? true : undefined;
  });
  t.match((await call(stack, 'DELETE', `/notification_plans/${plan}`)).body, {
    code: 403,
    type: 'forbiddenError',
    details: new RegExp(alarm),
  });
  t.equal((await call(stack, 'DELETE', `/notifications/${hook}`)).status, 403);
  t.equal(
    (await call(stack, 'DELETE', '/notification_plans/npTechnicalContactsEmail')).status,
    403,
  );
  const byPlan = await call(stack, 'GET', `/views/alarmsByNp/${plan}`);
  t.same(
    byPlan.body.values.map((one: { id: string }) => one.id),
    [alarm],
  );
  t.equal((await call(stack, 'GET', '/views/alarmsByNp/npNobody')).status, 404);
  t.equal(
    (await call(stack, 'PUT', `/notifications/${hook}`, { body: { foo: 'bar' } })).status,
    204,
  );
  const reach = await call(stack, 'GET', '/private/reach/notification_plans');
  t.ok(reach.body.values.length >= 2);
  const quiet = await make(stack, '/suppressions', { entities: [entity] });
  await eventually('the entity shows its suppression', async () => {
    const { body } = await call(stack, 'GET', `/entities/${entity}`);
    return body.active_suppressions.includes(quiet) ? true : undefined;
  });
  t.equal((await call(stack, 'DELETE', `/suppressions/${quiet}`)).status, 204);
});

t.test('tests of notifications and checks take the guarded way and give what came', async (t) => {
  const { entity, check } = await entityWithCheck();
  const webhook = { type: 'webhook', details: { url: 'https://example.com/' } };
  for (const path of ['/test-notification', '/test-notifications']) {
    const reply = await call(stack, 'POST', path, { body: webhook });
    t.same(reply.body, { status: 'success', message: 'Success: Webhook successfully executed' });
    t.equal(reply.headers.get('x-ratelimit-type'), 'test_notification');
  }
  t.match(stack.tested.at(-1), webhook);
  const hook = await make(stack, '/notifications', { label: 'h', ...webhook });
  t.equal((await call(stack, 'POST', `/notifications/${hook}/test`, { body: '""' })).status, 200);
  const tried = await call(stack, 'POST', `/entities/${entity}/test-check?debug=true`, {
    body: checkBody({ monitoring_zones_poll: ['mzaaa', 'mzbbb'] }),
  });
  t.equal(tried.headers.get('x-ratelimit-type'), 'test_check');
  t.match(tried.body, [
    {
      monitoring_zone_id: 'mzaaa',
      available: true,
      status: /^code=200/,
      metrics: { duration: { type: 'I', data: '12', unit: 'milliseconds' } },
      debug_info: { body: '<html>' },
    },
    { monitoring_zone_id: 'mzbbb' },
  ]);
  const stored = await call(stack, 'POST', `/entities/${entity}/checks/${check}/test`, {
    body: '""',
  });
  t.equal(stored.body.length, 3);
  t.notOk('debug_info' in stored.body[0]);
  const changes = await call(stack, 'POST', `/entities/${entity}/test-alarm`, {
    body: {
      criteria: "if (metric['code'] == '200') { return WARNING, 'c=#{code}' }",
      check_data: tried.body,
    },
  });
  t.match(changes.body, [{ state: 'WARNING', status: 'c=200', timestamp: Number }]);
  t.equal(
    (await call(stack, 'POST', '/entities/enNobody/test-check', { body: checkBody() })).status,
    404,
  );
  t.equal((await call(stack, 'POST', `/entities/${entity}/checks/chNobody/test`, {})).status, 404);
});

t.test('every change is audited, refused ones and tests too, without secrets', async (t) => {
  const { entity } = await entityWithCheck();
  const at = Date.now();
  const who = '_who=alice&_why=because';
  await call(stack, 'PUT', `/entities/${entity}?${who}`, { body: { label: 'renamed' } });
  await call(stack, 'PUT', `/entities/${entity}?${who}`, { body: { label: '' } });
  await call(stack, 'POST', `/entities/${entity}/test-alarm`, {
    body: { criteria: 'return OK', check_data: [{}] },
  });
  await call(stack, 'POST', '/notifications', {
    body: { label: 'p', type: 'pagerduty', details: { service_key: 'verysecret' } },
  });
  const { body, text } = await call(stack, 'GET', `/audits?from=${at}&limit=50`);
  t.match(body.values, [
    {
      method: 'PUT',
      statusCode: 204,
      who: 'alice',
      why: 'because',
      headers: { 'x-user-name': 'admin' },
      app: 'entities',
      query: { _who: 'alice' },
      url: `/v1.0/${stack.admin.tenantId}/entities/${entity}`,
    },
    { method: 'PUT', statusCode: 400, who: 'alice', payload: '{"label":""}' },
    { method: 'POST', statusCode: 200, app: 'entities', who: 'admin' },
    { method: 'POST', app: 'notifications', statusCode: 201 },
  ]);
  t.notMatch(text, /verysecret/);
  t.notMatch(text, new RegExp(stack.admin.token));
  t.ok(
    body.values.every((one: object) => 'headers' in one && 'txnId' in one && 'account_id' in one),
  );
  const reversed = await call(stack, 'GET', `/audits?from=${at}&limit=2&reverse=True`);
  t.equal(reversed.body.values[0].id, body.values.at(-1).id);
  t.equal(reversed.body.metadata.from, at);
  const next = await call(
    stack,
    'GET',
    `/audits?from=${at}&limit=2&reverse=True&marker=${reversed.body.metadata.next_marker}`,
  );
  t.equal(next.body.values[0].id, reversed.body.metadata.next_marker);
  t.equal((await call(stack, 'GET', '/audits?marker=nonsense')).status, 400);
  t.equal((await call(stack, 'GET', '/audits?from=5&to=4')).status, 400);
  t.equal((await call(stack, 'GET', '/audits?from=yesterday')).status, 400);
});

t.test(
  'views gather entities with their alarms and filter by id or uri, never by both',
  async (t) => {
    const { entity } = await entityWithCheck();
    const uri = `https://example.com/${entity}`;
    await call(stack, 'PUT', `/entities/${entity}`, { body: { uri } });
    const byId = await call(stack, 'GET', `/views/overview?entityId=${entity}`);
    t.equal(byId.body.values.length, 1);
    t.equal(byId.body.values[0].checks.length, 1);
    const byUri = await call(
      stack,
      'GET',
      `/views/latest_alarm_states?uri=${encodeURIComponent(uri)}`,
    );
    t.match(byUri.body.values, [{ entity_id: entity, entity_uri: uri, entity_label: 'web' }]);
    t.equal((await call(stack, 'GET', `/views/overview?entityId=${entity}&uri=x`)).status, 400);
    t.equal(
      (await call(stack, 'GET', `/views/overview?entityId=${entity}&entityId=enNobody`)).status,
      404,
    );
    t.equal((await call(stack, 'GET', '/views/overview?uri=nobody')).status, 404);
    const many = Array.from({ length: 101 }, (_, n) => `entityId=en${n}`).join('&');
    t.equal((await call(stack, 'GET', `/views/overview?${many}`)).status, 400);
  },
);

t.test('types, zones, limits, usage and account', async (t) => {
  const types = await call(stack, 'GET', '/check_types');
  t.ok(types.body.values.some((one: { id: string }) => one.id === 'remote.http'));
  t.match((await call(stack, 'GET', '/check_types/remote.ping')).body, {
    type: 'remote',
    supported_platforms: null,
  });
  t.equal((await call(stack, 'GET', '/check_types/nope')).status, 404);
  t.match((await call(stack, 'GET', '/notification_types/managed')).body, { fields: null });
  const zones = await call(stack, 'GET', '/monitoring_zones/');
  t.ok(zones.body.values.every((one: { source_ips: string[] }) => one.source_ips.length >= 2));
  t.equal((await call(stack, 'GET', '/monitoring_zones/mzaaa')).status, 200);
  t.equal((await call(stack, 'GET', '/monitoring_zones/mznope')).status, 404);
  const limits = (await call(stack, 'GET', '/limits')).body;
  t.match(limits.rate.global, { limit: Number, used: Number, window: '24 hours' });
  t.match((await call(stack, 'GET', '/usage')).body, {
    checks: Number,
    alarms: Number,
    entities: Number,
    agents: 0,
  });
  const account = (await call(stack, 'GET', '/account')).body;
  t.match(account, { id: /^ac/, webhook_token: String });
  t.notOk('signing_secret' in account);
  t.match((await call(stack, 'GET', '/account/signing_secret')).body, {
    signing_secret: /^whsec_/,
  });
  const put = await call(stack, 'PUT', '/account', { body: { metadata: { a: 'b' } } });
  t.equal(put.status, 204);
  t.same((await call(stack, 'GET', '/account')).body.metadata, { a: 'b' });
});

t.test('alarm examples are the eighteen of v1.0', async (t) => {
  const list = (await call(stack, 'GET', '/alarm_examples')).body;
  t.equal(list.values.length, 18);
  t.equal(list.metadata.limit, null);
  const bound = await call(stack, 'POST', '/alarm_examples/remote.http_body_match_1', {
    body: { values: { string: 'oh no' } },
  });
  t.match(bound.body.bound_criteria, /regex 'oh no'/);
  t.equal((await call(stack, 'POST', '/alarm_examples/nope', { body: {} })).status, 404);
  const home = (await call(stack, 'GET', '/__experiments/json_home')).body.resources;
  t.same(home[`${base}/entities/{entity}`].hints.allow, ['GET', 'PUT', 'DELETE']);
});

t.test('live state, explanation and slots come from the owner of the entity', async (t) => {
  const entity = await make(stack, '/entities', {
    label: 'live',
    ip_addresses: { main: '127.0.0.1' },
  });
  const check = await make(
    stack,
    `/entities/${entity}/checks`,
    checkBody({ period: 1, timeout: 1 }),
  );
  const alarm = await make(stack, `/entities/${entity}/alarms`, {
    check_id: check,
    notification_plan_id: 'npTechnicalContactsEmail',
    criteria: 'return OK, "fine"',
  });
  const live = await eventually('the alarm is OK', async () => {
    const { body } = await call(stack, 'GET', `/entities/${entity}/state`);
    return body.alarms[0]?.state === 'OK' ? body : undefined;
  });
  t.match(live, {
    epoch: Number,
    committed: Boolean,
    checks: [{ id: check, zones: [{}, {}, {}] }],
  });
  t.match((await call(stack, 'GET', `/entities/${entity}/alarms/${alarm}/explain`)).body, {
    state: 'OK',
    why: Array,
    zones: [{ monitoring_zone_id: 'mzaaa' }, {}, {}],
  });
  const slots = await eventually('slots ran', async () => {
    const { body } = await call(stack, 'GET', `/entities/${entity}/checks/${check}/slots`);
    return body.sums.ran >= 3 ? body : undefined;
  });
  t.match(slots, { metadata: { count: Number }, zones: [{}, {}, {}], sums: { lost: 0 } });
  t.equal(
    (await call(stack, 'GET', `/entities/${entity}/checks/${check}/slots?from=1&to=99999999`))
      .status,
    400,
  );
  const changes = await call(stack, 'GET', `/changelogs/alarms?entityId=${entity}`);
  t.match(changes.body.values, [
    { entity_id: entity, alarm_id: alarm, check_id: check, state: 'OK', previous_state: 'UNKNOWN' },
  ]);
  t.notOk('n' in changes.body.values[0]);
  const history = await call(
    stack,
    'GET',
    `/entities/${entity}/alarms/${alarm}/notification_history`,
  );
  t.same(history.body, { check_ids: [] });
  t.equal(
    (await call(stack, 'GET', `/entities/${entity}/alarms/alNobody/notification_history`)).status,
    404,
  );
  await call(stack, 'PUT', `/entities/${entity}/alarms/${alarm}`, {
    body: { criteria: 'return CRITICAL, "bad"' },
  });
  const items = await eventually('a notification is recorded', async () => {
    const path = `/entities/${entity}/alarms/${alarm}/notification_history/${check}`;
    const { body } = await call(stack, 'GET', path);
    return body.values.length > 0 ? body.values : undefined;
  });
  t.match(items[0], { state: 'CRITICAL', previous_state: 'OK', notification_results: Array });
  const one = await call(
    stack,
    'GET',
    `/entities/${entity}/alarms/${alarm}/notification_history/${check}/${items[0].id}`,
  );
  t.equal(one.body.id, items[0].id);
  const none = await call(
    stack,
    'GET',
    `/entities/${entity}/alarms/${alarm}/notification_history/${check}/nope`,
  );
  t.equal(none.status, 404);
});
