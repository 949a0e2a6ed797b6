// What goes into the failure detector and what comes out of it, as data (clustering.md §6).
import type { NodeId } from '../runtime/ids.ts';
import type { Heartbeat, LoadDigest, NodeRun } from './heartbeat.ts';
import type { View } from './view.ts';

type Happening =
  /** Every 50 ms, from the thread's own timer: lag and sleep are read from its lateness. */
  | { readonly type: 'tick'; readonly wallMs: number }
  | { readonly type: 'relayUp' | 'relayDown'; readonly relay: string }
  /** An own heartbeat was published (on every connected relay). */
  | { readonly type: 'sent'; readonly seq: number }
  /** Any heartbeat that arrived; an own one is the relay's echo. */
  | { readonly type: 'heartbeat'; readonly relay: string; readonly heartbeat: Heartbeat }
  /** The answer to a ping; no answer in 150 ms needs no event. */
  | ({ readonly type: 'pong' | 'noResponders'; readonly relay: string } & NodeRun)
  | { readonly type: 'view'; readonly view: View }
  | { readonly type: 'fenced'; readonly isFenced: boolean };

export type DetectorEvent = Happening & { readonly atMonoMs: number };

export type DetectorAction =
  | ({ readonly do: 'ping'; readonly relay: string } & NodeRun)
  /** An own vote or verdict changed: send the heartbeat now. */
  | { readonly do: 'beat' }
  | ({ readonly do: 'verdict' | 'withdrawn' } & NodeRun)
  /** Before anything else is sent; then read the view. */
  | {
      readonly do: 'dropLease';
      readonly why: 'accused' | 'lag' | 'suspend';
      readonly by: NodeId | null;
    }
  /** A peer's view, at or above the version with which this node joined, does not list it: FENCED. */
  | { readonly do: 'denied'; readonly by: NodeId; readonly version: number }
  /** A peer has a newer view: read the row. */
  | { readonly do: 'behind'; readonly version: number };

/** A member as this node sees it. What it says of itself is that of its last heartbeat, null where none was heard. */
export interface MemberStatus extends NodeRun {
  readonly state: 'alive' | 'probed' | 'accused' | 'dead';
  /** Counts from the last moment at which this node was blind: 0 does not mean that it was heard. */
  readonly silenceMs: number;
  /** Heard directly within the last second. */
  readonly isFresh: boolean;
  readonly tickAgeMs: number;
  /** Its main loop is stuck for over 2 s: route no new work to it. */
  readonly isGray: boolean;
  readonly storeReachable: boolean;
  /** Its wall clock less this node's. */
  readonly wallSkewMs: number | null;
  readonly viewVersion: number;
  readonly mailboxDepth: number;
  readonly culprit: string | null;
  readonly load: LoadDigest | null;
}
