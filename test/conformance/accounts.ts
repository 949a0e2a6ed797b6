// What every Accounts does: put if absent, then over the version before; refused else, and lists by name.
import { bytes, readable, type Suite } from './rows.ts';

export const accountsSuite: Suite = async (t, makeStore) => {
  const { accounts } = await makeStore(t);
  const user = (name: string, version: number, body = 'b', tenant = 't1') => ({
    ...{ name, tenant, version },
    body: bytes(body),
  });

  await t.test('a user is put once, then over its version only', async (t) => {
    t.equal(await accounts.user('ann'), null);
    t.equal(await accounts.putUser(user('ann', 2)), false, 'not over a version that is not there');
    t.equal(await accounts.putUser(user('ann', 1, 'first')), true);
    t.equal(await accounts.putUser(user('ann', 1, 'second')), false, 'put if absent');
    t.equal(await accounts.putUser(user('ann', 3)), false);
    t.equal(await accounts.putUser(user('ann', 2, 'changed', 't2')), true);
    const found = await accounts.user('ann');
    const expected = { name: 'ann', tenant: 't2', version: 2, body: 'changed' };
    t.same(readable(found ? [found] : []), [expected]);
  });

  await t.test('of many puts of one version one is applied', async (t) => {
    const results = await Promise.all(
      Array.from({ length: 6 }, (_, n) => accounts.putUser(user('race', 1, `${n}`))),
    );
    t.equal(results.filter(Boolean).length, 1);
  });

  await t.test('a user is deleted at its version only, and can come back', async (t) => {
    await accounts.putUser(user('bob', 1));
    t.equal(await accounts.deleteUser('bob', 2), false);
    t.equal(await accounts.deleteUser('bob', 1), true);
    t.equal(await accounts.deleteUser('bob', 1), false);
    t.equal(await accounts.user('bob'), null);
    t.equal(await accounts.putUser(user('bob', 1, 'again')), true);
  });

  await t.test('users list by name, all or of one tenant', async (t) => {
    await accounts.putUser(user('zoe', 1, 'b', 't9'));
    await accounts.putUser(user('abe', 1, 'b', 't9'));
    const list = async (tenant: string | null, limit: number) =>
      (await accounts.listUsers(tenant, limit)).map(({ name }) => name);
    t.same(await list(null, 100), ['abe', 'ann', 'bob', 'race', 'zoe']);
    t.same(await list('t9', 100), ['abe', 'zoe']);
    t.same(await list('t9', 1), ['abe']);
    t.same(await list('nobody', 9), []);
  });

  await t.test('a tenant is put once, then over its version only, and listed', async (t) => {
    const tenant = (name: string, version: number, body = 'b') => ({
      ...{ tenant: name, version },
      body: bytes(body),
    });
    t.equal(await accounts.tenant('acA'), null);
    t.equal(await accounts.putTenant(tenant('acB', 1)), true);
    t.equal(await accounts.putTenant(tenant('acA', 1)), true);
    t.equal(await accounts.putTenant(tenant('acA', 1, 'x')), false);
    t.equal(await accounts.putTenant(tenant('acA', 2, 'new')), true);
    t.equal(await accounts.putTenant(tenant('acA', 2, 'late')), false);
    t.same(readable(await accounts.listTenants(10)), [
      { tenant: 'acA', version: 2, body: 'new' },
      { tenant: 'acB', version: 1, body: 'b' },
    ]);
    t.equal((await accounts.listTenants(1)).length, 1);
  });

  await t.test('a version below 1 is a fault of the program', async (t) => {
    await t.rejects(accounts.putUser(user('x', 0)), /above 0/);
    await t.rejects(accounts.putTenant({ tenant: 'x', version: 1.5, body: bytes('') }), /above 0/);
  });
};
