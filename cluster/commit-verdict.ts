// What became of a batch: the one place that reads an answer, a refusal or an error of the shard's log (clustering.md §7,
// "Timeout = unknown"). Pure. Must not know who waits.
import { AssertionFailure } from '../runtime/assert.ts';
import { TocsinError } from '../runtime/errors.ts';
import type { CommitBatch, CommitOutcome } from '../runtime/ports.ts';

/**
 * `applied`, `lost`: final. `again`: it did not apply so far, send the same batch. `unknown`: read the head row.
 * `nothing`: it surely did not happen, the store is away. `impossible`: it can never happen, a fault of the program.
 */
export type Verdict = 'applied' | 'lost' | 'again' | 'unknown' | 'nothing' | 'impossible';

type Batch = Pick<CommitBatch, 'epoch' | 'owner' | 'prevHead' | 'rows'>;

/** Returns what an answer to a commit says; `inDoubt`: an earlier try of this batch may have been applied. */
export function verdictOfOutcome(outcome: CommitOutcome, batch: Batch, inDoubt: boolean): Verdict {
  if (outcome.applied) return 'applied';
  const seen = verdictOfHead(outcome, batch);
  if (seen === 'applied' && !inDoubt) return 'lost';
  return seen === 'again' ? 'unknown' : seen;
}

/** Returns what a head row read after an unknown outcome says. A batch without rows leaves no trace: it is sent again. */
export function verdictOfHead(
  seen: { readonly epoch: number; readonly owner: string; readonly head: number },
  batch: Batch,
): Verdict {
  if (seen.epoch !== batch.epoch || seen.owner !== batch.owner) return 'lost';
  if (seen.head === batch.prevHead) return 'again';
  return seen.head === batch.prevHead + batch.rows.length ? 'applied' : 'lost';
}

const nothingCodes: ReadonlySet<string> = new Set(['ST_UNAVAILABLE', 'ST_CLOSED', 'ST_LOCKED']);

/** Returns what an error of a commit says. Whatever is not surely harmless is unknown. */
export function verdictOfError(error: unknown): Verdict {
  if (error instanceof AssertionFailure) return 'impossible';
  if (!(error instanceof TocsinError)) return 'unknown';
  if (nothingCodes.has(error.code)) return 'nothing';
  return error.code === 'ST_FAILED' ? 'impossible' : 'unknown';
}
