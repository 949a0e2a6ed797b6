// Live streams over real sockets: what happens is told once, what was missed is replayed, slow and unwanted clients are cut.
import t from 'tap';
import { createTenant } from '../../api/tenant-create.ts';
import { ownChange } from '../../api/token-issue.ts';
import { encodeValue } from '../../runtime/codec.ts';
import { actorKey, shardOf } from '../../runtime/ids.ts';
import type { Clock, HistoryRecord } from '../../runtime/ports.ts';
import { timeId } from '../../runtime/time-id.ts';
import { isLive, Listener } from './listener.ts';
import { call, eventually, make, startStack } from './stack.ts';

let counter = 0;

/** A changelog row as the host publishes and stores it. */
function row(tenant: string, entity: string, over: Partial<HistoryRecord> = {}): HistoryRecord {
  counter += 1;
  const key = actorKey(`${tenant}/${entity}`);
  const atMs = over.atMs ?? Date.now();
  const body = {
    timestamp: atMs,
    entity_id: entity,
    alarm_id: 'alX',
    check_id: 'chX',
    state: 'CRITICAL',
    previous_state: 'OK',
    status: `n${counter}`,
    analyzed_by_monitoring_zone_id: 'mzaaa',
    n: counter,
  };
  return {
    table: 'changelog',
    partition: tenant,
    atMs,
    id: timeId(atMs, `row ${counter}`),
    key,
    shard: shardOf(key),
    seq: counter,
    body: encodeValue(body),
    ...over,
  };
}

t.test(
  'a change of state arrives on the streams of its tenant and entity, and nowhere else',
  async (t) => {
    const stack = await startStack();
    t.teardown(() => stack.close());
    const base = `/v1.0/${stack.admin.tenantId}`;
    const change = ownChange('t', 'test', '/test');
    await createTenant(stack.ports, {
      tenant: '200000',
      label: 'o',
      limits: stack.ports.tenantLimits,
      change,
    });
    const foreign = await stack.token(['observer'], '200000');
    const [one, two] = [
      await make(stack, '/entities', { label: 'one', ip_addresses: { main: '127.0.0.1' } }),
      await make(stack, '/entities', { label: 'two' }),
    ];
    const listeners = [
      new Listener(stack, `${base}/stream`),
      new Listener(stack, `${base}/entities/${one}/stream`),
      new Listener(stack, `${base}/entities/${two}/stream`),
      new Listener(stack, '/v1.0/200000/stream', { 'X-Auth-Token': foreign }),
    ] as const;
    t.teardown(() => listeners.map((listener) => listener.close()));
    await Promise.all(listeners.map(isLive));
    t.match(listeners[0].head, /^HTTP\/1\.1 200 /);
    t.match(listeners[0].head, /Content-Type: text\/event-stream/);
    t.match(listeners[0].head, /X-RateLimit-Type: global/);
    const check = await make(stack, `/entities/${one}/checks`, {
      type: 'remote.http',
      details: { url: 'http://127.0.0.1/' },
      monitoring_zones_poll: ['mzaaa'],
      period: 1,
      timeout: 1,
      target_alias: 'main',
    });
    await make(stack, `/entities/${one}/alarms`, {
      check_id: check,
      notification_plan_id: 'npTechnicalContactsEmail',
    });
    const seen = await eventually('the change arrives', () => listeners[0].changes[0]);
    t.match(seen, {
      id: /^[0-9a-f-]{36}\.\d+$/,
      data: { entity_id: one, state: 'OK', previous_state: 'UNKNOWN', committed: true },
    });
    t.equal(seen.id?.split('.')[0], seen.data.id);
    t.notOk('n' in seen.data);
    await eventually('on its entity too', () => listeners[1].changes[0]);
    t.equal(listeners[2].changes.length, 0);
    t.equal(listeners[3].changes.length, 0);
    const unknown = await call(stack, 'GET', '/entities/enNobody/stream');
    t.equal(unknown.status, 404);
  },
);

