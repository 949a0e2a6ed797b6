// Classes A and D in memory: head rows and log rows of the 1024 shards, with the conditions of the contract.
// Follows storage.md §4 (Q3 to Q7). Must not know who calls.
import { type Epoch, type ShardId, shardsTotal } from '../../runtime/ids.ts';
import type { CommitBatch, NewLogRow, ShardHead } from '../../runtime/ports.ts';
import type { ShardLogOperations } from '../operations.ts';

interface Shard {
  head: ShardHead;
  /** Rows in seq order; the first has seq `firstSeq`. */
  rows: NewLogRow[];
  firstSeq: number;
}

/** Returns the operations over 1024 fresh head rows: epoch 0, no owner. */
export function memoryShardLog(): ShardLogOperations {
  const shards = Array.from({ length: shardsTotal }, emptyShard);
  const at = (shard: ShardId): Shard => shards[shard] as Shard;
  return {
    readHead: (shard) => at(shard).head,
    claim: (shard, claim) => {
      const row = at(shard);
      if (row.head.epoch !== claim.seen || row.head.owner !== claim.was) {
        return { applied: false, head: row.head };
      }
      const { epoch, owner, tsBase } = claim;
      row.head = { ...row.head, epoch, owner, tsBase };
      return { applied: true };
    },
    commit: (batch) => commit(at(batch.shard), batch),
    readTail: (shard, above) => {
      const { rows, firstSeq } = at(shard);
      return rows.slice(Math.max(0, above + 1 - firstSeq)).map(copyRow);
    },
  };
}

function commit(shard: Shard, batch: CommitBatch): ReturnType<ShardLogOperations['commit']> {
  const { epoch, owner, head, dispatched, snap } = shard.head;
  if (epoch !== batch.epoch || owner !== batch.owner || head !== batch.prevHead) {
    return { applied: false, epoch, owner, head };
  }
  shard.rows.push(...batch.rows);
  shard.head = {
    ...shard.head,
    head: head + batch.rows.length,
    dispatched: Math.max(dispatched, batch.dispatched),
    snap: Math.max(snap, batch.snap),
  };
  if (batch.trimTo >= shard.firstSeq) {
    shard.rows = shard.rows.slice(batch.trimTo + 1 - shard.firstSeq);
    shard.firstSeq = batch.trimTo + 1;
  }
  return { applied: true };
}

function emptyShard(): Shard {
  const head = { epoch: 0 as Epoch, owner: '', head: 0, dispatched: 0, snap: 0, tsBase: 0 };
  return { head, rows: [], firstSeq: 1 };
}

function copyRow(row: NewLogRow): NewLogRow {
  return { seq: row.seq, key: row.key, kind: row.kind, body: new Uint8Array(row.body) };
}
