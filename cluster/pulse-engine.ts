// The heartbeat plane at work: beats every 200 ms, feeds the failure detector and the lease keeper, does what they say.
// Runs in a thread of its own over NATS, or on the main loop in tests and simulation; knows neither. Its order matters: a
// lease that must go is gone before anything is sent (clustering.md §6, §8).
import type { Clock, Logger } from '../runtime/ports.ts';
import type { ControlPlane } from './control-plane.ts';
import { type DetectorAction, type DetectorEvent, FailureDetector } from './failure-detector.ts';
import type { Peer } from './frame.ts';
import { decodeHeartbeat, encodeHeartbeat, type Heartbeat, type NodeRun } from './heartbeat.ts';
import { LeaseKeeper } from './lease-keeper.ts';
import { detectorLimits, pulseLimits } from './limits.ts';
import type { PulseEvent, PulseReport, PulseStatus } from './pulse.ts';
import type { View } from './view.ts';

type Unstamped<Event> = Event extends unknown ? Omit<Event, 'atMonoMs'> : never;

/** What engine and main loop share without a message. */
export interface PulseShared {
  /** Instant of the main loop's last tick, in the engine's monotonic ms. */
  mainTickMonoMs(): number;
  /** The main loop dropped the lease since the last call. */
  takeDrop(): boolean;
  /** Tells until when effects are allowed; after a drop it was taken note of. */
  publishLease(untilMonoMs: number): void;
  /** The actor that the main loop is at work on. */
  working(): string | null;
  /** Number of the next own heartbeat; numbers go on where the engine was started anew. */
  nextSeq(): number;
}

export interface PulseEngineOptions {
  readonly control: ControlPlane;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly shared: PulseShared;
  /** One relay that stands for several servers. */
  readonly isSticky: boolean;
  readonly emit: (event: PulseEvent) => void;
  /** The main loop stood still for 5 s and the last heartbeats have named the culprit; absent: never asked. */
  readonly onStuck?: (culprit: string | null) => void;
}

/** What a node that has just begun says of its main loop. */
const noStatus: PulseStatus = {
  storeReachable: false,
  mailboxDepth: 0,
  epochMax: 0,
  load: { entities: 0, startsPerMinute: 0, cpuPermille: 0, hotShards: [] },
};

/** What is known before the first report: nothing, and nobody may be accused. */
export const silentReport: PulseReport = {
  votes: [],
  verdicts: [],
  votersOf: new Map(),
  isVetoed: true,
  isAccused: false,
  passing: [],
  statuses: [],
  lease: { isValid: false, by: null, attempt: 'none', isDenied: false, wantsRead: true },
};

interface Life {
  readonly me: NodeRun;
  readonly detector: FailureDetector;
  readonly keeper: LeaseKeeper;
}

/** Silent until `begin`. */
export class PulseEngine {
  readonly #options: PulseEngineOptions;
  #life: Life | null = null;
  #view: View | null = null;
  #status: PulseStatus = noStatus;
  #connected = new Set<string>();
  #cancelTick: (() => void) | null = null;
  #beatDueMonoMs = 0;
  #reportDueMonoMs = 0;
  #tickedMonoMs = 0;
  #leaseUntilMonoMs = Number.NEGATIVE_INFINITY;
  #mainTickMonoMs = 0;
  #stalledMs = 0;
  #lastBeatsLeft: number = pulseLimits.lastBeats;
  #isStuck = false;

  constructor(options: PulseEngineOptions) {
    this.#options = options;
    options.control.listen({
      up: (relay) => {
        this.#connected.add(relay);
        this.#on({ type: 'relayUp', relay });
      },
      down: (relay) => {
        this.#connected.delete(relay);
        this.#on({ type: 'relayDown', relay });
      },
      beat: (relay, bytes) => this.#heard(relay, bytes),
      pong: (relay, peer) => this.#on({ type: 'pong', relay, ...asRun(peer) }),
      nobody: (relay, peer) => this.#on({ type: 'noResponders', relay, ...asRun(peer) }),
    });
  }

