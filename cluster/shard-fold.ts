// What the stored rows of one shard mean: actors with documents, soft state and tail, intents that still owe a
// notification, rows that still owe their projection. Pure: the log's tail overrides whatever was projected from it.
import type { LoadedActor } from '../runtime/behaviour.ts';
import { decodeValue } from '../runtime/codec.ts';
import { type DocumentWrite, documentKinds, rowKinds } from '../runtime/effect.ts';
import { TocsinError } from '../runtime/errors.ts';
import type { ActorKey } from '../runtime/ids.ts';
import type { Intent, ShardHead, StateStore, StoredDocument } from '../runtime/ports.ts';
import type { LogRecord } from './log-record.ts';

export type StoredRows = Awaited<ReturnType<StateStore['loadShard']>>;

/** An intent that was not delivered within its first window: body of a DEFERRED row and of its document. */
export interface DeferredIntent {
  readonly intent: Intent;
  readonly key: ActorKey;
  /** Attempts made. */
  readonly attempts: number;
  readonly nextAtMs: number;
  readonly firstAtMs: number;
}

/** Body of an OUTCOME row: how an intent ended. */
export interface IntentOutcome {
  readonly intent: string;
  readonly outcome: 'delivered' | 'superseded' | 'undeliverable' | 'withdrawn';
  readonly atMs: number;
}

export interface FoldedShard {
  readonly actors: ReadonlyMap<ActorKey, LoadedActor>;
  /** Actors whose last document was deleted in the tail; their rows answer retried requests. */
  readonly deleted: ReadonlyMap<ActorKey, LoadedActor>;
  /** Undelivered intents above `dispatched`, in seq order, neither ended nor deferred. */
  readonly intents: readonly { seq: number; key: ActorKey; intent: Intent }[];
  readonly deferred: readonly DeferredIntent[];
  /** Ids of those of both whose alarm was deleted: they are withdrawn, not sent. */
  readonly orphans: ReadonlySet<string>;
  /** Rows above `snap`, deferred intents as they are now. */
  readonly unprojected: readonly LogRecord[];
  /** Seq up to which each actor's stored soft state holds its rows. */
  readonly savedSeqs: ReadonlyMap<ActorKey, number>;
  /** Records that do not decode: a document quarantines its actor, a soft state counts as missing. */
  readonly damaged: readonly Damage[];
}

export interface Damage {
  readonly key: ActorKey;
  readonly what: 'document' | 'soft state';
}

/** Rows that the outbox decides; an actor never sees them. */
const outboxKinds: ReadonlySet<number> = new Set([rowKinds.deferred, rowKinds.outcome]);

type Place = string;
type Documents = Map<Place, { key: ActorKey; document: StoredDocument }>;

/**
 * Returns what the rows mean. `tail`: rows above min(snap, dispatched) in seq order. A damaged record harms its own actor
 * alone: the others of the shard go on.
 */
export function foldShard(
  stored: StoredRows,
  tail: readonly LogRecord[],
  head: Pick<ShardHead, 'snap' | 'dispatched'>,
): FoldedShard {
  const damaged: Damage[] = [];
  const documents = foldDocuments(stored, tail, damaged);
  const deferredDocuments = deferredOf(documents);
  const deferred = [...deferredDocuments.values()].map(({ body }) => body as DeferredIntent);
  const intents = openIntents(tail, head.dispatched);
  const unprojected = tail.filter((row) => row.seq > head.snap);
  return {
    ...groupByActor(stored, documents, { tail, snap: head.snap, damaged }),
    intents,
    deferred,
    orphans: orphansOf([...intents, ...deferred], documents),
    unprojected: unprojected.map((row) => withNewestDeferred(row, deferredDocuments)),
    savedSeqs: new Map(stored.states.map((state) => [state.key, state.seq])),
    damaged,
  };
}

function placeOf(key: ActorKey, document: { kind: number; id: string }): Place {
  return `${key}\n${document.kind}\n${document.id}`;
}

function foldDocuments(
  stored: StoredRows,
  tail: readonly LogRecord[],
  damaged: Damage[],
): Documents {
  const documents: Documents = new Map();
  for (const { key, kind, id, rev, body } of stored.documents) {
    const decoded = decodedOrNull(body);
    if (decoded === null) damaged.push({ key, what: 'document' });
    const document =
      decoded === null ? unreadable(`${kind} ${id}`) : { kind, id, rev, body: decoded.value };
    documents.set(placeOf(key, document), { key, document });
  }
  for (const row of tail) {
    for (const write of row.documents) foldDocument(documents, row.key, write);
  }
  return documents;
}

/** Returns the value in the bytes; null where they do not decode. */
function decodedOrNull(bytes: Uint8Array): { readonly value: unknown } | null {
  try {
    return { value: decodeValue(bytes) };
  } catch (error) {
    if (error instanceof TocsinError && error.code === 'RT_DECODE') return null;
    throw error;
  }
}

