// Short ways to write rows of the route table. What protects a route (role, tenant rule, audit) is written in each row or
// follows from the kind of row; `checkRoutes` looks at the finished rows.
import type { Answer } from '../answer.ts';
import type { Call } from '../call.ts';
import { changeQuery, type JsonSchema } from '../json-schema.ts';
import type { RateClass } from '../rate-limits.ts';
import type { RoleClass } from '../roles.ts';
import type { Route } from '../route.ts';
import type { AuditRule, BodyUse, Method } from '../route-facts.ts';

interface Row {
  readonly id: string;
  /** Below `/v1.0/:tenant`. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  readonly handle: (call: Call) => Promise<Answer>;
  readonly query?: Readonly<Record<string, JsonSchema>>;
  readonly own?: boolean;
}

export interface ReadRow extends Row {
  readonly role: RoleClass;
  readonly returns: JsonSchema;
  readonly rate?: RateClass;
  /** Content type where it is not JSON. */
  readonly type?: string;
}

export interface ChangeRow extends Row {
  readonly role: RoleClass;
  readonly takes?: JsonSchema;
  /** Default: no body (201, 204). */
  readonly returns?: JsonSchema;
  readonly status: number;
  readonly audit: AuditRule;
  readonly rate?: RateClass;
  readonly bodyUse?: BodyUse;
}

/** A GET of a tenant's resource. */
export function read(row: ReadRow): Route {
  const { id, tag, summary, role, handle } = row;
  return {
    method: 'GET',
    path: `/v1.0/:tenant${row.path}`,
    id,
    tag,
    summary,
    role,
    tenant: 'path',
    rate: row.rate ?? 'global',
    audit: 'none',
    query: row.query ?? {},
    body: null,
    response: {
      status: 200,
      schema: row.returns,
      ...(row.type === undefined ? {} : { type: row.type }),
    },
    own: row.own ?? false,
    handle,
  };
}

/** A POST, PUT or DELETE of a tenant's resource. */
export function change(method: Exclude<Method, 'GET'>, row: ChangeRow): Route {
  const { id, tag, summary, role, audit, handle } = row;
  const body = row.takes ?? (row.bodyUse === undefined ? null : {});
  return {
    method,
    path: `/v1.0/:tenant${row.path}`,
    id,
    tag,
    summary,
    role,
    tenant: 'path',
    rate: row.rate ?? 'global',
    audit,
    query: { ...changeQuery, ...row.query },
    body: body === null ? null : { use: row.bodyUse ?? 'attributes', schema: body },
    response: { status: row.status, schema: row.returns ?? null },
    own: row.own ?? false,
    handle,
  };
}

/** POST that creates a resource: 201 with Location, audited by the actor that commits it. */
export function create(row: Omit<ChangeRow, 'role' | 'status' | 'audit'>): Route {
  return change('POST', { ...row, role: 'create', status: 201, audit: 'actor' });
}

/** PUT that changes a resource: 204 with Location, for administrators. */
export function update(row: Omit<ChangeRow, 'role' | 'status' | 'audit'>): Route {
  return change('PUT', { ...row, role: 'admin', status: 204, audit: 'actor' });
}

/** DELETE of a resource: 204, for administrators. */
export function remove(row: Omit<ChangeRow, 'role' | 'status' | 'audit'>): Route {
  return change('DELETE', { ...row, role: 'admin', status: 204, audit: 'actor' });
}

/** POST of a test call: every role may, rate limited by its own class, recorded by the API. */
export function test(row: Omit<ChangeRow, 'role' | 'status' | 'audit'>): Route {
  return change('POST', { ...row, role: 'test', status: 200, audit: 'api' });
}
