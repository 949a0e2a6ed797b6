// What travels to an actor: a message with a kind, wrapped in an envelope with lane, correlation and deadline.
// Knows no kinds of its own: each behaviour defines its messages, runtime/contracts.txt lists them all.
import type { TocsinError } from './errors.ts';
import type { ActorKey } from './ids.ts';

/** A message is data: it must survive the codec (no functions, Maps with string keys become objects). */
export interface Message {
  readonly kind: string;
}

/** `system`: timers, probe answers, control; never dropped for `user` traffic. */
export type Lane = 'system' | 'user';

export interface Envelope {
  readonly to: ActorKey;
  readonly message: Message;
  readonly lane: Lane;
  /** Correlates an ask with its reply and retries of it. Empty for a tell. */
  readonly corr: string;
  /** Expired work is dropped before execution. Monotonic ms of this node; null: none. */
  readonly deadlineMonoMs: number | null;
}

/** The two lanes and the limits of one mailbox are in runtime/limits.ts. */
export interface AskOptions {
  /** Default 5000 ms. */
  readonly timeoutMs?: number;
  readonly lane?: Lane;
  /** Same id on a retry: executed once. Default: a new one. */
  readonly corr?: string;
}

/** Where the answer of one delivered message goes; exactly one of the two is called, once. */
export interface ReplyTo {
  resolve(value: unknown): void;
  reject(error: TocsinError): void;
}
