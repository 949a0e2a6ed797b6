// One actor's waiting messages: a system lane and a user lane, each first in first out and bounded. The system lane goes
// first, but after 8 of its messages in a row one user message has its turn, so a stream of timers starves nobody.
// Must not know actors, deadlines or replies. At rest: one object of three fields.
import type { ActorKey } from './ids.ts';
import { mailboxLimits } from './limits.ts';
import type { Envelope, Lane, Message, ReplyTo } from './message.ts';
import { Ring } from './ring.ts';

/** A message as it waits: its envelope, who wants the answer (null: nobody), and whether a timer brought it. */
export interface Delivery {
  readonly envelope: Envelope;
  readonly replyTo: ReplyTo | null;
  readonly isTimer: boolean;
}

/** Returns a message of the runtime itself to an actor: system lane, no deadline, nobody waits. */
export function systemDelivery(to: ActorKey, message: Message): Delivery {
  const envelope: Envelope = { to, message, lane: 'system', corr: '', deadlineMonoMs: null };
  return { envelope, replyTo: null, isTimer: false };
}

export class Mailbox {
  #system: Ring<Delivery> | null = null;
  #user: Ring<Delivery> | null = null;
  #streak = 0;

  get length(): number {
    return this.lengthOf('system') + this.lengthOf('user');
  }

  lengthOf(lane: Lane): number {
    return (lane === 'system' ? this.#system : this.#user)?.length ?? 0;
  }

  /** Returns false, and keeps nothing, where the lane of the message is full: the newest is refused. */
  offer(delivery: Delivery): boolean {
    if (delivery.envelope.lane === 'system') {
      this.#system ??= new Ring();
      if (this.#system.length >= mailboxLimits.systemMessages) return false;
      this.#system.push(delivery);
      return true;
    }
    this.#user ??= new Ring();
    if (this.#user.length >= mailboxLimits.userMessages) return false;
    this.#user.push(delivery);
    return true;
  }

  /** Returns and removes the message whose turn it is, or undefined. */
  take(): Delivery | undefined {
    const hasUser = this.lengthOf('user') > 0;
    if (this.lengthOf('system') > 0 && !(hasUser && this.#streak >= mailboxLimits.systemStreak)) {
      this.#streak++;
      return this.#shift('system');
    }
    this.#streak = 0;
    return this.#shift('user');
  }

  /** Returns and removes all messages, in the order in which they would have had their turn. */
  drain(): Delivery[] {
    const deliveries: Delivery[] = [];
    for (let next = this.take(); next !== undefined; next = this.take()) deliveries.push(next);
    return deliveries;
  }

  #shift(lane: Lane): Delivery | undefined {
    const ring = lane === 'system' ? this.#system : this.#user;
    const delivery = ring?.shift();
    if (ring?.length === 0) {
      if (lane === 'system') this.#system = null;
      else this.#user = null;
    }
    return delivery;
  }
}
