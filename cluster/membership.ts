// This node as a member: joins, follows the agreed view, writes who is dead, beats in the store, falls and comes back under a
// new incarnation (clustering.md §6, §8). Decides nothing by itself: the pure files say what evidence means, the store who wins.
// Must not know shards or actors: whoever holds them is told the view, and the fence.

import type { ViewStore } from '../runtime/cluster-ports.ts';
import { TocsinError } from '../runtime/errors.ts';
import type { NodeId } from '../runtime/ids.ts';
import type { Clock, Logger, Meter, Random } from '../runtime/ports.ts';
import { repeat } from '../runtime/repeat.ts';
import { type AgreedView, agreedView } from './agreed-view.ts';
import { declarations, mayRejoin } from './declare.ts';
import { membershipLimits } from './limits.ts';
import { initialMode, type ModeState, nextMode } from './mode.ts';
import { pause } from './pause.ts';
import type { Pulse, PulseEvent } from './pulse.ts';
import { StoreBeats } from './store-beats.ts';
import {
  assertSameConstants,
  emptyView,
  lists,
  type Member,
  type View,
  withMember,
  withoutMember,
  withState,
} from './view.ts';

export interface MembershipOptions {
  readonly node: NodeId;
  readonly joining: Omit<Member, 'sinceVersion' | 'incarnation'>;
  readonly serial: View['serial'];
  readonly views: ViewStore;
  readonly pulse: Pulse;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
  /** A newer view, or the first, that lists this incarnation. Called in order of versions. */
  readonly onView: (view: View, incarnation: string) => void;
  /** The view lacks this incarnation: nothing may be done for any shard, as of now. */
  readonly onFence: () => void;
  readonly onMode: (state: ModeState) => void;
  /** Another process has this node's name: this one must end and not come back. */
  readonly onReplaced: () => void;
}

export interface MembershipStatus {
  readonly view: View;
  readonly incarnation: string;
  readonly mode: ModeState;
  readonly isMember: boolean;
  readonly storeAnsweredMonoMs: number;
}

export interface Membership {
  /**
   * Joins and goes on beating. Rejects `CL_HASH_MISMATCH`, `CL_SHARDS_MISMATCH`, `CL_SERIAL_MISMATCH`, `CL_PROTOCOL_MISMATCH`,
   * `CL_VIEW_FULL`, `CL_CLOCK_SKEW`, or `CL_VIEW_UNCHANGED` where the store does not answer.
   */
  join(): Promise<View>;
  status(): MembershipStatus;
  /** Changes the view, and follows it. Rejects as `AgreedView.change`. */
  change(edit: (view: View) => View): Promise<View>;
  /** Reads the view now, at most one read at a time; resolves where it could not be read, too. */
  refresh(): Promise<void>;
  /** A peer told that the view has changed, or that an epoch above it was seen. */
  hearOf(version: number): void;
  /** Marks this node as draining: it gets no more shards. */
  drain(): Promise<void>;
  /** Leaves the view and stops beating; without an answer of the store it just stops. */
  leave(): Promise<void>;
}

/** Returns this node as no member yet. */
export function membership(options: MembershipOptions): Membership {
  return new NodeMembership(options);
}

class NodeMembership implements Membership {
  readonly #options: MembershipOptions;
  readonly #agreed: AgreedView;
  #incarnation: string;
  #view: View;
  #mode: ModeState = initialMode;
  readonly #beats: StoreBeats;
  #isMember = false;
  #isFollowed = false;
  #isLeaving = false;
  #storeAnsweredMonoMs: number;
  #reading: Promise<void> | null = null;
  #readAgain = false;
  #lastReadMonoMs = Number.NEGATIVE_INFINITY;
  #declaring = new Set<string>();
  #stops: (() => Promise<void>)[] = [];

  constructor(options: MembershipOptions) {
    this.#options = options;
    this.#agreed = agreedView(options);
    this.#incarnation = newIncarnation(options.random);
    this.#view = emptyView(options.serial);
    this.#beats = new StoreBeats(
      { ...options, onAnswer: () => this.#storeAnswered() },
      this.#incarnation,
    );
    this.#storeAnsweredMonoMs = options.clock.monoMs();
  }

  status(): MembershipStatus {
    return {
      view: this.#view,
      incarnation: this.#incarnation,
      mode: this.#mode,
      isMember: this.#isMember,
      storeAnsweredMonoMs: this.#storeAnsweredMonoMs,
    };
  }

