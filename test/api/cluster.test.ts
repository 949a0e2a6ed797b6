// Any node answers for any entity (clustering.md §13): state, writes, streams, release and fleet questions, over a fail-over too.
import t from 'tap';
import type { ProbeRequest } from '../../actors/check/types.ts';
import { adviceOf } from '../../api/advice.ts';
import { silentReport } from '../../cluster/pulse-engine.ts';
import { withMember } from '../../cluster/view.ts';
import { clusterInfo } from '../../main/cluster-info.ts';
import { type ActorKey, actorKey, nodeId, shardOf } from '../../runtime/ids.ts';
import { ApiFleet, type FleetNode } from './fleet.ts';
import { isLive, Listener } from './listener.ts';
import {
  call as callStack,
  eventually,
  observed,
  type Reply,
  type Stack,
  startStack,
} from './stack.ts';

const call = (of: FleetNode, ...rest: Tail<Parameters<typeof callStack>>): Promise<Reply> =>
  callStack(of as unknown as Stack, ...rest);
type Tail<All> = All extends [unknown, ...infer Rest] ? Rest : never;

async function make(of: FleetNode, path: string, body: unknown): Promise<string> {
  const reply = await call(of, 'POST', path, { body });
  if (reply.status !== 201) throw new Error(`${path}: ${reply.status} ${reply.text}`);
  return reply.headers.get('x-object-id') ?? '';
}

const checkBody = {
  type: 'remote.http',
  details: { url: 'http://127.0.0.1/' },
  monitoring_zones_poll: ['mzaaa'],
  ...{ period: 1, timeout: 1, target_alias: 'main' },
};

interface Watched {
  readonly entity: string;
  readonly key: ActorKey;
}

/** An entity with a check each second and an alarm that is CRITICAL while `answer` says 500. */
async function watched(of: FleetNode): Promise<Watched> {
  const entity = await make(of, '/entities', {
    label: 'watched',
    ip_addresses: { main: '127.0.0.1' },
  });
  const check = await make(of, `/entities/${entity}/checks`, checkBody);
  await make(of, `/entities/${entity}/alarms`, {
    check_id: check,
    notification_plan_id: 'npTechnicalContactsEmail',
    criteria:
      ':set consecutiveCount=1\nif (metric["code"] == "500") { return new AlarmStatus(CRITICAL, "bad"); } return new AlarmStatus(OK, "good");',
  });
  return { entity, key: actorKey(`${of.admin.tenantId}/${entity}`) };
}

const withCode = (code: string) => (request: ProbeRequest) => ({
  ...observed(request),
  metrics: [['code', 's', code, 'unknown']] as never,
});

async function fleetOf(
  t: { teardown(end: () => unknown): void },
  ...names: readonly string[]
): Promise<ApiFleet> {
  const fleet = new ApiFleet();
  t.teardown(() => fleet.close());
  await fleet.start(...names);
  return fleet;
}

t.test(
  'every node reads, lists and changes an entity, and live state names its owner and epoch',
  async (t) => {
    const fleet = await fleetOf(t, 'a', 'b', 'c');
    const [first] = fleet.nodes as [FleetNode];
    const { entity, key } = await watched(first);
    const { owner } = fleet.ownerOf(key);
    await eventually('it polls', async () => {
      const { body } = await call(first, 'GET', `/entities/${entity}/state`);
      return body.age === null ? undefined : body;
    });
    const before = await fleet.store.authority.readHead(shardOf(key));
    for (const node of fleet.nodes) {
      const { status, body } = await call(node, 'GET', `/entities/${entity}/state`);
      t.equal(status, 200);
      t.match(body, { node: owner.name, epoch: Number(before.epoch), committed: true });
      t.type(body.age, 'number');
      t.match((await call(node, 'GET', '/views/overview')).body, {
        values: [{ entity: { id: entity } }],
      });
    }
    for (const [at, node] of fleet.nodes.entries()) {
      const label = `label ${at}`;
      t.equal((await call(node, 'PUT', `/entities/${entity}`, { body: { label } })).status, 204);
      for (const reader of fleet.nodes) {
        t.match((await call(reader, 'GET', `/entities/${entity}`)).body, { label });
        t.match((await call(reader, 'GET', '/entities')).body, { values: [{ label }] });
      }
    }
    fleet.kill(owner);
    await fleet.bury(owner);
    const { owner: next, others } = fleet.ownerOf(key);
    const { body } = await call(others[0] as FleetNode, 'GET', `/entities/${entity}/state`);
    t.match(body, { node: next.name, entity: { label: 'label 2' } });
    t.ok(body.epoch > before.epoch);
  },
);

