// Alarms: validation, what a transition commits, suppression, plans, idempotent and refused changes, explain, conditions.
import t from 'tap';
import {
  changeOf,
  documentsOf,
  down,
  EntityHarness,
  gone,
  silent,
  suppression,
  up,
} from './harness.ts';

const minute = 60_000;
const ok = { ok: true };

t.test('attributes: references, criteria and texts', async (t) => {
  const h = new EntityHarness();
  h.create();
  h.addCheck();
  t.match(h.addAlarm({ check_id: undefined }), {
    ok: false,
    error: {
      message: "Validation error for key 'check_id'",
      details: 'Missing required key (check_id)',
    },
  });
  t.match(h.addAlarm({ check_id: 'chX' }), {
    ok: false,
    error: {
      type: 'requiredNotFoundError',
      details: 'Object "Check" with key "enTest:chX" does not exist',
    },
  });
  t.match(h.addAlarm({ notification_plan_id: 'npX' }), {
    ok: false,
    error: {
      type: 'requiredNotFoundError',
      details: 'Object "NotificationPlan" with key "npX" does not exist',
    },
  });
  t.match(h.addAlarm({ criteria: "if (metric['a'] > 1kb) { return OK }" }), {
    ok: false,
    error: {
      type: 'alarmParseError',
      details: { error_position: 19, error_line: 1, error_column: 19 },
    },
  });
  t.match(h.addAlarm({ criteria: '' }), { ok: false, error: { details: 'String is empty' } });
  t.match(h.addAlarm({ notification_plan_id: 'npTechnicalContactsEmail' }), ok);
  t.match(h.ask({ kind: 'alarm.get', id: 'alOne' }), {
    ok: true,
    value: { criteria: null, entity_id: 'enTest', active_suppressions: [], confd_name: null },
  });
  t.match(
    h.ask({
      kind: 'alarm.update',
      id: 'alOne',
      attributes: { check_id: 'chOther' },
      change: changeOf(),
    }),
    { ok: false, error: { details: 'Attempted to mutate immutable field' } },
  );
  t.match(h.ask({ kind: 'alarm.update', id: 'alX', attributes: {}, change: changeOf() }), {
    ok: false,
    error: {
      type: 'notFoundError',
      details: 'Object "Alarm" with key "enTest:alX" does not exist',
    },
  });
});

t.test('an initial OK is history without notification; an initial CRITICAL notifies', async (t) => {
  const good = new EntityHarness().withAlarm();
  good.run(1000);
  t.match(good.transitions, [{ n: 1, state: 'OK', previous: 'UNKNOWN' }]);
  t.equal(good.intents.length, 0);
  t.equal(good.historyOf('changelog').length, 1);
  const bad = new EntityHarness();
  bad.prober = down;
  bad.withAlarm();
  bad.run(1000);
  t.match(bad.transitions, [
    { n: 1, state: 'CRITICAL', previous: 'UNKNOWN', status: 'connection refused' },
  ]);
  t.equal(bad.intents.length, 1);
});

t.test('a transition commits its changelog, evidence, intents and log together', async (t) => {
  const h = new EntityHarness().withAlarm();
  h.run(1000);
  h.prober = down;
  h.run(minute);
  const [intent] = h.intents;
  t.equal(h.intents.length, 1, 'one supported channel');
  t.match(intent, {
    id: /^[0-9a-f]{64}$/,
    alarm: 'alOne',
    n: 2,
    channel: 'ntHook',
    body: {
      tenant: 'tenant1',
      account_id: 'acTest',
      plan_id: 'npMain',
      state: 'CRITICAL',
      previous_state: 'OK',
      status: 'connection refused',
      target: 'example.com',
      incident_key: /^[0-9a-f]{64}$/,
      notification: { id: 'ntHook' },
      observations: [
        { monitoring_zone_id: 'mzA', state: 'CRITICAL', collectorState: 'UP', stale: false },
      ],
      entity: { id: 'enTest' },
      check: { id: 'chOne' },
      alarm: { id: 'alOne' },
    },
  });
  const log = h.historyOf('changelog')[1];
  t.match(log, {
    state: 'CRITICAL',
    previous_state: 'OK',
    n: 2,
    analyzed_by_monitoring_zone_id: 'mzA',
  });
  t.equal(intent?.body.event_id, `acTest:enTest:alOne:chOne:${intent?.atMs}:CRITICAL`);
  const row = h.rows.find((one) =>
    one.history?.some((write) => write.id === intent?.body.log_entry_id),
  );
  t.equal(row?.kind, 1, 'log_entry_id is the changelog id of the transition');
  const told = h.historyOf('notification_log') as {
    notification_id: string;
    event: string;
    message: string;
  }[];
  t.match(told, [
    { notification_id: 'ntHook', event: 'pending', n: 2 },
    { notification_id: 'ntSms', event: 'undeliverable', message: /does not deliver .* atomHopper/ },
  ]);
  t.match(h.historyOf('alarm_history')[1], {
    settings: { level: 'QUORUM', total: 1, needed: 1 },
    evidence: [{ zone: 'mzA', confirmed: 'CRITICAL' }],
  });
  h.prober = up;
  h.run(minute);
  t.equal(
    h.intents[1]?.body.incident_key,
    intent?.body.incident_key,
    'the resolve pairs with its trigger',
  );
  t.not(h.intents[1]?.id, intent?.id);
});

