// Class A, accounts, in SQLite: users and tenants, put if absent or over the version before.
// Follows storage.md §4 (Q19).
import type { AccountOperations } from '../operations.ts';
import type { Database } from './driver.ts';

/** Returns the operations with their statements prepared. */
export function sqliteAccounts(db: Database): AccountOperations {
  return { ...users(db), ...tenants(db) };
}

function users(
  db: Database,
): Pick<AccountOperations, 'user' | 'putUser' | 'deleteUser' | 'listUsers'> {
  const columns = 'name, tenant, version, body';
  const get = db.prepare(`SELECT ${columns} FROM user WHERE name = ?`);
  const insert = db.prepare(
    'INSERT INTO user (name, tenant, version, body) VALUES (?, ?, 1, ?) ON CONFLICT DO NOTHING',
  );
  const update = db.prepare(
    'UPDATE user SET tenant = ?, version = ?, body = ? WHERE name = ? AND version = ?',
  );
  const remove = db.prepare('DELETE FROM user WHERE name = ? AND version = ?');
  const listAll = db.prepare(`SELECT ${columns} FROM user ORDER BY name LIMIT ?`);
  const listOf = db.prepare(`SELECT ${columns} FROM user WHERE tenant = ? ORDER BY name LIMIT ?`);
  return {
    user: (name) => get.get(name) ?? null,
    putUser: ({ name, tenant, version, body }) =>
      version === 1
        ? insert.run(name, tenant, body).changes === 1
        : update.run(tenant, version, body, name, version - 1).changes === 1,
    deleteUser: (name, version) => remove.run(name, version).changes === 1,
    listUsers: (tenant, limit) =>
      tenant === null ? listAll.all(limit) : listOf.all(tenant, limit),
  };
}

function tenants(db: Database): Pick<AccountOperations, 'tenant' | 'putTenant' | 'listTenants'> {
  const get = db.prepare('SELECT tenant, version, body FROM tenant WHERE tenant = ?');
  const insert = db.prepare(
    'INSERT INTO tenant (tenant, version, body) VALUES (?, 1, ?) ON CONFLICT DO NOTHING',
  );
  const update = db.prepare(
    'UPDATE tenant SET version = ?, body = ? WHERE tenant = ? AND version = ?',
  );
  const list = db.prepare('SELECT tenant, version, body FROM tenant ORDER BY tenant LIMIT ?');
  return {
    tenant: (tenant) => get.get(tenant) ?? null,
    putTenant: ({ tenant, version, body }) =>
      version === 1
        ? insert.run(tenant, body).changes === 1
        : update.run(version, body, tenant, version - 1).changes === 1,
    listTenants: (limit) => list.all(limit),
  };
}