/** Stands for a document that does not decode: its actor is paused and visible until an operator looks. */
function unreadable(what: string): StoredDocument {
  const reason = `stored document ${what} does not decode`;
  return { kind: documentKinds.quarantine, id: 'quarantine', rev: 0, body: { reason } };
}

/** A deferred intent's document is also written without the log (its next attempt): more attempts are newer. */
function foldDocument(documents: Documents, key: ActorKey, write: DocumentWrite): void {
  const place = placeOf(key, write);
  if (write.body === null) {
    documents.delete(place);
    return;
  }
  const present = documents.get(place);
  const isOlder =
    write.kind === documentKinds.deferred && (present?.document.rev ?? -1) > write.rev;
  if (!isOlder) documents.set(place, { key, document: { ...write, body: write.body } });
}

function deferredOf(documents: Documents): Map<Place, StoredDocument> {
  const deferred = new Map<Place, StoredDocument>();
  for (const [place, { document }] of documents) {
    if (document.kind === documentKinds.deferred) deferred.set(place, document);
  }
  return deferred;
}

/** An intent is committed while its alarm exists, and a deleted alarm's id never comes back. */
function orphansOf(
  owed: readonly { readonly key: ActorKey; readonly intent: Intent }[],
  documents: Documents,
): Set<string> {
  const isOrphan = ({ key, intent }: { key: ActorKey; intent: Intent }): boolean =>
    !documents.has(placeOf(key, { kind: documentKinds.alarm, id: intent.alarm }));
  return new Set(owed.filter(isOrphan).map(({ intent }) => intent.id));
}

function withNewestDeferred(
  row: LogRecord,
  deferred: ReadonlyMap<Place, StoredDocument>,
): LogRecord {
  if (row.kind !== rowKinds.deferred) return row;
  const documents = row.documents.map(
    (document) => deferred.get(placeOf(row.key, document)) ?? document,
  );
  return { ...row, documents };
}

interface Actor {
  readonly documents: StoredDocument[];
  soft: LoadedActor['soft'];
  readonly tail: { seq: number; key: ActorKey; kind: LogRecord['kind']; body: unknown }[];
  /** Rows that the soft state holds already. */
  readonly held: Actor['tail'];
  hasDeleted: boolean;
}

function groupByActor(
  stored: StoredRows,
  documents: Documents,
  log: { readonly tail: readonly LogRecord[]; readonly snap: number; readonly damaged: Damage[] },
): Pick<FoldedShard, 'actors' | 'deleted'> {
  const all = new Map<ActorKey, Actor>();
  const actorOf = (key: ActorKey): Actor => {
    const actor = all.get(key) ?? {
      documents: [],
      soft: null,
      tail: [],
      held: [],
      hasDeleted: false,
    };
    all.set(key, actor);
    return actor;
  };
  for (const { key, document } of documents.values()) {
    if (document.kind !== documentKinds.deferred) actorOf(key).documents.push(document);
  }
  for (const { key, seq, body } of stored.states) {
    const decoded = decodedOrNull(body);
    if (decoded === null) log.damaged.push({ key, what: 'soft state' });
    else actorOf(key).soft = { seq, body: decoded.value };
  }
  for (const row of log.tail) {
    if (!outboxKinds.has(row.kind)) foldTailRow(actorOf(row.key), row, log.snap);
  }
  return split(all);
}

function foldTailRow(actor: Actor, row: LogRecord, snap: number): void {
  actor.hasDeleted ||= row.documents.some((document) => document.body === null);
  const { seq, key, kind, body } = row;
  // Without a soft state all that is left of the log counts: rows at or below `snap` are no longer needed by anybody.
  if (seq > (actor.soft?.seq ?? snap)) actor.tail.push({ seq, key, kind, body });
  else if (seq > snap) actor.held.push({ seq, key, kind, body });
}

function split(all: ReadonlyMap<ActorKey, Actor>): Pick<FoldedShard, 'actors' | 'deleted'> {
  const actors = new Map<ActorKey, LoadedActor>();
  const deleted = new Map<ActorKey, LoadedActor>();
  for (const [key, { documents, soft, tail, held, hasDeleted }] of all) {
    if (documents.length === 0 && hasDeleted) {
      // Its soft state goes: what that held of the log answers retried requests too.
      deleted.set(key, { documents, soft: null, tail: [...held, ...tail] });
    } else if (documents.length > 0 || soft !== null || tail.length > 0) {
      actors.set(key, { documents, soft, tail });
    }
  }
  return { actors, deleted };
}

function openIntents(tail: readonly LogRecord[], dispatched: number): FoldedShard['intents'] {
  const open = new Map<string, { seq: number; key: ActorKey; intent: Intent }>();
  for (const { seq, key, kind, body } of tail) {
    if (kind === rowKinds.intent && seq > dispatched) {
      open.set((body as Intent).id, { seq, key, intent: body as Intent });
    } else if (kind === rowKinds.outcome) open.delete((body as IntentOutcome).intent);
    else if (kind === rowKinds.deferred) open.delete((body as DeferredIntent).intent.id);
  }
  return [...open.values()];
}
