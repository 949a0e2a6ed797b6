// The tenant actor by tables of messages: validation, built-ins, suppressions and their windows, what is in use, limits,
// tokens, idempotency, and what it hands on as documents, decisions and audit.
import fc from 'fast-check';
import t from 'tap';
import type { Change } from '../../actors/change.ts';
import type { Outcome } from '../../actors/refusal.ts';
import type { AccountDoc, LimitsDoc, SuppressionDoc, TokenDoc } from '../../actors/resources.ts';
import type { TenantDocuments } from '../../actors/tenant/documents.ts';
import {
  holdingsFromData,
  holdingsToData,
  noHoldings,
  withHolding,
} from '../../actors/tenant/holding.ts';
import type { TenantMessage } from '../../actors/tenant/messages.ts';
import { channelsFor } from '../../actors/tenant/plan.ts';
import {
  documentsFromData,
  documentsToData,
  type RootBody,
  tenantDocumentsFrom,
} from '../../actors/tenant/projection.ts';
import {
  marksForAlarm,
  marksForCheck,
  marksForEntity,
  marksForPlan,
  suppressionsOf,
} from '../../actors/tenant/suppression.ts';
import { tenantBehaviour } from '../../actors/tenant/tenant.ts';
import type { LoadedActor } from '../../runtime/behaviour.ts';
import { decodeValue, encodeValue } from '../../runtime/codec.ts';
import type { DecisionRow, DocumentWrite, Effect } from '../../runtime/effect.ts';
import { actorKey } from '../../runtime/ids.ts';
import type { StoredDocument } from '../../runtime/ports.ts';

const rate = {
  global: 50_000,
  test_check: 500,
  test_alarm: 500,
  test_notification: 200,
  traceroute: 300,
};
const limits: LimitsDoc = { checks: 3, alarms: 3, entities: 2, rate };
const account: AccountDoc = {
  id: 'acOne',
  metadata: null,
  webhook_token: 'token-token',
  signing_secret: 'whsec_plJ3nmyCDGBKInavdOK15jslplJ3nmyC',
  technical_contacts: [],
};
const nowMs = 1_700_000_000_000;
const nothing: LoadedActor = { documents: [], soft: null, tail: [] };
let requests = 0;

function change(over: Partial<Change> = {}): Change {
  requests += 1;
  return {
    txnId: `.rh-${requests}`,
    who: 'alice',
    why: null,
    idempotencyKey: null,
    requestHash: 'h1',
    audit: { method: 'POST', url: '/v1.0/t1/x', app: 'x', query: null, headers: {}, payload: '{}' },
    ...over,
  };
}

/** A tenant actor in memory that stores what it commits. */
function tenantOf(options: { created?: boolean; installation?: LimitsDoc } = {}) {
  const installation = { limits: options.installation ?? limits };
  const behaviour = tenantBehaviour(installation);
  const stored = new Map<string, StoredDocument>();
  const rows: DecisionRow[] = [];
  const clock = { nowMs, monoMs: 1_000 };
  const context = () => ({
    ...clock,
    random: () => 0.5,
    documents: null,
    epoch: 1,
    committed: true,
  });
  let effects: readonly Effect[] = [];
  let { state } = behaviour.init(actorKey('t1'), nothing, context());
  const apply = (write: DocumentWrite): void => {
    const name = `${write.kind} ${write.id}`;
    if (write.body === null) stored.delete(name);
    else stored.set(name, { ...write, body: decodeValue(encodeValue(write.body)) });
  };
  const tell = (message: TenantMessage): Outcome<never> => {
    const step = behaviour.step(state, message, context());
    state = step.state;
    effects = step.effects;
    for (const effect of effects) {
      if (effect.type !== 'commit') continue;
      for (const row of effect.rows) {
        rows.push(decodeValue(encodeValue(row)) as DecisionRow);
        for (const write of row.documents ?? []) apply(write);
      }
    }
    return step.reply as Outcome<never>;
  };
  const actor = {
    tell,
    rows,
    clock,
    stored,
    /** The value of an accepted message. */
    ask: <Value>(message: TenantMessage): Value => {
      const outcome = tell(message);
      if (!outcome.ok) throw new Error(JSON.stringify(outcome.error));
      return outcome.value;
    },
    /** `[type, message, details]` of a refusal. */
    refusal: (message: TenantMessage) => {
      const outcome = tell(message);
      if (outcome.ok) throw new Error('accepted');
      return [outcome.error.type, outcome.error.message, outcome.error.details];
    },
    effects: () => effects,
    documents: () => state.documents as TenantDocuments,
    snapshot: () => behaviour.snapshot(state),
    /** A new owner loads what was stored. */
    restart: (over: Partial<LoadedActor> = {}) => {
      const loaded = { documents: [...stored.values()], soft: null, tail: [], ...over };
      const step = behaviour.init(actorKey('t1'), loaded, context());
      state = step.state;
      effects = step.effects;
    },
  };
  if (options.created !== false) tell({ kind: 'tenant.create', account, limits, change: change() });
  return actor;
}

