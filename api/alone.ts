// A node alone as a cluster of one, in the words of the cluster's status. Pure.
import { shardsTotal } from '../runtime/ids.ts';
import type { ClusterInfo } from './ports.ts';

/** Returns the status of a node that has nobody beside it. */
export function aloneInfo(self: {
  readonly node: string;
  readonly address: string;
  readonly shardsHeld: number;
  readonly actors: number;
}): ClusterInfo {
  const { node, address, shardsHeld, actors } = self;
  return {
    cluster: null,
    answered_by: node,
    mode: 'NORMAL',
    view_version: 0,
    members: [
      {
        ...{ node, address, actors, incarnation: '', zone: '', weight: 1, state: 'up' },
        ...{ is_self: true, seen: 'self', silence_ms: 0, mode: 'NORMAL', view_version: 0 },
        shards_mapped: shardsTotal,
        shards_held: shardsHeld,
      },
    ],
    unreachable: [],
  };
}
