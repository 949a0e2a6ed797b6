// Order of notifications: those of one (actor, alarm, channel) form a line and go by their number; the newest is what
// matters, so an older one that was tried and not delivered gives way. Decides what the head of a line does next.
import type { ActorKey, ShardId } from '../runtime/ids.ts';
import type { Intent } from '../runtime/ports.ts';
import type { Job } from './receiver-slots.ts';

/** An intent that has not ended. */
export interface Pending {
  readonly shard: ShardId;
  readonly key: ActorKey;
  readonly intent: Intent;
  /** Seq of its row while it holds the dispatched mark; 0 where it was loaded as deferred. */
  readonly seq: number;
  readonly line: Line;
  attempts: number;
  /** Wall clock, for the stored document only: the first attempt and the next one, as of one reading of the clock. */
  firstAtMs: number;
  nextAtMs: number;
  /** The same by the monotonic clock: what is waited and given up by. */
  readonly firstMonoMs: number;
  nextMonoMs: number;
  /** `idle`: waits for its turn or its time; `queued`: for a place; `sending`; `ended`. */
  phase: 'idle' | 'queued' | 'sending' | 'ended';
  isDeferred: boolean;
  /** Its alarm was deleted while an attempt was under way: unless that delivers, it is the last one. */
  isWithdrawn: boolean;
  /** The commit of its DEFERRED row while it is under way. */
  deferral: Promise<void> | null;
  job: Job | null;
  cancelRetry: (() => void) | null;
  cancelWindow: (() => void) | null;
}

export interface Line {
  readonly name: string;
  /** By number, oldest first. */
  readonly items: Pending[];
  /** The end of one of it is being recorded; nothing newer leaves before. */
  isHeld: boolean;
}

export function lineName(key: ActorKey, intent: Intent): string {
  return `${key}\n${intent.alarm}\n${intent.channel}`;
}

/** Puts an intent where its number belongs. */
export function joinLine(line: Line, item: Pending): void {
  let at = line.items.length;
  while (at > 0 && (line.items[at - 1] as Pending).intent.n > item.intent.n) at--;
  line.items.splice(at, 0, item);
}

export function leaveLine(line: Line, item: Pending): void {
  const at = line.items.indexOf(item);
  if (at !== -1) line.items.splice(at, 1);
}

/** Nothing happens to the intent by time alone any more. */
export function cancelTimers(item: Pending): void {
  item.cancelRetry?.();
  item.cancelWindow?.();
  item.cancelRetry = null;
  item.cancelWindow = null;
}

export type LineStep =
  | { readonly type: 'wait' }
  | { readonly type: 'supersede'; readonly item: Pending }
  | { readonly type: 'send'; readonly item: Pending };

/**
 * Returns what the line does now. An attempt under way is awaited; an older one is superseded once it was tried, and is
 * tried at least once before.
 */
export function nextStep(line: Line): LineStep {
  const first = line.items[0];
  if (first === undefined || line.isHeld || first.phase === 'sending') return { type: 'wait' };
  if (line.items.length > 1 && first.attempts > 0) return { type: 'supersede', item: first };
  return first.phase === 'idle' ? { type: 'send', item: first } : { type: 'wait' };
}