type Actor = ReturnType<typeof tenantOf>;
const createNotification = (attributes: Record<string, unknown>, id = 'ntA') =>
  ({ kind: 'notification.create', id, attributes, change: change() }) as const;
const createPlan = (attributes: Record<string, unknown>, id = 'npA') =>
  ({ kind: 'plan.create', id, attributes, change: change() }) as const;
const createSuppression = (attributes: Record<string, unknown>, id = 'spA') =>
  ({ kind: 'suppression.create', id, attributes, change: change() }) as const;
const webhook = { label: 'hook', type: 'webhook', details: { url: 'https://example.org/x' } };
const report = (actor: Actor, entity: string, checks: number, alarms: Record<string, string>) =>
  actor.tell({
    kind: 'tenant.report',
    entity,
    gone: false,
    checks,
    alarms: Object.entries(alarms).map(([id, plan]) => ({ id, plan })),
  });

t.test('a tenant that was not created answers nothing; creating it twice changes nothing', (t) => {
  const actor = tenantOf({ created: false });
  t.match(actor.refusal({ kind: 'account.get' }), ['notFoundError']);
  t.match(actor.refusal({ kind: 'tenant.reserve', what: 'check', entity: 'en', id: 'ch' }), [
    'notFoundError',
  ]);
  t.match(actor.refusal(createPlan({ label: 'x' })), ['notFoundError']);
  t.same(actor.ask({ kind: 'tenant.create', account, limits, change: change() }), { id: 'acOne' });
  t.equal(actor.rows.length, 1);
  const other = { ...account, id: 'acTwo' };
  t.same(actor.ask({ kind: 'tenant.create', account: other, limits, change: change() }), {
    id: 'acOne',
  });
  t.equal(actor.rows.length, 1);
  t.same(actor.ask({ kind: 'account.get' }), account);
  t.same(actor.ask({ kind: 'limits.get' }), limits);
  t.same(actor.ask({ kind: 'usage.get' }), { checks: 0, alarms: 0, entities: 0, agents: 0 });
  t.end();
});

t.test(
  'each change is one row with its document, the root with the next rev, and its audit record',
  (t) => {
    const actor = tenantOf();
    t.same(actor.ask(createNotification(webhook)), { id: 'ntA' });
    const [commit, documents] = actor.effects();
    if (commit?.type !== 'commit' || documents?.type !== 'documents')
      throw new Error('commit, documents');
    t.equal(commit.rows.length, 1);
    t.equal(documents.rev, 2);
    t.equal((documents.documents as TenantDocuments).notifications.get('ntA')?.label, 'hook');
    const row = commit.rows[0] as DecisionRow;
    t.match(row.documents, [
      { kind: 17 + 1, id: 'ntA', rev: 2, body: { ...webhook, created_at: nowMs, metadata: null } },
      { kind: 16, id: 'root', rev: 2, body: { rev: 2, limits: null } },
    ]);
    t.same(row.history?.[0]?.body, {
      timestamp: nowMs,
      headers: {},
      url: '/v1.0/t1/x',
      app: 'x',
      query: null,
      txnId: `.rh-${requests}`,
      payload: '{}',
      method: 'POST',
      account_id: 'acOne',
      who: 'alice',
      why: null,
      statusCode: 201,
    });
    t.equal(row.history?.[0]?.table, 'audit');
    t.equal(actor.rows.length, 2);
    t.end();
  },
);

t.test('a refused change writes nothing', (t) => {
  const actor = tenantOf();
  actor.refusal(createNotification({ label: '' }));
  t.same(actor.effects(), []);
  t.equal(actor.rows.length, 1);
  t.end();
});

const required = (key: string) => [
  'badRequest',
  `Validation error for key '${key}'`,
  `Missing required key (${key})`,
];
const rule = (key: string, text: string) => [
  'badRequest',
  `Validation error for key '${key}'`,
  text,
];

