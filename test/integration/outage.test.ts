// The whole way, for real: a target goes down, CRITICAL arrives once; the node is killed and started, the target comes back,
// OK arrives once under the paired keys; changelog and notification history tell the same story. Real sockets, processes, SQLite.
import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { eventually, Receiver, Target, TestNode } from './harness.ts';

interface List<T> {
  readonly values: readonly T[];
}
interface Change {
  readonly id: string;
  readonly state: string;
  readonly previous_state: string;
  readonly alarm_id: string;
}
interface HistoryItem {
  readonly state: string;
  readonly notification_results: readonly {
    success: boolean;
    in_progress: boolean;
    attempts: readonly unknown[];
  }[];
}

async function monitored(node: TestNode, target: Target, receiver: Receiver) {
  const entity = await node.create('/entities', {
    label: 'web',
    ip_addresses: { main: '127.0.0.1' },
  });
  const check = await node.create(`/entities/${entity}/checks`, {
    type: 'remote.http',
    label: 'home',
    details: { url: target.url },
    monitoring_zones_poll: ['mzlocal'],
    period: 1,
    timeout: 1,
    target_alias: 'main',
  });
  const notification = await node.create('/notifications', {
    label: 'hook',
    type: 'webhook',
    details: { url: receiver.url },
  });
  const plan = await node.create('/notification_plans', {
    label: 'page',
    critical_state: [notification],
    ok_state: [notification],
  });
  const alarm = await node.create(`/entities/${entity}/alarms`, {
    check_id: check,
    notification_plan_id: plan,
    label: 'home answers',
    criteria:
      "if (metric['code'] != '200') { return new AlarmStatus(CRITICAL, 'answered #{code}'); } return new AlarmStatus(OK, 'well');",
  });
  return { entity, check, notification, plan, alarm };
}

const stateOf = async (node: TestNode, entity: string) =>
  (await node.get<{ alarms: { state: string; committed: boolean }[] }>(`/entities/${entity}/state`))
    .alarms[0]?.state;

t.test('an outage is told once, over a kill of the node, and its end once', async (t) => {
  const [target, receiver, node] = await Promise.all([
    Target.create(),
    Receiver.create(),
    TestNode.create(),
  ]);
  t.teardown(() => Promise.all([node.remove(), target.off(), receiver.close()]));
  await node.start();
  t.equal(statSync(join(node.folder, 'admin.json')).mode & 0o777, 0o600, 'admin.json is private');
  const ids = await monitored(node, target, receiver);
  await eventually('the alarm is OK', 15_000, async () =>
    (await stateOf(node, ids.entity)) === 'OK' ? true : undefined,
  );
  t.equal(receiver.received.length, 0, 'an initial OK tells nobody');

  await target.off();
  await eventually('CRITICAL arrives', 15_000, () => receiver.of('CRITICAL')[0]);
  const critical = receiver.of('CRITICAL')[0];
  t.match(critical?.body, {
    details: { state: 'CRITICAL', previous_state: 'OK', status: /refused/ },
    entity: { id: ids.entity },
    check: { id: ids.check },
    alarm: { id: ids.alarm },
    tenant_id: node.admin.tenantId,
  });
  const { signing_secret: secret } = await node.get<{ signing_secret: string }>(
    '/account/signing_secret',
  );
  const signed = `${critical?.headers['webhook-id']}.${critical?.headers['webhook-timestamp']}.${critical?.text}`;
  const signature = createHmac('sha256', Buffer.from(secret.replace('whsec_', ''), 'base64'))
    .update(signed)
    .digest('base64');
  t.equal(
    critical?.headers['webhook-signature'],
    `v1,${signature}`,
    'the signature is that of the standard',
  );
  const account = await node.get<{ webhook_token: string }>('/account');
  t.equal(critical?.headers['x-rackspace-webhook-token'], account.webhook_token);
  await eventually(
    'the delivery is recorded',
    5000,
    async () => (await results(node, ids))[0]?.notification_results[0]?.success || undefined,
  );
  // Longer than the 100 ms after which the mark is committed: what was delivered is then never sent again.
  await eventually('the outbox is empty', 5000, async () =>
    (await (await fetch(`${node.url}/metrics`)).text()).match(/^tocsin_outbox_pending 0$/m)
      ? true
      : undefined,
  );
  await new Promise((wake) => setTimeout(wake, 300));

  await node.kill();
  await node.start();
  t.equal(await stateOf(node, ids.entity), 'CRITICAL', 'the state is known at once after the kill');
  await target.on();
  await eventually('OK arrives', 15_000, () => receiver.of('OK')[0]);
  await new Promise((wake) => setTimeout(wake, 2500));
  t.equal(receiver.of('CRITICAL').length, 1, 'CRITICAL arrived once');
  t.equal(receiver.of('OK').length, 1, 'OK arrived once');
  t.not(
    receiver.of('OK')[0]?.headers['webhook-id'],
    critical?.headers['webhook-id'],
    'each transition has its own id',
  );

  const changes = (await node.get<List<Change>>(`/changelogs/alarms?entityId=${ids.entity}`))
    .values;
  t.same(
    changes.map((change) => `${change.previous_state} ${change.state}`),
    ['UNKNOWN OK', 'OK CRITICAL', 'CRITICAL OK'],
  );
  t.equal(
    receiver.of('CRITICAL')[0]?.body.log_entry_id,
    changes[1]?.id,
    'the payload names its changelog entry',
  );
  t.equal(receiver.of('OK')[0]?.body.log_entry_id, changes[2]?.id);
  const history = await results(node, ids);
  t.same(
    history.map((item) => item.state),
    ['CRITICAL', 'OK'],
  );
  for (const item of history)
    t.match(item.notification_results[0], { success: true, in_progress: false });
  const why = await node.get<{ why: string[]; state: string }>(
    `/entities/${ids.entity}/alarms/${ids.alarm}/explain`,
  );
  t.equal(why.state, 'OK');
  t.ok(why.why.length > 0, 'and it can say why');
});