t.test('a stream follows an entity through a fail-over, each event once', async (t) => {
  const fleet = await fleetOf(t, 'a', 'b', 'c');
  const [first] = fleet.nodes as [FleetNode];
  const { entity, key } = await watched(first);
  const { owner, others } = fleet.ownerOf(key);
  const [at, other] = others as [FleetNode, FleetNode];
  const path = `/v1.0/${first.admin.tenantId}/entities/${entity}/stream`;
  const listeners = [new Listener(at, path), new Listener(other, path)];
  t.teardown(() => listeners.map((one) => one.close()));
  await Promise.all(listeners.map(isLive));
  const states = (listener: Listener) => listener.changes.map(({ data }) => data.state);
  const last = (listener: Listener, state: string) =>
    eventually(`${state} arrives`, () => (states(listener).at(-1) === state ? true : undefined));
  await Promise.all(listeners.map((one) => last(one, 'OK')));
  let startedMs = Date.now();
  fleet.answer = withCode('500');
  await Promise.all(listeners.map((one) => last(one, 'CRITICAL')));
  t.ok(Date.now() - startedMs < 4_000, 'as it happens, not when the changelog is read again');
  fleet.kill(owner);
  fleet.answer = withCode('200');
  await fleet.bury(owner);
  startedMs = Date.now();
  await Promise.all(listeners.map((one) => last(one, 'OK')));
  t.ok(Date.now() - startedMs < 6_000, 'the new owner tells them too');
  fleet.answer = withCode('500');
  await Promise.all(listeners.map((one) => last(one, 'CRITICAL')));
  const stored = await fleet.store.history.page({
    ...{ table: 'changelog', partition: first.admin.tenantId, key },
    ...{ fromMs: 0, toMs: Date.now() + 60_000, marker: null, reverse: false, limit: 100 },
  });
  for (const listener of listeners) {
    const ids = listener.changes.map(({ data }) => data.id);
    t.same(new Set(ids), new Set(stored.map(({ id }) => id)), 'nothing is lost');
    t.equal(new Set(ids).size, ids.length, 'nothing is repeated');
    t.notOk(listener.isClosed);
  }
  const resumed = new Listener(other, path, {
    'Last-Event-ID': listeners[0]?.changes[0]?.id ?? '',
  });
  t.teardown(() => resumed.close());
  const rest = listeners[0]?.changes.slice(1).map(({ data }) => data.id) ?? [];
  await eventually('another node replays the rest', () =>
    resumed.changes.length >= rest.length ? true : undefined,
  );
  t.same(new Set(resumed.changes.map(({ data }) => data.id)), new Set(rest));
});

t.test(
  'a retried write takes effect once, through any node and after the owner died',
  async (t) => {
    const fleet = await fleetOf(t, 'a', 'b', 'c');
    const [a, b, c] = fleet.nodes as [FleetNode, FleetNode, FleetNode];
    const once = (key: string, label = 'one') => ({
      body: { label },
      headers: { 'Idempotency-Key': key },
    });
    const [one, two] = await Promise.all([
      call(a, 'POST', '/entities', once('k1')),
      call(b, 'POST', '/entities', once('k1')),
    ]);
    const id = one.headers.get('x-object-id') as string;
    t.same([one.status, two.status, two.headers.get('x-object-id')], [201, 201, id]);
    t.equal((await call(c, 'POST', '/entities', once('k1', 'another'))).status, 400);
    const key = actorKey(`${a.admin.tenantId}/${id}`);
    const put = { body: { label: 'changed' }, headers: { 'Idempotency-Key': 'k2' } };
    t.equal((await call(a, 'PUT', `/entities/${id}`, put)).status, 204);
    const { owner } = fleet.ownerOf(key);
    fleet.kill(owner);
    await fleet.bury(owner);
    for (const node of fleet.nodes.filter((one) => !one.isDead)) {
      const again = await call(node, 'POST', '/entities', once('k1'));
      t.same([again.status, again.headers.get('x-object-id')], [201, id]);
      t.equal((await call(node, 'PUT', `/entities/${id}`, put)).status, 204);
      t.match((await call(node, 'GET', '/entities')).body.values, [{ id, label: 'changed' }]);
    }
    t.equal((await call(fleet.ownerOf(key).owner, 'GET', '/entities')).body.values.length, 1);
    const audits = await fleet.store.history.page({
      ...{ table: 'audit', partition: a.admin.tenantId },
      ...{ fromMs: 0, toMs: Date.now() + 60_000, marker: null, reverse: false, limit: 100 },
    });
    const ofEntity = audits.filter((row) => row.key === key);
    t.equal(ofEntity.length, 2, 'one record for each change that took effect');
  },
);

