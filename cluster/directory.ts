// Who owns a shard, as this node knows it. Alone: itself, or nobody while the shard is not held. In a cluster: what it holds
// or is taking over, else the newest claim that it heard of (hints of peers, their digests), else whom the view maps it to.
// The map says who should own, an observed epoch says who does. Must not know how either gets here.

import type { Directory } from '../runtime/cluster-ports.ts';
import { type Epoch, epoch, type NodeId, type ShardId, shardsTotal } from '../runtime/ids.ts';
import type { HeldShards } from './group-commit.ts';
import { placementOf } from './placement.ts';
import type { View } from './view.ts';

/** Where a shard is, as far as this node knows. */
export interface Place {
  readonly node: NodeId;
  readonly incarnation: string;
  /** 0: nobody is known to have claimed it. */
  readonly epoch: Epoch;
}

export interface ClusterDirectory extends Directory {
  /** A view: claims of those who are not in it are forgotten. Older views than the last are ignored. */
  follow(view: View, placement?: readonly (NodeId | null)[]): void;
  /** This node was told that `node` claimed the shard under `epoch`. Older epochs, and those of no member, are ignored. */
  observe(shard: ShardId, node: string, at: Epoch): void;
  /** Where messages for the shard go, this node included; null: nowhere yet. */
  place(shard: ShardId): Place | null;
}

interface Claimed {
  readonly node: NodeId;
  readonly incarnation: string;
  readonly epoch: Epoch;
}

/** Returns the directory of a node; until the first view, and on a node alone, it knows its own shards and no others. */
export function clusterDirectory(node: NodeId, held: HeldShards): ClusterDirectory {
  const claims: (Claimed | null)[] = new Array<Claimed | null>(shardsTotal).fill(null);
  let view: View | null = null;
  let mapped: readonly (NodeId | null)[] = [];

  const ownEpoch = (shard: ShardId): Epoch | null =>
    held.get(shard)?.epoch ?? held.pendingEpoch(shard);

  const elsewhere = (shard: ShardId): Place | null => {
    const claim = claims[shard] ?? null;
    const to = claim?.node ?? mapped[shard] ?? null;
    // Mapped here and not held: nobody until it is.
    if (to === null || to === node) return null;
    const incarnation = claim?.incarnation ?? view?.members.get(to)?.incarnation ?? null;
    return incarnation === null ? null : { node: to, incarnation, epoch: claim?.epoch ?? epoch(0) };
  };

  const place = (shard: ShardId): Place | null => {
    const own = ownEpoch(shard);
    if (own === null) return elsewhere(shard);
    return { node, incarnation: view?.members.get(node)?.incarnation ?? '', epoch: own };
  };

  return {
    place,
    lookup: (shard) => {
      const own = ownEpoch(shard);
      if (own !== null) return { node, local: true, epoch: own };
      const other = elsewhere(shard);
      return other === null ? null : { node: other.node, local: false, epoch: other.epoch };
    },
    follow: (next, placement) => {
      if (view !== null && next.version <= view.version) return;
      view = next;
      mapped = placement ?? placementOf(next);
      for (let shard = 0; shard < shardsTotal; shard++) {
        const claim = claims[shard] ?? null;
        if (claim === null) continue;
        if (next.members.get(claim.node)?.incarnation !== claim.incarnation) claims[shard] = null;
      }
    },
    observe: (shard, name, at) => {
      const incarnation = view?.members.get(name as NodeId)?.incarnation;
      if (incarnation === undefined || at <= (claims[shard]?.epoch ?? 0)) return;
      claims[shard] = { node: name as NodeId, incarnation, epoch: at };
    },
  };
}
