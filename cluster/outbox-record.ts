// What the outbox writes: rows that defer or end an intent, and lines of the notification history. Pure.
// Must not know monitoring: the text of a history line is made by a function that is handed in.
import { encodeValue } from '../runtime/codec.ts';
import {
  type DecisionRow,
  type DocumentWrite,
  documentKinds,
  type HistoryWrite,
  rowKinds,
} from '../runtime/effect.ts';
import type { ActorKey, ShardId } from '../runtime/ids.ts';
import type { HistoryRecord, Intent } from '../runtime/ports.ts';
import { timeId } from '../runtime/time-id.ts';
import type { DeferredIntent, IntentOutcome } from './shard-fold.ts';

/** One line of the notification history. */
export interface LogLine {
  readonly event: 'attempt' | 'superseded' | 'undeliverable' | 'withdrawn';
  /** Attempts so far, this one included. */
  readonly attempt: number;
  readonly delivered: boolean;
  readonly message: string;
  readonly atMs: number;
}

export type LogBody = (intent: Intent, line: LogLine) => unknown;

/** Returns the document of a deferred intent; its rev grows with the attempts. */
export function deferredDocument(deferred: DeferredIntent): DocumentWrite {
  const { intent, attempts } = deferred;
  return { kind: documentKinds.deferred, id: intent.id, rev: attempts, body: deferred };
}

/** Returns the row that takes an intent out of the first window. */
export function deferredRow(deferred: DeferredIntent): DecisionRow {
  return { kind: rowKinds.deferred, body: deferred, documents: [deferredDocument(deferred)] };
}

/** Returns the row that ends an intent; `line`: its last word in the history, none where an attempt already is. */
export function outcomeRow(
  of: { readonly intent: Intent; readonly attempts: number; readonly isDeferred: boolean },
  outcome: IntentOutcome,
  line: { readonly text: LogLine; readonly logBody: LogBody } | null,
): DecisionRow {
  const { intent, attempts, isDeferred } = of;
  const document = { kind: documentKinds.deferred, id: intent.id, rev: attempts + 1, body: null };
  return {
    kind: rowKinds.outcome,
    body: outcome,
    documents: isDeferred ? [document] : [],
    history: line === null ? [] : [historyLine(intent, line.text, line.logBody)],
  };
}

function historyLine(intent: Intent, text: LogLine, logBody: LogBody): HistoryWrite {
  return {
    table: 'notification_log',
    id: timeId(text.atMs, `${intent.id}|${text.event}`),
    atMs: text.atMs,
    body: logBody(intent, text),
  };
}

/** Returns the history row of one attempt; attempts of two runs at one instant have ids of their own. */
export function attemptRecord(
  of: {
    readonly key: ActorKey;
    readonly shard: ShardId;
    readonly intent: Intent;
    readonly run: string;
  },
  text: LogLine,
  logBody: LogBody,
): HistoryRecord {
  const { key, shard, intent, run } = of;
  return {
    table: 'notification_log',
    partition: key,
    atMs: text.atMs,
    id: timeId(text.atMs, `${intent.id}|${text.attempt}|${run}`),
    key,
    shard,
    seq: 0,
    body: encodeValue(logBody(intent, text)),
  };
}