t.test(
  'Last-Event-ID replays what followed: of its own shard exactly, of others from a minute before',
  async (t) => {
    const stack = await startStack();
    t.teardown(() => stack.close());
    const tenant = stack.admin.tenantId;
    const atMs = Date.now() - 600_000;
    const own = [0, 1, 2, 3].map((n) => row(tenant, 'enOwn', { atMs: atMs + n * 1000 }));
    const late = row(tenant, 'enOwn', { atMs: atMs - 200_000 });
    const near = row(tenant, 'enOther', { atMs: atMs - 30_000, shard: 1 });
    const far = row(tenant, 'enOther', { atMs: atMs - 90_000, shard: 1 });
    const after = row(tenant, 'enOther', { atMs: atMs + 5_000, shard: 1 });
    await stack.store.history.append([...own, late, near, far, after]);
    const last = own[1] as HistoryRecord;
    const header = { 'Last-Event-ID': `${last.id}.${last.seq}` };
    const listener = new Listener(stack, `/v1.0/${tenant}/stream`, header);
    t.teardown(() => listener.close());
    await eventually('all is replayed', () => (listener.changes.length >= 5 ? true : undefined));
    t.match(listener.events[0], { event: 'hello', data: { resumed: true } });
    const ids = listener.changes.map((one) => one.data.id);
    t.same(new Set(ids), new Set([own[2], own[3], late, near, after].map((one) => one?.id)));
    t.equal(new Set(ids).size, ids.length, 'each once');
    stack.publish(own[3] as HistoryRecord);
    const next = row(tenant, 'enOwn');
    stack.publish(next);
    await eventually('it goes on live', () =>
      listener.changes.find((one) => one.data.id === next.id),
    );
    t.equal(listener.changes.length, 6, 'what was replayed is not repeated');
    const entity = new Listener(stack, `/v1.0/${tenant}/stream`, { 'Last-Event-ID': 'nonsense.1' });
    t.teardown(() => entity.close());
    t.match(await isLive(entity), { data: { resumed: false } });
  },
);

t.test('what is journaled comes without an id, and again with it once committed', async (t) => {
  const stack = await startStack();
  t.teardown(() => stack.close());
  const { tenantId } = stack.admin;
  const listener = new Listener(stack, `/v1.0/${tenantId}/stream`);
  t.teardown(() => listener.close());
  await isLive(listener);
  const committed = row(tenantId, 'enX');
  stack.publish({ ...committed, seq: 0 });
  stack.publish(committed);
  stack.publish(committed);
  stack.publish({ ...row(tenantId, 'enX'), table: 'audit' });
  stack.publish(row(tenantId, 'enLast'));
  await eventually('both came', () => (listener.changes.length >= 3 ? true : undefined));
  t.match(listener.changes, [
    { id: null, data: { committed: false, id: committed.id } },
    { id: `${committed.id}.${committed.seq}`, data: { committed: true } },
    { data: { entity_id: 'enLast' } },
  ]);
});

/** A clock whose scheduled tasks tests run by moving it. */
function steppedClock(real: Clock): Clock & { forward(ms: number): void } {
  let offsetMs = 0;
  const tasks = new Set<{ readonly dueMs: number; readonly run: () => void }>();
  return {
    nowMs: () => real.nowMs() + offsetMs,
    monoMs: () => real.monoMs() + offsetMs,
    schedule: (dueMs, run) => {
      const task = { dueMs, run };
      tasks.add(task);
      return () => tasks.delete(task);
    },
    forward: (ms) => {
      offsetMs += ms;
      const nowMs = real.monoMs() + offsetMs;
      for (const task of [...tasks]) {
        if (task.dueMs > nowMs) continue;
        tasks.delete(task);
        task.run();
      }
    },
  };
}

