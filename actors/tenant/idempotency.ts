// The ring of a tenant's last changes that carried an `Idempotency-Key`: the same request again gets the first outcome.
// Stored in the root document, so it holds through any node and after the owner's death. Must not know what changed.
import type { Change } from '../change.ts';
import { accepted, type Outcome, refused } from '../refusal.ts';

/** One accepted change: its key, the hash of its request, and its reply's value. */
export interface RecentChange {
  readonly key: string;
  readonly hash: string;
  readonly atMs: number;
  readonly value: unknown;
}

/** At most 64 keys (≈ 15 kB of the root document), until newer ones push them out: a stepped wall clock forgets none. */
const recentChangesMax = 64;

/**
 * Returns the first outcome of a repeated change, a refusal where its key came with another request,
 * or null for a new change. Refused changes are not kept: they changed nothing and are judged anew.
 */
export function repeated(recent: readonly RecentChange[], change: Change): Outcome<unknown> | null {
  if (change.idempotencyKey === null) return null;
  const first = recent.find((one) => one.key === change.idempotencyKey);
  if (first === undefined) return null;
  if (first.hash === change.requestHash) return accepted(first.value);
  return refused('badRequest', 'Idempotency-Key was used for another request');
}

/** Returns the ring with an accepted change added; changes without a key leave it as it is. */
export function remembered(
  recent: readonly RecentChange[],
  change: Change,
  value: unknown,
  nowMs: number,
): readonly RecentChange[] {
  if (change.idempotencyKey === null) return recent;
  const added: RecentChange = {
    key: change.idempotencyKey,
    hash: change.requestHash,
    atMs: nowMs,
    value,
  };
  return [...recent, added].slice(-recentChangesMax);
}
