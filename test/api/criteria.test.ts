// Test-alarm and the alarm examples: criteria tried before they are stored.
import t from 'tap';
import { criteriaCache } from '../../actors/criteria/criteria.ts';
import { alarmExamples, boundCriteria } from '../../api/alarm-examples.ts';
import { ApiError } from '../../api/errors.ts';
import { testAlarm } from '../../api/test-alarm.ts';
import { systemClock } from '../../runtime/clock.ts';
import { TocsinError } from '../../runtime/errors.ts';
import type { WorkerPool } from '../../runtime/ports.ts';

const clock = systemClock();
const ports = { clock, workers: null };

function seen(value: unknown, over: object = {}) {
  return {
    timestamp: 1_000,
    monitoring_zone_id: 'mzaaa',
    available: true,
    status: 'ran',
    metrics: { m: { type: 'n', data: value } },
    ...over,
  };
}

const limit =
  "if (metric['m'] > 10) { return CRITICAL, 'high #{m}' } if (metric['m'] > 5) { return WARNING } return OK, 'low'";

t.test('the first state and each change of it are told', async (t) => {
  const check_data = [
    seen('1'),
    seen(2),
    seen('6'),
    seen('11'),
    seen('12'),
    seen(0, { available: false, status: 'refused' }),
    seen(1),
  ];
  const changes = await testAlarm(ports, { criteria: limit, check_data });
  t.match(changes, [
    { state: 'OK', status: 'low', timestamp: 1_000, computed_state: 'OK' },
    { state: 'WARNING', status: 'ran' },
    { state: 'CRITICAL', status: 'high 11' },
    { state: 'OK' },
  ]);
});

t.test('an unavailable run is CRITICAL with its own status, whatever the criteria', async (t) => {
  const changes = await testAlarm(ports, {
    criteria: 'return OK',
    check_data: [seen(1, { available: false, status: 'connection refused' })],
  });
  t.match(changes, [{ state: 'CRITICAL', status: 'connection refused' }]);
});

t.test('the consistency level holds over the zones given, counts are one', async (t) => {
  const zones = ['a', 'b', 'c'].map((monitoring_zone_id) => seen(20, { monitoring_zone_id }));
  const quorum = await testAlarm(ports, {
    criteria: `:set consecutiveCount=3 ${limit}`,
    check_data: zones,
  });
  t.equal(quorum.length, 1);
  const one = await testAlarm(ports, {
    criteria: `:set consistencyLevel=ONE ${limit}`,
    check_data: [seen(20), seen(1, { monitoring_zone_id: 'b' })],
  });
  t.same(
    one.map((item) => item.state),
    ['CRITICAL', 'OK'],
  );
  const all = await testAlarm(ports, {
    criteria: `:set consistencyLevel=ALL ${limit}`,
    check_data: [...zones.slice(0, 2), seen(1, { monitoring_zone_id: 'c' })],
  });
  t.same(all, [], 'no state is agreed');
});

t.test('previous and rate see the earlier run of the same zone', async (t) => {
  const criteria = "if (rate(metric['m']) > 1) { return CRITICAL } return OK";
  const check_data = [
    seen(0, { timestamp: 0 }),
    seen(100, { timestamp: 10_000 }),
    seen('0x64', { timestamp: 20_000 }),
  ];
  const changes = await testAlarm(ports, { criteria, check_data });
  t.same(
    changes.map((item) => item.state),
    ['OK', 'CRITICAL', 'OK'],
    'hex values are numbers too',
  );
});

t.test('bad input is a 400 that names it', async (t) => {
  const bad: readonly [object, object][] = [
    [{ check_data: [seen(1)] }, { message: "Validation error for key 'criteria'" }],
    [{ criteria: 1, check_data: [seen(1)] }, { details: 'Not a string' }],
    [{ criteria: 'return OK' }, { message: "Validation error for key 'check_data'" }],
    [{ criteria: 'return OK', check_data: 'x' }, { details: 'Not an array' }],
    [{ criteria: 'return OK', check_data: [] }, { status: 400 }],
    [
      { criteria: 'return OK', check_data: [1] },
      { message: "Validation error for key 'check_data.0'" },
    ],
    [{ criteria: 'return OK', check_data: new Array(1_001).fill(seen(1)) }, { status: 400 }],
    [
      { criteria: 'return', check_data: [seen(1)] },
      {
        type: 'alarmParseError',
        status: 400,
        details: { error_position: Number, error_line: 1, input: 'return' },
      },
    ],
    [{ criteria: 'x'.repeat(16_385), check_data: [seen(1)] }, { status: 400 }],
  ];
  for (const [body, wanted] of bad) {
    const error = await testAlarm(ports, body as Record<string, unknown>).then(
      () => null,
      (thrown) => thrown,
    );
    t.ok(error instanceof ApiError);
    t.match(error, wanted);
  }
});