t.test('notifications are validated by type, with the texts of the contract', (t) => {
  const actor = tenantOf();
  const cases: [Record<string, unknown>, unknown[]][] = [
    [{}, required('label')],
    [{ label: '' }, rule('label', 'String is empty')],
    [{ label: 'x'.repeat(256) }, rule('label', 'String is not in range (1..255)')],
    [{ label: 'x' }, required('type')],
    [
      { label: 'x', type: 'fax' },
      rule(
        'type',
        "Invalid value 'fax'. Should be one of (webhook,email,pagerduty,sms,victorops,atomHopper,managed,technicalContactsEmail)",
      ),
    ],
    [{ label: 'x', type: 'webhook' }, required('details')],
    [{ label: 'x', type: 'webhook', details: {} }, required('details.url')],
    [{ label: 'x', type: 'webhook', details: 'y' }, rule('details', 'Not a hash')],
    [
      { label: 'x', type: 'webhook', details: { url: 'gopher://x' } },
      rule('details.url', 'Invalid URL'),
    ],
    [
      { label: 'x', type: 'email', details: { address: 'a@b.org,c@d.org' } },
      rule('details.address', 'Invalid email'),
    ],
    [
      { label: 'x', type: 'email', details: { address: 'ä@b.org' } },
      rule('details.address', 'Invalid email'),
    ],
    [
      { label: 'x', type: 'pagerduty', details: { service_key: 'a b' } },
      rule('details.service_key', 'Invalid service key'),
    ],
    [
      { label: 'x', type: 'pagerduty', details: { service_key: 'ab', service_endpoint: 'x' } },
      rule('details.service_endpoint', 'Invalid URL'),
    ],
    [
      { label: 'x', type: 'sms', details: { phone_number: '12' } },
      rule('details.phone_number', 'Invalid phone number'),
    ],
    [
      { label: 'x', type: 'victorops', details: { api_key: 'x' } },
      rule('details.api_key', 'Invalid UUID'),
    ],
    [{ label: 'x', type: 'atomHopper', details: {} }, required('details.category')],
    [{ ...webhook, metadata: [] }, rule('metadata', 'Not a hash')],
  ];
  for (const [attributes, refusal] of cases) {
    t.same(
      actor.refusal(createNotification(attributes)),
      refusal,
      JSON.stringify(attributes).slice(0, 80),
    );
  }
  const good: Record<string, unknown>[] = [
    { type: 'email', details: { address: 'a@b.org' } },
    { type: 'pagerduty', details: { service_key: 'A1' } },
    { type: 'sms', details: { phone_number: '+123456' } },
    { type: 'victorops', details: { api_key: '7be7b8f1-1a2b-4c3d-8e9f-0123456789ab' } },
    { type: 'atomHopper', details: { category: 'c' } },
    { type: 'managed' },
    { type: 'technicalContactsEmail', details: {} },
  ];
  for (const [n, one] of good.entries()) {
    t.same(actor.ask(createNotification({ label: 'x', ...one }, `nt${n}`)), { id: `nt${n}` });
  }
  const large = {
    ...webhook,
    metadata: Object.fromEntries(Array.from({ length: 256 }, (_, n) => [`k${n}`, 'v'.repeat(250)])),
  };
  t.match(actor.refusal(createNotification(large)), ['badRequest', 'Object is too large']);
  t.end();
});

t.test('a change is partial; the type may be sent again when equal', (t) => {
  const actor = tenantOf();
  actor.ask(createNotification(webhook));
  const update = (attributes: Record<string, unknown>, id = 'ntA') =>
    ({ kind: 'notification.update', id, attributes, change: change() }) as const;
  actor.clock.nowMs += 5_000;
  t.same(actor.ask(update({ type: 'webhook', label: 'new', unknown: 1 })), { id: 'ntA' });
  t.match(actor.ask({ kind: 'notification.get', id: 'ntA' }), {
    label: 'new',
    details: webhook.details,
    created_at: nowMs,
    updated_at: nowMs + 5_000,
  });
  t.same(actor.ask(update({ nothing: 'known' })), { id: 'ntA' });
  t.same(
    actor.refusal(update({ type: 'email' })),
    rule('type', 'Attempted to mutate immutable field'),
  );
  t.same(actor.refusal(update({ details: { url: 'x' } })), rule('details.url', 'Invalid URL'));
  t.same(actor.refusal(update({ details: null })), required('details'));
  t.same(actor.refusal(update({ label: 1 }, 'ntZ')), [
    'notFoundError',
    'Object does not exist',
    'Object "Notification" with key "ntZ" does not exist',
  ]);
  t.match(
    actor.ask({
      kind: 'notification.prepareTest',
      id: null,
      attributes: { type: 'email', details: { address: 'a@b.org' } },
    }),
    { id: '', type: 'email' },
  );
  t.match(actor.ask({ kind: 'notification.prepareTest', id: 'ntA', attributes: {} }), {
    id: 'ntA',
    label: 'new',
  });
  t.match(actor.refusal({ kind: 'notification.prepareTest', id: 'ntZ', attributes: {} }), [
    'notFoundError',
  ]);
  t.end();
});

t.test('built-ins are always listed and never changed', (t) => {
  const actor = tenantOf();
  const builtIns = ['notification', 'plan'] as const;
  for (const noun of builtIns) {
    const id = noun === 'plan' ? 'npTechnicalContactsEmail' : 'ntTechnicalContactsEmail';
    const listed = actor.ask<{ id: string }[]>({ kind: `${noun}.list` });
    t.same(
      listed.map((one) => one.id),
      [id],
    );
    t.match(
      actor.refusal({ kind: `${noun}.update`, id, attributes: { label: 'x' }, change: change() }),
      ['forbiddenError', /built in/],
    );
    t.match(actor.refusal({ kind: `${noun}.delete`, id, change: change() }), ['forbiddenError']);
  }
  t.equal(actor.stored.size, 1, 'they are not stored');
  t.match(actor.ask({ kind: 'plan.get', id: 'npTechnicalContactsEmail' }), {
    label: 'Technical Contacts - Email',
    critical_state: ['ntTechnicalContactsEmail'],
    created_at: null,
    active_suppressions: [],
    scheduled_suppressions: [],
  });
  t.end();
});

