// What waits for one actor: its mailbox, the timer message that it failed on and gets again, and behind a closed gate what
// must wait until it may decide. Must not know why the gate is closed.
import { Gate } from './gate.ts';
import { type Delivery, Mailbox } from './mailbox.ts';

export class Inbox extends Mailbox {
  /** The timer message that the actor failed on: it comes again, or its slots would silently end. */
  #retry: Delivery | null = null;
  /** null: open. */
  #gate: Gate | null = null;

  get isClosed(): boolean {
    return this.#gate !== null;
  }

  /** Whether the actor has something to do. */
  get isFull(): boolean {
    return this.#retry !== null || this.length > 0;
  }

  /** All that waits, behind the gate too. */
  get waiting(): number {
    return this.length + (this.#gate?.length ?? 0);
  }

  /** A message from others: false where its lane is full. */
  offerFromOthers(delivery: Delivery): boolean {
    return (this.#gate ?? this).offer(delivery);
  }

  /** Returns and removes the message whose turn it is. */
  next(): Delivery | undefined {
    const retry = this.#retry;
    if (retry === null) return this.take();
    this.#retry = null;
    return retry;
  }

  /** Keeps a message to be handled again, first; null: none. */
  again(delivery: Delivery | null): void {
    this.#retry = delivery;
  }

  close(): void {
    this.#gate ??= new Gate();
  }

  /** Returns what waited behind the gate, now open; null: it was. */
  open(): ReturnType<Gate['leave']> | null {
    const gate = this.#gate;
    this.#gate = null;
    return gate?.leave() ?? null;
  }

  /** Soft state changed: true where that waits for the gate. */
  saves(urgent: boolean): boolean {
    this.#gate?.saves(urgent);
    return this.#gate !== null;
  }

  /** Returns and removes everything. */
  empty(): Delivery[] {
    return [...this.drain(), ...(this.#gate?.leave().deliveries ?? [])];
  }
}
