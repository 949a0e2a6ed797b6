// The entity actor: changes, polling, outages, restarts, slot accounting; scenario-like, then properties.
import fc from 'fast-check';
import t from 'tap';
import type { EntityMessage, LiveState, SlotsInFlight } from '../../actors/entity/messages.ts';
import { decodeTick, slotReport } from '../../actors/entity/slots.ts';
import {
  changeOf,
  down,
  EntityHarness,
  gone,
  type Prober,
  silent,
  startMs,
  up,
} from './harness.ts';

const minute = 60_000;
const count3 = { criteria: ':set consecutiveCount=3\nreturn new AlarmStatus(OK);' };

function slotsOf(h: EntityHarness, check = 'chOne'): SlotsInFlight {
  return (h.ask({ kind: 'check.slots', id: check }) as { value: SlotsInFlight }).value;
}

function reportOf(h: EntityHarness, fromMs = startMs - minute) {
  return slotReport([...h.ticks.values()], slotsOf(h), {
    fromMs,
    toMs: h.nowMs + minute,
    nowMs: h.nowMs,
  });
}

function live(h: EntityHarness): LiveState {
  return (h.ask({ kind: 'entity.live' }) as { value: LiveState }).value;
}

t.test('what does not exist: typed refusals, and nothing stays in memory', async (t) => {
  const cases: [EntityMessage, string, string][] = [
    [{ kind: 'entity.get' }, 'notFoundError', 'Object "Entity" with key "enTest" does not exist'],
    [
      { kind: 'check.get', id: 'chX' },
      'parentNotFoundError',
      'Object "Entity" with key "enTest" does not exist',
    ],
    [
      { kind: 'entity.update', attributes: {}, change: changeOf() },
      'notFoundError',
      'Object "Entity" with key "enTest" does not exist',
    ],
    [
      { kind: 'check.create', id: 'chX', attributes: {}, change: changeOf() },
      'parentNotFoundError',
      'Object "Entity" with key "enTest" does not exist',
    ],
    [
      { kind: 'alarm.delete', id: 'alX', change: changeOf() },
      'parentNotFoundError',
      'Object "Entity" with key "enTest" does not exist',
    ],
  ];
  for (const [message, type, details] of cases) {
    const h = new EntityHarness();
    t.match(h.ask(message), { ok: false, error: { type, details } });
    t.ok(h.stopped);
    t.equal(h.rows.length, 0);
  }
});

t.test('an entity is created, listed, audited and reported to its tenant', async (t) => {
  const h = new EntityHarness();
  t.match(h.create({ uri: 'https://x', managed: '1', metadata: { a: 'b' } }), {
    ok: true,
    value: { id: 'enTest' },
  });
  t.match(h.rows, [
    {
      kind: 4,
      listing: { label: 'web1' },
      documents: [{ kind: 0, id: 'enTest', rev: 1 }],
      history: [{ table: 'audit' }],
    },
  ]);
  t.match(h.historyOf('audit'), [
    { who: 'alice', statusCode: 201, account_id: 'tenant1', app: 'entities' },
  ]);
  t.match(h.sent, [
    { kind: 'tenant.report', entity: 'enTest', gone: false, checks: 0, alarms: [] },
  ]);
  t.match(h.ask({ kind: 'entity.get' }), {
    ok: true,
    value: { managed: true, metadata: { a: 'b' }, created_at: startMs },
  });
  const refusals: [Record<string, unknown>, string, string][] = [
    [{ label: '' }, 'label', 'String is empty'],
    [{ label: null }, 'label', 'Missing required key (label)'],
    [{ ip_addresses: { a: '300.1.1.1' } }, 'ip_addresses', "Value for key 'a': Invalid IP"],
    [
      { ip_addresses: { ['x'.repeat(65)]: '1.1.1.1' } },
      'ip_addresses',
      `Key ${'x'.repeat(65)}: String is not in range (1..64)`,
    ],
    [{ metadata: { a: 1 } }, 'metadata', "Value for key 'a': Not a string"],
    [{ agent_id: 'a b' }, 'agent_id', 'Invalid agent id'],
    [{ managed: 2 }, 'managed', 'Not a boolean'],
  ];
  for (const [attributes, key, details] of refusals) {
    const outcome = h.ask({ kind: 'entity.update', attributes, change: changeOf() });
    t.match(outcome, {
      ok: false,
      error: { type: 'badRequest', message: `Validation error for key '${key}'`, details },
    });
  }
  t.match(
    h.ask({
      kind: 'entity.update',
      attributes: { label: 'web2', nonsense: 1 },
      change: changeOf(),
    }),
    { ok: true },
  );
  t.match(h.rows.at(-1), { listing: { label: 'web2' }, documents: [{ rev: 2 }] });
});

