// Class A, accounts, in memory: users and tenants, put if absent or over the version before.
import type { AccountOperations } from '../operations.ts';
import { compareText } from '../order.ts';

/** Returns the operations over no users and no tenants. */
export function memoryAccounts(): AccountOperations {
  const users = new Shelf<Parameters<AccountOperations['putUser']>[0]>();
  const tenants = new Shelf<Parameters<AccountOperations['putTenant']>[0]>();
  return {
    user: (name) => users.get(name),
    putUser: (user) => users.put(user.name, user),
    deleteUser: (name, version) => users.delete(name, version),
    listUsers: (tenant, limit) =>
      users.list((user) => tenant === null || user.tenant === tenant, limit),
    tenant: (tenant) => tenants.get(tenant),
    putTenant: (tenant) => tenants.put(tenant.tenant, tenant),
    listTenants: (limit) => tenants.list(() => true, limit),
  };
}

class Shelf<Row extends { readonly version: number; readonly body: Uint8Array }> {
  readonly #rows = new Map<string, Row>();

  get(name: string): Row | null {
    const row = this.#rows.get(name);
    return row === undefined ? null : copyRow(row);
  }

  put(name: string, row: Row): boolean {
    if ((this.#rows.get(name)?.version ?? 0) !== row.version - 1) return false;
    this.#rows.set(name, row);
    return true;
  }

  delete(name: string, version: number): boolean {
    return this.#rows.get(name)?.version === version && this.#rows.delete(name);
  }

  list(isWanted: (row: Row) => boolean, limit: number): readonly Row[] {
    return [...this.#rows]
      .filter(([, row]) => isWanted(row))
      .sort(([left], [right]) => compareText(left, right))
      .slice(0, limit)
      .map(([, row]) => copyRow(row));
  }
}

function copyRow<Row extends { readonly body: Uint8Array }>(row: Row): Row {
  return { ...row, body: new Uint8Array(row.body) };
}
