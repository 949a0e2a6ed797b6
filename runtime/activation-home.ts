// What surrounds an activation: the catalog as it sees it, and how it describes itself. Types only.
import type { LoadedActor } from './behaviour.ts';
import type { ActorKey, ShardId } from './ids.ts';
import type { Delivery } from './mailbox.ts';
import type { Message } from './message.ts';
import type { ActivationPorts } from './perform.ts';
import type { Quarantine } from './quarantine.ts';
import type { TurnQueue } from './turn-queue.ts';

export type Phase = 'creating' | 'active' | 'deactivating' | 'gone';

/** The catalog, as an activation sees it. */
export interface Home {
  readonly ports: ActivationPorts;
  readonly turns: TurnQueue;
  readonly isFreezing: boolean;
  /** Reads the actor again after a failed commit or a release. Rejects `RT_NOT_OWNER` where the shard is gone. */
  reload(key: ActorKey): Promise<LoadedActor>;
  /** Called before each turn: what the watchdog names when the loop stalls. */
  turnStarts(key: ActorKey): void;
  /** The activation has left memory; `leftovers` came in after it had stopped. */
  gone(key: ActorKey, leftovers: readonly Delivery[]): void;
  quarantined(key: ActorKey, record: Quarantine): void;
}

/** Soft state as of `seq`, and what is not in it. */
export interface HandedOver {
  readonly seq: number;
  readonly body: unknown;
  readonly rest: Message | null;
}

/** What people and the cluster may know of an activation. */
export interface ActorDescription {
  readonly key: ActorKey;
  readonly kind: string;
  readonly shard: ShardId;
  readonly phase: Phase;
  /** Waits after a failure, or for its reload. */
  readonly isPaused: boolean;
  readonly quarantine: Quarantine | null;
  /** One line, or null where it never failed. */
  readonly lastFailure: string | null;
  readonly messagesWaiting: number;
  readonly commitsPending: number;
  /** Last committed seq that is folded into its state. */
  readonly lastSeq: number;
}
