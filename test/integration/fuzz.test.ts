// Fuzz: every decoder with mutants of good input, and the API of a real node with requests made from its own description.
// Refusals are typed, nothing hangs, nothing crashes, and one tenant never sees another. `npm run fuzz` runs longer.
import t from 'tap';
import { freshAddress, rawRequests } from '../hostile/api-client.ts';
import { badLines, fuzzApi } from '../hostile/api-run.ts';
import { canary, makeWorld, type Operation, sealed, type World } from '../hostile/api-world.ts';
import { decoders } from '../hostile/decoders.ts';
import { fuzz } from '../hostile/fuzz.ts';
import { mutateText, oneOf, seeded } from '../hostile/mutate.ts';
import { TestNode } from './harness.ts';

/** New mutants every day, the same all day. */
const seed = Math.floor(Date.now() / 86_400_000);

t.test('every decoder refuses what is wrong, typed and at once', async (t) => {
  t.ok(decoders.length >= 30, `${decoders.length} decoders`);
  for (const decoder of decoders) {
    const { faults, slowestMs } = await fuzz(decoder, 20_000, seed);
    t.same(faults, [], `${decoder.name}, seed ${seed}, slowest ${Math.ceil(slowestMs)} ms`);
  }
});

t.test('the API of a real node', async (t) => {
  const node = await TestNode.create(sealed);
  t.teardown(() => node.remove());
  await node.start();
  const world = await makeWorld(node);
  t.teardown(() => world.client.close());
  const { client, operations, attacker, victim, tokens } = world;
  const json = { 'Content-Type': 'application/json' };

  await t.test('who may not, may not: every operation, every credential', async (t) => {
    t.ok(operations.length > 100, `${operations.length} operations`);
    for (const operation of operations.filter(({ role }) => role !== 'public')) {
      const own = pathOf(operation, world, attacker.tenant, attacker.ids);
      const ask = async (path: string, token: string | null, from?: string) => {
        const { method, hasBody } = operation;
        const body = hasBody ? '{}' : null;
        const answer = await client.ask({
          method,
          path,
          token,
          headers: json,
          body,
          ...(from === undefined ? {} : { from }),
        });
        t.notMatch(answer.text, canary);
        return answer.status;
      };
      const name = `${operation.method} ${operation.path}`;
      t.equal(await ask(own, null), 401, `${name} without a token`);
      t.equal(await ask(own, 'nonsense', freshAddress()), 401, `${name} with no token at all`);
      const forged = `${tokens.admin.slice(0, -1)}${tokens.admin.endsWith('0') ? '1' : '0'}`;
      t.equal(await ask(own, forged, freshAddress()), 401, `${name} with a forged token`);
      t.equal(await ask(own, tokens.revoked, freshAddress()), 401, `${name} with a revoked token`);
      const theirs = pathOf(operation, world, victim.tenant, victim.ids);
      t.equal(await ask(theirs, tokens.admin), 403, `${name} of another tenant`);
      const status = await ask(own, tokens.observer);
      const isTheirs = operation.role === 'read' || operation.role === 'test';
      if (isTheirs) t.ok(status !== 401 && status !== 403 && status < 502, `${name} as observer`);
      else t.equal(status, 403, `${name} as observer`);
      if (operation.role === 'operator') {
        t.equal(await ask(own, tokens.admin), 403, `${name} as administrator of a tenant`);
      }
    }
  });

  await t.test('ids of another tenant are as unknown as any', async (t) => {
    const owned = (operation: Operation) =>
      operation.parameters.filter((name) => victim.ids[name] !== undefined);
    const exposed = operations.filter((one) => one.role !== 'operator' && owned(one).length > 0);
    t.ok(exposed.length >= 30, `${exposed.length} operations take ids`);
    const answerTo = async (method: string, path: string, body: string | null) =>
      client.ask({ method, path, token: tokens.admin, headers: json, body });
    /** The same answer as for an id that nobody has: not even that it exists is told. */
    const same = async (
      method: string,
      paths: readonly [string, string],
      bodies = ['{}', '{}'],
    ) => {
      const [theirs, nobodys] = paths;
      const seen = await answerTo(method, theirs, method === 'GET' ? null : (bodies[0] ?? ''));
      const blank = await answerTo(method, nobodys, method === 'GET' ? null : (bodies[1] ?? ''));
      const name = `${method} ${theirs}: ${seen.status}`;
      t.equal(seen.status, blank.status, name);
      t.equal(shapeOf(seen.text), shapeOf(blank.text), `${name}, the same words`);
      t.notMatch(seen.text, canary, name);
    };
    const nobody = (id = ''): string => `${id.slice(0, 2)}Nobody${id.slice(8)}`;
    for (const operation of exposed) {
      for (const swapped of owned(operation)) {
        const id = victim.ids[swapped]?.[0];
        const path = (value: string) =>
          pathOf(operation, world, attacker.tenant, { ...attacker.ids, [swapped]: [value] });
        await same(operation.method, [path(id ?? ''), path(nobody(id))]);
      }
    }
    const [entity, check, plan, notification, alarm] = [
      'entity',
      'check',
      'plan',
      'notification',
      'alarm',
    ].map((name) => victim.ids[name]?.[0] ?? '');
    const mine = attacker.ids;
    const criteria = 'return new AlarmStatus(OK);';
    const crossed: readonly (readonly [string, (id: (of?: string) => string) => object])[] = [
      ['/notification_plans', (id) => ({ label: 'x', critical_state: [id(notification)] })],
      ['/suppressions', (id) => ({ label: 'x', entities: [id(entity)] })],
      ['/suppressions', (id) => ({ label: 'x', alarms: [`${id(entity)}:${id(alarm)}`] })],
      ['/suppressions', (id) => ({ label: 'x', notification_plans: [id(plan)] })],
      [
        `/entities/${mine['entity']?.[0]}/alarms`,
        (id) => ({ check_id: id(check), notification_plan_id: mine['plan']?.[0], criteria }),
      ],
      [
        `/entities/${mine['entity']?.[0]}/alarms`,
        (id) => ({ check_id: mine['check']?.[0], notification_plan_id: id(plan), criteria }),
      ],
    ];
    for (const [place, bodyOf] of crossed) {
      const path = `/v1.0/${attacker.tenant}${place}`;
      const bodies = [bodyOf((id = '') => id), bodyOf(nobody)].map((body) => JSON.stringify(body));
      await same('POST', [path, path], bodies);
    }
  });

  await t.test('any content type is refused, or the body is looked at', async (t) => {
    const pick = seeded(seed);
    const types = ['application/json', 'application/json; charset=utf-8', 'text/plain'];
    const statuses = new Map<number, number>();
    for (let n = 0; n < 300; n++) {
      const type = mutateText(pick, oneOf(pick, types), types, [';', '\t', ' ', ',', '/']);
      const answer = await client.ask({
        method: 'POST',
        path: `/v1.0/${attacker.tenant}/entities`,
        token: tokens.admin,
        headers: { 'Content-Type': type.replace(/[^\t\x20-\x7e]/g, '').slice(0, 4000) },
        body: '{"label":5}',
      });
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
    }
    t.same([...statuses.keys()].sort(), [400, 415], 'never accepted');
  });

  await t.test('bytes that are no request', async (t) => {
    for (const bytes of rawRequests) {
      const text = await client.raw(bytes);
      const name = JSON.stringify(String(bytes).slice(0, 60));
      t.notMatch(text, /HTTP\/1\.1 5\d\d/, name);
      t.notMatch(text, /evil\.example\/v1\.0\/|Set-Cookie/, name);
    }
  });

  await t.test('requests from its own description', async (t) => {
    const count = 2_000;
    const random = await fuzzApi(node, world, { count, seed, isSweep: false });
    t.same(
      random.faults,
      [],
      `${count} requests, seed ${seed}: ${JSON.stringify(random.byStatus)}`,
    );
    const sweep = await fuzzApi(node, world, { count: 8_000, seed, isSweep: true });
    t.same(sweep.faults, [], `each part odd in turn: ${JSON.stringify(sweep.byStatus)}`);
  });

  await t.test('and it is still there, and so is the other tenant', async (t) => {
    const ready = await client.ask({ method: 'GET', path: '/readyz' });
    t.equal(ready.status, 200);
    t.same(badLines(node.log), []);
    for (const [path, id] of [
      ['entities', victim.ids['entity']],
      ['notifications', victim.ids['notification']],
      ['notification_plans', victim.ids['plan']],
      ['suppressions', victim.ids['suppression']],
    ] as const) {
      const { token, tenant } = victim;
      const answer = await client.ask({
        method: 'GET',
        path: `/v1.0/${tenant}/${path}/${id?.[0]}`,
        token,
      });
      t.match(answer, { status: 200, text: canary }, path);
    }
    t.ok(node.pid > 0);
    t.equal(await node.stop(), 0, 'it stops in good order');
  });
});

/** A text without ids and instants: what is left must not tell one unknown object from another. */
function shapeOf(text: string): string {
  return text
    .replace(/"txnId":"[^"]*"/, '')
    .replace(/\b(en|ch|al|np|nt|sp)(Nobody)?[A-Za-z0-9]{2,8}\b/g, 'ID')
    .replace(/\d{10,}/g, 'N');
}

/** The path of an operation with these ids; names without one get `remote.http`. */
function pathOf(
  operation: Operation,
  world: World,
  tenant: string,
  ids: World['attacker']['ids'],
): string {
  const named = operation.path.startsWith('/v1.0/operator') ? world.victim.tenant : tenant;
  return operation.path.replace(/\{(\w+)\}/g, (_, name: string) =>
    name === 'tenant' ? named : (ids[name]?.[0] ?? 'remote.http'),
  );
}
