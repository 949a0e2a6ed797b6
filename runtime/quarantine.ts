// The record of a quarantine, in the log and as a document, so that it survives a fail-over: made here, read here. Pure.

import type { LoadedActor } from './behaviour.ts';
import { type DecisionRow, documentKinds, rowKinds } from './effect.ts';

/** Why and since when an actor is paused. */
export interface Quarantine {
  /** One sentence for people: the last failure, or who asked for it. */
  readonly reason: string;
  /** Wall clock, epoch ms. */
  readonly atMs: number;
  readonly rev: number;
  /** `stalled`: it blocked the event loop; not even `init` is run, so that it cannot do so again. */
  readonly cause: QuarantineCause;
}

export type QuarantineCause = 'failures' | 'stalled' | 'operator';

const documentId = 'quarantine';
const reasonLengthMax = 500;

/** Returns a quarantine that begins now. */
export function quarantined(
  reason: string,
  cause: QuarantineCause,
  atMs: number,
  rev: number,
): Quarantine {
  return { reason: reason.slice(0, reasonLengthMax), cause, atMs, rev };
}

/** Returns the decision that quarantines. */
export function quarantineRow(record: Quarantine): DecisionRow {
  const { reason, cause, atMs, rev } = record;
  const body = { quarantined: true, reason, cause, atMs, rev };
  return {
    kind: rowKinds.quarantine,
    body,
    documents: [{ kind: documentKinds.quarantine, id: documentId, rev, body }],
  };
}

/** Returns the decision that releases. */
export function releaseRow(record: Quarantine, atMs: number): DecisionRow {
  const rev = record.rev + 1;
  return {
    kind: rowKinds.quarantine,
    body: { quarantined: false, reason: record.reason, atMs, rev },
    documents: [{ kind: documentKinds.quarantine, id: documentId, rev, body: null }],
  };
}

/** Returns the quarantine that an actor was loaded with, or null. The log's tail is newer than the documents. */
export function quarantineOf(loaded: LoadedActor): Quarantine | null {
  const row = loaded.tail.findLast((tailRow) => tailRow.kind === rowKinds.quarantine);
  if (row !== undefined) return recordOf(row.body);
  const document = loaded.documents.find((stored) => stored.kind === documentKinds.quarantine);
  return document === undefined ? null : recordOf(document.body);
}

/** A record that cannot be read still quarantines: better paused and visible than crashing. */
function recordOf(body: unknown): Quarantine | null {
  if (body === null) return null;
  const fields = (typeof body === 'object' ? body : {}) as Partial<
    Quarantine & { quarantined: boolean }
  >;
  if (fields.quarantined === false) return null;
  return {
    reason: typeof fields.reason === 'string' ? fields.reason : 'unreadable quarantine record',
    atMs: typeof fields.atMs === 'number' ? fields.atMs : 0,
    rev: typeof fields.rev === 'number' ? fields.rev : 0,
    cause: fields.cause === 'stalled' || fields.cause === 'operator' ? fields.cause : 'failures',
  };
}