t.test('large batches go to the pool, and a busy pool is a 503', async (t) => {
  const tasks: unknown[] = [];
  const workers: WorkerPool = {
    run: async (task) => {
      tasks.push(task);
      throw new TocsinError('RT_QUEUE_FULL', 'full', { retryable: true });
    },
    saturation: () => 0,
    close: async () => undefined,
  };
  const small = await testAlarm({ clock, workers }, { criteria: limit, check_data: [seen(1)] });
  t.equal(small.length, 1);
  t.equal(tasks.length, 0);
  const large = { criteria: limit, check_data: new Array(65).fill(seen(1)) };
  await t.rejects(testAlarm({ clock, workers }, large), /too long or the node is busy/);
  const long = {
    criteria: limit,
    check_data: [
      seen('y'.repeat(40_000), { metrics: { m: { type: 's', data: 'y'.repeat(40_000) } } }),
    ],
  };
  await t.rejects(testAlarm({ clock, workers }, long), /busy/);
  t.equal(tasks.length, 2);
});

/** For each example: values, metrics of runs and the states they give. */
const cases: Readonly<
  Record<string, { values?: object; runs: readonly (readonly [object, string])[] }>
> = {
  'remote.http_body_match_1': {
    values: { string: 'bad(ly)?' },
    runs: [
      [{ body_match: 'so badly' }, 'CRITICAL'],
      [{ body_match: 'fine' }, 'OK'],
    ],
  },
  'remote.http_body_match_missing_string': {
    runs: [
      [{ body_match: '' }, 'CRITICAL'],
      [{ body_match: 'x' }, 'OK'],
    ],
  },
  'remote.http_connection_time': {
    values: { warning_threshold: 100, critical_threshold: '200' },
    runs: [
      [{ duration: 201 }, 'CRITICAL'],
      [{ duration: 101 }, 'WARNING'],
      [{ duration: 5 }, 'OK'],
    ],
  },
  'remote.http_status_code': {
    runs: [
      [{ code: '404' }, 'CRITICAL'],
      [{ code: '503' }, 'CRITICAL'],
      [{ code: '200' }, 'OK'],
    ],
  },
  'remote.http_cert_expiration': {
    values: { warning_threshold: 600, critical_threshold: 60 },
    runs: [
      [{ cert_end_in: 59 }, 'CRITICAL'],
      [{ cert_end_in: 599 }, 'WARNING'],
      [{ cert_end_in: 9_999 }, 'OK'],
    ],
  },
  'remote.dns_address_match': {
    values: { address: '192.0.2.1' },
    runs: [
      [{ answer: '192.0.2.7 192.0.2.1' }, 'OK'],
      [{ answer: '192.0.2.10' }, 'CRITICAL'],
      [{ answer: '192x0.2.1' }, 'CRITICAL'],
    ],
  },
  'remote.ssh_fingerprint_match': {
    values: { fingerprint: 'abc' },
    runs: [
      [{ fingerprint: 'abc' }, 'OK'],
      [{ fingerprint: 'abd' }, 'CRITICAL'],
    ],
  },
  'remote.ping_packet_loss': {
    runs: [
      [{ available: 79 }, 'CRITICAL'],
      [{ available: 90 }, 'WARNING'],
      [{ available: 100 }, 'OK'],
    ],
  },
  'remote.tcp_connection_time': {
    values: { warning_threshold: 1, critical_threshold: 2 },
    runs: [
      [{ duration: 3 }, 'CRITICAL'],
      [{ duration: 0 }, 'OK'],
    ],
  },
  'remote.dns_spf_record_include_match': {
    values: { domain: 'mail.example' },
    runs: [
      [{ answer: '"v=spf1 a include:mail.example -all"' }, 'OK'],
      [{ answer: 'v=spf1 include:x.example include:mail.example' }, 'OK'],
      [{ answer: 'v=spf1 include:mailxexample ~all' }, 'CRITICAL'],
      [{ answer: 'include:mail.example' }, 'CRITICAL'],
    ],
  },
  'remote.dns_dkim_public_key_match': {
    values: { public_key: 'MIG+a/b==' },
    runs: [
      [{ answer: 'v=DKIM1; k=rsa; p=MIG+a/b==' }, 'OK'],
      [{ answer: 'v=DKIM1; p=other' }, 'CRITICAL'],
    ],
  },
  'agent.cpu_usage_average': {
    values: { warning_threshold: '080', critical_threshold: '090' },
    runs: [
      [{ usage_average: 91 }, 'CRITICAL'],
      [{ usage_average: 85 }, 'WARNING'],
      [{ usage_average: 1 }, 'OK'],
    ],
  },
  'agent.memory_usage': {
    runs: [
      [{ actual_used: 95, total: 100 }, 'CRITICAL'],
      [{ actual_used: 85, total: 100 }, 'WARNING'],
      [{ actual_used: 5, total: 100 }, 'OK'],
    ],
  },
  'agent.filesystem_usage': {
    values: { warning_threshold: 80, critical_threshold: 90 },
    runs: [
      [{ used: 95, total: 100 }, 'CRITICAL'],
      [{ used: 5, total: 100 }, 'OK'],
    ],
  },
  'agent.high_load_average': {
    values: { warning_threshold: 2, critical_threshold: 4 },
    runs: [
      [{ '5m': 5 }, 'CRITICAL'],
      [{ '5m': 3 }, 'WARNING'],
      [{ '5m': 1 }, 'OK'],
    ],
  },
  'agent.network_transmit_rate': {
    values: { interface: 'eth0', warning_threshold: 1, critical_threshold: 2 },
    runs: [
      [{ tx_bytes: 0 }, 'OK'],
      [{ tx_bytes: 100_000 }, 'CRITICAL'],
    ],
  },
  'agent.network_receive_rate': {
    values: { interface: 'eth0', warning_threshold: 1, critical_threshold: 2 },
    runs: [
      [{ rx_bytes: 0 }, 'OK'],
      [{ rx_bytes: 100_000 }, 'CRITICAL'],
    ],
  },
  'agent.mysql_threads_connected_threshold': {
    values: { 'threads.connected.threshold': 10 },
    runs: [
      [{ 'threads.connected': 11 }, 'WARNING'],
      [{ 'threads.connected': 9 }, 'OK'],
    ],
  },
};