t.test('a repeated request gets the first outcome, also from the next owner', async (t) => {
  const h = new EntityHarness();
  h.create();
  const change = changeOf({ idempotencyKey: 'k1', requestHash: 'h1' });
  const attributes = { type: 'remote.ping', target_alias: 'main', monitoring_zones_poll: ['mzA'] };
  const create = { kind: 'check.create', id: 'chOne', attributes, change } as const;
  t.same(h.ask(create), { ok: true, value: { id: 'chOne' } });
  const rows = h.rows.length;
  t.same(h.ask({ ...create, id: 'chOther' }), { ok: true, value: { id: 'chOne' } });
  t.match(h.ask({ ...create, change: { ...change, requestHash: 'h2' } }), {
    ok: false,
    error: { type: 'badRequest' },
  });
  for (const keepsSoft of [true, false]) {
    if (!keepsSoft) h.soft = null;
    h.crash();
    t.same(h.ask(create), { ok: true, value: { id: 'chOne' } });
  }
  t.equal(h.rows.length, rows);
  t.equal(h.state.checks.length, 1);
  const plain = changeOf();
  t.same(h.ask({ ...create, id: 'chTwo', change: plain }), { ok: true, value: { id: 'chTwo' } });
  t.same(
    h.ask({ ...create, id: 'chTwo', change: plain }),
    { ok: true, value: { id: 'chTwo' } },
    'the same transaction again',
  );
  t.same(
    h.ask({ ...create, id: 'chTwo', change: changeOf() }),
    { ok: true, value: { id: 'chTwo2' } },
    'an older object has the id',
  );
  const gone = changeOf({ idempotencyKey: 'k2' });
  t.match(h.ask({ kind: 'entity.delete', change: gone }), {
    ok: true,
    value: { checks: ['chOne', 'chTwo', 'chTwo2'], alarms: [] },
  });
  t.match(h.ask({ kind: 'entity.delete', change: gone }), { ok: true });
  t.match(h.ask({ kind: 'entity.delete', change: changeOf() }), {
    ok: false,
    error: { type: 'notFoundError' },
  });
});

t.test('a new check runs at once, then in phase; its slots are accounted', async (t) => {
  const h = new EntityHarness().withAlarm();
  h.run(1000);
  t.equal(h.probes.length, 1);
  t.match(h.probes[0]?.request, {
    zone: 'mzA',
    type: 'remote.http',
    target: 'example.com',
    resolver: 'IPv4',
    timeoutMs: 30_000,
    debug: false,
  });
  h.run(10 * minute);
  t.equal(h.probes.length, 11);
  const report = reportOf(h);
  t.match(report.sums, { ran: 11, failed: 0, skipped: 0, lost: 0 });
  const { phase_ms: phaseMs } = slotsOf(h);
  for (const item of report.items) t.equal(item.slot % minute, phaseMs);
});

