// Who a request is: its token looked up in the tenant's documents. Cached here is only which hash a token text has, so that
// a revoked token ends with the node's own copy of the documents.
// Answers with an ApiError: 401 for what is no valid token, 403 for a foreign tenant or a missing role.
import type { Role } from '../actors/resources.ts';
import type { TenantDocuments } from '../actors/tenant/documents.ts';
import { AttemptGuard } from './attempt-guard.ts';
import { ApiError } from './errors.ts';
import type { ApiPorts } from './ports.ts';
import { mayCall, type RoleClass } from './roles.ts';
import { matchesHash, type ParsedToken, parseToken } from './token.ts';

export interface Principal {
  /** From the token only, never from the path. */
  readonly tenant: string;
  readonly user: string;
  readonly roles: readonly Role[];
  readonly tokenId: string;
  readonly expiresAtMs: number | null;
  readonly documents: TenantDocuments;
}

/** How often a tenant's documents are read again for a token that the copy lacks. */
const freshEveryMs = 1_000;
const freshKeysMax = 10_000;
/** Token texts whose hash is known; 1,000 × some 400 bytes. */
const provenMax = 1_000;

/** A token text that was good once: what it says, and the hash that it has. */
interface Proven extends ParsedToken {
  readonly hash: string;
}

export class Authenticator {
  readonly #ports: ApiPorts;
  readonly #guard: AttemptGuard;
  readonly #freshAtMonoMs = new Map<string, number>();
  readonly #proven = new Map<string, Proven>();

  constructor(ports: ApiPorts) {
    this.#ports = ports;
    this.#guard = new AttemptGuard(ports.clock, ports.limits.loginWindowMs);
  }

  /** Returns who holds this token; throws 401, or 429 after too many unknown tokens from one address. */
  async principal(text: string | undefined, address: string): Promise<Principal> {
    const waitSeconds = this.#guard.blockedSeconds(
      address,
      this.#ports.limits.tokenFailuresPerAddress,
    );
    if (waitSeconds > 0) throw tooMany('Too many requests with unknown tokens', waitSeconds);
    const known = text === undefined || text === '' ? null : await this.find(text);
    if (known !== null) return known;
    if (text !== undefined && text !== '') this.#guard.failed(address);
    throw unauthorized(
      text ? 'The token is unknown or has expired' : 'A header X-Auth-Token is needed',
    );
  }

  /** Returns who holds this token, or null where nobody does (any more). Rejects where documents cannot be read. */
  async find(text: string): Promise<Principal | null> {
    const proven = this.#proven.get(text);
    const parsed = proven ?? parseToken(text);
    if (parsed === null) return null;
    const known = await this.#ports.documents(parsed.tenant);
    const documents =
      known !== null && !known.tokens.has(parsed.id) && this.#mayRefresh(parsed.tenant)
        ? await this.#ports.documents(parsed.tenant, { fresh: true })
        : known;
    const token = documents?.tokens.get(parsed.id);
    if (documents === null || token === undefined) return null;
    // Both hashes are the node's own: nothing is learned from how long it takes to compare them.
    if (proven?.hash !== token.hash) {
      if (!matchesHash(text, token.hash)) return null;
      this.#prove(text, { ...parsed, hash: token.hash });
    }
    if (token.expires_at !== null && token.expires_at <= this.#ports.clock.nowMs()) return null;
    return {
      tenant: parsed.tenant,
      user: token.user,
      roles: token.roles,
      tokenId: token.id,
      expiresAtMs: token.expires_at,
      documents,
    };
  }

  /** Remembers a token text with its hash; a full table forgets the oldest. */
  #prove(text: string, proven: Proven): void {
    if (this.#proven.size >= provenMax) {
      const oldest = this.#proven.keys().next();
      if (!oldest.done) this.#proven.delete(oldest.value);
    }
    this.#proven.set(text, proven);
  }

  #mayRefresh(tenant: string): boolean {
    const nowMonoMs = this.#ports.clock.monoMs();
    const last = this.#freshAtMonoMs.get(tenant);
    if (last !== undefined && nowMonoMs - last < freshEveryMs) return false;
    this.#freshAtMonoMs.delete(tenant);
    if (this.#freshAtMonoMs.size >= freshKeysMax) {
      const oldest = this.#freshAtMonoMs.keys().next();
      if (!oldest.done) this.#freshAtMonoMs.delete(oldest.value);
    }
    this.#freshAtMonoMs.set(tenant, nowMonoMs);
    return true;
  }
}

/** Throws 403 where the principal may not call operations of this class. */
export function demandRole(principal: Principal, wanted: RoleClass): void {
  if (mayCall(principal.roles, wanted)) return;
  throw new ApiError('missingCapabilitiesError', 'Not allowed for the roles of this token', {
    details: `The operation needs a role with the capability "${wanted}"; this token has: ${principal.roles.join(', ') || 'none'}`,
  });
}

/** Throws 403 where the tenant in the path is another one's. Lower case, for an old client lower-cases its URL. */
export function demandTenant(principal: Principal, inPath: string): void {
  if (inPath.toLowerCase() === principal.tenant) return;
  throw new ApiError('forbiddenError', 'This token belongs to another tenant');
}

/** Returns a 401 with the challenge that old clients are told. */
export function unauthorized(message: string): ApiError {
  return new ApiError('unauthorizedError', message, {
    headers: { 'WWW-Authenticate': 'Keystone uri="/v2.0"' },
  });
}

/** Returns a 429 that says after how many seconds to come again. */
export function tooMany(message: string, waitSeconds: number): ApiError {
  const after = String(waitSeconds);
  return new ApiError('rateLimitReached', message, {
    headers: { 'Retry-After': after, 'Reply-After': after },
  });
}