t.test('every example compiles with its values and decides what it says', async (t) => {
  t.same(alarmExamples.map((one) => one.id).sort(), Object.keys(cases).sort());
  for (const example of alarmExamples) {
    const { values = {}, runs } = cases[example.id] as (typeof cases)[string];
    const criteria = boundCriteria(example, values as Record<string, unknown>);
    criteriaCache.get(criteria);
    t.notMatch(criteria, /\$\{/, example.id);
    const check_data = runs.map(([metrics], at) => ({
      timestamp: at * 60_000,
      monitoring_zone_id: 'mz',
      available: true,
      status: 's',
      metrics: Object.fromEntries(
        Object.entries(metrics).map(([name, data]) => [
          name,
          { type: typeof data === 'number' ? 'n' : 's', data },
        ]),
      ),
    }));
    const wanted = runs.map(([, state]) => state).filter((state, at, all) => state !== all[at - 1]);
    const got = await testAlarm(ports, { criteria, check_data });
    t.same(
      got.map((one) => one.state),
      wanted,
      example.id,
    );
  }
});

t.test('values are taken as they are, and missing or unfit ones refused', (t) => {
  const [http] = alarmExamples;
  const time = alarmExamples.find((one) => one.id === 'remote.http_connection_time');
  if (http === undefined || time === undefined) throw new Error('examples are missing');
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the templates' own syntax
  t.match(boundCriteria(http, { string: '$& $1 ${string}' }), /\$& \$1 \$\{string\}/);
  t.throws(() => boundCriteria(http, {}), { message: "Validation error for key 'string'" });
  t.throws(() => boundCriteria(http, { __proto__: { string: 'x' } }), ApiError);
  t.throws(
    () => boundCriteria(time, { warning_threshold: '1; return OK', critical_threshold: 1 }),
    /warning_threshold/,
  );
  t.end();
});
