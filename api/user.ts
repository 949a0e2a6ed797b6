// A user as `Accounts` stores it: name → tenant, and a body with the hashes and roles. Owns the body's form.
// Must not know HTTP. Names are unique over the installation.
import type { Role } from '../actors/resources.ts';
import { decodeValue, encodeValue } from '../runtime/codec.ts';
import type { Accounts, UserRecord } from '../runtime/ports.ts';
import { roleNames } from './roles.ts';

export interface User {
  readonly name: string;
  readonly tenant: string;
  /** Counts the changes of the record; a change is refused where another came first. */
  readonly version: number;
  readonly id: string;
  /** sha256 hex of the API key; null: none. */
  readonly keyHash: string | null;
  /** scrypt; null: no password log-in. */
  readonly passwordHash: string | null;
  readonly roles: readonly Role[];
  readonly createdAtMs: number;
}

/** Name of a user: 1..64 of letters, digits and `._@+-`. */
export const userNameForm = /^[A-Za-z0-9._@+-]{1,64}$/;
/** Id of a tenant: lower case, for an old client lower-cases its URL. `operator` is a path of the API. */
export const tenantIdForm = /^(?!operator$)[a-z0-9][a-z0-9:._-]{0,63}$/;

/** Returns the user, or null. Rejects where the store does not answer. */
export async function findUser(accounts: Accounts, name: string): Promise<User | null> {
  if (!userNameForm.test(name)) return null;
  const record = await accounts.user(name);
  return record === null ? null : userOf(record);
}

/** Returns the users of a tenant, at most `limit`, by name. */
export async function listUsers(
  accounts: Accounts,
  tenant: string,
  limit: number,
): Promise<readonly User[]> {
  const records = await accounts.listUsers(tenant, limit);
  return records.map(userOf).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Writes a user at its version; false: another change came first (version 1: the name is taken). */
export function putUser(accounts: Accounts, user: User): Promise<boolean> {
  const { name, tenant, version, ...body } = user;
  return accounts.putUser({ name, tenant, version, body: encodeValue(body) });
}

function userOf(record: UserRecord): User {
  const body = decodeValue(record.body) as Readonly<Record<string, unknown>>;
  const roles = Array.isArray(body['roles']) ? body['roles'] : [];
  return {
    name: record.name,
    tenant: record.tenant,
    version: record.version,
    id: String(body['id'] ?? record.name),
    keyHash: typeof body['keyHash'] === 'string' ? body['keyHash'] : null,
    passwordHash: typeof body['passwordHash'] === 'string' ? body['passwordHash'] : null,
    roles: roles.filter((role): role is Role => roleNames.includes(role as Role)),
    createdAtMs: typeof body['createdAtMs'] === 'number' ? body['createdAtMs'] : 0,
  };
}
