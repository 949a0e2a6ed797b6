// Audit records that no actor writes: of refused changes, test calls, and of the installation's users. One for each request,
// written before the answer. A store that does not answer delays nothing: the record is then in the log, and counted.

import { encodeValue } from '../runtime/codec.ts';
import { type ActorKey, actorKey, shardOf } from '../runtime/ids.ts';
import { timeId } from '../runtime/time-id.ts';
import { type Call, tenantOfCall } from './call.ts';
import { changeOf } from './change.ts';
import { asApiError } from './errors.ts';

const waitMs = 1_000;

/** Body of an audit row, as the API serves it beside its id and timestamp. */
export interface AuditBody {
  readonly headers: Readonly<Record<string, string>>;
  readonly url: string;
  readonly app: string;
  readonly query: Readonly<Record<string, string>> | null;
  readonly txnId: string;
  readonly payload: string;
  readonly method: string;
  readonly account_id: string;
  readonly who: string | null;
  readonly why: string | null;
  readonly statusCode: number;
}

/** Writes the record of this call where its route says so. Resolves within a second, never rejects. */
export async function recordCall(call: Call, statusCode: number): Promise<void> {
  const { audit } = call.route;
  const wanted = audit === 'api' || (audit === 'actor' && statusCode >= 400);
  if (!wanted || call.principal === null) return;
  try {
    await within(call, append(call, statusCode));
  } catch (error) {
    call.ports.meter.count('api_audit_lost', 1);
    call.ports.logger.error('api.audit_lost', {
      txnId: call.txnId,
      reason: asApiError(error).message,
    });
  }
}

function append(call: Call, statusCode: number): Promise<void> {
  const tenant = tenantOfCall(call);
  const key: ActorKey = actorKey(tenant);
  const atMs = call.ports.clock.nowMs();
  const { audit, who, why, txnId } = safeChange(call);
  const body: AuditBody = { ...audit, txnId, account_id: tenant, who, why, statusCode };
  return call.ports.history.append([
    {
      table: 'audit',
      partition: tenant,
      atMs,
      id: timeId(atMs, `${tenant}|${txnId}`),
      key,
      shard: shardOf(key),
      seq: 0,
      body: encodeValue(body),
    },
  ]);
}

/** A request whose very notes are refused is recorded without them. */
function safeChange(call: Call): ReturnType<typeof changeOf> {
  try {
    return changeOf(call);
  } catch {
    return changeOf({ ...call, query: new URLSearchParams(), headers: {} });
  }
}

function within(call: Call, work: Promise<void>): Promise<void> {
  const { clock } = call.ports;
  return new Promise((resolve, reject) => {
    const cancel = clock.schedule(clock.monoMs() + waitMs, () =>
      reject(new Error('the store did not answer in time')),
    );
    work.then(resolve, reject).finally(cancel);
  });
}
