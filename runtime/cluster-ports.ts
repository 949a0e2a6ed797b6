// Ports that only a node among others needs: the store's agreed view and beats, the way to other nodes, who owns what.
// Adapters live in store/cassandra, store/memory and cluster/. Must not know monitoring.
import type { Epoch, ShardId } from './ids.ts';
import type { ReadLevel, Store } from './ports.ts';

/** A node's sign of life in the store: `n` grows while its main loop and the store work. */
export interface Beat {
  readonly node: string;
  readonly incarnation: string;
  readonly n: number;
}

/** Classes A and B of a cluster: the agreed view, one row changed by compare-and-set, and the beats. Errors as `Authority`. */
export interface ViewStore {
  /** null: the cluster was never started. */
  readView(
    level: ReadLevel,
  ): Promise<{ readonly version: number; readonly body: Uint8Array } | null>;
  /** Compare-and-set on exactly the version `from` (0: there is none yet). False: refused. */
  casView(change: {
    readonly from: number;
    readonly to: number;
    readonly body: Uint8Array;
  }): Promise<boolean>;
  writeBeat(beat: Beat): Promise<void>;
  readBeats(): Promise<readonly Beat[]>;
  deleteBeat(of: Pick<Beat, 'node' | 'incarnation'>): Promise<void>;
}

/** A store that several nodes share. */
export interface ClusterStore extends Store {
  readonly views: ViewStore;
}

/** Carries envelopes between nodes: bytes to a node, bytes from a node. At most once. */
export interface Transport {
  send(to: string, frame: Uint8Array): void;
  onFrame(listener: (from: string, frame: Uint8Array) => void): void;
  close(): Promise<void>;
}

/** Knows who owns a shard. */
export interface Directory {
  /** A peer said that `node` owns the shard under `epoch`; older news than what is known is ignored. */
  observe?(shard: ShardId, node: string, epoch: Epoch): void;
  /** null: nobody that this node knows of. `local` true: this node. */
  lookup(
    shard: ShardId,
  ): { readonly node: string; readonly local: boolean; readonly epoch: Epoch } | null;
}
