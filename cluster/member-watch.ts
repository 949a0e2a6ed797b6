// One member as a detector sees it: signs of life, evidence against it, the own vote (clustering.md §6). Pure bookkeeping
// with monotonic instants. Must not know the other members, or how votes add up.
import type { Heartbeat, NodeRun, VoteKind } from './heartbeat.ts';
import { detectorLimits } from './limits.ts';

/** What the observer knows of itself at the moment of judging. */
export interface Sight {
  readonly nowMs: number;
  /** The last moment at which the observer was blind or lagged: no silence counts from before. */
  readonly blindAtMs: number;
  /** True: the observer accuses nobody. */
  readonly isVetoed: boolean;
  readonly passing: readonly string[];
  readonly isYoung: (relay: string) => boolean;
  /** One relay stands for several servers: a 503 proves nothing. */
  readonly isSticky: boolean;
}

interface Refusals {
  readonly firstAtMs: number;
  lastAtMs: number;
}

export class MemberWatch {
  readonly run: NodeRun;
  vote: VoteKind | null = null;
  verdict = false;
  isProbed = false;
  /** Its last new heartbeat, heard directly, and when. */
  beat: Heartbeat | null = null;
  beatAtMs = Number.NEGATIVE_INFINITY;
  /** Last sign that its heartbeats go on: a new one heard, or a peer that heard a newer one. */
  #lifeAtMs: number;
  #pongAtMs = Number.NEGATIVE_INFINITY;
  /** Highest sequence number known, from whomever. */
  #knownSeq = 0;
  /** 503s by relay. */
  readonly #refusals = new Map<string, Refusals>();

  constructor(run: NodeRun, atMs: number) {
    this.run = run;
    this.#lifeAtMs = atMs;
  }

  /** Takes a heartbeat heard over any relay; false: its number is not above the last one, so it is no sign of life. */
  heard(beat: Heartbeat, atMs: number): boolean {
    if (beat.seq <= (this.beat?.seq ?? 0)) return false;
    this.beat = beat;
    this.beatAtMs = atMs;
    this.heardElsewhere(beat.seq, atMs);
    return true;
  }

  /** A peer says that it heard this number: settles two nodes without a common relay. */
  heardElsewhere(seq: number, atMs: number): void {
    if (seq <= this.#knownSeq) return;
    this.#knownSeq = seq;
    this.#lifeAtMs = atMs;
    this.#dropEvidence();
    if (!this.#isStuck()) this.verdict = false;
  }

  /** The thread lives: evidence is dropped and a vote withdrawn, but only a heartbeat lets a verdict fall. */
  ponged(atMs: number): void {
    this.#pongAtMs = atMs;
    this.#dropEvidence();
  }

  refused(relay: string, atMs: number): void {
    const refusals = this.#refusals.get(relay);
    if (refusals !== undefined) refusals.lastAtMs = atMs;
    else this.#refusals.set(relay, { firstAtMs: atMs, lastAtMs: atMs });
  }

  /** What a lost connection answered is no evidence on the next one. */
  relayLost(relay: string): void {
    this.#refusals.delete(relay);
  }

  silenceMs(sight: Pick<Sight, 'nowMs' | 'blindAtMs'>): number {
    return sight.nowMs - Math.max(this.#lifeAtMs, sight.blindAtMs);
  }

  /** Brings probing and vote up to date. */
  judge(sight: Sight): void {
    const silenceMs = this.silenceMs(sight);
    this.isProbed = !sight.isVetoed && silenceMs > detectorLimits.probeAfterMs;
    if (!this.isProbed) this.#dropEvidence();
    if (sight.isVetoed) this.vote = null;
    else this.vote = this.vote ?? this.#voteFor(sight, silenceMs);
    if (this.vote === null && this.#isStuck() && !sight.isVetoed) this.vote = 'stuck';
  }

  /** Fenced: whatever this node believed is void. */
  forget(): void {
    this.#dropEvidence();
    this.vote = null;
    this.verdict = false;
    this.isProbed = false;
  }

  #voteFor(sight: Sight, silenceMs: number): VoteKind | null {
    if (this.#isRefusedOnAll(sight) && silenceMs >= detectorLimits.goneSilenceMs) return 'gone';
    // A pong is a sign of life of the thread: a node that answers does not hang.
    const quietMs = Math.min(silenceMs, sight.nowMs - this.#pongAtMs);
    const hungMs = sight.isSticky ? detectorLimits.hungStickyMs : detectorLimits.hungSilenceMs;
    return quietMs >= hungMs ? 'hung' : null;
  }

  #isRefusedOnAll(sight: Sight): boolean {
    if (sight.isSticky || sight.passing.length === 0) return false;
    return sight.passing.every((relay) => {
      const refusals = this.#refusals.get(relay);
      if (refusals === undefined || sight.isYoung(relay)) return false;
      return refusals.lastAtMs - refusals.firstAtMs >= detectorLimits.noRespondersApartMs;
    });
  }

  #isStuck(): boolean {
    return (this.beat?.tickAgeMs ?? 0) > detectorLimits.stuckTickMs;
  }

  #dropEvidence(): void {
    this.#refusals.clear();
    if (this.vote !== 'stuck' || !this.#isStuck()) this.vote = null;
  }
}