t.test('a plan names existing notifications and stays while it is used', (t) => {
  const actor = tenantOf();
  actor.ask(createNotification(webhook));
  t.same(actor.refusal(createPlan({ label: 'p', ok_state: ['ntA', 'ntZ'] })), [
    'requiredNotFoundError',
    'Required object does not exist',
    'Object "Notification" with key "ntZ" does not exist',
  ]);
  t.same(
    actor.refusal(createPlan({ label: 'p', ok_state: 'ntA' })),
    rule('ok_state', 'Not an array'),
  );
  t.same(actor.ask(createPlan({ label: 'p', critical_state: ['ntA'], warning_state: null })), {
    id: 'npA',
  });
  t.same(actor.ask(createPlan({ label: 'p' }, 'npA')), { id: 'npA2' }, 'a taken id gets a counter');
  t.match(actor.ask({ kind: 'plan.get', id: 'npA' }), {
    critical_state: ['ntA'],
    warning_state: [],
    ok_state: [],
    metadata: null,
  });
  t.same(actor.refusal({ kind: 'notification.delete', id: 'ntA', change: change() }).slice(0, 2), [
    'forbiddenError',
    'Notifications cannot be removed while notification plans are using it: npA',
  ]);
  report(actor, 'enB', 1, { alB: 'npA' });
  report(actor, 'enA', 2, { alA: 'npA', alC: 'npTechnicalContactsEmail' });
  const text = 'Notification plans cannot be removed while alarms are using it: alA alB';
  t.same(actor.refusal({ kind: 'plan.delete', id: 'npA', change: change() }), [
    'forbiddenError',
    text,
    text,
  ]);
  t.same(actor.ask({ kind: 'plan.alarms', id: 'npA' }), [
    { entity: 'enA', alarm: 'alA' },
    { entity: 'enB', alarm: 'alB' },
  ]);
  t.same(actor.ask({ kind: 'plan.alarmCounts' }), [
    { notification_plan_id: 'npA', alarm_count: 2 },
    { notification_plan_id: 'npA2', alarm_count: 0 },
    { notification_plan_id: 'npTechnicalContactsEmail', alarm_count: 1 },
  ]);
  report(actor, 'enA', 2, { alA: 'npA2' });
  actor.tell({ kind: 'tenant.report', entity: 'enB', gone: true, checks: 0, alarms: [] });
  t.equal(actor.ask({ kind: 'plan.delete', id: 'npA', change: change() }), null);
  t.equal(actor.ask({ kind: 'notification.delete', id: 'ntA', change: change() }), null);
  t.match(actor.refusal({ kind: 'plan.get', id: 'npA' }), [
    'notFoundError',
    'Object does not exist',
    'Object "NotificationPlan" with key "npA" does not exist',
  ]);
  t.end();
});

t.test(
  'channels of a state come from the plan, or from the built-in one where it is missing',
  (t) => {
    const actor = tenantOf();
    actor.ask(createNotification(webhook));
    actor.ask(
      createPlan({
        label: 'p',
        critical_state: ['ntA'],
        ok_state: ['ntA', 'ntTechnicalContactsEmail'],
      }),
    );
    const ids = (plan: string, state: 'OK' | 'WARNING' | 'CRITICAL' | 'UNKNOWN') => {
      const found = channelsFor(actor.documents(), plan, state);
      return [found.missing, found.plan.id, ...found.notifications.map((one) => one.id)];
    };
    t.same(ids('npA', 'CRITICAL'), [false, 'npA', 'ntA']);
    t.same(ids('npA', 'WARNING'), [false, 'npA']);
    t.same(ids('npA', 'OK'), [false, 'npA', 'ntA', 'ntTechnicalContactsEmail']);
    t.same(ids('npA', 'UNKNOWN'), [false, 'npA']);
    t.same(ids('npGone', 'WARNING'), [
      true,
      'npTechnicalContactsEmail',
      'ntTechnicalContactsEmail',
    ]);
    t.same(ids('npTechnicalContactsEmail', 'OK'), [
      false,
      'npTechnicalContactsEmail',
      'ntTechnicalContactsEmail',
    ]);
    t.end();
  },
);

