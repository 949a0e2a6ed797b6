// Making a tenant: its record in the accounts, then its actor's first message with the secrets. Repeating it changes nothing,
// so a creation that was cut off is finished by the next attempt.
import type { Change } from '../actors/change.ts';
import type { Outcome } from '../actors/refusal.ts';
import type { AccountDoc, LimitsDoc } from '../actors/resources.ts';
import { decodeValue, encodeValue } from '../runtime/codec.ts';
import { actorKey } from '../runtime/ids.ts';
import type { TenantRecord } from '../runtime/ports.ts';
import { ofRefusal } from './errors.ts';
import type { ApiPorts } from './ports.ts';
import { newSigningSecret, randomText } from './secret.ts';

export interface NewTenant {
  readonly tenant: string;
  readonly label: string;
  readonly limits: LimitsDoc;
  readonly change: Change;
}

/** Creates a tenant; false where its record existed (its actor is made sure of all the same). */
export async function createTenant(
  ports: Pick<ApiPorts, 'accounts' | 'router' | 'random' | 'clock'>,
  wanted: NewTenant,
): Promise<boolean> {
  const { tenant, label, limits, change } = wanted;
  const body = encodeValue({ label, createdAtMs: ports.clock.nowMs() });
  const record: TenantRecord = { tenant, version: 1, body };
  const isNew = await ports.accounts.putTenant(record);
  const account: AccountDoc = {
    id: `ac${randomText(ports.random, 8)}`,
    metadata: {},
    webhook_token: randomText(ports.random, 32),
    signing_secret: newSigningSecret(ports.random),
    technical_contacts: [],
  };
  const message = { kind: 'tenant.create', account, limits, change } as const;
  const outcome = await ports.router.ask<Outcome<unknown>>(actorKey(tenant), message);
  if (!outcome.ok) throw ofRefusal(outcome.error);
  return isNew;
}

/** Returns a tenant as operators see it; `label` is its id where it has none. */
export function tenantItem(record: TenantRecord): {
  readonly id: string;
  readonly label: string;
  readonly created_at: number | null;
} {
  const body = (decodeValue(record.body) ?? {}) as {
    readonly label?: unknown;
    readonly createdAtMs?: unknown;
  };
  const { label, createdAtMs } = body;
  return {
    id: record.tenant,
    label: typeof label === 'string' && label !== '' ? label : record.tenant,
    created_at: typeof createdAtMs === 'number' ? createdAtMs : null,
  };
}