t.test(
  'where nobody owns an entity the answer is 503 with Retry-After, never a wrong one',
  async (t) => {
    const fleet = await fleetOf(t, 'a', 'b', 'c');
    const [first] = fleet.nodes as [FleetNode];
    const { entity, key } = await watched(first);
    const { owner, others } = fleet.ownerOf(key);
    fleet.kill(owner);
    const [asked] = others as [FleetNode];
    const [read, write, list] = await Promise.all([
      call(asked, 'GET', `/entities/${entity}/state`),
      call(asked, 'PUT', `/entities/${entity}`, { body: { label: 'x' } }),
      call(asked, 'GET', '/views/overview'),
    ]);
    for (const reply of [read, write, list]) {
      t.equal(reply.status, 503);
      t.equal(reply.headers.get('retry-after'), '1');
    }
    const late = call(asked, 'GET', `/entities/${entity}`);
    await fleet.bury(owner);
    t.equal((await late).status, 200, 'what waits meanwhile is answered by the next owner');
  },
);

t.test(
  'an operator releases an entity through any node, and doctor hears every node',
  async (t) => {
    const fleet = await fleetOf(t, 'a', 'b', 'c');
    const [first] = fleet.nodes as [FleetNode];
    const { entity, key } = await watched(first);
    const { owner, others } = fleet.ownerOf(key);
    const [asked, spare] = others as [FleetNode, FleetNode];
    owner.node.catalog.quarantine(key, 'it failed', 'failures');
    const path = `/entities/${entity}/release`;
    t.equal(
      (await call(asked, 'PUT', `/entities/${entity}`, { body: { label: 'x' } })).status,
      503,
    );
    t.equal((await call(asked, 'POST', path, {})).status, 204);
    t.equal((await call(spare, 'POST', path, {})).status, 400, 'it is free now');
    t.equal(owner.node.catalog.describe(key)?.quarantine, null);
    t.equal(
      (await call(asked, 'PUT', `/entities/${entity}`, { body: { label: 'x' } })).status,
      204,
    );

    owner.node.catalog.dropShards(new Set([shardOf(key)]));
    owner.node.catalog.quarantine(key, 'it blocked the event loop of x', 'stalled');
    for (const view of ['/entities', '/views/overview', '/views/latest_alarm_states']) {
      const { status, body } = await call(asked, 'GET', view);
      t.match(
        { status, ...body },
        { status: 200, values: { length: 0 }, metadata: { quarantined: [entity] } },
      );
    }
    const plan = '/views/alarmsByNp/npTechnicalContactsEmail';
    t.match((await call(asked, 'GET', plan)).body, { metadata: { quarantined: [entity] } });

    const finding = { level: 'advice', topic: 'tls', text: 'use it' } as const;
    for (const { node } of fleet.nodes) node.router.serve('node.findings', () => [finding]);
    const doctor = '/v1.0/operator/doctor';
    t.same((await call(asked, 'GET', doctor)).body, {
      findings: ['a', 'b', 'c'].map((node) => ({ node, ...finding })),
      answered_by: asked.name,
      unreachable: [],
    });
    fleet.network.cut(owner.name, 'frames');
    t.match((await call(asked, 'GET', doctor)).body, {
      findings: { length: 2 },
      unreachable: [owner.name],
    });
  },
);

