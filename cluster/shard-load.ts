// Reading one shard: documents and soft state beside the claim, then head row and tail again from the same low mark, so
// that nothing an old owner committed meanwhile is missed (clustering.md §7, "Load"). Must not know what the rows mean.
import type { LoadedActor } from '../runtime/behaviour.ts';
import { TocsinError } from '../runtime/errors.ts';
import type { ActorKey, Epoch, ShardId } from '../runtime/ids.ts';
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

/** A shard as it was read beside its claim: an old owner may have committed more since. */
export interface ShardCopy {
  /** The head row before the claim. */
  readonly before: ShardHead;
  readonly folded: FoldedShard;
  /** Highest seq of the rows read. */
  readonly lastSeq: number;
  /** All rows up to the head row's `head` were there. */
  readonly isWhole: boolean;
  /** Of the rows read. */
  readonly bytes: number;
}

/** A copy confirmed after the claim, and the actors of which it says more than the copy did. */
export interface ConfirmedShard extends LoadedShard {
  readonly changed: ReadonlySet<ActorKey> | 'none' | 'all';
}

type TailRows = Awaited<ReturnType<Store['shardLog']['readTail']>>;

/** Reads a shard beside its claim, from the head row just read. Rejects as the store does, or `CL_LOAD_FAILED`. */
export async function copyShard(
  options: LoadOptions,
  shard: ShardId,
  before: ShardHead,
): Promise<ShardCopy> {
  const { shardLog, states } = options.store;
  const low = lowOf(before);
  const [stored, rows] = await Promise.all([
    patiently(options, () => states.loadShard(shard)),
    before.head > low ? patiently(options, () => shardLog.readTail(shard, low)) : [],
  ]);
  const folded = fold(shard, stored, { rows, head: before });
  const all = [...stored.documents, ...stored.states, ...rows];
  return {
    before,
    folded,
    lastSeq: rows[rows.length - 1]?.seq ?? low,
    isWhole: rows.length === before.head - low,
    bytes: all.reduce((sum, row) => sum + row.body.length, 0),
  };
}

/**
 * Reads the head row again, the claim having landed under `own.epoch`, and where anything was committed or marked since the
 * copy, the shard. Rejects as `takeShard`.
 */
export async function confirmCopy(
  options: LoadOptions,
  own: { readonly shard: ShardId; readonly epoch: Epoch },
  copy: ShardCopy,
): Promise<ConfirmedShard> {
  const { authority, states } = options.store;
  const { before } = copy;
  const head = await patiently(options, () => authority.readHead(own.shard));
  if (head.epoch !== own.epoch || head.owner !== options.owner) throw lost(own.shard, head);
  const isSame =
    head.head === before.head && head.snap === before.snap && head.dispatched === before.dispatched;
  if (isSame && copy.isWhole) return { head, folded: copy.folded, changed: 'none' };
  const stored = await patiently(options, () => states.loadShard(own.shard));
  const read = await readOn(options, own, { stored, low: lowOf(before) });
  if (read.isReloaded || !copy.isWhole) return { ...read, changed: 'all' };
  const since = read.rows.filter((row) => row.seq > copy.lastSeq);
  return { ...read, changed: new Set(since.map((row) => row.key)) };
}

/** The lowest seq of which every row above may be needed. */
function lowOf(head: ShardHead): number {
  return Math.min(head.snap, head.dispatched);
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

/** Returns what is loaded with the giver's newer soft state in place of the stored one. */
export function withSoft(loaded: LoadedActor, soft: LoadedActor['soft'] | undefined): LoadedActor {
  if (soft === null || soft === undefined || soft.seq < (loaded.soft?.seq ?? 0)) return loaded;
  return { ...loaded, soft, tail: loaded.tail.filter((row) => row.seq > soft.seq) };
}

async function readOn(
  options: LoadOptions,
  own: { readonly shard: ShardId; readonly epoch: Epoch },
  first: { readonly stored: StoredRows; readonly low: number },
): Promise<LoadedShard & { readonly rows: TailRows; readonly isReloaded: boolean }> {
  const { authority, shardLog, states } = options.store;
  let { stored, low } = first;
  for (let reload = 0; ; reload++) {
    const head = await patiently(options, () => authority.readHead(own.shard));
    if (head.epoch !== own.epoch || head.owner !== options.owner) throw lost(own.shard, head);
    const from = low;
    const rows = await patiently(options, () => shardLog.readTail(own.shard, from));
    if (!isTrimmed(rows, low, head) || reload >= loadLimits.reloads) {
      const folded = fold(own.shard, stored, { rows, head });
      return { head, folded, rows, isReloaded: reload > 0 };
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
