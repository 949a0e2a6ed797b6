// Who may be sent to now: few attempts at once per receiver, many over all, and receivers that fail or take long can never
// use up the places of those that answer. Round robin inside each of the two classes. Must not know what is sent.
import type { Clock, Meter } from '../runtime/ports.ts';
import { Ring } from '../runtime/ring.ts';
import { outboxLimits } from './limits.ts';

/** One attempt that waits for a place. `run` never rejects; it says how the receiver did (`none`: it was not asked). */
export interface Job {
  readonly receiver: string;
  readonly run: () => Promise<'well' | 'badly' | 'none'>;
  isWithdrawn: boolean;
}

interface Receiver {
  readonly name: string;
  readonly waiting: Ring<Job>;
  active: number;
  /** Attempts under way that already take long. */
  slowActive: number;
  isFailing: boolean;
  isReady: boolean;
}

export class ReceiverSlots {
  readonly #clock: Clock;
  readonly #meter: Meter;
  readonly #receivers = new Map<string, Receiver>();
  readonly #ready = { swift: new Ring<Receiver>(), slow: new Ring<Receiver>() };
  readonly #active = { swift: 0, slow: 0 };
  #idle: (() => void)[] = [];
  #isStopped = false;
  #isPumping = false;

  constructor(clock: Clock, meter: Meter) {
    this.#clock = clock;
    this.#meter = meter;
  }

  /** Attempts under way. */
  get active(): number {
    return this.#active.swift + this.#active.slow;
  }

  /** Queues a job; it runs when its receiver has a place, never inside this call's turn of the loop if that is busy. */
  add(job: Job): void {
    const receiver = this.#receiverOf(job.receiver);
    receiver.waiting.push(job);
    this.#makeReady(receiver);
    this.#pump();
  }

  /** The job will not run, unless it is under way. */
  withdraw(job: Job): void {
    job.isWithdrawn = true;
  }

  /** Starts nothing more. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Resolves once nothing is under way. */
  idle(): Promise<void> {
    if (this.active === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #receiverOf(name: string): Receiver {
    const known = this.#receivers.get(name);
    if (known !== undefined) return known;
    const receiver: Receiver = {
      name,
      waiting: new Ring(),
      active: 0,
      slowActive: 0,
      isFailing: false,
      isReady: false,
    };
    this.#receivers.set(name, receiver);
    if (this.#receivers.size > outboxLimits.receivers) this.#forgetOneIdle();
    return receiver;
  }

  #forgetOneIdle(): void {
    for (const receiver of this.#receivers.values()) {
      if (receiver.active > 0 || receiver.waiting.length > 0) continue;
      this.#receivers.delete(receiver.name);
      return;
    }
  }

  #makeReady(receiver: Receiver): void {
    if (receiver.isReady) return;
    const placesMax = isSlow(receiver) ? outboxLimits.perFailingReceiver : outboxLimits.perReceiver;
    if (receiver.active >= placesMax || receiver.waiting.length === 0) return;
    receiver.isReady = true;
    (isSlow(receiver) ? this.#ready.slow : this.#ready.swift).push(receiver);
  }

  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    const { swift, slow, total } = outboxLimits;
    while (this.#ready.swift.length > 0 && this.#active.swift < swift && this.active < total) {
      if (!this.#startOne('swift')) break;
    }
    while (this.#ready.slow.length > 0 && this.#active.slow < slow && this.active < total) {
      if (!this.#startOne('slow')) break;
    }
    this.#isPumping = false;
  }

  #startOne(from: 'swift' | 'slow'): boolean {
    if (this.#isStopped) return false;
    const receiver = this.#ready[from].shift();
    if (receiver === undefined) return false;
    receiver.isReady = false;
    // It failed or slowed down while it waited here: it waits among its like.
    if (isSlow(receiver) === (from === 'slow')) this.#startJob(receiver, from);
    this.#makeReady(receiver);
    return true;
  }

  #startJob(receiver: Receiver, from: 'swift' | 'slow'): void {
    let job = receiver.waiting.shift();
    while (job?.isWithdrawn === true) job = receiver.waiting.shift();
    if (job !== undefined) void this.#run(receiver, job, from);
    else if (receiver.active === 0 && !receiver.isFailing) this.#receivers.delete(receiver.name);
  }

  async #run(receiver: Receiver, job: Job, from: 'swift' | 'slow'): Promise<void> {
    let counted = from;
    let isLong = false;
    this.#active[counted]++;
    receiver.active++;
    const cancel = this.#clock.schedule(this.#clock.monoMs() + outboxLimits.slowMs, () => {
      isLong = true;
      receiver.slowActive++;
      this.#active[counted]--;
      counted = 'slow';
      this.#active.slow++;
      this.#meter.count('notification_attempts_slow', 1);
      this.#pump();
    });
    const how = await job.run();
    cancel();
    this.#active[counted]--;
    receiver.active--;
    if (isLong) receiver.slowActive--;
    if (how !== 'none') receiver.isFailing = how === 'badly';
    if (receiver.active === 0 && receiver.waiting.length === 0 && !receiver.isFailing) {
      this.#receivers.delete(receiver.name);
    }
    this.#makeReady(receiver);
    this.#pump();
    if (this.active === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }
}

function isSlow(receiver: Receiver): boolean {
  return receiver.isFailing || receiver.slowActive > 0;
}