t.test('every node accounts for the slots of a check, whoever polls it', async (t) => {
  const fleet = await fleetOf(t, 'a', 'b');
  const [first] = fleet.nodes as [FleetNode];
  const { entity, key } = await watched(first);
  const { owner, others } = fleet.ownerOf(key);
  const checks = (await call(first, 'GET', `/entities/${entity}/checks`)).body.values;
  const path = `/entities/${entity}/checks/${checks[0].id}/slots?from=${Date.now() - 60_000}&to=${Date.now() + 60_000}`;
  for (const node of [owner, ...others]) {
    const sums = await eventually('a slot ran', async () => {
      const found = (await call(node, 'GET', path)).body.sums;
      return found.ran > 0 ? found : undefined;
    });
    t.match(sums, { failed: 0, lost: 0 });
  }
  t.ok(fleet.probed.length > 0 && fleet.probed.every(({ by }) => by === owner.name));
});

t.test('the status of a cluster names each member and those that did not answer', async (t) => {
  const { view } = new ApiFleet();
  const joined = ['a', 'b', 'c'].reduce(
    (before, name) =>
      withMember(
        before,
        nodeId(name),
        {
          ...{ incarnation: `${name}1`, address: `${name}:7420`, weight: 4, zone: name },
          ...{ protoMin: 1, protoMax: 1, state: 'up' as const },
        },
        0,
      ),
    view,
  );
  const answer = { mode: 'NORMAL', shardsHeld: 342, actors: 7, viewVersion: joined.version };
  const mode = {
    mode: 'NO-NATS' as const,
    sinceMonoMs: 0,
    isAwaiting: false,
    allowedUntilMonoMs: 0,
  };
  const info = clusterInfo({
    ...{ cluster: 'prod', node: 'a' },
    status: { view: joined, incarnation: 'a1', isMember: true, mode, storeAnsweredMonoMs: 0 },
    report: {
      ...silentReport,
      statuses: [
        { node: nodeId('b'), incarnation: 'b1', state: 'dead', silenceMs: 2000.4 } as never,
      ],
    },
    answers: new Map([
      ['a', answer],
      ['c', answer],
    ]),
  });
  t.match(info, {
    ...{ cluster: 'prod', answered_by: 'a', mode: 'NO-NATS', unreachable: ['b'] },
    members: [
      { node: 'a', is_self: true, seen: 'self', mode: 'NORMAL', shards_held: 342, actors: 7 },
      { node: 'b', seen: 'dead', silence_ms: 2000, mode: null, shards_held: null, zone: 'b' },
      { node: 'c', seen: 'unknown', silence_ms: null, mode: 'NORMAL', address: 'c:7420' },
    ],
  });
  t.equal(
    info.members.reduce((sum, one) => sum + one.shards_mapped, 0),
    1024,
  );

  const stack = await startStack({ ports: () => ({ cluster: async () => info }) });
  t.teardown(() => stack.close());
  const path = '/v1.0/operator/cluster';
  t.match((await callStack(stack, 'GET', path)).body, { cluster: 'prod', unreachable: ['b'] });
  const token = await stack.token(['monitoring:admin']);
  t.equal((await callStack(stack, 'GET', path, { token })).status, 403, 'for operators only');
});

t.test('doctor tells a mode that is not normal and who is in quarantine, problems first', (t) => {
  const config = {
    ...({ egress: 'local', limits: 'open', anchors: ['a', 'b', 'c'], smtp: {} } as const),
    ...{ listenHost: '127.0.0.1', tls: null },
  };
  const facts = { config, probers: [], outbox: null, mode: null, quarantined: [] };
  t.same(adviceOf(facts), []);
  t.same(adviceOf({ ...facts, mode: 'NORMAL' }), []);
  t.match(adviceOf({ ...facts, mode: 'DRAINING' }), [{ level: 'advice', topic: 'cluster' }]);
  const quarantined = [{ key: 't1/en1', reason: 'it blocked the event loop of b' }];
  t.match(
    adviceOf({ ...facts, config: { ...config, smtp: null }, mode: 'NO-STORE', quarantined }),
    [
      { level: 'problem', topic: 'cluster', text: /NO-STORE/ },
      { level: 'problem', topic: 'quarantine', text: /t1\/en1 is paused.*event loop of b/ },
      { level: 'advice', topic: 'email' },
    ],
  );
  t.end();
});
