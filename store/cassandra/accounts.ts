// Class A, accounts, in Cassandra: users and tenants, put if absent or over the version before.
// Follows storage.md §4 (Q19): conditional writes, quorum reads. `tenant` is one row per name over all runtime clusters.
import type { TenantRecord, UserRecord } from '../../runtime/ports.ts';
import { compareText } from '../order.ts';
import { blob, blobParam, text, whole } from './cells.ts';
import type { DriverRow } from './clients.ts';
import type { Session } from './session.ts';

const selectUser = 'SELECT name, tenant, version, body FROM user WHERE cluster = ? AND name = ?';
const selectUsers = 'SELECT name, tenant, version, body FROM user WHERE cluster = ?';
const insertUser =
  'INSERT INTO user (cluster, name, tenant, version, body) VALUES (?, ?, ?, 1, ?) IF NOT EXISTS';
const updateUser =
  'UPDATE user SET tenant = ?, version = ?, body = ? WHERE cluster = ? AND name = ? IF version = ?';
const deleteUser = 'DELETE FROM user WHERE cluster = ? AND name = ? IF version = ?';
const selectTenant = 'SELECT tenant, cluster, version, body FROM tenant WHERE tenant = ?';
const selectTenants = 'SELECT tenant, cluster, version, body FROM tenant';
const insertTenant =
  'INSERT INTO tenant (tenant, cluster, version, body) VALUES (?, ?, 1, ?) IF NOT EXISTS';
const updateTenant =
  'UPDATE tenant SET version = ?, body = ? WHERE tenant = ? IF version = ? AND cluster = ?';

export class CassandraAccounts {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  async user(name: string): Promise<UserRecord | null> {
    const query = { query: selectUser, params: [this.#session.cluster, name] };
    const [row] = await this.#session.readAuthority(`user ${name}`, 'look', query);
    return row === undefined ? null : userOf(row);
  }

  async putUser({ name, tenant, version, body }: UserRecord): Promise<boolean> {
    const { cluster } = this.#session;
    const bytes = blobParam(body);
    const query =
      version === 1
        ? { query: insertUser, params: [cluster, name, tenant, bytes] }
        : { query: updateUser, params: [tenant, version, bytes, cluster, name, version - 1] };
    return (await this.#session.cas(`user ${name}`, query)).applied;
  }

  async deleteUser(name: string, version: number): Promise<boolean> {
    const query = { query: deleteUser, params: [this.#session.cluster, name, version] };
    return (await this.#session.cas(`user ${name}`, query)).applied;
  }

  async listUsers(tenant: string | null, limit: number): Promise<readonly UserRecord[]> {
    const found: UserRecord[] = [];
    const query = { query: selectUsers, params: [this.#session.cluster] };
    if (limit === 0) return found;
    for await (const row of this.#session.rows('users', 'scan', query)) {
      if (tenant === null || row['tenant'] === tenant) found.push(userOf(row));
      if (found.length >= limit) break;
    }
    return found;
  }

  async tenant(tenant: string): Promise<TenantRecord | null> {
    const query = { query: selectTenant, params: [tenant] };
    const [row] = await this.#session.readAuthority(`tenant ${tenant}`, 'look', query);
    return row === undefined || !this.#isOurs(row) ? null : tenantRecordOf(row);
  }

  async putTenant({ tenant, version, body }: TenantRecord): Promise<boolean> {
    const { cluster } = this.#session;
    const bytes = blobParam(body);
    const query =
      version === 1
        ? { query: insertTenant, params: [tenant, cluster, bytes] }
        : { query: updateTenant, params: [version, bytes, tenant, version - 1, cluster] };
    return (await this.#session.cas(`tenant ${tenant}`, query)).applied;
  }

  /** Goes through the tenants of all clusters: they stand in no order but that of their hashes. */
  async listTenants(limit: number): Promise<readonly TenantRecord[]> {
    let found: TenantRecord[] = [];
    const query = { query: selectTenants, params: [] };
    for await (const row of this.#session.rows('tenants', 'scan', query)) {
      if (this.#isOurs(row)) found.push(tenantRecordOf(row));
      if (found.length > 2 * limit + 1000) found = firstOf(found, limit);
    }
    return firstOf(found, limit);
  }

  #isOurs(row: DriverRow): boolean {
    return row['cluster'] === this.#session.cluster;
  }
}

function firstOf(tenants: readonly TenantRecord[], limit: number): TenantRecord[] {
  return tenants.toSorted((left, right) => compareText(left.tenant, right.tenant)).slice(0, limit);
}

function userOf(row: DriverRow): UserRecord {
  const [name, tenant] = [text(row, 'name'), text(row, 'tenant')];
  return { name, tenant, version: whole(row, 'version'), body: blob(row, 'body') };
}

function tenantRecordOf(row: DriverRow): TenantRecord {
  return { tenant: text(row, 'tenant'), version: whole(row, 'version'), body: blob(row, 'body') };
}