t.test('outage: CRITICAL once after three runs, once told; a blip stays silent', async (t) => {
  const h = new EntityHarness().withAlarm({ alarm: count3 });
  h.run(5 * minute);
  h.prober = down;
  h.run(2 * minute);
  h.prober = up;
  h.run(5 * minute);
  t.same(
    h.transitions.map((one) => one.state),
    ['OK'],
    'two bad runs are a blip',
  );
  h.prober = down;
  h.run(20 * minute);
  t.same(
    h.transitions.map((one) => one.state),
    ['OK', 'CRITICAL'],
  );
  t.equal(h.intents.length, 1);
  h.prober = up;
  h.run(10 * minute);
  t.same(
    h.transitions.map((one) => one.state),
    ['OK', 'CRITICAL', 'OK'],
  );
  t.equal(h.intents.length, 2);
});

t.test('restart: an unfinished run of counts goes on, no transition repeats', async (t) => {
  const h = new EntityHarness().withAlarm({ alarm: count3 });
  h.run(5 * minute);
  h.prober = down;
  h.run(2 * minute);
  t.equal(h.transitions.length, 1);
  h.crash(800);
  h.run(minute);
  t.same(
    h.transitions.map((one) => [one.n, one.state]),
    [
      [1, 'OK'],
      [2, 'CRITICAL'],
    ],
  );
  h.crash(800);
  h.run(5 * minute);
  t.equal(h.transitions.length, 2);
});

t.test(
  'restart: a transition that soft state does not know is folded in from the log',
  async (t) => {
    const h = new EntityHarness().withAlarm({ alarm: count3 });
    h.run(5 * minute);
    h.prober = down;
    h.run(2 * minute);
    h.writesSoft = false;
    h.run(minute);
    t.equal(h.transitions.length, 2);
    h.crash(800);
    t.match(h.state.alarms[0], {
      state: 'CRITICAL',
      n: 2,
      zones: [{ confirmed: 'CRITICAL', run: 3 }],
    });
    h.prober = up;
    h.run(2 * minute);
    t.equal(h.transitions.length, 2, 'recovery needs three runs');
    h.run(minute);
    t.match(h.transitions[2], { n: 3, state: 'OK', previous: 'CRITICAL' });
  },
);

t.test(
  'restart: rows and soft state of an older alarm of the same id are not folded into the new one',
  async (t) => {
    const h = new EntityHarness().withAlarm();
    h.run(1000);
    h.prober = down;
    h.run(minute);
    h.writesSoft = false;
    h.ask({ kind: 'alarm.delete', id: 'alOne', change: changeOf() });
    h.addAlarm({ criteria: 'return WARNING' });
    h.crash(100);
    t.match(h.state.alarms, [{ n: 0, state: 'UNKNOWN', zones: [] }]);
    h.prober = up;
    h.run(minute);
    h.ask({
      kind: 'alarm.update',
      id: 'alOne',
      attributes: { criteria: 'return OK' },
      change: changeOf(),
    });
    h.crash(100);
    t.match(
      h.state.alarms,
      [{ n: 1, state: 'WARNING', zones: [] }],
      'results of former criteria do not count',
    );
  },
);

t.test('restart after a long stop: old zone states wait for new observations', async (t) => {
  const zones = { monitoring_zones_poll: ['mzA', 'mzB', 'mzC'] };
  const h = new EntityHarness().withAlarm({ check: zones });
  h.probers = { mzA: down };
  h.run(2 * minute);
  t.match(h.transitions, [{ state: 'OK' }]);
  h.crash(60 * minute);
  h.probers = { mzA: silent, mzB: down, mzC: silent };
  h.run(2 * minute);
  t.equal(h.transitions.length, 1, 'one fresh CRITICAL and an old one are no quorum');
  const short = new EntityHarness().withAlarm({ check: zones });
  short.probers = { mzA: down };
  short.run(2 * minute);
  short.crash(1000);
  short.probers = { mzA: silent, mzB: down, mzC: silent };
  short.run(minute);
  t.match(
    short.transitions[1],
    { state: 'CRITICAL' },
    'what was fresh counts as observed at the claim',
  );
});

