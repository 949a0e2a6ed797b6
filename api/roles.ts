// Which roles may call which class of operations, as one matrix. The most permissive role of a token wins.
// Follows Cloud Monitoring v1.0's per-operation matrix with its quirks; `operator` is Tocsin's own and reads no tenant's objects.
import type { Role } from '../actors/resources.ts';

/**
 * Class of an operation. `read`: GET; `readChecks`: GET of checks (quirk: not for observers); `create`: POST of a resource;
 * `test`: test calls and what every role may do; `admin`: PUT, DELETE, secrets; `operator`: the installation's tenants and
 * users; `public`: no token.
 */
export type RoleClass = 'public' | 'read' | 'readChecks' | 'create' | 'test' | 'admin' | 'operator';

type Capability = Exclude<RoleClass, 'public'>;

const observer: readonly Capability[] = ['read', 'test'];
const creator: readonly Capability[] = [...observer, 'readChecks', 'create'];
const admin: readonly Capability[] = [...creator, 'admin'];

const capabilities: Readonly<Record<Role, readonly Capability[]>> = {
  admin,
  'monitoring:admin': admin,
  'identity:user-admin': admin,
  'monitoring:creator': creator,
  observer,
  'monitoring:observer': observer,
  operator: ['operator'],
};

/** All roles, for validation and for the served description. */
export const roleNames = Object.keys(capabilities) as readonly Role[];

/** True where one of `roles` may call operations of this class. */
export function mayCall(roles: readonly Role[], wanted: RoleClass): boolean {
  if (wanted === 'public') return true;
  return roles.some((role) => capabilities[role]?.includes(wanted) ?? false);
}
