// The body of a test notification: the shape of a real one, with placeholder objects. Pure.
import type { AccountDoc, NotificationDoc } from '../resources.ts';
import { builtInPlanId } from '../tenant/documents.ts';
import type { IntentBody } from './intent.ts';

export interface TestRequest {
  readonly tenant: string;
  readonly account: AccountDoc;
  readonly notification: NotificationDoc;
  /** Id of this test: hex, unique. Stands where a real notification has its id. */
  readonly id: string;
  readonly txnId: string;
  /** Wall clock, epoch ms. */
  readonly atMs: number;
}

const status = 'This is a test notification. Nothing is wrong.';

/** Returns the body of a test: state WARNING, objects named `enTest`, `chTest`, `alTest`. */
export function testBody(request: TestRequest): IntentBody {
  const { tenant, account, notification, id, txnId, atMs } = request;
  const times = { created_at: atMs, updated_at: atMs };
  return {
    tenant,
    account_id: account.id,
    webhook_token: account.webhook_token,
    signing_secret: account.signing_secret,
    technical_contacts: account.technical_contacts,
    notification,
    plan_id: builtInPlanId,
    event_id: `${account.id}:enTest:alTest:chTest:${atMs}:WARNING`,
    log_entry_id: '00000000-0000-1000-8000-000000000000',
    txn_id: txnId,
    incident_key: `test-${id}`,
    timestamp: atMs,
    target: '192.0.2.1',
    state: 'WARNING',
    previous_state: 'OK',
    status,
    metrics: { duration: { type: 'I', data: 42, unit: 'milliseconds' } },
    observations: [
      {
        monitoring_zone_id: 'mztest',
        state: 'WARNING',
        status,
        timestamp: atMs,
        collectorState: 'UP',
        stale: false,
      },
    ],
    entity: {
      id: 'enTest',
      label: 'Test entity',
      ip_addresses: { default: '192.0.2.1' },
      metadata: null,
      agent_id: null,
      managed: false,
      uri: null,
      ...times,
    },
    check: {
      id: 'chTest',
      type: 'remote.http',
      label: 'Test check',
      details: { url: 'http://192.0.2.1/', method: 'GET' },
      monitoring_zones_poll: ['mztest'],
      period: 60,
      timeout: 30,
      target_alias: 'default',
      target_hostname: null,
      target_resolver: null,
      disabled: false,
      metadata: null,
      ...times,
    },
    alarm: {
      id: 'alTest',
      check_id: 'chTest',
      entity_id: 'enTest',
      notification_plan_id: builtInPlanId,
      criteria: null,
      label: 'Test alarm',
      disabled: false,
      metadata: null,
      ...times,
    },
  };
}