t.test('a suppression needs a list and a window that makes sense', (t) => {
  const actor = tenantOf();
  const one = { entities: ['enA'] };
  const cases: [Record<string, unknown>, unknown[]][] = [
    [
      {},
      [
        'badRequest',
        'Validation error',
        'At least one of notification_plans, entities, checks, alarms must be given',
      ],
    ],
    [
      { entities: [] },
      [
        'badRequest',
        'Validation error',
        'At least one of notification_plans, entities, checks, alarms must be given',
      ],
    ],
    [{ checks: ['chA'] }, rule('checks', 'Invalid key')],
    [
      { entities: Array.from({ length: 513 }, () => 'en') },
      rule('entities', 'Array has more than 512 items'),
    ],
    [{ ...one, label: '' }, rule('label', 'String is empty')],
    [{ ...one, start_time: nowMs - 60_001 }, rule('start_time', 'Timestamp is in the past')],
    [{ ...one, start_time: 'soon' }, rule('start_time', 'Invalid integer')],
    [{ ...one, end_time: nowMs - 60_001 }, rule('end_time', 'Timestamp is in the past')],
    [
      { ...one, start_time: nowMs + 5, end_time: nowMs + 4 },
      rule('end_time', 'end_time is before start_time'),
    ],
  ];
  for (const [attributes, refusal] of cases) {
    t.same(
      actor.refusal(createSuppression(attributes)),
      refusal,
      JSON.stringify(attributes).slice(0, 80),
    );
  }
  const times = (attributes: Record<string, unknown>, id: string) => {
    actor.ask(createSuppression({ ...one, ...attributes }, id));
    const { start_time, end_time } = actor.ask<SuppressionDoc>({ kind: 'suppression.get', id });
    return [start_time - nowMs, end_time === null ? null : end_time - nowMs];
  };
  t.same(times({}, 'sp1'), [0, null], 'now, open-ended');
  t.same(times({ start_time: 0, end_time: 0 }, 'sp2'), [0, 0], 'over at once');
  t.same(times({ start_time: nowMs - 60_000, end_time: String(nowMs + 10) }, 'sp3'), [-60_000, 10]);
  t.end();
});

t.test('after its start only the end of a suppression may change; deleting it ends it', (t) => {
  const actor = tenantOf();
  const update = (attributes: Record<string, unknown>) =>
    ({ kind: 'suppression.update', id: 'spA', attributes, change: change() }) as const;
  actor.ask(createSuppression({ entities: ['enA'], start_time: nowMs + 600_000, label: 'l' }));
  t.ok(
    actor.ask(
      update({ entities: ['enB'], start_time: nowMs + 500_000, end_time: nowMs + 900_000 }),
    ),
  );
  t.same(actor.refusal(update({ entities: [] })).slice(0, 1), ['badRequest']);
  actor.clock.nowMs = nowMs + 700_000;
  const late = 'Only end_time can be changed after the suppression has started';
  for (const attributes of [
    { label: 'x' },
    { entities: ['enC'] },
    { start_time: 0 },
    { checks: ['enA:chA'] },
  ]) {
    const [key = ''] = Object.keys(attributes);
    t.same(actor.refusal(update({ ...attributes, end_time: 0 })), rule(key, late));
  }
  const same = { label: 'l', entities: ['enB'], start_time: nowMs + 500_000 };
  t.ok(actor.ask(update({ ...same, end_time: nowMs + 800_000 })), 'equal values may come again');
  t.ok(actor.ask(update({ label: 'l' })));
  const active = () =>
    marksForEntity(actor.documents(), 'enB', actor.clock.nowMs).active_suppressions;
  t.same(active(), ['spA']);
  t.equal(actor.ask({ kind: 'suppression.delete', id: 'spA', change: change() }), null);
  t.same(active(), []);
  t.match(actor.refusal(update({ end_time: 0 })), ['notFoundError']);
  t.end();
});

t.test('what a suppression holds back follows its four lists', (t) => {
  const base = {
    id: 'sp',
    label: null,
    notification_plans: [],
    entities: [],
    checks: [],
    alarms: [],
    start_time: nowMs - 10,
    end_time: nowMs + 10,
    created_at: 0,
    updated_at: 0,
  };
  const target = { entity: 'enA', check: 'chA', alarm: 'alA', plan: 'npA' };
  const documents = (...suppressions: Partial<SuppressionDoc>[]): TenantDocuments => ({
    ...tenantOf().documents(),
    suppressions: new Map(
      suppressions.map((one, n) => [`sp${n}`, { ...base, id: `sp${n}`, ...one }]),
    ),
  });
  const cases: [Partial<SuppressionDoc>, boolean][] = [
    [{ entities: ['enA'] }, true],
    [{ entities: ['enB'] }, false],
    [{ checks: ['enA:chA'] }, true],
    [{ checks: ['enB:chA'] }, false],
    [{ alarms: ['enA:alA'] }, true],
    [{ alarms: ['enA:alB'] }, false],
    [{ entities: ['enB'], alarms: ['enA:alA'] }, true],
    [{ notification_plans: ['npA'] }, true],
    [{ notification_plans: ['npB'] }, false],
    [{ notification_plans: ['npA'], entities: ['enA'] }, true],
    [{ notification_plans: ['npB'], entities: ['enA'] }, false],
    [{ notification_plans: ['npA'], entities: ['enB'] }, false],
  ];
  for (const [one, held] of cases) {
    const found = suppressionsOf(documents(one), target, nowMs);
    t.same(found, { active: held ? ['sp0'] : [], scheduled: [] }, JSON.stringify(one));
  }
  const windows: [Partial<SuppressionDoc>, string][] = [
    [{ start_time: nowMs }, 'active'],
    [{ start_time: nowMs + 1 }, 'scheduled'],
    [{ end_time: nowMs }, 'ended'],
    [{ end_time: null }, 'active'],
    [{ start_time: nowMs + 1, end_time: null }, 'scheduled'],
    [{ start_time: nowMs + 20, end_time: nowMs + 20 }, 'ended'],
  ];
  for (const [one, phase] of windows) {
    const found = suppressionsOf(documents({ entities: ['enA'], ...one }), target, nowMs);
    t.same(
      found,
      {
        active: phase === 'active' ? ['sp0'] : [],
        scheduled: phase === 'scheduled' ? ['sp0'] : [],
      },
      JSON.stringify(one),
    );
  }
  const all = documents(
    { entities: ['enA'] },
    { checks: ['enA:chA'] },
    { alarms: ['enA:alA'] },
    { notification_plans: ['npA'] },
    { entities: ['enA'], start_time: nowMs + 1 },
  );
  t.same(marksForAlarm(all, target, nowMs), {
    active_suppressions: ['sp0', 'sp1', 'sp2', 'sp3'],
    scheduled_suppressions: ['sp4'],
  });
  t.same(marksForCheck(all, target, nowMs).active_suppressions, ['sp0', 'sp1']);
  t.same(marksForEntity(all, 'enA', nowMs).active_suppressions, ['sp0']);
  t.same(marksForPlan(all, 'npA', nowMs).active_suppressions, ['sp3']);
  t.same(suppressionsOf(null, target, nowMs), { active: [], scheduled: [] });
  t.end();
});