  /** Beats as this incarnation from now on. A second call, after a fence, begins anew with no evidence and no lease. */
  begin(me: NodeRun, view: View): void {
    const atMonoMs = this.#options.clock.monoMs();
    const { isSticky } = this.#options;
    this.#view = view;
    this.#life = {
      me,
      detector: new FailureDetector({ ...me, view, atMonoMs, isSticky }),
      keeper: new LeaseKeeper({ ...me, view, atMonoMs }),
    };
    this.#publishLease(Number.NEGATIVE_INFINITY);
    this.#mainTickMonoMs = Number.NEGATIVE_INFINITY;
    this.#options.control.begin(me);
    for (const relay of this.#connected) this.#on({ type: 'relayUp', relay });
    this.#beatDueMonoMs = atMonoMs;
    this.#tickedMonoMs = atMonoMs;
    if (this.#cancelTick === null) this.#tick();
  }

  view(view: View): void {
    this.#view = view;
    this.#life?.keeper.view(view);
    this.#on({ type: 'view', view });
  }

  viewRead(startedMonoMs: number, isListed: boolean): void {
    this.#life?.keeper.viewRead(startedMonoMs, isListed);
    this.#settleLease();
  }

  fenced(isFenced: boolean): void {
    this.#on({ type: 'fenced', isFenced });
  }

  status(status: PulseStatus): void {
    this.#status = status;
  }

  /** Null before `begin`. */
  report(): PulseReport | null {
    const life = this.#life;
    const view = this.#view;
    if (life === null || view === null) return null;
    const { detector, keeper } = life;
    const nowMonoMs = this.#options.clock.monoMs();
    const votersOf = new Map([...view.members.keys()].map((of) => [of, detector.votersOf(of)]));
    return {
      votes: detector.votes(),
      verdicts: detector.verdicts(),
      votersOf: new Map([...votersOf].filter(([, voters]) => voters.length > 0)),
      isVetoed: detector.isVetoed(nowMonoMs),
      isAccused: detector.isAccused(nowMonoMs),
      passing: detector.passing(nowMonoMs),
      statuses: detector.statuses(nowMonoMs),
      lease: keeper.state(nowMonoMs),
    };
  }

  async stop(): Promise<void> {
    this.#cancelTick?.();
    this.#cancelTick = null;
    this.#life = null;
    await this.#options.control.close();
  }

  #tick(): void {
    const { clock } = this.#options;
    const nowMonoMs = clock.monoMs();
    this.#cancelTick = clock.schedule(nowMonoMs + detectorLimits.tickMs, () => this.#tick());
    const life = this.#life;
    if (life === null) return;
    this.#watchMain(nowMonoMs);
    this.#on({ type: 'tick', wallMs: clock.nowMs() });
    life.keeper.relays(life.detector.passing(nowMonoMs).length, nowMonoMs);
    life.keeper.accused(life.detector.isAccused(nowMonoMs));
    life.keeper.mainLoop(this.#tickAgeMs(nowMonoMs));
    this.#settleLease();
    this.#tickedMonoMs = nowMonoMs;
    if (nowMonoMs >= this.#beatDueMonoMs || this.#isStuck) this.#beat();
    if (nowMonoMs < this.#reportDueMonoMs) return;
    this.#reportDueMonoMs = nowMonoMs + pulseLimits.reportEveryMs;
    this.#options.emit({ type: 'report' });
  }

  /** Feeds the detector and does what it says; a lease that must go is gone first. */
  #on(event: Unstamped<DetectorEvent>): void {
    const life = this.#life;
    if (life === null) return;
    const atMonoMs = this.#options.clock.monoMs();
    const actions = life.detector.on({ ...event, atMonoMs } as DetectorEvent);
    if (actions.length === 0) return;
    for (const action of actions) {
      if (action.do === 'dropLease') life.keeper.drop(atMonoMs);
      else if (action.do === 'denied') life.keeper.deny();
    }
    this.#settleLease();
    for (const action of actions) this.#act(action);
  }

  #act(action: DetectorAction): void {
    if (action.do === 'ping') this.#options.control.ping(action.relay, action);
    else if (action.do === 'beat') this.#beat();
    else this.#options.emit(action);
  }

  #heard(relay: string, bytes: Uint8Array): void {
    let heartbeat: Heartbeat;
    try {
      heartbeat = decodeHeartbeat(bytes);
    } catch (error) {
      this.#options.logger.warn('heartbeat.refused', { relay, error: String(error) });
      return;
    }
    this.#on({ type: 'heartbeat', relay, heartbeat });
    this.#life?.keeper.heartbeat(heartbeat);
    this.#settleLease();
  }

