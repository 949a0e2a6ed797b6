// The decision gate of one actor (clustering.md §7, "Load", and §11): while it is closed the actor polls, but whatever could
// make it decide waits here: messages from others, and its wish to be saved. Timers and answers to its own probes pass; the
// step gets no documents, so observations wait too. Must not know why it is closed.
import { type Delivery, Mailbox } from './mailbox.ts';

export class Gate {
  readonly #waiting = new Mailbox();
  #saves: 'no' | 'later' | 'soon' = 'no';

  get length(): number {
    return this.#waiting.length;
  }

  /** Returns false, and keeps nothing, where as much waits as a mailbox holds. */
  offer(delivery: Delivery): boolean {
    return this.#waiting.offer(delivery);
  }

  /** Soft state changed; it is asked for once the gate is open. */
  saves(urgent: boolean): void {
    if (this.#saves !== 'soon') this.#saves = urgent ? 'soon' : 'later';
  }

  /** Returns and removes what waited. */
  leave(): { readonly deliveries: readonly Delivery[]; readonly saves: 'no' | 'later' | 'soon' } {
    const deliveries = this.#waiting.drain();
    const saves = this.#saves;
    this.#saves = 'no';
    return { deliveries, saves };
  }
}
