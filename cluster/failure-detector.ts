// Who is dead, as one node sees it: heartbeats, pongs, 503s and the votes of others in; pings, votes, verdicts out
// (clustering.md §6). Local health first: a node that is blind or lags accuses nobody. Pure: its only inputs are events with
// monotonic instants. A verdict is evidence, not authority: only the view's row removes a member.

import type { NodeId } from '../runtime/ids.ts';
import type { DetectorAction, DetectorEvent, MemberStatus } from './detector-events.ts';
import { type Heard, type Heartbeat, isSame, type NodeRun, type Vote } from './heartbeat.ts';
import { detectorLimits } from './limits.ts';
import { MemberWatch, type Sight } from './member-watch.ts';
import { RelayWatch } from './relay-watch.ts';
import { lists, majorityOf, ownerOf, type View } from './view.ts';

export type { DetectorAction, DetectorEvent, MemberStatus };

export interface DetectorOptions extends NodeRun {
  readonly view: View;
  readonly atMonoMs: number;
  /** One relay that stands for several servers, behind a balancer: no vote *gone*, *hung* after 2.5 s. */
  readonly isSticky: boolean;
}

interface Stranger {
  readonly run: NodeRun;
  atMs: number;
}

export class FailureDetector {
  readonly #me: NodeRun;
  readonly #isSticky: boolean;
  readonly #relays = new RelayWatch();
  readonly #members = new Map<NodeId, MemberWatch>();
  readonly #strangers = new Map<string, Stranger>();
  readonly #accusers = new Set<NodeId>();
  readonly #skewMs = new Map<NodeId, number>();
  #view: View;
  #isFenced = false;
  #isDenied = false;
  #nowMs: number;
  #tickAtMs: number;
  #tickWallMs: number | null = null;
  #lagAtMs = Number.NEGATIVE_INFINITY;
  #blindAtMs: number;
  /** The lag since the last tick has been told already. */
  #isLagTold = false;
  #behindVersion = 0;
  #actions: DetectorAction[] = [];

  constructor(options: DetectorOptions) {
    this.#me = { node: options.node, incarnation: options.incarnation };
    this.#isSticky = options.isSticky;
    this.#view = options.view;
    this.#nowMs = options.atMonoMs;
    this.#tickAtMs = options.atMonoMs;
    this.#blindAtMs = options.atMonoMs;
    this.#watchMembers();
  }

  /** Takes one event; returns what is to be done, in order. Instants must not go back. */
  on(event: DetectorEvent): readonly DetectorAction[] {
    this.#actions = [];
    this.#nowMs = event.atMonoMs;
    this.#noticeLag();
    this.#take(event);
    return this.#actions;
  }