t.test(
  'fail-over: the slot that fell due in the gap runs late, once; older ones are lost',
  async (t) => {
    const h = new EntityHarness().withAlarm({ check: { period: 10, timeout: 5 } });
    h.run(100_000);
    const next = (live(h).checks[0]?.next_slot ?? 0) - h.nowMs;
    h.run(next - 500);
    const before = h.probes.length;
    h.crash(1200);
    h.run(100);
    t.equal(h.probes.length, before + 1, 'late by no more than the gap');
    h.run(100_000);
    t.match(reportOf(h).sums, { failed: 0, skipped: 0, lost: 0 });
    h.crash(65_000);
    h.run(5);
    const started = h.probes.length;
    h.run(20_000);
    t.ok(h.probes.length <= started + 2, 'after a long gap each check waits for its next slot');
    const { sums, items } = reportOf(h);
    t.ok(sums.lost === 6 || sums.lost === 7, `lost ${sums.lost}`);
    t.equal(items.filter((item) => item.outcome === 'lost').length, 1, 'as one range');
  },
);

t.test('what only the log knows is as old after a long stop as what soft state knows', (t) => {
  const h = new EntityHarness().withAlarm({
    check: { period: 10, timeout: 5, monitoring_zones_poll: ['mzA', 'mzB', 'mzC'] },
  });
  h.writesSoft = false;
  h.prober = down;
  h.run(2 * minute);
  h.crash(60 * minute);
  h.prober = up;
  h.probers = { mzC: silent };
  h.run(2 * minute);
  const { evidence } = h.transitions.at(-1) as unknown as {
    evidence: readonly { readonly zone: string; readonly stale: boolean }[];
  };
  t.equal(h.transitions.at(-1)?.state, 'OK');
  t.equal(evidence.find((one) => one.zone === 'mzC')?.stale, true);
  t.end();
});

t.test('two short stops: what was loaded once is not young again behind the second', (t) => {
  const zones = { monitoring_zones_poll: ['mzA', 'mzB', 'mzC'] };
  const h = new EntityHarness().withAlarm({ check: zones });
  h.writesSoft = false;
  const changed = (prober: typeof up) => {
    h.prober = prober;
    const before = h.transitions.length;
    for (let s = 0; s < 300 && h.transitions.length === before; s++) h.run(1000);
    const { evidence } = h.transitions.at(-1) as unknown as {
      evidence: readonly { readonly zone: string; readonly stale: boolean }[];
    };
    return evidence.find((one) => one.zone === 'mzC')?.stale;
  };
  changed(up);
  h.run(2 * minute);
  changed(down);
  h.probers = { mzC: silent };
  h.crash(110_000);
  t.equal(changed(up), false, 'within its limit + 90 s: observed at the claim');
  h.crash(100_000);
  t.equal(changed(down), true, 'by then it is older than that, whenever it was loaded before');
  t.end();
});

t.test(
  'fail-over while slots lead the wall clock: what the former owner had under way is lost, not forgotten',
  async (t) => {
    for (const isKnown of [true, false]) {
      const zones = { monitoring_zones_poll: ['mzA', 'mzB'] };
      const h = new EntityHarness().withAlarm({ check: { period: 10, timeout: 5, ...zones } });
      h.run(100_000);
      h.offsetMs -= 3_000;
      const slotAtMs = live(h).checks[0]?.next_slot ?? 0;
      h.writesSoft = isKnown;
      h.probers = { mzB: silent };
      h.run(slotAtMs - h.nowMs - 1_000);
      if (isKnown) for (const at of ['mzA', 'mzB']) h.ticks.delete(`chOne|${at}|${slotAtMs}`);
      h.crash(300);
      h.probers = {};
      h.run(30_000);
      const slots = [...h.ticks.values()].filter((tick) => tick.zone === 'mzB');
      const lost = slots.filter((tick) => decodeTick(tick.value)?.outcome === 'lost');
      t.equal(lost.length, 1, isKnown ? 'soft state tells of it' : 'the tick of another zone does');
      const [first = 0, ...rest] = slots.map((tick) => tick.slotAtMs).sort((a, b) => a - b);
      t.same(
        rest,
        rest.map((_, at) => first + (at + 1) * 10_000),
        'no slot without a record',
      );
    }
  },
);

