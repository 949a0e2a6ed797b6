// Taking a shard: a compare-and-set on exactly the epoch and owner that were read (clustering.md §7). Unknown outcomes are
// read, then decided. Whom a shard may be taken from is the caller's policy: all of them on a node alone, else the view's.
import { TocsinError } from '../runtime/errors.ts';
import { type Epoch, epoch, type ShardId } from '../runtime/ids.ts';
import type { Authority, Clock, Random, ShardHead } from '../runtime/ports.ts';
import { verdictOfError } from './commit-verdict.ts';
import { nextTsBase } from './epoch-timestamp.ts';
import { loadLimits, pipeLimits } from './limits.ts';
import { answeredWithin, pause, pauseMs } from './pause.ts';
import { listsOwner, type View } from './view.ts';

/**
 * The epoch to claim with, above that of the head row. `adopt`: the row names this process already. `stale`: its epoch is not
 * below the view's version, so the view is old. null: this owner may not be claimed from.
 */
export type ClaimVerdict = Epoch | 'adopt' | 'stale' | null;

export type ClaimPolicy = (head: ShardHead) => ClaimVerdict;

/** The policy of a node alone: its store is locked, so whoever owned a shard was an earlier run of it. */
export const soleClaimPolicy: ClaimPolicy = (head) => epoch(head.epoch + 1);

/** Returns what a member of a view may do about a shard: take it only from an owner that is not in the view. */
export function viewVerdict(view: View, owner: string, head: ShardHead): ClaimVerdict {
  if (head.owner === owner) return 'adopt';
  if (head.epoch >= view.version) return 'stale';
  return listsOwner(view, head.owner) ? null : epoch(view.version);
}

export interface ClaimOptions {
  readonly authority: Authority;
  /** `node/incarnation` of this process. */
  readonly owner: string;
  readonly policy: ClaimPolicy;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * Returns the epoch under which the shard is now owned by this process. Rejects `CL_CLAIM_REFUSED` (the policy says no),
 * `CL_VIEW_STALE` (it says so) or `CL_CLAIM_FAILED` (no answer in 30 s).
 */
export async function claimShard(
  options: ClaimOptions,
  shard: ShardId,
  seen: ShardHead,
): Promise<Epoch> {
  const { authority, owner, clock, random } = options;
  const startedMonoMs = clock.monoMs();
  let head = seen;
  for (let attempt = 1; attempt <= loadLimits.claimTries; attempt++) {
    const claimed = options.policy(head);
    if (claimed === 'adopt') return head.epoch;
    if (claimed === 'stale' || claimed === null) throw refusal(claimed, shard, head);
    const tsBase = nextTsBase(clock.nowMs(), head.tsBase);
    const claim = { seen: head.epoch, was: head.owner, epoch: claimed, owner, tsBase };
    const answer = await tryClaim(options, shard, claim);
    if (answer === 'applied') return claimed;
    if (clock.monoMs() - startedMonoMs > loadLimits.patienceMs) break;
    if (answer !== 'unknown') head = answer;
    else {
      await pause(clock, pauseMs(attempt, loadLimits, random));
      head = await patiently(options, () => authority.readHead(shard));
    }
    // A try of mine that was not answered, or answered late, won.
    if (head.epoch === claimed && head.owner === owner) return claimed;
  }
  throw new TocsinError('CL_CLAIM_FAILED', `shard ${shard} could not be claimed`, {
    retryable: true,
    details: { shard, owner: head.owner, epoch: head.epoch },
  });
}

/** Returns the head row of a refusal, or what is known else. An error that says "nothing happened" is read anew too. */
async function tryClaim(
  { authority, clock }: ClaimOptions,
  shard: ShardId,
  claim: Parameters<Authority['claim']>[1],
): Promise<'applied' | 'unknown' | ShardHead> {
  try {
    const wait = { ms: pipeLimits.answerMs, late: () => noAnswer() };
    const outcome = await answeredWithin(clock, authority.claim(shard, claim), wait);
    return outcome.applied ? 'applied' : outcome.head;
  } catch (error) {
    if (verdictOfError(error) === 'impossible') throw error;
    return 'unknown';
  }
}

/** Runs a read until the store answers it; rejects with its last error after 30 s, at once where it can never succeed. */
export async function patiently<Answer>(
  options: { readonly clock: Clock; readonly random: Random },
  read: () => Promise<Answer>,
): Promise<Answer> {
  const { clock, random } = options;
  const startedMonoMs = clock.monoMs();
  for (let attempt = 1; ; attempt++) {
    try {
      return await answeredWithin(clock, read(), { ms: pipeLimits.answerMs, late: noAnswer });
    } catch (error) {
      const isOver = clock.monoMs() - startedMonoMs > loadLimits.patienceMs;
      if (isOver || verdictOfError(error) === 'impossible') throw error;
    }
    await pause(clock, pauseMs(attempt, loadLimits, random));
  }
}

function noAnswer(): TocsinError {
  return new TocsinError('ST_UNKNOWN', 'the store did not answer in time');
}

function refusal(verdict: 'stale' | null, shard: ShardId, head: ShardHead): TocsinError {
  return verdict === 'stale' ? stale(shard, head) : refused(shard, head);
}

function stale(shard: ShardId, head: ShardHead): TocsinError {
  return new TocsinError('CL_VIEW_STALE', `shard ${shard} has epoch ${head.epoch}`, {
    retryable: true,
    details: { shard, owner: head.owner, epoch: head.epoch },
  });
}

function refused(shard: ShardId, head: ShardHead): TocsinError {
  return new TocsinError('CL_CLAIM_REFUSED', `shard ${shard} is owned by ${head.owner}`, {
    retryable: true,
    details: { shard, owner: head.owner, epoch: head.epoch },
  });
}