  async join(): Promise<View> {
    const { pulse, clock, logger } = this.#options;
    const found = await this.#agreed.read('decide');
    this.#storeAnswered();
    assertSameConstants(found, emptyView(this.#options.serial));
    this.#view = found;
    pulse.listen((event) => this.#onPulse(event));
    pulse.begin(this.#incarnation, found);
    if (found.members.size > 0) await pause(clock, membershipLimits.hearMs);
    this.#checkClocks();
    this.#startRounds();
    const view = await this.#enter();
    logger.info(
      'cluster.joined',
      this.#names({ version: view.version, members: view.members.size }),
    );
    return view;
  }

  async change(edit: (view: View) => View): Promise<View> {
    const view = await this.#agreed.change(edit, this.#view);
    this.#storeAnswered();
    this.#adopt(view);
    return view;
  }

  refresh(): Promise<void> {
    if (this.#reading !== null) {
      this.#readAgain = true;
      return this.#reading;
    }
    this.#reading = this.#read().finally(() => {
      this.#reading = null;
      if (!this.#readAgain) return;
      this.#readAgain = false;
      void this.refresh();
    });
    return this.#reading;
  }

  hearOf(version: number): void {
    if (version > this.#view.version) void this.refresh();
  }

  async drain(): Promise<void> {
    const { node } = this.#options;
    await this.change((view) => withState(view, node, this.#incarnation, 'draining'));
  }

  async leave(): Promise<void> {
    const { node, pulse, logger } = this.#options;
    this.#isLeaving = true;
    const stops = this.#stops;
    this.#stops = [];
    await Promise.all(stops.map((stop) => stop()));
    try {
      await this.#agreed.change((view) => withoutMember(view, node, this.#incarnation, null));
      await this.#beats.forget(node, this.#incarnation);
      logger.info('cluster.left', this.#names({}));
    } catch (error) {
      logger.warn('cluster.left_unsaid', this.#names({ error }));
    }
    this.#isMember = false;
    await pulse.stop();
  }

  /** Becomes a member under the current incarnation. */
  async #enter(): Promise<View> {
    const { node, joining, clock, pulse } = this.#options;
    const member: Omit<Member, 'sinceVersion'> = { ...joining, incarnation: this.#incarnation };
    const view = await this.#agreed.change((now) => withMember(now, node, member, clock.nowMs()));
    this.#storeAnswered();
    pulse.fenced(false);
    this.#isMember = true;
    this.#adopt(view);
    return view;
  }

  #startRounds(): void {
    const every = (name: string, ms: number, task: () => Promise<void>): void => {
      this.#stops.push(repeat(name, ms, task, this.#options));
    };
    every('view refresh', membershipLimits.refreshMs, () => this.refresh());
    every('beat', membershipLimits.beatMs, () => this.#beats.write());
    every('beats', membershipLimits.readBeatsMs, () => this.#beats.read(this.#view));
    every('membership round', membershipLimits.roundMs, async () => this.#round());
  }

  /** Mode, lease reads and declarations: what time alone may change. */
  #round(): void {
    const { clock, pulse } = this.#options;
    const nowMonoMs = clock.monoMs();
    const { lease, statuses } = pulse.report();
    const before = this.#mode;
    this.#mode = nextMode(before, {
      nowMonoMs,
      isDenied: !this.#isMember,
      isDraining: this.#view.members.get(this.#options.node)?.state === 'draining',
      lease,
      ackedWithinLease: lease.by === 'acks',
      storeAnsweredMonoMs: this.#storeAnsweredMonoMs,
      peerReachesStore: statuses.some((one) => one.isFresh && one.storeReachable),
    });
    if (this.#mode.mode !== before.mode) {
      this.#options.logger.warn('cluster.mode', this.#names({ mode: this.#mode.mode }));
      this.#options.onMode(this.#mode);
    }
    const sinceReadMs = nowMonoMs - this.#lastReadMonoMs;
    if (lease.wantsRead && sinceReadMs >= membershipLimits.confirmMs) void this.refresh();
    this.#declare();
  }

  #onPulse(event: PulseEvent): void {
    if ('type' in event) return;
    const { logger, meter } = this.#options;
    if (event.do === 'dropLease') {
      logger.warn('cluster.lease_dropped', this.#names({ why: event.why, by: event.by }));
      meter.count('leases_dropped', 1, event.why);
      void this.refresh();
    } else if (event.do === 'denied') {
      logger.warn('cluster.denied', this.#names({ by: event.by, version: event.version }));
      void this.refresh();
    } else if (event.do === 'behind') this.hearOf(event.version);
    else {
      logger.warn(`cluster.${event.do}`, this.#names({ of: event.node, its: event.incarnation }));
      meter.count(event.do === 'verdict' ? 'verdicts' : 'verdicts_withdrawn', 1);
      this.#declare();
    }
  }

  /** Writes the deaths that this node is to write now; each once at a time, the evidence looked at again right before. */
  #declare(): void {
    if (!this.#isMember || this.#isLeaving) return;
    for (const { node, incarnation, afterMs } of this.#due()) {
      const name = `${node}/${incarnation}`;
      if (this.#declaring.has(name)) continue;
      this.#declaring.add(name);
      void this.#declareOne(node, incarnation, afterMs).finally(() => this.#declaring.delete(name));
    }
  }

  #due(): ReturnType<typeof declarations> {
    const { node, pulse } = this.#options;
    const { isVetoed, votes, verdicts, votersOf } = pulse.report();
    return declarations({
      view: this.#view,
      me: { node, incarnation: this.#incarnation },
      ...{ isVetoed, votes, verdicts },
      votersOf: (of) => votersOf.get(of) ?? [],
      isStalled: (of, incarnation) => this.#beats.isStalled(of, incarnation),
    });
  }

  async #declareOne(node: NodeId, incarnation: string, afterMs: number): Promise<void> {
    const { clock, logger, meter } = this.#options;
    if (afterMs > 0) await pause(clock, afterMs);
    const isStillDue = (): boolean =>
      this.#isMember &&
      this.#due().some((one) => one.node === node && one.incarnation === incarnation);
    if (!isStillDue()) return;
    let isMine = false;
    try {
      const view = await this.#agreed.change((now) => {
        const next = isStillDue()
          ? withoutMember(now, node, incarnation, { atMs: clock.nowMs() })
          : now;
        isMine = next !== now;
        return next;
      }, this.#view);
      this.#storeAnswered();
      if (isMine) {
        logger.warn(
          'cluster.declared',
          this.#names({ of: node, its: incarnation, version: view.version }),
        );
        meter.count('deaths_declared', 1);
        void this.#beats.forget(node, incarnation);
      }
      this.#adopt(view);
    } catch (error) {
      logger.warn('cluster.declare_failed', this.#names({ of: node, error }));
    }
  }

  async #read(): Promise<void> {
    const { clock, node, pulse, logger } = this.#options;
    const startedMonoMs = clock.monoMs();
    this.#lastReadMonoMs = startedMonoMs;
    const incarnation = this.#incarnation;
    try {
      const view = await this.#agreed.read('look');
      this.#storeAnswered();
      if (incarnation !== this.#incarnation) return;
      // An older read than what is known says nothing about now, nor does one from before this node was a member.
      if (this.#isMember && view.version >= this.#view.version)
        pulse.viewRead(startedMonoMs, lists(view, node, incarnation));
      this.#adopt(view);
    } catch (error) {
      logger.warn('view.unread', this.#names({ error }));
    }
  }

  /** Follows a view that is newer than the known one; falls where it lacks this incarnation. */
  #adopt(view: View): void {
    const { node, pulse, onView, onReplaced } = this.#options;
    if (view.version <= this.#view.version && this.#isFollowed) return;
    if (view.version < this.#view.version) return;
    this.#view = view;
    pulse.view(view);
    if (!this.#isMember) return;
    if (lists(view, node, this.#incarnation)) {
      this.#isFollowed = true;
      onView(view, this.#incarnation);
    } else if (view.members.has(node)) {
      this.#fall();
      this.#options.logger.error('cluster.replaced', this.#names({ version: view.version }));
      onReplaced();
    } else if (!this.#isLeaving) {
      this.#fall();
      void this.#comeBack();
    }
  }

  #fall(): void {
    const { pulse, onFence, logger, meter } = this.#options;
    pulse.dropLease();
    pulse.fenced(true);
    this.#isMember = false;
    this.#isFollowed = false;
    logger.error('cluster.fenced', this.#names({ version: this.#view.version }));
    meter.count('fenced', 1);
    onFence();
  }

  /** Waits until somebody is there to join, then joins as another. */
  async #comeBack(): Promise<void> {
    const { clock, pulse, random, logger } = this.#options;
    this.#incarnation = newIncarnation(random);
    this.#beats.begin(this.#incarnation);
    pulse.begin(this.#incarnation, this.#view);
    while (!this.#isLeaving) {
      await pause(clock, membershipLimits.rejoinMs);
      const hearsMember = pulse.report().statuses.some((one) => one.isFresh);
      const isStalled = (of: NodeId, incarnation: string): boolean =>
        this.#beats.isStalled(of, incarnation);
      if (!mayRejoin({ view: this.#view, hearsMember, isStalled })) continue;
      try {
        const view = await this.#enter();
        logger.info('cluster.rejoined', this.#names({ version: view.version }));
        return;
      } catch (error) {
        logger.warn('cluster.rejoin_failed', this.#names({ error }));
      }
    }
  }

  /** Throws where a member's wall clock is far from this node's. */
  #checkClocks(): void {
    for (const { node, wallSkewMs } of this.#options.pulse.report().statuses) {
      const skewMs = Math.abs(wallSkewMs ?? 0);
      if (skewMs > membershipLimits.joinSkewMs)
        throw new TocsinError(
          'CL_CLOCK_SKEW',
          `the clock of ${node} differs by ${Math.round(skewMs)} ms`,
        );
      if (skewMs > membershipLimits.warnSkewMs)
        this.#options.logger.warn('cluster.clock_skew', { node, skewMs: Math.round(skewMs) });
    }
  }

  #storeAnswered(): void {
    this.#storeAnsweredMonoMs = this.#options.clock.monoMs();
  }

  #names(more: object): Record<string, unknown> {
    return { incarnation: this.#incarnation, ...more };
  }
}

/** Returns 64 random bits in base36. */
function newIncarnation(random: Random): string {
  return Buffer.from(random.bytes(8)).readBigUInt64BE().toString(36);
}
