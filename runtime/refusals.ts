// The errors that the runtime itself answers with, one constructor each, so that every place says the same. Pure.
import { TocsinError } from './errors.ts';
import type { ActorKey } from './ids.ts';

export function notOwner(key: ActorKey, cause?: unknown): TocsinError {
  return new TocsinError('RT_NOT_OWNER', 'this node does not own the actor', {
    retryable: true,
    details: { key },
    cause,
  });
}

/** As `notOwner`, and who owns it: the asker's directory learns of it. */
export function moved(key: ActorKey, to: { node: string; epoch: number }): TocsinError {
  return new TocsinError('RT_NOT_OWNER', 'another node owns the actor', {
    retryable: true,
    details: { key, node: to.node, epoch: to.epoch },
  });
}

export function notReady(reason: string, cause?: unknown): TocsinError {
  return new TocsinError('RT_NOT_READY', reason, { retryable: true, cause });
}

export function mailboxFull(key: ActorKey): TocsinError {
  return new TocsinError('RT_MAILBOX_FULL', 'the mailbox of the actor is full', {
    retryable: true,
    details: { key },
  });
}

export function deadlinePassed(key: ActorKey): TocsinError {
  return new TocsinError('RT_DEADLINE', 'no answer before the deadline', {
    retryable: true,
    details: { key },
  });
}

export function queueFull(what: string): TocsinError {
  return new TocsinError('RT_QUEUE_FULL', `${what}: the queue is full`, { retryable: true });
}

export function inQuarantine(key: ActorKey, reason: string): TocsinError {
  return new TocsinError('RT_QUARANTINED', 'the actor is quarantined', {
    details: { key, reason },
  });
}

export function stepFailed(key: ActorKey, cause: unknown): TocsinError {
  return new TocsinError('RT_STEP_FAILED', 'the actor failed on this message', {
    details: { key },
    cause,
  });
}

export function commitFailed(key: ActorKey, cause: unknown): TocsinError {
  return new TocsinError('RT_COMMIT_FAILED', 'the change was not committed', {
    retryable: true,
    details: { key },
    cause,
  });
}

/** Returns the code of an operating error, or null for anything else. */
export function codeOf(error: unknown): string | null {
  return error instanceof TocsinError ? error.code : null;
}

/** Returns one line about an error, for logs and records. */
export function textOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
