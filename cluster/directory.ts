// Who owns a shard, as a node alone knows it: itself, or nobody while the shard is not held.
import type { NodeId } from '../runtime/ids.ts';
import type { Directory } from '../runtime/ports.ts';
import type { HeldShards } from './group-commit.ts';

/** Returns the directory of a node alone: `local` for held shards, null for others. */
export function soleDirectory(node: NodeId, held: HeldShards): Directory {
  return {
    lookup: (shard) => {
      const own = held.get(shard);
      return own === null ? null : { node, local: true, epoch: own.epoch };
    },
  };
}
