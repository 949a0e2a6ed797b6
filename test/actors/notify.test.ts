// Notifications without sockets: the schedule of retries, texts and payloads, history items, mail addresses.
import fc from 'fast-check';
import t from 'tap';
import { checksInHistory, notificationHistory } from '../../actors/notify/history.ts';
import type { NotificationLogBody } from '../../actors/notify/intent.ts';
import { isMailAddress } from '../../actors/notify/mail-address.ts';
import {
  emailSubject,
  emailText,
  oneLine,
  pagerdutyEvent,
  shortText,
  victoropsAlert,
  webhookPayload,
} from '../../actors/notify/render.ts';
import { giveUpAfterMs, retryDelayMs } from '../../actors/notify/schedule.ts';
import { bodyFor, channel } from './notify-body.ts';

function delaysOf(id: string): number[] {
  const delays: number[] = [];
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const delayMs = retryDelayMs(id, attempt);
    if (delayMs === null) return delays;
    delays.push(delayMs);
  }
  throw new Error('the schedule does not end');
}

t.test(
  'the schedule is dense at first, then hourly, then six-hourly, and its last attempt is at 72 hours',
  (t) => {
    const denseS = [0, 2, 5, 15, 30, 60, 120, 300, 600, 1_800];
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 64 }), (id) => {
        const delays = delaysOf(id);
        let elapsedMs = 0;
        for (const [n, delayMs] of delays.entries()) {
          const nominalS = denseS[n] ?? (elapsedMs < 24 * 3_600_000 ? 3_600 : 21_600);
          const isLast = n === delays.length - 1;
          const tooShortMs = isLast ? 0 : nominalS * 800 - 1;
          if (delayMs < tooShortMs || delayMs > nominalS * 1_200 + 1) return false;
          elapsedMs += delayMs;
        }
        const again = delaysOf(id);
        return (
          delays[0] === 0 &&
          elapsedMs === giveUpAfterMs &&
          again.every((one, n) => one === delays[n])
        );
      }),
    );
    t.notSame(delaysOf('a1'), delaysOf('a2'), 'two notifications do not retry in step');
    t.end();
  },
);

t.test('a mail has the subject of the contract and one block for each zone', (t) => {
  const body = bodyFor(channel('email', { address: 'a@example.org' }), { state: 'CRITICAL' });
  const stale = { ...(body.observations[0] as (typeof body.observations)[0]), stale: true };
  const aged = { ...stale, timestamp: body.timestamp - 42_400, collectorState: 'DOWN' as const };
  t.equal(emailSubject(body), '** CRITICAL: Test check on Test entity **');
  const text = emailText({ ...body, observations: [aged] });
  t.match(text, /^Entity: Test entity \(192\.0\.2\.1\)$/m);
  t.match(text, /^Check: Test check \(remote\.http\)$/m);
  t.match(text, /^State: CRITICAL \(was OK\)$/m);
  t.match(text, /^Date: 2023-11-14T22:13:20\.000Z$/m);
  t.match(text, /^mztest, 42 sec ago$|^ {2}mztest, 42 sec ago$/m);
  t.match(text, /too old to count/);
  t.match(text, /this zone is down/);
  t.notMatch(text, /may come twice/);
  t.match(emailText({ ...body, unfenced: true }), /may come twice/);
  t.end();
});

t.test('nothing of a tenant is evaluated, and no control character leaves', (t) => {
  const code = ['$', '{process.exit()} {{7*7}} <b>'].join('');
  const nasty = `a\r\nBcc: x@y.z\u0000\u001b[31m ${code}\u2028\u202e\ud800`;
  const body = bodyFor(channel('email'), { status: nasty });
  const named = {
    ...body,
    entity: { ...body.entity, label: nasty },
    check: { ...body.check, label: nasty },
  };
  for (const text of [
    emailSubject(named),
    shortText(named, 160),
    emailText(named).replaceAll('\n', ''),
  ]) {
    t.notMatch(text, /[\p{Cc}\u2028\u202e]|\p{Surrogate}/u);
    t.match(text, code);
  }
  t.ok(
    emailSubject({ ...named, entity: { ...body.entity, label: 'x'.repeat(9_999) } }).length <= 260,
  );
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 2, max: 40 }), (text, max) => {
      const line = oneLine(text, max);
      return line.length <= max && !/\p{Cc}/u.test(line) && !/\p{Surrogate}/u.test(line);
    }),
  );
  t.end();
});

t.test('the webhook payload has the shape of the contract, with native numbers', (t) => {
  const body = bodyFor(channel('webhook', { url: 'http://example.org/' }));
  const payload = JSON.parse(JSON.stringify(webhookPayload(body)));
  t.same(Object.keys(payload), [
    'event_id',
    'log_entry_id',
    'details',
    'entity',
    'check',
    'alarm',
    'tenant_id',
  ]);
  t.same(Object.keys(payload.details), [
    'target',
    'timestamp',
    'metrics',
    'state',
    'previous_state',
    'status',
    'txn_id',
    'collector_address_v4',
    'collector_address_v6',
    'observations',
  ]);
  t.equal(payload.details.metrics.duration.data, 42);
  t.same(payload.details.observations, [
    {
      monitoring_zone_id: 'mztest',
      state: 'WARNING',
      status: body.status,
      timestamp: body.timestamp,
      collectorState: 'UP',
    },
  ]);
  t.equal(payload.check.active_suppressions, null);
  t.equal(payload.tenant_id, 't1');
  t.notMatch(JSON.stringify(payload), /whsec_|token-of-the-account/, 'no secret is in the payload');
  t.equal(webhookPayload({ ...body, unfenced: true })['unfenced'], true);
  t.end();
});

