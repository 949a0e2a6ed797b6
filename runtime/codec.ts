// Values, envelopes and replies ↔ bytes; the only importer of msgpackr. One self-contained encoding: no learned
// structures, no extensions, a version byte first. Must not know what is encoded. Bytes are not trusted: whatever comes in
// is scanned against the limits before it is decoded, and every refusal is RT_DECODE.
import { Packr } from 'msgpackr';
import { TocsinError } from './errors.ts';
import { type ActorKey, actorKey } from './ids.ts';
import { codecLimits } from './limits.ts';
import type { Envelope, Message } from './message.ts';
import { scanMsgpack } from './msgpack-scan.ts';

/** First byte of everything that is encoded: what it is and in which version. Never reuse a number. */
const formats = { value: 1, envelope: 2, reply: 3 } as const;

/** Version of the positional envelope and reply; a reader ignores positions that it does not know. */
const wireVersion = 1;

const packr = new Packr({
  useRecords: false,
  mapsAsObjects: true,
  moreTypes: false,
  structuredClone: false,
  bundleStrings: false,
  // Decoded byte strings are copies: they go into states and mailboxes, and would hold the frame they came in.
  copyBuffers: true,
});

/**
 * Returns `value` as bytes of its own (not of a shared pool). Accepted: null, booleans, numbers, texts, Uint8Array, arrays
 * and plain objects of these; a field may be undefined, an item of an array may not. Everything else (Map, Set, Date, bigint,
 * functions, class instances), depth above 32, more than 100,000 items and more than 1 MiB of bytes throw `RT_DECODE`:
 * whatever encodes also decodes, to an equal value. A key `__proto__` comes back as `__proto_`.
 */
export function encodeValue(value: unknown): Uint8Array {
  return encodeAs(formats.value, value);
}

/** Returns the value of `encodeValue`'s bytes. Throws `RT_DECODE` for anything else; never another error. */
export function decodeValue(bytes: Uint8Array): unknown {
  return decodeAs(formats.value, bytes);
}

/** What a frame carries: the two things that nodes send each other. */
export type Frame =
  | { readonly type: 'envelope'; readonly envelope: Envelope }
  | { readonly type: 'reply'; readonly reply: Reply };

/** The answer to an ask, as it travels. */
export type Reply =
  | { readonly corr: string; readonly ok: true; readonly value: unknown }
  | { readonly corr: string; readonly ok: false; readonly error: TocsinError };

/** Returns the bytes of an envelope: `[version, to, lane, corr, deadlineLeftMs, kind, body]`. `nowMonoMs`: this node's. */
export function encodeEnvelope(envelope: Envelope, nowMonoMs: number): Uint8Array {
  const { kind, ...body } = envelope.message;
  const deadlineLeftMs =
    envelope.deadlineMonoMs === null ? null : Math.max(0, envelope.deadlineMonoMs - nowMonoMs);
  const lane = envelope.lane === 'system' ? 0 : 1;
  return encodeAs(formats.envelope, [
    wireVersion,
    envelope.to,
    lane,
    envelope.corr,
    deadlineLeftMs,
    kind,
    body,
  ]);
}

/** Returns the bytes of a reply: `[version, corr, status, value]`, status 0 error, 1 value, 2 no value. */
export function encodeReply(reply: Reply): Uint8Array {
  if (reply.ok) {
    const status = reply.value === undefined ? 2 : 1;
    return encodeAs(formats.reply, [wireVersion, reply.corr, status, reply.value ?? null]);
  }
  const { code, message, retryable, details } = reply.error;
  return encodeAs(formats.reply, [wireVersion, reply.corr, 0, [code, message, retryable, details]]);
}

/** Returns what a peer sent; deadlines become monotonic instants of this node. Throws `RT_DECODE`. */
export function decodeFrame(bytes: Uint8Array, nowMonoMs: number): Frame {
  if (bytes[0] === formats.reply) {
    return { type: 'reply', reply: replyOf(decodeAs(formats.reply, bytes)) };
  }
  const envelope = envelopeOf(decodeAs(formats.envelope, bytes), nowMonoMs);
  return { type: 'envelope', envelope };
}