async function results(
  node: TestNode,
  ids: { entity: string; alarm: string; check: string },
): Promise<readonly HistoryItem[]> {
  return (
    await node.get<List<HistoryItem>>(
      `/entities/${ids.entity}/alarms/${ids.alarm}/notification_history/${ids.check}`,
    )
  ).values;
}

t.test('a receiver that is down gets the alert when it is back, under one id', async (t) => {
  const [target, receiver, node] = await Promise.all([
    Target.create(),
    Receiver.create(),
    TestNode.create(),
  ]);
  t.teardown(() => Promise.all([node.remove(), target.off(), receiver.close()]));
  await node.start();
  const ids = await monitored(node, target, receiver);
  await eventually('the alarm is OK', 15_000, async () =>
    (await stateOf(node, ids.entity)) === 'OK' ? true : undefined,
  );
  receiver.status = 503;
  await target.off();
  await eventually('two attempts', 20_000, () =>
    receiver.received.length >= 2 ? true : undefined,
  );
  await node.kill();
  receiver.status = 204;
  await node.start();
  await eventually(
    'delivered after the restart',
    30_000,
    async () => (await results(node, ids))[0]?.notification_results[0]?.success || undefined,
  );
  t.equal(
    new Set(receiver.of('CRITICAL').map((one) => one.headers['webhook-id'])).size,
    1,
    'all attempts carry one id',
  );
});

t.test(
  'one process at a time owns a data folder, SIGTERM stops cleanly, probers end with their node',
  async (t) => {
    const node = await TestNode.create();
    t.teardown(() => node.remove());
    await node.start();
    const second = node.spawn(node.port + 1);
    const [code] = (await once(second, 'exit')) as [number];
    t.not(code, 0);
    t.match(node.log, /ST_LOCKED|another process|in use/i, 'and it says why');
    const children = () =>
      new Promise<string[]>((resolve) => {
        const ps = spawn('ps', ['-o', 'pid=', '--ppid', String(node.pid)]);
        let text = '';
        ps.stdout.on('data', (chunk) => {
          text += chunk;
        });
        ps.on('close', () =>
          resolve(
            text
              .split('\n')
              .map((line) => line.trim())
              .filter((line) => line !== ''),
          ),
        );
      });
    const probers = (await children()).map(Number).filter((pid) => isAlive(pid));
    t.ok(probers.length >= 1, 'a prober runs');
    await node.kill();
    await eventually('the probers are gone', 5000, () =>
      probers.some(isAlive) ? undefined : true,
    );
    await node.start();
    t.equal(await node.stop(), 0, 'SIGTERM ends with 0');
  },
);

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
