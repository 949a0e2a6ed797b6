// What confirms the own lease, and what ends it (clustering.md §8): acknowledgements of a majority, reads of the view, blind
// relays, accusations, pauses, denials. Pure: its only inputs are events with monotonic instants. Must not know what the
// lease allows; lease.ts is asked at the point of effect.

import type { NodeId } from '../runtime/ids.ts';
import { type Heartbeat, isSame, type NodeRun } from './heartbeat.ts';
import { detectorLimits, leaseLimits } from './limits.ts';
import { lists, majorityOf, type View } from './view.ts';

export interface LeaseState {
  readonly isValid: boolean;
  /** What confirmed the lease that stands; null where none stands. */
  readonly by: 'acks' | 'view' | null;
  /** The attempt to confirm a lapsed lease: under way, or run out after 1.4 s without an answer. */
  readonly attempt: 'none' | 'pending' | 'ranOut';
  /** The view lacks this incarnation: nothing confirms the lease any more. */
  readonly isDenied: boolean;
  /** Acknowledgements are missing: the view should be read, every 500 ms. */
  readonly wantsRead: boolean;
}

const never = Number.NEGATIVE_INFINITY;

export class LeaseKeeper {
  readonly #me: NodeRun;
  /** Own heartbeats: when each was sent. */
  readonly #sentAtMs = new Map<number, number>();
  /** When the newest own heartbeat was sent that a member acknowledged. */
  readonly #ackedAtMs = new Map<NodeId, number>();
  #view: View;
  #untilMs = never;
  #acksStartMs = never;
  #droppedAtMs = never;
  #lapsedAtMs: number | null;
  #passing = 0;
  #tickAgeMs = 0;
  #isAccused = false;
  #isDenied = false;

  constructor(options: NodeRun & { readonly view: View; readonly atMonoMs: number }) {
    this.#me = { node: options.node, incarnation: options.incarnation };
    this.#view = options.view;
    this.#lapsedAtMs = options.atMonoMs;
  }

  /** Until when effects are allowed, monotonic ms. */
  get validUntilMonoMs(): number {
    return this.#untilMs;
  }

  /** An own heartbeat was published. */
  sent(seq: number, atMonoMs: number): void {
    this.#sentAtMs.set(seq, atMonoMs);
    if (this.#sentAtMs.size <= detectorLimits.sentKept) return;
    const [oldest] = this.#sentAtMs.keys();
    this.#sentAtMs.delete(oldest as number);
  }

  /** A heartbeat arrived; what it says of having heard this node is the acknowledgement. An own one is the echo. */
  heartbeat(beat: Heartbeat): void {
    if (isSame(beat, this.#me)) {
      this.#echoed(beat.seq);
      return;
    }
    if (!lists(this.#view, beat.node, beat.incarnation)) return;
    // Before the detector's next word: what it acknowledges beside its verdict must not count.
    if (beat.verdicts.some((run) => isSame(run, this.#me))) this.#isAccused = true;
    const own = beat.heard.find((run) => isSame(run, this.#me));
    const sentAtMs = own === undefined ? undefined : this.#sentAtMs.get(own.seq);
    if (sentAtMs === undefined) return;
    this.#ackedAtMs.set(beat.node, Math.max(sentAtMs, this.#ackedAtMs.get(beat.node) ?? never));
    this.#count();
  }

  /** The own echo proves something only where nobody else could disagree: inside a split it always comes back. */
  #echoed(seq: number): void {
    const sentAtMs = this.#sentAtMs.get(seq);
    if (this.#view.members.size !== 1 || sentAtMs === undefined) return;
    this.#confirmByAcks(sentAtMs);
  }

  /** A read of the view was answered; `startedMonoMs`: when it was asked. Before this node is a member it is no denial. */
  viewRead(startedMonoMs: number, isListed: boolean): void {
    if (isListed) this.#confirm(startedMonoMs);
    else if (lists(this.#view, this.#me.node, this.#me.incarnation)) this.deny();
  }

  /** A newer view is followed. */
  view(view: View): void {
    this.#view = view;
    for (const node of this.#ackedAtMs.keys()) {
      if (!view.members.has(node)) this.#ackedAtMs.delete(node);
    }
  }

  /** How many relays pass: the loss of the last one leaves 0.4 s, unless a read of the view renews the lease. */
  relays(passing: number, atMonoMs: number): void {
    if (passing === 0 && this.#passing > 0) {
      this.#untilMs = Math.min(this.#untilMs, atMonoMs + leaseLimits.blindMs);
    }
    this.#passing = passing;
  }

  /** While a verdict against this node is heard, only a read of the view renews the lease. */
  accused(isAccused: boolean): void {
    this.#isAccused = isAccused;
  }

  /** The thread never vouches for a main loop that stands still. */
  mainLoop(tickAgeMs: number): void {
    this.#tickAgeMs = tickAgeMs;
  }

  /** Accused, lagged or slept: the lease ends now, and no confirmation that began before revives it. */
  drop(atMonoMs: number): void {
    this.#untilMs = never;
    this.#acksStartMs = never;
    this.#droppedAtMs = atMonoMs;
    this.#lapsedAtMs = atMonoMs;
  }

  /** The view lacks this incarnation, for ever. */
  deny(): void {
    this.#untilMs = never;
    this.#isDenied = true;
  }

  /** Returns the state at an instant. A lapse counts from the first call that sees it: a pause is no attempt. */
  state(nowMonoMs: number): LeaseState {
    const isValid = nowMonoMs < this.#untilMs;
    if (isValid) this.#lapsedAtMs = null;
    else this.#lapsedAtMs ??= nowMonoMs;
    const acksAgeMs = nowMonoMs - this.#acksStartMs;
    const isAcked = !this.#isAccused && acksAgeMs < leaseLimits.lengthMs;
    return {
      isValid,
      by: isValid ? (isAcked ? 'acks' : 'view') : null,
      attempt: this.#attempt(nowMonoMs),
      isDenied: this.#isDenied,
      wantsRead: !this.#isDenied && (!isValid || !isAcked || this.#isMissing(acksAgeMs)),
    };
  }

  /** Acknowledgements that are late, or that cannot come: what is left of the lease once no relay passes is short. */
  #isMissing(acksAgeMs: number): boolean {
    return this.#passing === 0 || acksAgeMs > leaseLimits.acksMissingMs;
  }

  #attempt(nowMonoMs: number): LeaseState['attempt'] {
    if (this.#lapsedAtMs === null) return 'none';
    return nowMonoMs - this.#lapsedAtMs < leaseLimits.lengthMs ? 'pending' : 'ranOut';
  }

  /** Confirms from the newest instant that a majority, this node included, has acknowledged. */
  #count(): void {
    const needed = majorityOf(this.#view) - 1;
    const newestFirst = [...this.#ackedAtMs.values()].sort((a, b) => b - a);
    const startedMs = newestFirst[needed - 1];
    if (startedMs !== undefined) this.#confirmByAcks(startedMs);
  }

  #confirmByAcks(startedMs: number): void {
    if (this.#isAccused || this.#passing === 0 || this.#tickAgeMs > leaseLimits.tickAgeMs) return;
    if (!lists(this.#view, this.#me.node, this.#me.incarnation)) return;
    if (startedMs >= this.#droppedAtMs) this.#acksStartMs = Math.max(this.#acksStartMs, startedMs);
    this.#confirm(startedMs);
  }

  #confirm(startedMs: number): void {
    if (this.#isDenied || startedMs < this.#droppedAtMs) return;
    this.#untilMs = Math.max(this.#untilMs, startedMs + leaseLimits.lengthMs);
  }
}