t.test('a pause: one slot runs, those between are skipped as coalesced', async (t) => {
  const h = new EntityHarness().withAlarm({ check: { period: 10, timeout: 5 } });
  h.run(30_000);
  const before = h.probes.length;
  h.monoMs += 60_000;
  h.run(1);
  t.equal(h.probes.length, before + 1);
  h.run(30_000);
  const { sums } = reportOf(h);
  t.equal(sums.lost, 0);
  t.match(
    reportOf(h).items.filter((item) => item.outcome === 'skipped'),
    [{ why: 'coalesced' }],
  );
  t.ok(sums.skipped >= 5);
});

t.test(
  'silence by the deadline is failed, never OK or CRITICAL; then not-being-checked',
  async (t) => {
    const h = new EntityHarness().withAlarm({ check: { period: 10, timeout: 5 } });
    h.run(30_000);
    h.prober = silent;
    h.run(34_000);
    t.notOk(live(h).conditions.some((one) => one.name === 'not-being-checked'));
    h.run(20_000);
    t.match(live(h).conditions, [
      {
        name: 'not-being-checked',
        check_id: 'chOne',
        text: /No answer from the zone within 6.5 s/,
      },
      { name: 'insufficient-zones' },
    ]);
    t.match(live(h).checks[0]?.zones[0], {
      collector_state: 'UNKNOWN',
      failure: { why: 'no-answer' },
      observation: { available: true },
    });
    t.equal(h.transitions.length, 1);
    t.match(
      reportOf(h).items.find((item) => item.outcome === 'failed'),
      { why: 'no-answer' },
    );
    h.prober = up;
    h.run(20_000);
    t.same(live(h).conditions, []);
  },
);

t.test('a zone that is still busy skips the slot; the late answer is ignored', async (t) => {
  const h = new EntityHarness().withAlarm({ check: { period: 10, timeout: 9 } });
  h.prober = () => ({ ...up({} as never, 0), afterMs: 10_200 }) as never;
  h.run(60_000);
  const { sums, items } = reportOf(h);
  t.ok(sums.ran >= 2 && sums.skipped >= 2);
  t.ok(items.every((item) => item.outcome !== 'skipped' || item.why === 'coalesced'));
  h.prober = () => ({ ...up({} as never, 0), afterMs: 12_000 }) as never;
  h.run(60_000);
  t.ok(reportOf(h).sums.failed >= 2, 'after the deadline');
});

t.test('local network, fenced, missing address: each has its own end', async (t) => {
  const h = new EntityHarness().withAlarm({ check: { period: 10, timeout: 5 } });
  h.run(1000);
  h.prober = () =>
    ({ outcome: 'failed', failure: 'local-network', message: 'self-test failed' }) as never;
  h.run(10_000);
  t.match(live(h).conditions, [{ name: 'local-network', check_id: 'chOne' }]);
  h.prober = silent;
  let fencedId = '';
  h.onProbe = (request) => {
    fencedId = request.id;
  };
  h.run(10_000);
  h.tell({ kind: 'probe.fenced', id: fencedId });
  t.match(reportOf(h).items.at(-1), { outcome: 'skipped', why: 'fenced' });
  t.equal(h.transitions.length, 1);
  t.match(h.ask({ kind: 'entity.update', attributes: { ip_addresses: {} }, change: changeOf() }), {
    ok: true,
  });
  h.create();
  h.ask({
    kind: 'entity.update',
    attributes: { ip_addresses: { main: '192.0.2.7' } },
    change: changeOf(),
  });
  h.addCheck({ type: 'remote.ping', details: {}, target_alias: 'main' }, 'chPing');
  t.match(h.ask({ kind: 'entity.update', attributes: { ip_addresses: {} }, change: changeOf() }), {
    ok: false,
    error: { message: "Validation error for key 'ip_addresses'" },
  });
});

