// What is known of a route as data: method, path, who may, what it takes and answers. Types only; what it does is in route.ts.
import type { JsonSchema } from './json-schema.ts';
import type { RateClass } from './rate-limits.ts';
import type { RoleClass } from './roles.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/**
 * `path`: `:tenant` must be the token's own. `named`: an operator acts on the tenant in the path. `none`: no tenant in it.
 */
export type TenantRule = 'path' | 'named' | 'none';

/**
 * What becomes of a body. `attributes`: a JSON object, or none, taken as `{}`. `ignored`: whatever comes is not looked at.
 */
export type BodyUse = 'attributes' | 'ignored';

/**
 * Who writes the audit record. `actor`: the change's own commit, the API only where it was refused; `api`: the API, always
 * (tests, users); `none`: reads, and log-ins, which the log has.
 */
export type AuditRule = 'actor' | 'api' | 'none';

/** A route without what it does. */
export interface RouteFacts {
  readonly method: Method;
  /** `/v1.0/:tenant/entities/:entity` */
  readonly path: string;
  /** Operation id, unique. */
  readonly id: string;
  readonly tag: string;
  readonly summary: string;
  readonly role: RoleClass;
  readonly tenant: TenantRule;
  readonly rate: RateClass;
  readonly audit: AuditRule;
  /** Query parameters that mean something, by name. */
  readonly query: Readonly<Record<string, JsonSchema>>;
  readonly body: { readonly use: BodyUse; readonly schema: JsonSchema } | null;
  readonly response: {
    readonly status: number;
    readonly schema: JsonSchema | null;
    readonly type?: string;
  };
  /** Tocsin's own: unknown body keys are refused, not ignored. */
  readonly own: boolean;
}