t.test('the same decision has the same ids on another owner', async (t) => {
  const run = () => {
    const h = new EntityHarness().withAlarm();
    h.prober = down;
    h.run(2 * minute);
    return h.intents.map((intent) => intent.id);
  };
  t.same(run(), run());
});

t.test('suppressed: state and history go on, nothing is delivered, the log says so', async (t) => {
  const h = new EntityHarness().withAlarm();
  h.documents = documentsOf([suppression({ entities: ['enTest'] })]);
  h.run(1000);
  h.prober = down;
  h.run(minute);
  t.equal(h.intents.length, 0);
  t.match(h.transitions[1], { state: 'CRITICAL' });
  t.match(h.historyOf('notification_log'), [
    { event: 'suppressed', message: 'Suppressed by spOne' },
    { event: 'suppressed' },
  ]);
  t.match(h.historyOf('suppression_log'), [
    { suppressions: ['spOne'], state: 'CRITICAL', alarm_id: 'alOne' },
  ]);
  t.match(h.ask({ kind: 'entity.get' }), { value: { active_suppressions: ['spOne'] } });
  t.match(h.ask({ kind: 'alarm.explain', id: 'alOne' }), { value: { suppressed_by: ['spOne'] } });
  h.documents = documentsOf([suppression({ entities: ['enTest'], end_time: h.nowMs + minute })]);
  h.run(2 * minute);
  h.prober = up;
  h.run(minute);
  t.equal(h.intents.length, 1, 'after its end the recovery is told');
});

t.test(
  'a plan that is missing is replaced by the technical contacts, with a condition',
  async (t) => {
    const h = new EntityHarness().withAlarm();
    h.documents = { ...documentsOf(), plans: new Map() };
    h.run(1000);
    h.prober = down;
    h.run(minute);
    t.match(h.intents, [
      {
        channel: 'ntTechnicalContactsEmail',
        body: { plan_id: 'npTechnicalContactsEmail', technical_contacts: ['ops@example.com'] },
      },
    ]);
    t.match(h.ask({ kind: 'entity.live' }), {
      value: { conditions: [{ name: 'plan-missing', alarm_id: 'alOne' }] },
    });
    h.documents = documentsOf();
    h.run(minute);
    t.match(h.ask({ kind: 'entity.live' }), { value: { conditions: [] } });
  },
);

t.test(
  'new criteria reset counts but not the state; a disabled alarm is not evaluated',
  async (t) => {
    const h = new EntityHarness().withAlarm({
      alarm: { criteria: ':set consecutiveCount=2\nreturn OK' },
    });
    h.run(2 * minute);
    const put = (attributes: Record<string, unknown>) =>
      h.ask({ kind: 'alarm.update', id: 'alOne', attributes, change: changeOf() });
    h.prober = down;
    h.run(minute);
    t.equal(h.state.alarms[0]?.zones[0]?.run, 1);
    t.match(put({ criteria: ':set consecutiveCount=2\nreturn OK, "x"' }), ok);
    t.equal(h.state.alarms[0]?.state, 'OK');
    t.same(h.state.alarms[0]?.zones, []);
    h.run(minute);
    t.equal(h.transitions.length, 1, 'the run began anew');
    h.run(minute);
    t.match(h.transitions[1], { state: 'CRITICAL' });
    put({ disabled: true });
    h.prober = up;
    h.run(5 * minute);
    t.equal(h.transitions.length, 2);
    t.match(h.ask({ kind: 'alarm.explain', id: 'alOne' }), { value: { why: [/disabled/] } });
    put({ disabled: false });
    h.run(2 * minute);
    t.match(h.transitions[2], { n: 3, state: 'OK', previous: 'CRITICAL' });
  },
);

t.test("previous() sees the zone's preceding observation, also on a new owner", async (t) => {
  const criteria =
    "if (previous(metric['code']) != metric['code']) { return new AlarmStatus(WARNING, 'moved'); }";
  const h = new EntityHarness().withAlarm({ alarm: { criteria } });
  h.run(minute + 1000);
  t.same(
    h.transitions.map((one) => one.state),
    ['OK'],
  );
  h.soft = null;
  h.crash(500);
  h.run(1000);
  h.prober = () =>
    ({
      ...up(h.probes[0]?.request as never, 0),
      metrics: [['code', 's', '500', 'unknown']],
    }) as never;
  h.run(minute);
  t.match(h.transitions.at(-1), { state: 'WARNING', status: 'moved' });
  t.match(h.ask({ kind: 'alarm.explain', id: 'alOne' }), {
    value: {
      zones: [
        {
          steps: [{ isTaken: true, comparisons: [{ left: '200', right: '500', result: 'true' }] }],
        },
      ],
    },
  });
});