t.test('period and zones change: polling goes on without repeating a slot', async (t) => {
  const h = new EntityHarness().withAlarm({ check: { period: 60 } });
  h.run(3 * minute);
  const put = (attributes: Record<string, unknown>) =>
    h.ask({ kind: 'check.update', id: 'chOne', attributes, change: changeOf() });
  t.match(put({ period: 10, timeout: 5, monitoring_zones_poll: ['mzA', 'mzB'] }), { ok: true });
  const before = h.probes.length;
  h.run(minute);
  t.equal(h.probes.length, before + 12);
  put({ monitoring_zones_poll: ['mzB'] });
  h.run(minute);
  t.equal(h.probes.length, before + 18);
  const labels = h.probes.map(
    (probe) => `${probe.request.zone}|${probe.request.id.split('|').at(-2)}`,
  );
  t.equal(new Set(labels).size, labels.length);
  t.same(
    h.state.alarms[0]?.zones.map((zone) => zone.zone),
    ['mzB'],
  );
});

t.test(
  'a timer of before a change, read behind it, starts no slot that is still to come',
  async (t) => {
    const h = new EntityHarness().withAlarm({ check: { period: 10, timeout: 5 } });
    h.run(minute);
    h.ask({ kind: 'check.update', id: 'chOne', attributes: { period: 60 }, change: changeOf() });
    const before = h.probes.length;
    h.tell({ kind: 'slot.due', check: 'chOne' });
    t.equal(h.probes.length, before);
    h.run(minute);
    t.equal(h.probes.length, before + 1, 'it starts when it is due');
  },
);

t.test('disabled: no timers, no probes, slots skipped as disabled; enabled again', async (t) => {
  const h = new EntityHarness().withAlarm({ check: { period: 10, timeout: 5 } });
  h.run(30_000);
  const put = (disabled: boolean) =>
    h.ask({ kind: 'check.update', id: 'chOne', attributes: { disabled }, change: changeOf() });
  put(true);
  t.same(h.timerIds, ['report']);
  const before = h.probes.length;
  h.run(50_000);
  t.equal(h.probes.length, before);
  t.equal(reportOf(h).sums.skipped, 5);
  put(false);
  h.run(50_000);
  t.equal(h.probes.length, before + 5);
  t.match(reportOf(h).sums, { skipped: 5, lost: 0 });
  const ran = () => reportOf(h).sums.ran;
  h.writesSoft = false;
  h.run(30_000);
  const known = ran();
  put(true);
  h.crash(100);
  h.run(30_000);
  put(false);
  t.equal(ran(), known, 'soft state older than that skips nothing that ran');
});

t.test(
  'delete: timers go, results under way are ignored, alarms go along; recreated it begins anew',
  async (t) => {
    const h = new EntityHarness().withAlarm();
    h.run(1000);
    h.prober = (...of) => ({ ...down(...of), afterMs: 5000 }) as never;
    h.run((live(h).checks[0]?.next_slot ?? 0) - h.nowMs + 1000);
    t.equal(live(h).checks[0]?.in_flight, 1);
    t.match(h.ask({ kind: 'check.delete', id: 'chOne', change: changeOf() }), {
      ok: true,
      value: { checks: ['chOne'], alarms: ['alOne'] },
    });
    t.same(h.timerIds, ['report']);
    h.run(10 * minute);
    t.equal(h.transitions.length, 1);
    t.match(h.sent.at(-1), { kind: 'tenant.report', checks: 0, alarms: [] });
    t.match(h.ask({ kind: 'check.get', id: 'chOne' }), {
      ok: false,
      error: { type: 'notFoundError' },
    });
    h.addCheck();
    h.addAlarm();
    h.run(6000);
    t.match(h.transitions[1], { n: 1, state: 'CRITICAL', previous: 'UNKNOWN' });
    h.ask({ kind: 'entity.delete', change: changeOf() });
    t.equal(h.projected.size, 0);
    t.match(h.rows.at(-1)?.listing, { label: null });
    t.match(h.sent.at(-1), { gone: true });
    const probes = h.probes.length;
    h.run(9 * minute);
    t.equal(h.probes.length, probes);
    h.run(2 * minute);
    t.ok(h.stopped);
  },
);