t.test('the tick comes at the next start or end, and pushes the documents again', (t) => {
  const actor = tenantOf();
  t.match(actor.effects(), [{}, {}, { type: 'cancelTimer' }]);
  actor.ask(
    createSuppression({ entities: ['enA'], start_time: nowMs + 60_000, end_time: nowMs + 90_000 }),
  );
  t.match(actor.effects().at(-1), {
    type: 'startTimer',
    dueMonoMs: 61_000,
    message: { kind: 'tenant.tick' },
  });
  actor.clock.nowMs += 60_000;
  actor.clock.monoMs += 60_000;
  t.equal(actor.tell({ kind: 'tenant.tick' }), undefined);
  t.match(actor.effects(), [
    { type: 'documents', rev: 2 },
    { type: 'startTimer', dueMonoMs: 91_000 },
  ]);
  actor.clock.nowMs += 60_000;
  actor.tell({ kind: 'tenant.tick' });
  t.match(actor.effects().at(-1), { type: 'cancelTimer' });
  t.end();
});

t.test(
  'creates reserve places; the report shows them; a place that never shows comes free after a minute',
  (t) => {
    const actor = tenantOf();
    const reserve = (what: 'entity' | 'check' | 'alarm', entity: string, id: string) =>
      actor.tell({ kind: 'tenant.reserve', what, entity, id });
    t.ok(reserve('entity', 'en1', 'en1').ok);
    t.ok(reserve('entity', 'en1', 'en1').ok, 'asked again: the same place');
    t.ok(reserve('entity', 'en2', 'en2').ok);
    t.match(reserve('entity', 'en3', 'en3'), {
      ok: false,
      error: { type: 'limitReached', details: 'Limit of 2 entities has been reached' },
    });
    t.ok(actor.tell({ kind: 'tenant.release', what: 'entity', id: 'en2' }).ok);
    t.ok(reserve('entity', 'en3', 'en3').ok, 'a refused create leaves its place at once');
    t.notOk(reserve('entity', 'en2', 'en2').ok);
    actor.clock.monoMs += 60_000;
    t.ok(reserve('entity', 'en3', 'en3').ok, 'the others never showed');
    report(actor, 'en1', 0, {});
    t.match(reserve('entity', 'en2', 'en2'), { ok: false });
    for (const id of ['ch1', 'ch2', 'ch3']) t.ok(reserve('check', 'en1', id).ok);
    t.match(reserve('check', 'en1', 'ch4'), { ok: false });
    report(actor, 'en1', 2, {});
    t.match(reserve('check', 'en1', 'ch4'), { ok: false }, 'two are held, one is reserved');
    report(actor, 'en1', 1, { al1: 'npA' });
    t.ok(reserve('check', 'en1', 'ch4').ok);
    t.ok(reserve('alarm', 'en1', 'al1').ok, 'it is there already');
    t.ok(reserve('alarm', 'en1', 'al2').ok);
    t.ok(reserve('alarm', 'en1', 'al3').ok);
    t.match(reserve('alarm', 'en1', 'al4'), { ok: false });
    t.same(actor.ask({ kind: 'usage.get' }), { checks: 1, alarms: 1, entities: 1, agents: 0 });
    actor.tell({ kind: 'tenant.report', entity: 'en1', gone: true, checks: 0, alarms: [] });
    t.same(actor.ask({ kind: 'usage.get' }), { checks: 0, alarms: 0, entities: 0, agents: 0 });
    t.end();
  },
);

