// The heartbeat plane as the main loop sees it: who beats, who is silent, what was voted, how long the own lease holds.
// Behind it runs the failure detector, in a thread of its own over control connections (nats/), or beside the main loop in
// memory (tests, simulation). Must not know the store: whoever hears a verdict asks the view.
import type { ActorKey, NodeId } from '../runtime/ids.ts';
import type { DetectorAction, MemberStatus } from './failure-detector.ts';
import type { Heartbeat, NodeRun, Vote } from './heartbeat.ts';
import type { LeaseState } from './lease-keeper.ts';
import type { View } from './view.ts';

/** What the detector knows, as of its last change or at most 100 ms ago. */
export interface PulseReport {
  readonly votes: readonly Vote[];
  readonly verdicts: readonly NodeRun[];
  /** Who votes against a member, the own vote included. */
  readonly votersOf: ReadonlyMap<NodeId, readonly NodeId[]>;
  readonly isVetoed: boolean;
  /** A verdict against this incarnation is heard. */
  readonly isAccused: boolean;
  /** Relays over which the own heartbeats come back. */
  readonly passing: readonly string[];
  readonly statuses: readonly MemberStatus[];
  readonly lease: LeaseState;
}

/** What the main loop must act on at once; a `report` says only that something is new. */
export type PulseEvent =
  | { readonly type: 'report' }
  | Extract<
      DetectorAction,
      { readonly do: 'verdict' | 'withdrawn' | 'dropLease' | 'denied' | 'behind' }
    >;

/** What a heartbeat carries of the main loop's knowledge. */
export type PulseStatus = Pick<Heartbeat, 'storeReachable' | 'mailboxDepth' | 'epochMax' | 'load'>;

export interface Pulse {
  /**
   * Starts to beat as this incarnation, or goes on under a new one after a fence. Resolves at once; relays connect by
   * themselves and are dialled for ever.
   */
  begin(incarnation: string, view: View): void;
  /** Called on the main loop. Replaces the listener before. */
  listen(listener: (event: PulseEvent) => void): void;
  report(): PulseReport;
  /**
   * Until when effects are allowed, monotonic ms of the runtime's clock. Read from shared memory at the point of every
   * effect: no message has to arrive first (clustering.md §8, §9).
   */
  leaseUntilMonoMs(): number;
  /** Drops the lease in shared memory, at once. */
  dropLease(): void;
  view(view: View): void;
  /** A read of the view was answered: confirmation (ii), or a denial. */
  viewRead(startedMonoMs: number, isListed: boolean): void;
  fenced(isFenced: boolean): void;
  status(status: PulseStatus): void;
  /** The main loop is at work on this actor; null: between turns. Read by the watchdog where the loop hangs. */
  working(key: ActorKey | null): void;
  stop(): Promise<void>;
}
