// Both directions of traffic with one peer, without time or wire: what waits, what may leave under the peer's credit, what
// arrived and how much of it the peer was told. Lost frames cost their messages only: totals settle the rest. Pure.
import { TocsinError } from '../runtime/errors.ts';
import { queueFull } from '../runtime/refusals.ts';
import { Ring } from '../runtime/ring.ts';
import type { Frame, FrameHeader, FrameItem } from './frame.ts';
import { frameLimits as limits } from './limits.ts';

interface Waiting extends FrameItem {
  readonly atMonoMs: number;
}

/** What one frame takes: items, and the totals after them. */
export interface Taken {
  readonly items: readonly FrameItem[];
  readonly sentMessages: number;
  readonly sentBytes: number;
}

/** Outgoing messages of one link, in order; control messages overtake. */
export class Outgoing {
  readonly #queue = new Ring<Waiting>();
  readonly #control = new Ring<FrameItem>();
  #queueBytes = 0;
  #sentMessages = 0;
  #sentBytes = 0;
  #ackedMessages = 0;
  #ackedBytes = 0;
  /** The last item that left was a part: the rest of its message must follow. */
  #isInsideMessage = false;
  /** Messages dropped because they waited too long. */
  droppedStale = 0;

  /** Messages waiting. */
  get waiting(): number {
    return this.#queue.length + this.#control.length;
  }

  get waitingBytes(): number {
    return this.#queueBytes;
  }

  /** True where nothing but control may leave now. */
  get isBlocked(): boolean {
    return (
      this.#sentMessages - this.#ackedMessages >= limits.creditMessages ||
      this.#sentBytes - this.#ackedBytes >= limits.creditBytes
    );
  }

  /** Totals for a frame without items. */
  get totals(): Taken {
    return { items: [], sentMessages: this.#sentMessages, sentBytes: this.#sentBytes };
  }

  /**
   * Takes a message in. Throws `RT_QUEUE_FULL` where 4096 messages or 16 MB wait, `CL_MESSAGE_TOO_BIG` above 1 MiB.
   * `isControl`: overtakes, and is not held back by credit.
   */
  push(bytes: Uint8Array, nowMonoMs: number, isControl: boolean): void {
    if (bytes.length > limits.messageBytes) {
      throw new TocsinError('CL_MESSAGE_TOO_BIG', `a message of ${bytes.length} bytes`);
    }
    const isFull =
      this.waiting >= limits.queueMessages || this.#queueBytes + bytes.length > limits.queueBytes;
    if (isFull) throw queueFull('messages to a node');
    this.#queueBytes += bytes.length;
    if (isControl && bytes.length <= limits.partBytes) {
      this.#control.push({ kind: 'whole', bytes });
      return;
    }
    for (const item of partsOf(bytes)) this.#queue.push({ ...item, atMonoMs: nowMonoMs });
  }

  /** Returns the next frame's items and totals, or null where nothing may leave. */
  take(nowMonoMs: number): Taken | null {
    const items: FrameItem[] = [];
    let bytes = 0;
    while (items.length < limits.messages) {
      const item = this.#next(nowMonoMs);
      if (item === undefined) break;
      if (items.length > 0 && bytes + item.bytes.length > limits.bytes) break;
      this.#shift(item);
      items.push(item);
      bytes += item.bytes.length;
    }
    return items.length === 0 ? null : { ...this.totals, items };
  }

  /** The peer has seen so much. */
  acknowledge(gotMessages: number, gotBytes: number): void {
    // More than was ever sent: a peer that is wrong gives itself no credit.
    if (gotMessages > this.#sentMessages || gotBytes > this.#sentBytes) return;
    this.#ackedMessages = Math.max(this.#ackedMessages, gotMessages);
    this.#ackedBytes = Math.max(this.#ackedBytes, gotBytes);
  }

  #next(nowMonoMs: number): FrameItem | undefined {
    const control = this.#isInsideMessage ? undefined : this.#control.peek();
    if (control !== undefined) return control;
    if (this.isBlocked) return undefined;
    if (!this.#isInsideMessage) this.#dropStale(nowMonoMs);
    return this.#queue.peek();
  }

  #shift(item: FrameItem): void {
    if (this.#control.peek() === item) this.#control.shift();
    else {
      this.#queue.shift();
      this.#isInsideMessage = goesOn(item);
    }
    this.#queueBytes -= item.bytes.length;
    this.#sentMessages++;
    this.#sentBytes += item.bytes.length;
  }

  #dropStale(nowMonoMs: number): void {
    for (;;) {
      const head = this.#queue.peek();
      if (head === undefined || nowMonoMs - head.atMonoMs <= limits.queueMs) return;
      this.droppedStale++;
      let item: FrameItem | undefined;
      do {
        item = this.#queue.shift();
        this.#queueBytes -= item?.bytes.length ?? 0;
      } while (item !== undefined && goesOn(item));
    }
  }
}

/** Incoming messages of one incarnation of a peer. */
export class Incoming {
  #gotMessages = 0;
  #gotBytes = 0;
  #toldMessages = 0;
  #toldBytes = 0;
  #parts: Uint8Array[] = [];
  #partBytes = 0;

