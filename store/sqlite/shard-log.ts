// Classes A and D in SQLite: head rows and log rows of `shard_log`. Each operation runs inside the round's transaction.
// Follows storage.md §4: Q3 (head), Q4 (claim), Q5 and Q6 (commit, marks, trim), Q7 (tail).
import type { CommitBatch, ShardHead } from '../../runtime/ports.ts';
import type { ShardLogOperations } from '../operations.ts';
import type { Database } from './driver.ts';

/** Returns the operations with their statements prepared. */
export function sqliteShardLog(db: Database): ShardLogOperations {
  const head = db.prepare(
    `SELECT epoch, owner, head, dispatched, snap, ts_base AS tsBase
      FROM shard_log WHERE shard = ? AND seq = 0`,
  );
  const claim = db.prepare(
    `UPDATE shard_log SET epoch = ?, owner = ?, ts_base = ?
      WHERE shard = ? AND seq = 0 AND epoch = ? AND owner = ?`,
  );
  const tail = db.prepare(
    `SELECT seq, ekey AS key, kind, body FROM shard_log
      WHERE shard = ? AND seq > max(?, 0) ORDER BY seq`,
  );
  const readHead = (shard: number): ShardHead => head.get(shard);
  const commit = committer(db);
  return {
    readHead,
    claim: (shard, { seen, was, epoch, owner, tsBase }) => {
      const { changes } = claim.run(epoch, owner, tsBase, shard, seen, was);
      return changes === 1 ? { applied: true } : { applied: false, head: readHead(shard) };
    },
    commit: (batch) => {
      if (commit(batch)) return { applied: true };
      const { epoch, owner, head } = readHead(batch.shard);
      return { applied: false, epoch, owner, head };
    },
    readTail: (shard, above) => tail.all(shard, above),
  };
}

/** Returns a function that applies a batch; false: its condition does not hold and nothing changed. */
function committer(db: Database): (batch: CommitBatch) => boolean {
  // Late marks never take back newer ones: `head` does not move between two batches without rows.
  const move = db.prepare(
    `UPDATE shard_log SET head = ?, dispatched = max(dispatched, ?), snap = max(snap, ?)
      WHERE shard = ? AND seq = 0 AND epoch = ? AND owner = ? AND head = ?`,
  );
  const insert = db.prepare(
    'INSERT INTO shard_log (shard, seq, ekey, kind, body) VALUES (?, ?, ?, ?, ?)',
  );
  const trim = db.prepare('DELETE FROM shard_log WHERE shard = ? AND seq >= 1 AND seq <= ?');
  return (batch) => {
    const { shard, epoch, owner, prevHead, dispatched, snap, rows, trimTo } = batch;
    const last = prevHead + rows.length;
    if (move.run(last, dispatched, snap, shard, epoch, owner, prevHead).changes !== 1) return false;
    for (const row of rows) insert.run(shard, row.seq, row.key, row.kind, row.body);
    if (trimTo > 0) trim.run(shard, trimTo);
    return true;
  };
}
