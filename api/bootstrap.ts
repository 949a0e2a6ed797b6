// The first start of an installation: a tenant, an administrator who is also operator, and a token without an end.
// The user's record decides who was first: it is written last, so that no crash leaves an administrator whose key nobody has.

import type { Outcome } from '../actors/refusal.ts';
import type { Role } from '../actors/resources.ts';
import { TocsinError } from '../runtime/errors.ts';
import { actorKey } from '../runtime/ids.ts';
import type { ApiPorts } from './ports.ts';
import { newApiKey, randomText } from './secret.ts';
import { createTenant } from './tenant-create.ts';
import { hashOf } from './token.ts';
import { ownChange, putToken } from './token-issue.ts';
import { transactionIds } from './transaction-id.ts';
import { findUser, putUser, tenantIdForm, type User, userNameForm } from './user.ts';

/** Content of `admin.json`. */
export interface FirstAdmin {
  readonly tenantId: string;
  readonly username: string;
  readonly apiKey: string;
  readonly token: string;
}

export interface BootstrapOptions {
  /** Default `100000`. */
  readonly tenantId?: string;
  /** Default `admin`. */
  readonly username?: string;
  /** `TOCSIN_ADMIN_API_KEY`; absent: made here. */
  readonly apiKey?: string | undefined;
  /** Called before the deciding write: keep the secrets aside (a file beside its final place). */
  readonly onPrepared?: (admin: FirstAdmin) => Promise<void>;
}

type BootstrapPorts = Pick<
  ApiPorts,
  'accounts' | 'router' | 'random' | 'clock' | 'node' | 'tenantLimits'
>;

const roles: readonly Role[] = ['admin', 'operator'];

/**
 * Makes the first tenant and administrator; null where the installation has its administrator already (another node was
 * first). Rejects where store or actors do not answer: nothing was decided then, and the next start tries again.
 */
export async function bootstrapAdmin(
  ports: BootstrapPorts,
  options: BootstrapOptions = {},
): Promise<FirstAdmin | null> {
  const { tenantId = '100000', username = 'admin' } = options;
  if (!tenantIdForm.test(tenantId) || !userNameForm.test(username)) {
    throw new TocsinError('AP_BOOTSTRAP_FAILED', 'the first tenant or user name is not valid');
  }
  if ((await findUser(ports.accounts, username)) !== null) return null;
  const apiKey = options.apiKey ?? newApiKey(ports.random);
  const change = ownChange(transactionIds(ports)(), username, '/bootstrap');
  const tenant = { tenant: tenantId, label: 'First tenant', limits: ports.tenantLimits, change };
  await createTenant(ports, tenant);
  const holder = { tenant: tenantId, user: username, roles };
  const { text, token } = await putToken(ports, holder, { lifeMs: null, change });
  const admin: FirstAdmin = { tenantId, username, apiKey, token: text };
  await options.onPrepared?.(admin);
  const isFirst = await putUser(ports.accounts, userOf(ports, admin));
  if (isFirst) return admin;
  const revoke = { kind: 'token.delete', id: token.id, change } as const;
  await ports.router.ask<Outcome<unknown>>(actorKey(tenantId), revoke);
  return null;
}

function userOf(ports: BootstrapPorts, admin: FirstAdmin): User {
  return {
    name: admin.username,
    tenant: admin.tenantId,
    version: 1,
    id: randomText(ports.random, 10),
    keyHash: hashOf(admin.apiKey),
    passwordHash: null,
    roles,
    createdAtMs: ports.clock.nowMs(),
  };
}