t.test(
  'a lost message is found by reading again; beats go out; a revoked token ends the stream',
  async (t) => {
    let clock: ReturnType<typeof steppedClock> | undefined;
    const stack = await startStack({
      ports: (ports) => {
        clock = steppedClock(ports.clock);
        return { clock };
      },
    });
    t.teardown(() => stack.close());
    const token = await stack.token(['observer']);
    const { tenantId } = stack.admin;
    const old = row(tenantId, 'enOld', { atMs: Date.now() - 20_000 });
    await stack.store.history.append([old]);
    const listener = new Listener(stack, `/v1.0/${tenantId}/stream`, { 'X-Auth-Token': token });
    t.teardown(() => listener.close());
    await isLive(listener);
    await new Promise((resolve) => setImmediate(resolve));
    const lost = row(tenantId, 'enLost');
    await stack.store.history.append([lost]);
    clock?.forward(10_001);
    await eventually('the lost row comes', () =>
      listener.changes.find((one) => one.data.id === lost.id),
    );
    t.notOk(
      listener.changes.some((one) => one.data.id === old.id),
      'what was there before is no news',
    );
    clock?.forward(5_001);
    await eventually('a beat', () => (listener.comments > 0 ? true : undefined));
    await call(stack, 'DELETE', `/v2.0/tokens/${token}`, { token });
    await eventually('the stream ends', () => {
      clock?.forward(10_001);
      return listener.events.find((one) => one.event === 'bye');
    });
    t.match(listener.events.at(-1), { event: 'bye', data: { reason: /token/ } });
  },
);

t.test('a client that does not read is cut, others go on', async (t) => {
  const stack = await startStack({ limits: { streamQueueBytesMax: 128 * 1024 } });
  t.teardown(() => stack.close());
  const { tenantId } = stack.admin;
  const slow = new Listener(stack, `/v1.0/${tenantId}/stream`);
  const quick = new Listener(stack, `/v1.0/${tenantId}/stream`);
  t.teardown(() => [slow.close(), quick.close()]);
  await Promise.all([isLive(slow), isLive(quick)]);
  slow.socket.pause();
  const status = 'x'.repeat(60_000);
  let sent = 0;
  await eventually('the slow one is cut', async () => {
    for (let n = 0; n < 20; n++) {
      const one = row(tenantId, 'enBig');
      stack.publish({ ...one, body: encodeValue({ entity_id: 'enBig', status }) });
      sent += 1;
      await eventually('the quick one has it', () => quick.changes.length === sent || undefined);
    }
    const { text } = await call(stack, 'GET', '/metrics', { token: null });
    return /^tocsin_api_streams 1$/m.test(text) ? true : undefined;
  });
  const last = row(tenantId, 'enLast');
  stack.publish(last);
  await eventually('the quick one has the last', () =>
    quick.changes.find((one) => one.data.id === last.id),
  );
  t.equal(quick.changes.length, sent + 1);
});

t.test('streams are capped by tenant and node, and end when the node stops', async (t) => {
  const stack = await startStack({ limits: { streamsPerTenantMax: 2, streamsMax: 2 } });
  const { tenantId } = stack.admin;
  const open = [1, 2].map(() => new Listener(stack, `/v1.0/${tenantId}/stream`));
  t.teardown(() => open.map((listener) => listener.close()));
  await Promise.all(open.map(isLive));
  const refused = await call(stack, 'GET', '/stream');
  t.match(refused, { status: 429, body: { type: 'rateLimitReached' } });
  open[0]?.close();
  await eventually('there is room again', async () => {
    const { text } = await call(stack, 'GET', '/metrics', { token: null });
    return /^tocsin_api_streams 1$/m.test(text) ? true : undefined;
  });
  await stack.close();
  await eventually('the connection ends', () => open[1]?.isClosed || undefined);
  t.match(open[1]?.events.at(-1), { event: 'bye', data: { reason: 'the node is stopping' } });
});