t.test('questions: views, overview, prepared tests', async (t) => {
  const h = new EntityHarness().withAlarm({ check: { monitoring_zones_poll: ['mzA', 'mzB'] } });
  h.run(1000);
  t.match(h.ask({ kind: 'check.list' }), {
    value: [{ id: 'chOne', collectors: [], confd_name: null, active_suppressions: [] }],
  });
  t.match(h.ask({ kind: 'entity.overview' }), {
    value: {
      latest_alarm_states: [
        { state: 'OK', previous_state: 'UNKNOWN', analyzed_by_monitoring_zone_id: 'mzB' },
      ],
    },
  });
  const attributes = {
    type: 'remote.ping',
    target_alias: 'main',
    monitoring_zones_poll: ['mzA', 'mzC'],
  };
  t.match(h.ask({ kind: 'check.prepareTest', id: null, attributes, debug: true }), {
    value: [
      {
        id: '',
        zone: 'mzA',
        target: '192.0.2.1',
        details: { count: 5 },
        timeoutMs: 30_000,
        debug: false,
      },
      { zone: 'mzC' },
    ],
  });
  t.match(h.ask({ kind: 'check.prepareTest', id: 'chOne', attributes: {}, debug: true }), {
    value: [{ zone: 'mzA', debug: true }, {}],
  });
  t.match(h.ask({ kind: 'check.prepareTest', id: 'chX', attributes: {}, debug: false }), {
    ok: false,
    error: { details: 'Object "Check" with key "enTest:chX" does not exist' },
  });
  t.match(h.ask({ kind: 'alarm.explain', id: 'alX' }), { ok: false });
  t.match(live(h), {
    epoch: 1,
    age: 950,
    committed: true,
    checks: [
      { zones: [{ observation: { age: 950, metrics: { code: { type: 's', data: '200' } } } }, {}] },
    ],
  });
});

t.test('soft state: urgent while runs change, lazy at rest, and small', async (t) => {
  const h = new EntityHarness().withAlarm({ alarm: count3 });
  h.run(5 * minute);
  h.saves = { soon: 0, later: 0 };
  h.run(10 * minute);
  t.same(h.saves, { soon: 0, later: 10 });
  h.prober = down;
  h.run(minute);
  t.equal(h.saves.soon, 1);
  t.ok(JSON.stringify(h.behaviour.snapshot(h.state)).length < 1200);
});