t.test(
  'documents missing: the newest observation of each zone waits and is evaluated once they are there',
  async (t) => {
    const h = new EntityHarness().withAlarm({ check: { monitoring_zones_poll: ['mzA', 'mzB'] } });
    h.run(1000);
    h.documents = null;
    h.prober = down;
    h.run(3 * minute);
    t.equal(h.transitions.length, 1);
    t.equal(h.state.waiting.length, 2);
    t.match(h.addAlarm({}, 'alTwo'), { ok: false, error: { type: 'systemFailureError' } });
    h.documents = documentsOf();
    h.run(300);
    t.match(h.transitions[1], { state: 'CRITICAL' });
    t.equal(h.state.waiting.length, 0);
    t.notOk(h.timerIds.includes('waiting'));
  },
);

t.test(
  'ALL: a zone whose prober is known to be down leaves the total; under QUORUM it does not',
  async (t) => {
    const zones = { monitoring_zones_poll: ['mzA', 'mzB', 'mzC'] };
    const h = new EntityHarness().withAlarm({
      check: zones,
      alarm: { criteria: ':set consistencyLevel=ALL' },
    });
    h.run(1000);
    h.probers['mzC'] = gone;
    h.run(minute);
    h.prober = down;
    h.run(minute);
    t.match(h.transitions[1], { state: 'CRITICAL' });
    const q = new EntityHarness().withAlarm({ check: zones });
    q.run(1000);
    q.prober = down;
    q.probers = { mzB: gone, mzC: silent };
    q.run(10 * minute);
    t.equal(q.transitions.length, 1, 'one zone of three is no majority');
    t.match(q.ask({ kind: 'entity.live' }), {
      value: {
        conditions: [
          {
            name: 'insufficient-zones',
            alarm_id: 'alOne',
            text: /1 of 3 zones report, 2 are needed/,
          },
        ],
        checks: [
          {
            zones: [
              { collector_state: 'UP' },
              { collector_state: 'DOWN' },
              { collector_state: 'UNKNOWN' },
            ],
          },
        ],
      },
    });
  },
);

t.test('two zones that disagree change nothing; when they agree the state changes', async (t) => {
  const h = new EntityHarness().withAlarm({ check: { monitoring_zones_poll: ['mzA', 'mzB'] } });
  h.run(1000);
  h.probers['mzA'] = down;
  h.run(5 * minute);
  t.equal(h.transitions.length, 1);
  const explained = h.ask({ kind: 'alarm.explain', id: 'alOne' });
  t.match(explained, { value: { settings: { zones_total: 2, zones_needed: 2 } } });
  t.match(
    (explained as { value: { why: string[] } }).value.why.join(' '),
    /1 of 2 zones hold CRITICAL \(mzA\); QUORUM needs 2, so it is not CRITICAL/,
  );
  h.probers['mzB'] = down;
  h.run(minute);
  t.match(h.transitions[1], { state: 'CRITICAL' });
});

t.test('latest states: UNKNOWN before the first evaluation', async (t) => {
  const h = new EntityHarness();
  h.create();
  h.addCheck({ disabled: true });
  h.addAlarm();
  t.match(h.ask({ kind: 'entity.overview' }), {
    value: {
      latest_alarm_states: [
        { state: 'UNKNOWN', timestamp: null, status: '', alarm_changelog_id: null },
      ],
    },
  });
});

t.test('stored criteria that do not compile: a condition, and the state stays', async (t) => {
  const h = new EntityHarness().withAlarm();
  h.run(1000);
  const stored = h.projected.get('2|alOne');
  const body = stored?.body as { doc: object };
  h.projected.set('2|alOne', {
    kind: 2,
    id: 'alOne',
    rev: 2,
    body: { ...body, doc: { ...body.doc, criteria: 'if (' } },
  });
  h.crash();
  h.prober = down;
  h.run(3 * minute);
  t.equal(h.transitions.length, 1);
  t.match(h.ask({ kind: 'alarm.explain', id: 'alOne' }), {
    ok: true,
    value: { state: 'OK', conditions: [{ name: 'evaluation-error' }], zones: [{ steps: [] }] },
  });
});

t.test('no technical contacts: the log says that nobody could be told', async (t) => {
  const h = new EntityHarness().withAlarm({
    alarm: { notification_plan_id: 'npTechnicalContactsEmail' },
  });
  const documents = documentsOf();
  h.documents = { ...documents, account: { ...documents.account, technical_contacts: [] } };
  h.prober = down;
  h.run(minute);
  t.equal(h.intents.length, 0);
  t.match(h.historyOf('notification_log'), [
    { event: 'undeliverable', message: /no technical contacts/ },
  ]);
});
