// What the people of client.ts know of their objects, and the parts of their requests. Must not know when they ask.
import type { ActorKey } from '../../runtime/ids.ts';
import type { AlarmPlan } from './plan.ts';
import { hash32 } from './random.ts';

export interface Alarm {
  readonly id: string;
  readonly check: string;
}

export interface Entity {
  readonly key: ActorKey;
  readonly tenant: string;
  readonly id: string;
  checks: string[];
  alarms: Alarm[];
}

export interface Tenant {
  readonly name: string;
  readonly key: ActorKey;
  notifications: string[];
  plans: string[];
  suppressions: string[];
}

export type Reply =
  | {
      readonly ok: true;
      readonly value: {
        readonly id?: string;
        readonly checks?: string[];
        readonly alarms?: string[];
      } | null;
    }
  | { readonly ok: false; readonly error: { readonly type: string } };

/** True where the same request may fare better in a moment. */
export function isTemporary(reply: Reply): boolean {
  return !reply.ok && reply.error.type === 'systemFailureError';
}

/** Returns what the API adds to a change, its Idempotency-Key being `op`. */
export function changeOf(op: string, request: string, txnId: string) {
  const audit = {
    method: 'POST',
    url: `/${op}`,
    app: 'sim',
    query: null,
    headers: {},
    payload: '',
  };
  return {
    txnId: `.rh-${txnId}`,
    who: 'sim',
    why: null,
    idempotencyKey: op.slice(0, 128),
    requestHash: String(hash32(request)),
    audit,
  };
}

/** Criteria whose meaning the judge knows by their settings. */
export function criteriaOf({ count, level, sees }: AlarmPlan): string {
  const settings = `:set consecutiveCount=${count}\n:set consistencyLevel=${level}\n`;
  const slow = "if (metric['duration'] > 1000) { return new AlarmStatus(WARNING, 'slow'); }\n";
  return `${settings}${sees === 'duration' ? slow : ''}return new AlarmStatus(OK, 'fine');`;
}