  /** Totals for the header of a frame that goes back; from now on the peer counts as told. */
  tell(): Pick<FrameHeader, 'gotMessages' | 'gotBytes'> {
    this.#toldMessages = this.#gotMessages;
    this.#toldBytes = this.#gotBytes;
    return { gotMessages: this.#gotMessages, gotBytes: this.#gotBytes };
  }

  /** True where the peer should be told even if nothing else goes back. */
  get owesNews(): boolean {
    return (
      this.#gotMessages - this.#toldMessages >= limits.ackMessages ||
      this.#gotBytes - this.#toldBytes >= limits.ackBytes
    );
  }

  /** Returns the whole messages of a frame, in order; none of a frame that is older than what was seen. */
  accept(frame: Frame): readonly Uint8Array[] {
    const before = frame.sentMessages - frame.items.length;
    if (before < this.#gotMessages && frame.items.length > 0) return []; // seen before, or late
    if (before > this.#gotMessages) this.#forgetParts(); // something in between was lost
    this.#gotMessages = Math.max(this.#gotMessages, frame.sentMessages);
    this.#gotBytes = Math.max(this.#gotBytes, frame.sentBytes);
    const messages: Uint8Array[] = [];
    for (const item of frame.items) {
      const message = this.#join(item);
      if (message !== null) messages.push(message);
    }
    return messages;
  }

  /** Returns the message that an item completes, or null. */
  #join(item: FrameItem): Uint8Array | null {
    if (item.kind === 'whole') return item.bytes;
    if (item.kind === 'first') this.#forgetParts();
    else if (this.#parts.length === 0) return null; // its beginning was lost
    this.#partBytes += item.bytes.length;
    if (this.#partBytes > limits.messageBytes) this.#forgetParts();
    else this.#parts.push(item.bytes);
    if (item.kind !== 'last') return null;
    const whole = this.#parts.length === 0 ? null : Buffer.concat(this.#parts);
    this.#forgetParts();
    return whole;
  }

  #forgetParts(): void {
    this.#parts = [];
    this.#partBytes = 0;
  }
}

/** True where the item's message has more items. */
function goesOn(item: FrameItem): boolean {
  return item.kind === 'first' || item.kind === 'middle';
}

function partsOf(bytes: Uint8Array): readonly FrameItem[] {
  if (bytes.length <= limits.partBytes) return [{ kind: 'whole', bytes }];
  const items: FrameItem[] = [];
  for (let at = 0; at < bytes.length; at += limits.partBytes) {
    const end = at + limits.partBytes;
    const kind = at === 0 ? 'first' : end >= bytes.length ? 'last' : 'middle';
    items.push({ kind, bytes: bytes.subarray(at, end) });
  }
  return items;
}