t.test(
  'property: transitions are gapless and legal, every slot is accounted once, slots never repeat',
  async () => {
    const fault = fc.constantFrom<'up' | 'down' | 'silent' | 'gone' | 'slow'>(
      'up',
      'up',
      'up',
      'down',
      'down',
      'silent',
      'gone',
      'slow',
    );
    const event = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          kind: fc.constant('run' as const),
          ms: fc.integer({ min: 1, max: 40_000 }),
        }),
      },
      {
        weight: 3,
        arbitrary: fc.record({
          kind: fc.constant('prober' as const),
          zone: fc.constantFrom('mzA', 'mzB', 'mzC'),
          fault,
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          kind: fc.constant('crash' as const),
          gapMs: fc.integer({ min: 0, max: 30_000 }),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          kind: fc.constant('pause' as const),
          ms: fc.integer({ min: 0, max: 45_000 }),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          kind: fc.constant('wall' as const),
          ms: fc.integer({ min: -40_000, max: 40_000 }),
        }),
      },
      { weight: 1, arbitrary: fc.constant({ kind: 'documents' as const }) },
    );
    const slow: Prober = (...of) => ({ ...up(...of), afterMs: 8000 }) as never;
    const probers = { up, down, silent, gone, slow };
    const property = fc.property(
      fc.constantFrom('ONE', 'QUORUM', 'ALL'),
      fc.integer({ min: 1, max: 3 }),
      fc.array(event, { minLength: 5, maxLength: 60 }),
      (level, count, events) => {
        const documents = new EntityHarness().documents;
        const criteria = `:set consistencyLevel=${level}\n:set consecutiveCount=${count}\nreturn OK`;
        const zones = { monitoring_zones_poll: ['mzA', 'mzB', 'mzC'], period: 10, timeout: 6 };
        const h = new EntityHarness().withAlarm({ check: zones, alarm: { criteria } });
        const abandoned = new Set<string>();
        h.run(200);
        for (const one of events) {
          if (one.kind === 'run') h.run(one.ms);
          if (one.kind === 'prober') h.probers[one.zone] = probers[one.fault];
          if (one.kind === 'crash') {
            for (const flight of slotsOf(h).in_flight)
              abandoned.add(`${flight.monitoring_zone_id}|${flight.slot}`);
            h.crash(one.gapMs);
          }
          if (one.kind === 'pause') h.monoMs += one.ms;
          if (one.kind === 'wall') h.offsetMs += one.ms;
          if (one.kind === 'documents') h.documents = h.documents === null ? documents : null;
        }
        h.documents = documents;
        h.run(20_000);
        return isLegal(h) && isAccounted(h, abandoned);
      },
    );
    fc.assert(property, { numRuns: 300 });
  },
);

function isLegal(h: EntityHarness): boolean {
  let state = 'UNKNOWN';
  for (const [at, one] of h.transitions.entries()) {
    if (
      one.n !== at + 1 ||
      one.previous !== state ||
      one.state === state ||
      one.state === 'UNKNOWN'
    )
      return false;
    state = one.state;
  }
  const ids = h.intents.map((intent) => intent.id);
  const labels = h.probes.map(({ request }) => `${request.id}`);
  return new Set(ids).size === ids.length && new Set(labels).size === labels.length;
}

/**
 * Each zone's slots, from the check's first up to the next planned one, have a tick, are in flight, or were in flight when
 * an owner died; and the report shows each in exactly one item.
 */
function isAccounted(h: EntityHarness, abandoned: ReadonlySet<string>): boolean {
  const slots = slotsOf(h);
  const planned = h.state.checks[0]?.nextMs ?? 0;
  const told = new Set(abandoned);
  for (const one of slots.in_flight) told.add(`${one.monitoring_zone_id}|${one.slot}`);
  for (const tick of h.ticks.values()) {
    const record = decodeTick(tick.value);
    const toMs = record !== null && 'toMs' in record ? record.toMs : tick.slotAtMs;
    for (let at = tick.slotAtMs; at <= toMs; at += slots.period_ms) told.add(`${tick.zone}|${at}`);
  }
  const range = { fromMs: startMs - minute, toMs: planned, nowMs: planned + 10 * minute };
  const report = slotReport([...h.ticks.values()], slots, range);
  for (const zone of slots.zones) {
    for (let at = slots.since_ms; at < planned; at += slots.period_ms) {
      if (!told.has(`${zone}|${at}`)) return false;
    }
    const items = report.items.filter((item) => item.monitoring_zone_id === zone);
    let expected = slots.since_ms;
    for (const item of items) {
      const count = (item.to - item.from) / slots.period_ms + 1;
      if (item.from !== expected || count !== item.slots) return false;
      expected = item.to + slots.period_ms;
    }
    if (expected !== planned) return false;
  }
  return abandoned.size > 0 || report.sums.lost === 0 || h.epoch > 1;
}
