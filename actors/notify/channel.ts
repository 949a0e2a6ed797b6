// What a channel is: sends one notification once and says how it went. The registry is in notifier.ts. Types only.
import type { DeliveryResult } from '../../runtime/ports.ts';
import type { NotifiedBody } from './render.ts';

/** One attempt to deliver one notification. */
export interface Attempt {
  /** Id of the notification, the same on every attempt. */
  readonly id: string;
  readonly body: NotifiedBody;
  /** Wall clock of the attempt, epoch ms. */
  readonly atMs: number;
  readonly signal: AbortSignal;
}

/** Resolves with the outcome; a receiver's fault is an outcome, not an error. */
export type Channel = (attempt: Attempt) => Promise<DeliveryResult>;
