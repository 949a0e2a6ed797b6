// Class A in Cassandra: the head rows of `shard_log`, read and claimed. Follows storage.md §4: Q3 (head), Q4 (claim).
import { type Epoch, epoch, type ShardId } from '../../runtime/ids.ts';
import type { ReadLevel, ShardHead } from '../../runtime/ports.ts';
import { storeError } from '../errors.ts';
import type { Claim, ClaimOutcome } from '../operations.ts';
import { text, whole } from './cells.ts';
import type { DriverRow } from './clients.ts';
import type { Session } from './session.ts';

const selectHead =
  'SELECT epoch, owner, head, dispatched, snap, ts_base FROM shard_log WHERE cluster = ? AND shard = ? AND seq = 0';
// Exact match, not `<`: a claim that lands between another's read and write would hand out its timestamps twice.
const updateClaim =
  'UPDATE shard_log SET epoch = ?, owner = ?, ts_base = ? WHERE cluster = ? AND shard = ? AND seq = 0 IF epoch = ? AND owner = ?';

export class CassandraAuthority {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  async readHead(shard: ShardId, level: ReadLevel = 'decide'): Promise<ShardHead> {
    const params = [this.#session.cluster, shard];
    const query = { query: selectHead, params };
    const [row] = await this.#session.readAuthority(`head of shard ${shard}`, level, query);
    if (row === undefined) throw headMissing(shard);
    return {
      epoch: epoch(whole(row, 'epoch')),
      owner: text(row, 'owner'),
      head: whole(row, 'head'),
      dispatched: whole(row, 'dispatched'),
      snap: whole(row, 'snap'),
      tsBase: whole(row, 'ts_base'),
    };
  }

  async claim(shard: ShardId, claim: Claim): Promise<ClaimOutcome> {
    const { seen, was, epoch: claimed, owner, tsBase } = claim;
    const params = [claimed, owner, tsBase, this.#session.cluster, shard, seen, was];
    const answer = await this.#session.cas(`claim of shard ${shard}`, {
      query: updateClaim,
      params,
    });
    if (answer.applied) return { applied: true };
    return { applied: false, head: await this.#headOf(shard, fenceOf(shard, answer.row)) };
  }

  /**
   * A refusal carries the condition's columns alone. Epoch, owner and ts_base are written together, so a plain read that
   * agrees with it is enough; else the row moves, and only a serial read says where to.
   */
  async #headOf(shard: ShardId, fence: { epoch: Epoch; owner: string }): Promise<ShardHead> {
    try {
      const seen = await this.readHead(shard, 'look');
      const agrees = seen.epoch === fence.epoch && seen.owner === fence.owner;
      return agrees ? seen : await this.readHead(shard, 'decide');
    } catch (cause) {
      // Of the claim itself it is known that nothing happened, whatever became of the read.
      throw storeError('ST_UNAVAILABLE', `shard ${shard} was refused, its head not read`, {
        cause,
      });
    }
  }
}

/** Returns the fence in the answer of a refused statement. */
export function fenceOf(
  shard: ShardId,
  row: DriverRow | null,
): { readonly epoch: Epoch; readonly owner: string } {
  if (row === null || row['epoch'] === undefined || row['epoch'] === null) throw headMissing(shard);
  return { epoch: epoch(whole(row, 'epoch')), owner: text(row, 'owner') };
}

function headMissing(shard: ShardId): Error {
  return storeError('ST_CORRUPT', `the head row of shard ${shard} is missing`);
}
