// Reading one shard: documents and soft state beside the claim, then head row and tail again from the same low mark, so
// that nothing an old owner committed meanwhile is missed (clustering.md §7, "Load"). Must not know what the rows mean.
import { TocsinError } from '../runtime/errors.ts';
import type { Epoch, ShardId } from '../runtime/ids.ts';
import type { ShardHead, Store } from '../runtime/ports.ts';
import { type ClaimOptions, claimShard, patiently } from './claims.ts';
import { loadLimits } from './limits.ts';
import { decodeLogRow, type LogRecord } from './log-record.ts';
import { type FoldedShard, foldShard, type StoredRows } from './shard-fold.ts';

export interface LoadOptions extends ClaimOptions {
  readonly store: Pick<Store, 'authority' | 'shardLog' | 'states'>;
}

export interface LoadedShard {
  /** As read after the claim. */
  readonly head: ShardHead;
  readonly folded: FoldedShard;
}

/** Claims and loads a shard. Rejects as `claimShard` does, `CL_CLAIM_REFUSED` where it was lost meanwhile, `CL_LOAD_FAILED`. */
export async function takeShard(options: LoadOptions, shard: ShardId): Promise<LoadedShard> {
  const { authority, states } = options.store;
  const before = await patiently(options, () => authority.readHead(shard));
  const [claimed, stored] = await Promise.all([
    claimShard(options, shard, before),
    patiently(options, () => states.loadShard(shard)),
  ]);
  const low = Math.min(before.snap, before.dispatched);
  return readOn(options, { shard, epoch: claimed }, { stored, low });
}

/** Reads a shard that this process holds under `epoch`, every commit of it settled. Rejects as `takeShard`. */
export async function reloadShard(
  options: LoadOptions,
  own: { readonly shard: ShardId; readonly epoch: Epoch },
): Promise<LoadedShard> {
  const { authority, states } = options.store;
  const before = await patiently(options, () => authority.readHead(own.shard));
  const stored = await patiently(options, () => states.loadShard(own.shard));
  return readOn(options, own, { stored, low: Math.min(before.snap, before.dispatched) });
}

async function readOn(
  options: LoadOptions,
  own: { readonly shard: ShardId; readonly epoch: Epoch },
  first: { readonly stored: StoredRows; readonly low: number },
): Promise<LoadedShard> {
  const { authority, shardLog, states } = options.store;
  let { stored, low } = first;
  for (let reload = 0; ; reload++) {
    const head = await patiently(options, () => authority.readHead(own.shard));
    if (head.epoch !== own.epoch || head.owner !== options.owner) throw lost(own.shard, head);
    const from = low;
    const rows = await patiently(options, () => shardLog.readTail(own.shard, from));
    if (!isTrimmed(rows, low, head) || reload >= loadLimits.reloads) {
      return { head, folded: fold(own.shard, stored, { rows, head }) };
    }
    low = Math.min(head.snap, head.dispatched);
    stored = await patiently(options, () => states.loadShard(own.shard));
  }
}

/** True where rows above the low mark were trimmed while the shard was read: then documents may miss what they said. */
function isTrimmed(rows: readonly { seq: number }[], low: number, head: ShardHead): boolean {
  return head.head > low && rows[0]?.seq !== low + 1;
}

function fold(
  shard: ShardId,
  stored: StoredRows,
  log: { readonly rows: readonly Parameters<typeof decodeLogRow>[0][]; readonly head: ShardHead },
): FoldedShard {
  try {
    const tail: LogRecord[] = log.rows.map(decodeLogRow);
    return foldShard(stored, tail, log.head);
  } catch (cause) {
    throw new TocsinError('CL_LOAD_FAILED', `shard ${shard} does not decode`, {
      details: { shard },
      cause,
    });
  }
}

function lost(shard: ShardId, head: ShardHead): TocsinError {
  return new TocsinError('CL_CLAIM_REFUSED', `shard ${shard} was taken by ${head.owner}`, {
    retryable: true,
    details: { shard, owner: head.owner, epoch: head.epoch },
  });
}