  #take(event: DetectorEvent): void {
    switch (event.type) {
      case 'tick':
        this.#ticked(event.wallMs);
        break;
      case 'heartbeat':
        this.#heard(event.relay, event.heartbeat);
        break;
      case 'pong':
      case 'noResponders':
        this.#answered(event);
        break;
      case 'sent':
        this.#relays.sent(event.seq, event.atMonoMs);
        break;
      case 'relayUp':
        this.#relays.up(event.relay, event.atMonoMs);
        break;
      case 'relayDown':
        this.#relays.down(event.relay);
        for (const member of this.#members.values()) member.relayLost(event.relay);
        break;
      case 'view':
        this.#viewed(event.view);
        break;
      case 'fenced':
        this.#isFenced = event.isFenced;
        if (event.isFenced) for (const member of this.#members.values()) member.forget();
    }
  }

  /** Own votes, for the next heartbeat. */
  votes(): readonly Vote[] {
    return [...this.#members.values()].flatMap((member) =>
      member.vote === null ? [] : [{ ...member.run, kind: member.vote }],
    );
  }

  /** Own verdicts, for the next heartbeat: they count as votes until they are withdrawn. */
  verdicts(): readonly NodeRun[] {
    return [...this.#members.values()].filter((member) => member.verdict).map(({ run }) => run);
  }

  /** Members heard directly with the last number of each: the acknowledgements that they confirm their lease with. */
  heard(): readonly Heard[] {
    return [...this.#members.values()].flatMap(({ run, beat }) =>
      beat === null ? [] : [{ ...run, seq: beat.seq }],
    );
  }

  /** Nodes heard lately that the view does not list. */
  strangers(): readonly NodeRun[] {
    return [...this.#strangers.values()]
      .filter(({ atMs }) => this.#nowMs - atMs < detectorLimits.strangerMs)
      .map(({ run }) => run);
  }

  /** Members whose vote or verdict against the current incarnation of `node` counts now, this node included. */
  votersOf(node: NodeId): readonly NodeId[] {
    const accused = this.#members.get(node);
    if (accused === undefined) return [];
    const voters = [...this.#members.values()].filter((voter) => this.#counts(voter, accused));
    const own = accused.vote !== null || accused.verdict ? [this.#me.node] : [];
    return [...own, ...voters.map((voter) => voter.run.node)];
  }

  /** Relays over which own heartbeats come back. `nowMonoMs` of this and the next three: default, the last event's. */
  passing(nowMonoMs = this.#nowMs): readonly string[] {
    return this.#relays.passing(nowMonoMs);
  }

  /** True: this node accuses nobody, because it lags, is blind, fenced or no member. */
  isVetoed(nowMonoMs = this.#nowMs): boolean {
    const isLagging = nowMonoMs - this.#lagAtMs < detectorLimits.vetoMs;
    const isMember = lists(this.#view, this.#me.node, this.#me.incarnation);
    return isLagging || this.#isFenced || !isMember || this.passing(nowMonoMs).length === 0;
  }

  /** True while the last heartbeat of a member, younger than 1 s, names this node dead: only a view read renews the lease. */
  isAccused(nowMonoMs = this.#nowMs): boolean {
    return [...this.#accusers].some((node) => this.#isFresh(this.#members.get(node), nowMonoMs));
  }

  statuses(nowMonoMs = this.#nowMs): readonly MemberStatus[] {
    return [...this.#members.values()].map((member) => this.#statusOf(member, nowMonoMs));
  }

  #statusOf(member: MemberWatch, nowMs: number): MemberStatus {
    const { run, beat } = member;
    return {
      ...run,
      state: stateOf(member),
      silenceMs: Math.max(0, member.silenceMs({ nowMs, blindAtMs: this.#blindAtMs })),
      isFresh: this.#isFresh(member, nowMs),
      tickAgeMs: beat?.tickAgeMs ?? 0,
      isGray: (beat?.tickAgeMs ?? 0) > detectorLimits.grayTickMs,
      storeReachable: beat?.storeReachable ?? false,
      wallSkewMs: this.#skewMs.get(run.node) ?? null,
      viewVersion: beat?.viewVersion ?? 0,
      mailboxDepth: beat?.mailboxDepth ?? 0,
      culprit: beat?.culprit ?? null,
      load: beat?.load ?? null,
    };
  }

  /** Seen at any event, since after a pause sockets may be served before the timer. */
  #noticeLag(): void {
    const lagMs = this.#nowMs - this.#tickAtMs - detectorLimits.tickMs;
    if (lagMs <= detectorLimits.lagMs) return;
    this.#lagAtMs = this.#nowMs;
    this.#blindAtMs = this.#nowMs;
    if (lagMs <= detectorLimits.leaseLagMs || this.#isLagTold) return;
    this.#isLagTold = true;
    this.#act({ do: 'dropLease', why: 'lag', by: null });
  }

  #ticked(wallMs: number): void {
    const elapsedMs = this.#nowMs - this.#tickAtMs;
    const wallElapsedMs = wallMs - (this.#tickWallMs ?? wallMs - elapsedMs);
    this.#tickAtMs = this.#nowMs;
    this.#tickWallMs = wallMs;
    this.#isLagTold = false;
    if (Math.abs(wallElapsedMs - elapsedMs) > detectorLimits.suspendMs) {
      this.#lagAtMs = this.#nowMs;
      this.#blindAtMs = this.#nowMs;
      this.#act({ do: 'dropLease', why: 'suspend', by: null });
    }
    if (this.passing().length === 0) this.#blindAtMs = this.#nowMs;
    this.#judge(this.#members.values());
    this.#ping();
  }

  #ping(): void {
    const relays = this.#relays.connected();
    for (const member of this.#members.values()) {
      if (!member.isProbed) continue;
      for (const relay of relays) this.#act({ do: 'ping', relay, ...member.run });
    }
  }

  #answered(event: Extract<DetectorEvent, { type: 'pong' | 'noResponders' }>): void {
    const member = this.#members.get(event.node);
    if (member?.run.incarnation !== event.incarnation) return;
    if (event.type === 'pong') this.#note(member, () => member.ponged(event.atMonoMs));
    else if (member.isProbed) {
      member.refused(event.relay, event.atMonoMs);
      this.#judge([member]);
    }
  }

  #heard(relay: string, beat: Heartbeat): void {
    const sender = this.#members.get(beat.node);
    if (isSame(beat, this.#me)) this.#relays.echoed(relay, beat.seq);
    else if (sender?.run.incarnation !== beat.incarnation) this.#heardStranger(beat);
    else this.#heardMember(sender, beat);
  }

  #heardMember(sender: MemberWatch, beat: Heartbeat): void {
    let isNew = false;
    this.#note(sender, () => {
      isNew = sender.heard(beat, this.#nowMs);
    });
    if (!isNew) return;
    if (this.#tickWallMs !== null) {
      const wallNowMs = this.#tickWallMs + this.#nowMs - this.#tickAtMs;
      this.#skewMs.set(beat.node, beat.wallMs - wallNowMs);
    }
    this.#listen(beat);
    const accused = [...this.#members.values()].filter((member) => member.vote !== null);
    this.#judge(new Set([sender, ...accused]));
  }

  /** What a member says of this node and of others. */
  #listen(beat: Heartbeat): void {
    for (const heard of beat.heard) {
      const member = this.#members.get(heard.node);
      if (member === undefined || member.run.incarnation !== heard.incarnation) continue;
      if (member.run.node !== beat.node) {
        this.#note(member, () => member.heardElsewhere(heard.seq, this.#nowMs));
      }
    }
    const wasAccuser = this.#accusers.delete(beat.node);
    if (beat.verdicts.some((run) => isSame(run, this.#me))) {
      this.#accusers.add(beat.node);
      if (!wasAccuser) this.#act({ do: 'dropLease', why: 'accused', by: beat.node });
    }
    this.#compareViews(beat);
  }

  #compareViews(beat: Heartbeat): void {
    if (beat.viewVersion > Math.max(this.#view.version, this.#behindVersion)) {
      this.#behindVersion = beat.viewVersion;
      this.#act({ do: 'behind', version: beat.viewVersion });
    }
    const own = this.#view.members.get(this.#me.node);
    if (own?.incarnation !== this.#me.incarnation || this.#isDenied) return;
    if (beat.viewVersion < own.sinceVersion) return;
    if (!beat.strangers.some((run) => isSame(run, this.#me))) return;
    this.#isDenied = true;
    this.#act({ do: 'denied', by: beat.node, version: beat.viewVersion });
  }

  #heardStranger(beat: Heartbeat): void {
    this.#compareViews(beat);
    // The member of this node's own name: a process that is about to take it over does not deny it.
    if (lists(this.#view, beat.node, beat.incarnation)) return;
    const key = ownerOf(beat.node, beat.incarnation);
    this.#strangers.delete(key);
    const run = { node: beat.node, incarnation: beat.incarnation };
    this.#strangers.set(key, { run, atMs: this.#nowMs });
    if (this.#strangers.size > detectorLimits.strangers) {
      const [oldest] = this.#strangers.keys();
      this.#strangers.delete(oldest as string);
    }
  }

  #viewed(view: View): void {
    if (view.version < this.#view.version) return;
    this.#view = view;
    this.#watchMembers();
    this.#judge(this.#members.values());
  }

  #watchMembers(): void {
    const { members } = this.#view;
    for (const [node, { run }] of this.#members) {
      if (lists(this.#view, node, run.incarnation)) continue;
      this.#members.delete(node);
      this.#accusers.delete(node);
      this.#skewMs.delete(node);
    }
    for (const [node, { incarnation }] of members) {
      const run = { node, incarnation };
      this.#strangers.delete(ownerOf(node, incarnation));
      if (node === this.#me.node || this.#members.has(node)) continue;
      this.#members.set(node, new MemberWatch(run, this.#nowMs));
    }
  }

  #judge(members: Iterable<MemberWatch>): void {
    const sight: Sight = {
      nowMs: this.#nowMs,
      blindAtMs: this.#blindAtMs,
      isVetoed: this.isVetoed(),
      passing: this.passing(),
      isYoung: (relay) => this.#relays.isYoung(relay, this.#nowMs),
      isSticky: this.#isSticky,
    };
    for (const member of members) {
      this.#note(member, () => {
        member.judge(sight);
        if (member.vote === null || member.verdict) return;
        member.verdict = this.votersOf(member.run.node).length >= majorityOf(this.#view);
      });
    }
  }

  /** Does something to a member, and tells what changed by it. */
  #note(member: MemberWatch, change: () => void): void {
    const { vote, verdict } = member;
    change();
    if (member.verdict !== verdict) {
      this.#act({ do: member.verdict ? 'verdict' : 'withdrawn', ...member.run });
    }
    const isTold = this.#actions.some((action) => action.do === 'beat');
    if ((member.vote !== vote || member.verdict !== verdict) && !isTold) this.#act({ do: 'beat' });
  }

  /** Does `voter` stand against `accused`? A vote while the voter is fresh, a verdict until it is withdrawn. */
  #counts(voter: MemberWatch, accused: MemberWatch): boolean {
    if (voter === accused || voter.beat === null) return false;
    const isFresh = this.#isFresh(voter);
    if (isFresh && voter.beat.votes.some((vote) => isSame(vote, accused.run))) return true;
    if (!voter.beat.verdicts.some((run) => isSame(run, accused.run))) return false;
    // Of a voter that fell silent itself, a verdict counts only if the accused gave no sign of life since.
    return isFresh || voter.beatAtMs > accused.beatAtMs;
  }

  #isFresh(member: MemberWatch | undefined, nowMs = this.#nowMs): boolean {
    return member !== undefined && nowMs - member.beatAtMs < detectorLimits.voterMs;
  }

  #act(action: DetectorAction): void {
    this.#actions.push(action);
  }
}

function stateOf(member: MemberWatch): MemberStatus['state'] {
  if (member.verdict) return 'dead';
  if (member.vote !== null) return 'accused';
  return member.isProbed ? 'probed' : 'alive';
}
