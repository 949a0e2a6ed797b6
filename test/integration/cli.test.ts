// The command line against a real node: every resource once, exit codes, and texts that cannot steer a terminal.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { eventually, Receiver, root, Target, TestNode } from './harness.ts';

interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

t.test('a person does everything from the command line', async (t) => {
  const [target, receiver, node] = await Promise.all([
    Target.create(),
    Receiver.create(),
    TestNode.create(),
  ]);
  t.teardown(() => Promise.all([node.remove(), target.off(), receiver.close()]));
  await node.start();
  const tocsin = (...args: string[]): Promise<Ran> =>
    new Promise((resolve) => {
      const child = spawn(process.execPath, [join(root, 'scripts', 'tocsin.js'), ...args], {
        env: {
          PATH: process.env['PATH'] ?? '',
          TOCSIN_DATA: node.folder,
          TOCSIN_LISTEN: `127.0.0.1:${node.port}`,
        },
      });
      let out = '';
      let err = '';
      child.stdout.on('data', (chunk) => {
        out += chunk;
      });
      child.stderr.on('data', (chunk) => {
        err += chunk;
      });
      child.on('close', (code) => resolve({ code, out, err }));
    });
  const id = async (...args: string[]): Promise<string> => {
    const ran = await tocsin(...args);
    t.equal(ran.code, 0, `${args.join(' ')} ${ran.err}`);
    return ran.out.trim();
  };

  const entity = await id('entity', 'create', '--label', 'web', '--ip', 'main=127.0.0.1');
  t.match(entity, /^en[A-Za-z0-9]{8}$/);
  const check = await id(
    'check',
    'create',
    entity,
    '--type',
    'remote.http',
    '--label',
    'home',
    '--url',
    target.url,
    '--alias',
    'main',
    '--period',
    '1',
    '--timeout',
    '1',
    '--zones',
    'mzlocal',
  );
  const notification = await id(
    'notification',
    'create',
    '--label',
    'hook',
    '--type',
    'webhook',
    '--url',
    receiver.url,
  );
  const plan = await id(
    'plan',
    'create',
    '--label',
    'page',
    '--critical',
    notification,
    '--ok',
    notification,
  );
  const alarm = await id(
    'alarm',
    'create',
    entity,
    '--check',
    check,
    '--plan',
    plan,
    '--criteria',
    "if (metric['code'] != '200') { return new AlarmStatus(CRITICAL, 'no'); }",
  );
  const suppression = await id('suppression', 'create', '--label', 'deploy', '--entities', entity);
  await eventually('the alarm is OK', 15_000, async () =>
    /OK/.test((await tocsin('overview')).out) ? true : undefined,
  );

  t.match((await tocsin('entity', 'list')).out, entity);
  t.match((await tocsin('check', 'get', entity, check)).out, /remote\.http/);
  t.match(JSON.parse((await tocsin('alarm', 'list', entity, '--json')).out), [{ id: alarm }]);
  t.match((await tocsin('state', entity)).out, /code=200/);
  t.match((await tocsin('explain', entity, alarm)).out, /OK/);
  t.match((await tocsin('test-check', entity, check)).out, /duration/);
  t.match(
    (
      await tocsin(
        'test-alarm',
        entity,
        '--check',
        check,
        '--criteria',
        "return new AlarmStatus(WARNING, 'tried');",
      )
    ).out,
    /WARNING/,
  );
  const tested = await tocsin('test-notification', notification);
  t.match(tested, { code: 0, out: /success/ });
  t.equal(receiver.received.length, 1);
  t.match((await tocsin('changelog')).out, /OK/);
  t.match((await tocsin('slots', entity, check, '--json')).out, /"ran"/);
  for (const words of [
    ['zone', 'list'],
    ['check-type', 'list'],
    ['notification-type', 'list'],
    ['limits'],
    ['usage'],
    ['account', 'update', '--technical-contacts', 'night@example.org'],
    ['account'],
    ['audit'],
    ['suppression-log'],
    ['suppression', 'get', suppression],
    ['history', entity, alarm, check],
    ['tenant', 'list'],
  ]) {
    const ran = await tocsin(...words);
    t.equal(ran.code, 0, `${words.join(' ')}: ${ran.err}`);
  }

  const tenant = await id('tenant', 'create', '--id', '200000', '--label', 'shop');
  t.equal(tenant, '200000');
  const user = await tocsin(
    'user',
    'create',
    '200000',
    'alice',
    '--roles',
    'monitoring:observer',
    '--json',
  );
  t.equal(user.code, 0, user.err);
  t.match((await tocsin('user', 'list', '200000')).out, /alice/);
  t.equal((await tocsin('user', 'delete', '200000', 'alice')).code, 0);
  t.match(await tocsin('doctor'), { out: /(PROBLEM|advice ) {2}\S+ {2}\w+: / });
  const cluster = JSON.parse((await tocsin('cluster', 'status', '--json')).out);
  t.match(cluster, {
    ...{ cluster: null, mode: 'NORMAL', unreachable: [] },
    members: [{ is_self: true, seen: 'self', shards_held: 1024, shards_mapped: 1024 }],
  });
  t.equal(cluster.answered_by, cluster.members[0].node);
  t.match((await tocsin('cluster', 'status')).out, /1024 of 1024[\s\S]*a node alone/);

  t.match(await tocsin('entity', 'get', 'enNOSUCH00'), { code: 4, err: /404/ });
  t.match(await tocsin('entity', 'create', '--label', ''), { code: 1, err: /label/ });
  t.match(
    await tocsin('alarm', 'create', entity, '--check', check, '--plan', plan, '--criteria', 'if ('),
    { code: 1 },
  );
  t.match(await tocsin('nonsense'), { code: 2, err: /unknown command/ });
  t.match(await tocsin('entity', 'list', '--nonsense'), { code: 2 });
  t.match(await tocsin('entity', 'list', '--server', 'http://127.0.0.1:1'), {
    code: 3,
    err: /does not answer/,
  });
  t.match(await tocsin('help'), { code: 0, out: /Exit codes/ });

  for (const words of [
    ['suppression', 'delete', suppression],
    ['alarm', 'delete', entity, alarm],
    ['check', 'update', entity, check, '--label', 'front'],
    ['check', 'delete', entity, check],
    ['plan', 'delete', plan],
    ['notification', 'delete', notification],
    ['entity', 'delete', entity],
  ]) {
    const ran = await tocsin(...words);
    t.equal(ran.code, 0, `${words.join(' ')}: ${ran.err}`);
  }
});