t.test('triggers and resolves pair by the incident key', (t) => {
  const doc = channel('pagerduty', { service_key: 'abc123' });
  const open = pagerdutyEvent(bodyFor(doc, { state: 'CRITICAL', incident_key: 'k1' }));
  const end = pagerdutyEvent(bodyFor(doc, { state: 'OK', incident_key: 'k1' }));
  t.match(open, { service_key: 'abc123', event_type: 'trigger', incident_key: 'k1' });
  t.match(end, { event_type: 'resolve', incident_key: 'k1' });
  const states = ['CRITICAL', 'WARNING', 'OK'] as const;
  const kinds = states.map((state) => victoropsAlert(bodyFor(doc, { state }))['message_type']);
  t.same(kinds, ['CRITICAL', 'WARNING', 'RECOVERY']);
  t.end();
});

t.test('only plain ASCII addresses are mail addresses', (t) => {
  for (const good of ['a@b', 'ops+x@example.org', "o'neil@mail.example.org", 'x_y.z@1.example']) {
    t.ok(isMailAddress(good), good);
  }
  const bad = [
    '',
    'a',
    '@b',
    'a@',
    'a@b@c.org',
    'a b@c.org',
    'a@b.org,c@d.org',
    'team: a@b.org;',
    'a@b.org\r\nBcc: c@d.org',
    'a@b.org\n',
    '"a b"@c.org',
    '<a@b.org>',
    'a@b.org>',
    'ä@b.org',
    'a@bücher.org',
    'a@-b.org',
    'a@b..org',
    '.a@b.org',
    'a@[127.0.0.1]',
    `${'a'.repeat(65)}@b.org`,
    `a@${'b'.repeat(260)}`,
    'a\u0000@b.org',
  ];
  for (const text of bad) t.notOk(isMailAddress(text), JSON.stringify(text));
  t.end();
});

function row(n: number, over: Partial<NotificationLogBody>) {
  const body: NotificationLogBody = {
    log_entry_id: 'log1',
    alarm_id: 'alA',
    check_id: 'chA',
    n: 1,
    plan_id: 'npA',
    txn_id: '.rh-1',
    state: 'CRITICAL',
    previous_state: 'OK',
    status: 'down',
    notification_id: 'ntA',
    notification_type: 'webhook',
    notification_details: { url: 'http://example.org' },
    event: 'attempt',
    attempt: n,
    delivered: false,
    message: `failed ${n}`,
    from: 'node1',
    ...over,
  };
  return { id: `row${String(n).padStart(3, '0')}`, atMs: 1_000 + n, body };
}

t.test(
  'history has one item for each transition, with the newest ten attempts of each notification',
  (t) => {
    const failing = Array.from({ length: 12 }, (_, n) => row(n + 1, {}));
    const other = row(20, {
      notification_id: 'ntB',
      delivered: true,
      message: 'Success',
      attempt: 1,
    });
    const later = row(30, {
      log_entry_id: 'log2',
      check_id: 'chB',
      event: 'suppressed',
      message: 'Suppressed by sp1',
    });
    const items = notificationHistory([later, other, ...failing.toReversed(), ...failing]);
    t.same(
      items.map((one) => one.id),
      ['log1', 'log2'],
    );
    const [first, second] = items;
    t.match(first, { timestamp: 1_001, notification_plan_id: 'npA', transaction_id: '.rh-1' });
    const [a, b] = first?.notification_results ?? [];
    t.match(a, { notification_id: 'ntA', in_progress: true, success: false, message: 'failed 12' });
    t.same(a?.attempts.length, 10);
    t.same(a?.attempts[0], { message: 'failed 3', from: 'node1' });
    t.match(b, { notification_id: 'ntB', in_progress: false, success: true, message: 'Success' });
    t.match(second?.notification_results[0], {
      in_progress: false,
      success: false,
      message: 'Suppressed by sp1',
      attempts: [],
    });
    t.same(checksInHistory([later, ...failing]), ['chA', 'chB']);
    t.end();
  },
);

t.test('the end of a notification is told in the words of the contract', (t) => {
  const message = (rows: ReturnType<typeof row>[]) =>
    notificationHistory(rows)[0]?.notification_results[0]?.message;
  const ten = Array.from({ length: 10 }, (_, n) => row(n + 1, {}));
  const given = row(11, { event: 'undeliverable', attempt: 10, message: 'given up' });
  t.equal(message([...ten, given]), 'Notification failed after 10 attempts');
  t.equal(
    message([row(1, {}), row(2, { event: 'undeliverable', attempt: 1, message: 'gone' })]),
    'gone',
  );
  t.equal(message([row(1, {}), row(2, { event: 'superseded', message: '' })]), 'superseded');
  const deleted = row(11, { event: 'withdrawn', attempt: 10, message: 'The alarm was deleted' });
  t.match(notificationHistory([...ten, deleted])[0]?.notification_results[0], {
    in_progress: false,
    success: false,
    message: 'The alarm was deleted',
  });
  t.equal(message([row(1, { event: 'pending' })]), 'Notification in progress');
  t.end();
});
