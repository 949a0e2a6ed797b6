// Classes A and D in Cassandra: batches of `shard_log` under the fence, and its tail.
// Follows storage.md §4: Q5 (commit), Q6 (marks, trim), Q7 (tail), and §6 for what must never be sent.
import type { ShardId } from '../../runtime/ids.ts';
import type { CommitBatch, CommitOutcome, LogRow } from '../../runtime/ports.ts';
import type { LogTail } from '../operations.ts';
import { fenceOf } from './authority.ts';
import { blob, blobParam, text, whole } from './cells.ts';
import type { DriverRow, Query } from './clients.ts';
import type { CasAnswer, Session } from './session.ts';

// One row is read for the condition, whatever the partition holds: the head row is a row of its own, not a static column.
// The marks stand in the condition because `head` does not move between two batches without rows: a late one of them would
// take the marks back behind rows that were trimmed since.
const moveHead = `UPDATE shard_log SET head = ?, dispatched = ?, snap = ?
  WHERE cluster = ? AND shard = ? AND seq = 0
  IF epoch = ? AND owner = ? AND head = ? AND dispatched <= ? AND snap <= ?`;
const insertRow =
  'INSERT INTO shard_log (cluster, shard, seq, ekey, kind, body) VALUES (?, ?, ?, ?, ?, ?)';
// Never by the partition key alone, never outside a conditional batch.
const trimRows = 'DELETE FROM shard_log WHERE cluster = ? AND shard = ? AND seq >= 1 AND seq <= ?';
const selectTail =
  'SELECT seq, ekey, kind, body FROM shard_log WHERE cluster = ? AND shard = ? AND seq > ?';

/** A refusal for the marks alone is answered with the same batch and the higher marks, so often. */
const raisesMax = 3;
const tailPageRows = 200;

interface Marks {
  readonly dispatched: number;
  readonly snap: number;
}

export class CassandraShardLog {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  async commit(batch: CommitBatch): Promise<CommitOutcome> {
    let marks: Marks = batch;
    for (let raise = 0; ; raise++) {
      const answer = await this.#send(batch, marks);
      if (answer.applied) return { applied: true };
      const fence = fenceOf(batch.shard, answer.row);
      const row = answer.row as DriverRow;
      const head = whole(row, 'head');
      const holds =
        fence.epoch === batch.epoch && fence.owner === batch.owner && head === batch.prevHead;
      if (!holds || raise >= raisesMax) return { applied: false, ...fence, head };
      marks = {
        dispatched: Math.max(marks.dispatched, whole(row, 'dispatched')),
        snap: Math.max(marks.snap, whole(row, 'snap')),
      };
    }
  }

  #send(batch: CommitBatch, marks: Marks): Promise<CasAnswer> {
    const { shard, epoch, owner, prevHead, rows, trimTo } = batch;
    const { cluster } = this.#session;
    const { dispatched, snap } = marks;
    const last = prevHead + rows.length;
    const move: Query = {
      query: moveHead,
      params: [
        ...[last, dispatched, snap, cluster, shard],
        ...[epoch, owner, prevHead, dispatched, snap],
      ],
    };
    let bytes = 200;
    const inserts = rows.map(({ seq, key, kind, body }): Query => {
      bytes += 60 + key.length + body.length;
      return { query: insertRow, params: [cluster, shard, seq, key, kind, blobParam(body)] };
    });
    const trims = trimTo > 0 ? [{ query: trimRows, params: [cluster, shard, trimTo] }] : [];
    const what = `commit of shard ${shard}`;
    if (inserts.length + trims.length === 0) return this.#session.cas(what, move);
    return this.#session.casBatch(what, [move, ...inserts, ...trims], bytes);
  }

  async readTail(shard: ShardId, above: number): Promise<LogTail> {
    const query = { query: selectTail, params: [this.#session.cluster, shard, Math.max(above, 0)] };
    const tail: LogTail[number][] = [];
    const what = `log of shard ${shard}`;
    for await (const row of this.#session.rows(what, 'load', query, tailPageRows)) {
      tail.push({
        seq: whole(row, 'seq'),
        key: text(row, 'ekey') as LogRow['key'],
        kind: whole(row, 'kind') as LogRow['kind'],
        body: blob(row, 'body'),
      });
    }
    return tail;
  }
}
