// A frame between two nodes as bytes: who sends, how much was sent and received on this link in all, and many messages.
// Totals, not differences: whatever was lost on the way, the next frame says it. Must not know what the messages are. Pure.
//
//   1 version · 1 flags · 1 + n node · 1 + n incarnation · 4 × 8 totals · 2 items · each: 1 kind, 4 length, bytes
import { TocsinError } from '../runtime/errors.ts';
import { frameLimits } from './limits.ts';

/** One incarnation of a node. */
export interface Peer {
  readonly node: string;
  readonly incarnation: string;
}

export interface FrameHeader {
  readonly from: Peer;
  /** Messages and bytes sent on this link so far, this frame's included. */
  readonly sentMessages: number;
  readonly sentBytes: number;
  /** Totals of the receiver's own frames, as last seen by the sender: the receiver's credit. */
  readonly gotMessages: number;
  readonly gotBytes: number;
  /** The sender has no credit left and asks for an answer. */
  readonly asksCredit: boolean;
}

/** A whole message, or a part of one. */
export type ItemKind = 'whole' | 'first' | 'middle' | 'last';

export interface FrameItem {
  readonly kind: ItemKind;
  readonly bytes: Uint8Array;
}

export interface Frame extends FrameHeader {
  readonly items: readonly FrameItem[];
}

const version = 1;
const kinds: readonly ItemKind[] = ['whole', 'first', 'middle', 'last'];
/** Bytes of one item beside its content. */
const itemOverhead = 5;

/** Returns the bytes of a frame. Names must be ASCII of at most 64 characters; at most 65,535 items. */
export function encodeFrame(frame: Frame): Uint8Array {
  const { from, items } = frame;
  let size = 4 + from.node.length + from.incarnation.length + 34;
  for (const { bytes } of items) size += itemOverhead + bytes.length;
  const out = Buffer.allocUnsafe(size);
  out[0] = version;
  out[1] = frame.asksCredit ? 1 : 0;
  let at = writeName(out, 2, from.node);
  at = writeName(out, at, from.incarnation);
  for (const total of [frame.sentMessages, frame.sentBytes, frame.gotMessages, frame.gotBytes]) {
    at = out.writeDoubleLE(total, at);
  }
  at = out.writeUInt16LE(items.length, at);
  for (const { kind, bytes } of items) {
    at = out.writeUInt8(kinds.indexOf(kind), at);
    at = out.writeUInt32LE(bytes.length, at);
    out.set(bytes, at);
    at += bytes.length;
  }
  return out;
}

/** Returns the frame of bytes from a peer; items are views into `bytes`. Throws `CL_FRAME` for anything else. */
export function decodeFrame(bytes: Uint8Array): Frame {
  const reader = new Reader(bytes);
  if (reader.byte() !== version) refuse('another version');
  const flags = reader.byte();
  const from = { node: reader.name(), incarnation: reader.name() };
  const [sentMessages, sentBytes, gotMessages, gotBytes] = [
    reader.total(),
    reader.total(),
    reader.total(),
    reader.total(),
  ];
  const items = Array.from({ length: reader.count() }, () => reader.item());
  reader.end();
  return { from, sentMessages, sentBytes, gotMessages, gotBytes, asksCredit: flags === 1, items };
}

function writeName(out: Buffer, at: number, name: string): number {
  out.writeUInt8(name.length, at);
  return at + 1 + out.write(name, at + 1, 'latin1');
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  byte(): number {
    return this.#bytes[this.#take(1)] as number;
  }

  name(): string {
    const length = this.byte();
    const from = this.#take(length);
    const name = this.#bytes.toString('latin1', from, from + length);
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(name)) refuse('a name');
    return name;
  }

  total(): number {
    const total = this.#bytes.readDoubleLE(this.#take(8));
    if (!Number.isSafeInteger(total) || total < 0) refuse('a total');
    return total;
  }

  count(): number {
    const count = this.#bytes.readUInt16LE(this.#take(2));
    if (count * itemOverhead > this.#bytes.length) refuse('a count');
    return count;
  }

  item(): FrameItem {
    const kind = kinds[this.byte()];
    const length = this.#bytes.readUInt32LE(this.#take(4));
    if (kind === undefined || length > frameLimits.messageBytes) refuse('an item');
    const from = this.#take(length);
    return { kind, bytes: this.#bytes.subarray(from, from + length) };
  }

  end(): void {
    if (this.#at !== this.#bytes.length) refuse('bytes after its end');
  }

  /** Returns where the next `length` bytes begin. */
  #take(length: number): number {
    const from = this.#at;
    this.#at += length;
    if (this.#at > this.#bytes.length) refuse('cut short');
    return from;
  }
}

function refuse(what: string): never {
  throw new TocsinError('CL_FRAME', `no frame of this protocol: ${what}`);
}