function encodeAs(format: number, value: unknown): Uint8Array {
  assertPlain(value, 0);
  const packed = packr.pack(value);
  if (packed.length >= codecLimits.bytes) refuse(`a value of ${packed.length} bytes`);
  const bytes = new Uint8Array(packed.length + 1);
  bytes[0] = format;
  bytes.set(packed, 1);
  return bytes;
}

function decodeAs(format: number, bytes: Uint8Array): unknown {
  if (bytes.length > codecLimits.bytes) refuse(`${bytes.length} bytes`);
  if (bytes[0] !== format) refuse(`format ${bytes[0] ?? 'missing'}`);
  const fault = scanMsgpack(bytes, 1);
  if (fault !== null) refuse(fault);
  try {
    // A plain Uint8Array in gives plain Uint8Arrays out, whatever the caller has (a Buffer's slice is no copy).
    return packr.unpack(new Uint8Array(bytes.buffer, bytes.byteOffset + 1, bytes.length - 1));
  } catch (cause) {
    throw new TocsinError('RT_DECODE', 'bytes that do not decode', { cause });
  }
}

function assertPlain(value: unknown, depth: number): void {
  if (typeof value !== 'object') {
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
      refuse(`a value of type ${typeof value}`);
    }
    return;
  }
  if (value === null || value instanceof Uint8Array) return;
  if (depth >= codecLimits.depth) refuse('a value that is too deep or refers to itself');
  if (Array.isArray(value)) assertItems(value, depth);
  else assertFields(value, depth);
}

function assertItems(items: readonly unknown[], depth: number): void {
  if (items.length > codecLimits.length) refuse('an array that is too long');
  for (let at = 0; at < items.length; at++) assertPlain(items[at], depth + 1);
}

function assertFields(fields: object, depth: number): void {
  const prototype = Object.getPrototypeOf(fields);
  if (prototype !== Object.prototype && prototype !== null) {
    refuse(`an instance of ${prototype?.constructor?.name ?? 'a class'}`);
  }
  const keys = Object.keys(fields);
  if (keys.length > codecLimits.length) refuse('an object with too many fields');
  for (const key of keys) {
    const field = (fields as Record<string, unknown>)[key];
    if (field !== undefined) assertPlain(field, depth + 1);
  }
}

function envelopeOf(value: unknown, nowMonoMs: number): Envelope {
  const [, to, lane, corr, leftMs, kind, body] = positions(value, 7);
  if (lane !== 0 && lane !== 1) refuse('a lane');
  if (leftMs !== null && !Number.isFinite(leftMs)) refuse('a deadline');
  if (typeof body !== 'object' || body === null || Array.isArray(body)) refuse('a body');
  if (body instanceof Uint8Array || Object.hasOwn(body, 'kind')) refuse('a body');
  const message: Message = { kind: text(kind, 'a kind'), ...body };
  return {
    to: keyOf(to),
    message,
    lane: lane === 0 ? 'system' : 'user',
    corr: text(corr, 'a correlation'),
    deadlineMonoMs: leftMs === null ? null : nowMonoMs + (leftMs as number),
  };
}

function replyOf(value: unknown): Reply {
  const [, corrValue, status, content] = positions(value, 4);
  const corr = text(corrValue, 'a correlation');
  if (status === 1) return { corr, ok: true, value: content };
  if (status === 2) return { corr, ok: true, value: undefined };
  if (status !== 0 || !Array.isArray(content)) refuse('a status');
  const [code, message, retryable, details] = content;
  const options = {
    retryable: retryable === true,
    details: (typeof details === 'object' && details !== null ? details : {}) as Record<
      string,
      unknown
    >,
  };
  const error = new TocsinError(text(code, 'a code'), text(message, 'a text'), options);
  return { corr, ok: false, error };
}

function positions(value: unknown, count: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length < count) refuse('too few positions');
  if (value[0] !== wireVersion) refuse(`wire version ${String(value[0])}`);
  return value;
}

function keyOf(value: unknown): ActorKey {
  try {
    return actorKey(text(value, 'a key'));
  } catch (cause) {
    throw new TocsinError('RT_DECODE', 'not decodable: a key', { cause });
  }
}

function text(value: unknown, what: string): string {
  if (typeof value !== 'string') refuse(what);
  return value;
}

function refuse(what: string): never {
  throw new TocsinError('RT_DECODE', `not a record of this project: ${what}`);
}
