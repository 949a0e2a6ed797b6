// Making and revoking tokens through the tenant actor, which commits them. A token works on this node as soon as it is told.
import type { Change } from '../actors/change.ts';
import type { Outcome } from '../actors/refusal.ts';
import type { Role, TokenDoc } from '../actors/resources.ts';
import { actorKey } from '../runtime/ids.ts';
import type { Call } from './call.ts';
import { ofRefusal } from './errors.ts';
import type { IssuedToken } from './issued-tokens.ts';
import type { ApiPorts } from './ports.ts';
import { hashOf, newToken } from './token.ts';
import type { User } from './user.ts';

/** Returns a change that no client made in this form: of a log-in, or of the node itself. */
export function ownChange(txnId: string, who: string, what: string): Change {
  return {
    txnId,
    who,
    why: null,
    idempotencyKey: null,
    requestHash: hashOf(`${txnId} ${what}`),
    audit: { method: 'POST', url: what, app: 'tokens', query: null, headers: {}, payload: '' },
  };
}

/** Commits a token and returns its text and document. `lifeMs` null: until revoked. */
export async function putToken(
  ports: Pick<ApiPorts, 'router' | 'clock' | 'random'>,
  holder: { readonly tenant: string; readonly user: string; readonly roles: readonly Role[] },
  options: { readonly lifeMs: number | null; readonly change: Change },
): Promise<{ readonly text: string; readonly token: TokenDoc }> {
  const made = newToken(holder.tenant, ports.random);
  const nowMs = ports.clock.nowMs();
  const token: TokenDoc = {
    id: made.id,
    hash: hashOf(made.text),
    user: holder.user,
    roles: holder.roles,
    created_at: nowMs,
    expires_at: options.lifeMs === null ? null : nowMs + options.lifeMs,
  };
  const message = { kind: 'token.put', token, change: options.change } as const;
  const outcome = await ports.router.ask<Outcome<unknown>>(actorKey(holder.tenant), message);
  if (!outcome.ok) throw ofRefusal(outcome.error);
  return { text: made.text, token };
}

/** Issues the token of a log-in. */
export async function issueToken(call: Call, user: User): Promise<IssuedToken> {
  const { ports } = call;
  const { text, token } = await putToken(
    ports,
    { tenant: user.tenant, user: user.name, roles: user.roles },
    {
      lifeMs: ports.limits.tokenLifeMs,
      change: ownChange(call.txnId, user.name, '/v2.0/tokens'),
    },
  );
  return {
    text,
    tenant: user.tenant,
    tokenId: token.id,
    userVersion: user.version,
    issuedAtMs: token.created_at,
    expiresAtMs: token.expires_at ?? Number.MAX_SAFE_INTEGER,
  };
}

/** Revokes one token. */
export async function revokeToken(call: Call, tenant: string, tokenId: string): Promise<void> {
  const change = ownChange(call.txnId, tokenId, '/v2.0/tokens/[redacted]');
  const message = { kind: 'token.delete', id: tokenId, change } as const;
  const outcome = await call.ports.router.ask<Outcome<unknown>>(actorKey(tenant), message);
  if (!outcome.ok) throw ofRefusal(outcome.error);
}