t.test('counts survive in soft state, and equal reports save nothing', (t) => {
  const actor = tenantOf();
  report(actor, 'en1', 2, { al1: 'npA', al2: 'npB', al3: 'npA' });
  t.same(actor.effects(), [{ type: 'save', urgent: false }]);
  report(actor, 'en1', 2, { al3: 'npA', al1: 'npA', al2: 'npB' });
  t.same(actor.effects(), []);
  const body = decodeValue(encodeValue(actor.snapshot()));
  actor.restart({ soft: { seq: 1, body } });
  t.same(actor.ask({ kind: 'usage.get' }), { checks: 2, alarms: 3, entities: 1, agents: 0 });
  t.same(actor.ask<unknown[]>({ kind: 'plan.alarmCounts' }).length, 1);
  t.equal(actor.snapshot() === null, false);
  t.not(
    tenantOf().snapshot(),
    null,
    'without entities too: only then may the log behind it be trimmed',
  );
  const entity = fc.record({
    checks: fc.nat(9),
    alarms: fc.dictionary(fc.stringMatching(/^al[a-z]{1,4}$/), fc.stringMatching(/^np[a-z]$/)),
  });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.stringMatching(/^en[a-z0-9]{1,2}$/), fc.option(entity))),
      (steps) => {
        let held = noHoldings;
        const model = new Map<string, { checks: number; alarms: Record<string, string> }>();
        for (const [id, one] of steps) {
          if (one === null) model.delete(id);
          else model.set(id, one);
          const alarms = new Map(Object.entries(one?.alarms ?? {}));
          held = withHolding(held, id, one === null ? null : { checks: one.checks, alarms });
        }
        const totals = {
          entities: model.size,
          checks: [...model.values()].reduce((sum, one) => sum + one.checks, 0),
          alarms: [...model.values()].reduce((sum, one) => sum + Object.keys(one.alarms).length, 0),
        };
        const back = holdingsFromData(holdingsToData(held));
        return [held, back].every(
          (one) =>
            one.entities === totals.entities &&
            one.checks === totals.checks &&
            one.alarms === totals.alarms,
        );
      },
    ),
  );
  let many = noHoldings;
  for (let n = 0; n < 20_000; n += 1) {
    const alarms = new Map(Array.from({ length: 6 }, (_, at) => [`alarm${n}x${at}`, 'npPlan']));
    many = withHolding(many, `entity${n}`, { checks: 6, alarms });
  }
  t.ok(encodeValue(holdingsToData(many)).length < 1_048_576, 'a large tenant fits the codec');
  t.end();
});

t.test(
  'the same key with the same request gets the first outcome, also from the next owner',
  (t) => {
    const actor = tenantOf();
    const keyed = (id: string, requestHash = 'h1') =>
      ({
        kind: 'plan.create',
        id,
        attributes: { label: 'p' },
        change: change({ idempotencyKey: 'k1', requestHash }),
      }) as const;
    t.same(actor.ask(keyed('npA')), { id: 'npA' });
    t.same(actor.ask(keyed('npB')), { id: 'npA' });
    t.same(actor.effects(), []);
    actor.restart();
    t.same(actor.ask(keyed('npC')), { id: 'npA' });
    t.match(actor.refusal(keyed('npD', 'h2')), [
      'badRequest',
      'Idempotency-Key was used for another request',
    ]);
    const remove = {
      kind: 'plan.delete',
      id: 'npA',
      change: change({ idempotencyKey: 'k2' }),
    } as const;
    t.equal(actor.ask(remove), null);
    t.equal(actor.ask(remove), null, 'a repeated deletion too');
    for (let n = 0; n < 70; n += 1) {
      const attributes = { metadata: { n: String(n) } };
      actor.ask({
        kind: 'account.update',
        attributes,
        change: change({ idempotencyKey: `x${n}` }),
      });
    }
    const kept = () => (actor.stored.get('16 root') as StoredDocument).body as RootBody;
    t.equal(kept().recent.length, 64);
    actor.clock.nowMs += 315_360_000_000;
    actor.ask({ kind: 'account.update', attributes: {}, change: change({ idempotencyKey: 'y' }) });
    t.equal(kept().recent.length, 64, 'a wall clock set ahead forgets no outcome');
    t.end();
  },
);

t.test('account settings are validated; secrets keep their form', (t) => {
  const actor = tenantOf();
  const update = (attributes: Record<string, unknown>) =>
    ({ kind: 'account.update', attributes, change: change() }) as const;
  t.same(
    actor.refusal(update({ webhook_token: 'short' })),
    rule('webhook_token', 'String is not in range (10..64)'),
  );
  t.same(actor.refusal(update({ webhook_token: null })), required('webhook_token'));
  t.same(
    actor.refusal(update({ metadata: { a: 1 } })),
    rule('metadata', "Value for key 'a': Not a string"),
  );
  t.same(
    actor.refusal(update({ technical_contacts: ['a@b.org', 'x'] })),
    rule('technical_contacts', 'Invalid email'),
  );
  t.same(
    actor.refusal(update({ signing_secret: 'whsec_eA==' })),
    rule('signing_secret', 'Invalid signing secret'),
  );
  t.same(actor.ask(update({ metadata: { a: 'b' }, technical_contacts: ['a@b.org'], id: 'acX' })), {
    id: 'acOne',
  });
  t.same(actor.ask({ kind: 'account.get' }), {
    ...account,
    metadata: { a: 'b' },
    technical_contacts: ['a@b.org'],
  });
  const [row] = actor.rows.slice(-1);
  t.match(row?.history?.[0]?.body, { statusCode: 204 });
  t.end();
});

