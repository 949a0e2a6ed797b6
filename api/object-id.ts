// Ids of new objects: prefix and 8 characters, derived from the tenant, the kind and the request, so that a repeated create
// names the same object through any node. An id taken by an older object is refused as `conflict`; then a counter is added.
import { createHash } from 'node:crypto';
import type { Created } from '../actors/change.ts';
import type { Outcome } from '../actors/refusal.ts';
import { ofRefusal, tryLater } from './errors.ts';
import { textOfBytes } from './secret.ts';

export type ObjectKind = 'entity' | 'check' | 'alarm' | 'notification' | 'plan' | 'suppression';

const prefixes: Readonly<Record<ObjectKind, string>> = {
  entity: 'en',
  check: 'ch',
  alarm: 'al',
  notification: 'nt',
  plan: 'np',
  suppression: 'sp',
};

const triesMax = 5;

/** Returns the candidate id. `seed`: the request's Idempotency-Key, else its txnId. */
export function objectId(tenant: string, kind: ObjectKind, seed: string, counter: number): string {
  const text = `${tenant}|${kind}|${seed}${counter === 0 ? '' : `|${counter}`}`;
  return prefixes[kind] + textOfBytes(createHash('sha256').update(text).digest(), 8);
}

/** Creates with one candidate id after the other until one is free; 5 at most. Throws the ApiError of other refusals. */
export async function createWithId(
  candidate: (counter: number) => string,
  create: (id: string) => Promise<Outcome<Created>>,
): Promise<string> {
  for (let counter = 0; counter < triesMax; counter++) {
    const outcome = await create(candidate(counter));
    if (outcome.ok) return outcome.value.id;
    if (outcome.error.type !== 'conflict') throw ofRefusal(outcome.error);
  }
  throw tryLater('No free id was found, try again');
}
