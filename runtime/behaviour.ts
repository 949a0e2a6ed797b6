// The actor contract: step(state, message, context) → { state, reply?, effects }. Same input, same output, no I/O.
// Follows ra's machine/effects split: effects are data, one function performs them.
import type { Effect } from './effect.ts';
import type { ActorKey } from './ids.ts';
import type { Message } from './message.ts';
import type { LogRow, StoredDocument } from './ports.ts';

/** Everything outside the state that a step may look at. */
export interface StepContext<Documents> {
  /** Wall clock, epoch ms: for stored instants and the API. Never for ages. */
  readonly nowMs: number;
  /** Monotonic clock, ms: for ages, due times, deadlines. */
  readonly monoMs: number;
  /** Uniform in [0, 1), seeded in tests. */
  readonly random: () => number;
  /** The node's frozen copy of the tenant's documents; null where it has none yet. */
  readonly documents: Documents | null;
  /** Epoch under which the actor's shard is held. */
  readonly epoch: number;
  /** True while every commit of this actor so far is acknowledged. */
  readonly committed: boolean;
  /** Set while the actor is in quarantine: it answers queries only, and they can say so. */
  readonly quarantine?: { readonly reason: string; readonly atMs: number };
}

export interface Step<State> {
  readonly state: State;
  /** Answer to an ask; undefined: none (an ask then gets `undefined`). */
  readonly reply?: unknown;
  /** `now`: a live answer from memory. Default `committed`: released after this and all earlier commits. */
  readonly replyWhen?: 'now' | 'committed';
  readonly effects: readonly Effect[];
}

/** What the store holds of an actor when its shard is loaded. */
export interface LoadedActor {
  readonly documents: readonly StoredDocument[];
  /** Soft state: `seq` is the last committed log row folded into it. */
  readonly soft: { readonly seq: number; readonly body: unknown } | null;
  /** Committed rows of this actor above `soft.seq` (or above the shard's `snap`), in order, bodies decoded. */
  readonly tail: readonly LogRow[];
  /** Head of the shard's log when this was read: every row of the actor up to it is in here. Absent: not known. */
  readonly headSeq?: number;
}

export interface Behaviour<State, In extends Message, Documents> {
  readonly kind: string;
  /** Version of the soft state's layout; `init` accepts this and the one before. */
  readonly version: number;
  /** State after load; its effects arm timers. Must accept an empty `loaded`: an actor that does not exist yet. */
  init(key: ActorKey, loaded: LoadedActor, context: StepContext<Documents>): Step<State>;
  /**
   * The actor polled on what it had loaded, then its shard was claimed and read again: state with everything of `loaded`,
   * polling as it is. Absent: it starts over by `init`.
   */
  resume?(
    state: State,
    from: { readonly key: ActorKey; readonly loaded: LoadedActor },
    context: StepContext<Documents>,
  ): Step<State>;
  step(state: State, message: In, context: StepContext<Documents>): Step<State>;
  /**
   * What the actor of the next owner must be told beside the soft state, at a planned hand-off: a message to it, or null.
   * Absent: nothing.
   */
  handOver?(state: State, context: StepContext<Documents>): Message | null;
  /** Soft state as data for the codec; null: nothing to keep. */
  snapshot(state: State): unknown;
  /** True: the message changes nothing and may be asked of a quarantined actor. */
  isQuery(message: In): boolean;
}

// biome-ignore lint/suspicious/noExplicitAny: the catalog holds behaviours of all kinds
export type AnyBehaviour = Behaviour<any, any, any>;
