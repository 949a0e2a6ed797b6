// The mode of a node and what it permits (clustering.md §8, reliability.md §4.1). Losing coordination is not losing
// monitoring: only a denial stops polling. Pure: inputs and the previous state in, the next state out.
import type { LeaseState } from './lease-keeper.ts';
import { leaseLimits, modeLimits } from './limits.ts';

export type NodeMode =
  | 'NORMAL'
  | 'NO-NATS'
  | 'NO-STORE'
  | 'STORE-CUT'
  | 'ISOLATED'
  | 'FENCED'
  | 'DRAINING';

export interface ModeState {
  readonly mode: NodeMode;
  /** Since when it is in this mode, monotonic ms. */
  readonly sinceMonoMs: number;
  /** The lease lapsed and its confirmation is neither answered nor run out: nothing is allowed. */
  readonly isAwaiting: boolean;
  /** Until when effects are allowed without a lease (ISOLATED), monotonic ms; a pause outlives it. */
  readonly allowedUntilMonoMs: number;
}

export interface ModeInputs {
  readonly nowMonoMs: number;
  /** The view, read or told by a peer, lists no or another incarnation of this node. */
  readonly isDenied: boolean;
  readonly isDraining: boolean;
  readonly lease: Pick<LeaseState, 'isValid' | 'attempt' | 'isDenied'>;
  /** A majority of the view acknowledged a heartbeat that was sent within the length of the lease. */
  readonly ackedWithinLease: boolean;
  /** When the store last answered anything. */
  readonly storeAnsweredMonoMs: number;
  /** A fresh heartbeat of a member says that it reaches the store. */
  readonly peerReachesStore: boolean;
}

export interface Permits {
  readonly poll: boolean;
  /** A conditional batch, the local journal, or neither. */
  readonly commit: 'batch' | 'journal' | 'refused';
  /**
   * committed: committed intents · degraded: the same, marked so · unfenced: journaled intents, marked so · selfTested: as
   * unfenced, only while the own network is proven good · none.
   */
  readonly notify: 'committed' | 'degraded' | 'unfenced' | 'selfTested' | 'none';
  /** May it claim what a dead member owned? */
  readonly takeOver: boolean;
}

/** A node that has not joined yet: nothing is allowed. */
export const initialMode: ModeState = {
  mode: 'FENCED',
  sinceMonoMs: 0,
  isAwaiting: true,
  allowedUntilMonoMs: Number.NEGATIVE_INFINITY,
};

/** Returns the next state; `sinceMonoMs` moves only with the mode. */
export function nextMode(previous: ModeState, inputs: ModeInputs): ModeState {
  const { nowMonoMs } = inputs;
  const next = modeOf(inputs);
  const mode = next ?? previous.mode;
  return {
    mode,
    sinceMonoMs: mode === previous.mode ? previous.sinceMonoMs : nowMonoMs,
    isAwaiting: next === null,
    allowedUntilMonoMs:
      next === 'ISOLATED' ? nowMonoMs + leaseLimits.lengthMs : Number.NEGATIVE_INFINITY,
  };
}

/** null: it is not known yet, the attempt to confirm the lease is under way. */
function modeOf(inputs: ModeInputs): NodeMode | null {
  const { lease, ackedWithinLease } = inputs;
  if (inputs.isDenied || lease.isDenied) return 'FENCED';
  if (!lease.isValid) return lease.attempt === 'ranOut' ? 'ISOLATED' : null;
  if (inputs.nowMonoMs - inputs.storeAnsweredMonoMs >= modeLimits.storeSilentMs) {
    if (!ackedWithinLease) return 'ISOLATED';
    return inputs.peerReachesStore ? 'STORE-CUT' : 'NO-STORE';
  }
  if (inputs.isDraining) return 'DRAINING';
  return ackedWithinLease ? 'NORMAL' : 'NO-NATS';
}

const permitsOf: Readonly<Record<NodeMode, Permits>> = {
  NORMAL: { poll: true, commit: 'batch', notify: 'committed', takeOver: true },
  'NO-NATS': { poll: true, commit: 'batch', notify: 'degraded', takeOver: false },
  'NO-STORE': { poll: true, commit: 'journal', notify: 'unfenced', takeOver: false },
  'STORE-CUT': { poll: true, commit: 'journal', notify: 'none', takeOver: false },
  ISOLATED: { poll: true, commit: 'journal', notify: 'selfTested', takeOver: false },
  FENCED: { poll: false, commit: 'refused', notify: 'none', takeOver: false },
  DRAINING: { poll: true, commit: 'batch', notify: 'committed', takeOver: false },
};

/** Returns what a node in this state may do for the shards that it holds. */
export function permits(state: ModeState, nowMonoMs: number): Permits {
  if (state.isAwaiting) return permitsOf.FENCED;
  const isLongCut =
    state.mode === 'STORE-CUT' && nowMonoMs - state.sinceMonoMs >= modeLimits.cutPagesAfterMs;
  return isLongCut ? { ...permitsOf['STORE-CUT'], notify: 'unfenced' } : permitsOf[state.mode];
}