  /** Sends the heartbeat now, over all relays with one number; the next one is due 200 ms later. */
  #beat(): void {
    const life = this.#life;
    const view = this.#view;
    if (life === null || view === null) return;
    const { clock, control, shared } = this.#options;
    const { detector, keeper, me } = life;
    const nowMonoMs = clock.monoMs();
    this.#beatDueMonoMs = nowMonoMs + detectorLimits.heartbeatMs - detectorLimits.tickMs / 2;
    const seq = shared.nextSeq();
    const heartbeat: Heartbeat = {
      ...me,
      ...this.#status,
      seq,
      viewVersion: view.version,
      votes: detector.votes(),
      verdicts: detector.verdicts(),
      tickAgeMs: this.#tickAgeMs(nowMonoMs),
      wallMs: clock.nowMs(),
      culprit: this.#isStuck ? shared.working() : null,
      heard: detector.heard(),
      strangers: detector.strangers(),
    };
    keeper.sent(seq, nowMonoMs);
    this.#on({ type: 'sent', seq });
    control.broadcast(encodeHeartbeat(heartbeat));
  }

  #tickAgeMs(nowMonoMs: number): number {
    return Math.max(0, Math.round(nowMonoMs - this.#options.shared.mainTickMonoMs()));
  }

  /** The main loop's drop first, then what the keeper says. */
  #settleLease(): void {
    const keeper = this.#life?.keeper;
    if (keeper === undefined) return;
    const isDropped = this.#options.shared.takeDrop();
    if (isDropped) keeper.drop(this.#options.clock.monoMs());
    if (isDropped || keeper.validUntilMonoMs !== this.#leaseUntilMonoMs) {
      this.#publishLease(keeper.validUntilMonoMs);
    }
  }

  #publishLease(untilMonoMs: number): void {
    this.#leaseUntilMonoMs = untilMonoMs;
    this.#options.shared.publishLease(untilMonoMs);
  }

  /**
   * Counts how long the main loop stood still while this thread ran: a process that was frozen as a whole is not stuck.
   * After 5 s the last heartbeats name the culprit, then the process is ended.
   */
  #watchMain(nowMonoMs: number): void {
    const { onStuck, shared } = this.#options;
    if (onStuck === undefined) return;
    const mainTickMonoMs = shared.mainTickMonoMs();
    if (mainTickMonoMs !== this.#mainTickMonoMs) {
      this.#mainTickMonoMs = mainTickMonoMs;
      this.#stalledMs = 0;
      this.#isStuck = false;
      this.#lastBeatsLeft = pulseLimits.lastBeats;
      return;
    }
    this.#stalledMs += Math.min(nowMonoMs - this.#tickedMonoMs, 2 * detectorLimits.tickMs);
    if (this.#stalledMs < pulseLimits.stuckMs) return;
    this.#isStuck = true;
    if (this.#lastBeatsLeft-- === 0) onStuck(shared.working());
  }
}

function asRun(peer: Peer): NodeRun {
  return peer as NodeRun;
}