t.test('limits follow the installation until the tenant has its own', (t) => {
  const actor = tenantOf();
  const wider = { ...limits, checks: 99 };
  const restartUnder = (installation: LimitsDoc) =>
    tenantDocumentsFrom('t1', [...actor.stored.values()], installation)?.limits.checks;
  t.equal(restartUnder(wider), 99);
  t.match(
    actor.refusal({ kind: 'limits.update', limits: { ...limits, alarms: -1 }, change: change() }),
    ['badRequest'],
  );
  t.ok(actor.ask({ kind: 'limits.update', limits: { ...limits, checks: 7 }, change: change() }));
  t.equal(restartUnder(wider), 7);
  t.equal(
    tenantOf({ installation: wider }).documents().limits.checks,
    3,
    'limits given at creation hold',
  );
  t.end();
});

t.test('expired tokens go first, then those that end first; a user may lose all', (t) => {
  const actor = tenantOf();
  const token = (id: string, expires_at: number | null, user = 'alice'): TokenDoc => ({
    id,
    hash: 'h',
    user,
    roles: ['admin'],
    created_at: nowMs,
    expires_at,
  });
  const put = (one: TokenDoc) => actor.tell({ kind: 'token.put', token: one, change: change() });
  put(token('forever', null));
  put(token('old', nowMs + 5));
  actor.clock.nowMs += 10;
  put(token('new', nowMs + 1_000, 'bob'));
  t.same([...actor.documents().tokens.keys()], ['forever', 'new']);
  for (let n = 0; n < 1_000; n += 1) put(token(`t${n}`, nowMs + 10_000 + n));
  const { tokens } = actor.documents();
  t.equal(tokens.size, 1_000);
  t.ok(tokens.has('forever'));
  t.notOk(tokens.has('new'));
  t.equal(actor.ask({ kind: 'token.delete', id: 'forever', change: change() }), null);
  t.match(actor.refusal({ kind: 'token.delete', id: 'forever', change: change() }), [
    'notFoundError',
  ]);
  const rows = actor.rows.length;
  t.equal(actor.ask({ kind: 'token.deleteOf', user: 'nobody', change: change() }), null);
  t.equal(actor.rows.length, rows);
  t.equal(actor.ask({ kind: 'token.deleteOf', user: 'alice', change: change() }), null);
  t.equal(actor.documents().tokens.size, 0);
  t.equal([...actor.stored.keys()].filter((name) => name.startsWith('20 ')).length, 0);
  t.end();
});

t.test('suppressions are bounded: those that ended first make room', (t) => {
  const actor = tenantOf();
  for (let n = 0; n < 1_000; n += 1) {
    const end_time = n === 500 ? nowMs : nowMs + 100_000;
    actor.ask(createSuppression({ entities: ['en'], end_time }, `sp${n}`));
  }
  t.same(actor.ask(createSuppression({ entities: ['en'] }, 'spX')), { id: 'spX' });
  t.match(actor.refusal({ kind: 'suppression.get', id: 'sp500' }), ['notFoundError']);
  t.match(actor.refusal(createSuppression({ entities: ['en'] }, 'spY')), ['limitReached']);
  t.end();
});

t.test('a new owner has what was committed, rows that were not projected yet included', (t) => {
  const actor = tenantOf();
  actor.ask(createNotification(webhook));
  actor.ask(createPlan({ label: 'p', ok_state: ['ntA'] }));
  const before = actor.documents();
  actor.restart();
  t.same(actor.documents(), before);
  t.match(actor.effects()[0], { type: 'documents', rev: 3 });
  const tail = actor.rows.map((body, n) => ({
    seq: n + 1,
    key: actorKey('t1'),
    kind: 4 as const,
    body,
  }));
  actor.restart({ documents: [], tail });
  t.same(actor.documents(), before);
  t.same(documentsFromData(decodeValue(encodeValue(documentsToData(before))) as never), before);
  t.equal(tenantDocumentsFrom('t1', [], limits), null);
  t.end();
});

t.test('the same state and message give the same step, and questions change nothing', (t) => {
  const behaviour = tenantBehaviour({ limits });
  const context = { nowMs, monoMs: 1, random: () => 0, documents: null, epoch: 1, committed: true };
  const { state } = behaviour.init(actorKey('t1'), nothing, context);
  const message: TenantMessage = { kind: 'tenant.create', account, limits, change: change() };
  const frozen = Object.freeze(state);
  t.same(behaviour.step(frozen, message, context), behaviour.step(frozen, message, context));
  const created = behaviour.step(frozen, message, context).state;
  const asked: TenantMessage[] = [
    { kind: 'plan.list' },
    { kind: 'suppression.list' },
    { kind: 'usage.get' },
  ];
  for (const query of asked) {
    t.ok(behaviour.isQuery(query));
    const step = behaviour.step(created, query, context);
    t.equal(step.state, created);
    t.equal(step.replyWhen, 'now');
  }
  t.notOk(behaviour.isQuery(message));
  t.end();
});
