// What happened in a cluster's run, as data: the events of one node's simulator and those that only several nodes have, each
// with the clocks of the process it belongs to; a hash over all. The judge reads nothing else. Imports types only.
import type { Happening } from '../sim/trace.ts';

export interface MemberSeen {
  readonly node: string;
  readonly incarnation: string;
  readonly weight: number;
  readonly state: string;
}

/** What a process may do at this instant, as its lease and an account of its confirmations say. */
export interface Permission {
  /** Monotonic ms that are left of the published lease. */
  readonly leaseMs: number;
  /** The same, counted anew from acknowledgements that reached it and reads of the view that were answered. */
  readonly provenMs: number;
  readonly mode: string;
  /** The process knows itself as a member. */
  readonly isMember: boolean;
}

export type ClusterHappening =
  | Happening
  | { readonly kind: 'process'; readonly name: string; readonly weight: number }
  | {
      readonly kind: 'view.applied';
      readonly from: number;
      readonly to: number;
      readonly members: readonly MemberSeen[];
    }
  /** The process follows this view under this incarnation. */
  | { readonly kind: 'view.followed'; readonly version: number; readonly incarnation: string }
  | { readonly kind: 'fenced'; readonly version: number }
  | { readonly kind: 'replaced' }
  | { readonly kind: 'mode'; readonly mode: string }
  | { readonly kind: 'verdict'; readonly of: string; readonly incarnation: string }
  | { readonly kind: 'lease.dropped'; readonly why: string }
  | { readonly kind: 'commit.asked'; readonly shard: number }
  | { readonly kind: 'claim.asked'; readonly shard: number; readonly epoch: number }
  /** What the process was told when it asked to write a death; counted by the world. */
  | {
      readonly kind: 'death.asked';
      readonly of: string;
      readonly incarnation: string;
      readonly members: number;
      /** Whose newest heartbeats at the process say that it is dead, its own among them. */
      readonly voters: readonly string[];
      /** The process read one beat of it for long enough while its own one moved. */
      readonly isStalled: boolean;
      /** Members with weight, others than the process, whose beats are not known to stand still. */
      readonly lively: readonly string[];
    }
  /** A giver tells a receiver; `version`: what the receiver may claim with. */
  | {
      readonly kind: 'handoff';
      readonly step: string;
      readonly shard: number;
      readonly to: string;
      readonly epoch: number;
      readonly version: number;
    }
  | { readonly kind: 'healed' }
  | {
      readonly kind: 'holds';
      readonly when: string;
      readonly incarnation: string;
      readonly version: number;
      readonly held: readonly (readonly [shard: number, epoch: number])[];
      readonly copies: Readonly<Record<string, number>>;
    }
  | {
      readonly kind: 'heads';
      readonly when: string;
      readonly version: number;
      readonly members: readonly MemberSeen[];
      readonly heads: readonly (readonly [owner: string, epoch: number, head: number])[];
    };

export type ClusterEvent = ClusterHappening & {
  readonly t: number;
  readonly wall: number;
  readonly mono: number;
  /** Process run, 0: nobody's. */
  readonly run: number;
  /** Of effects only. */
  readonly may?: Permission;
};

export type Of<Kind extends ClusterEvent['kind']> = Extract<ClusterEvent, { kind: Kind }>;
