// The second channel: beats in the store, watched by their changes (clustering.md §6). Only differences count, so no clock is
// compared; across a store outage nothing stalls. Pure: reads come in with the monotonic instant at which they started.
import type { Beat } from '../runtime/cluster-ports.ts';
import type { NodeRun } from './heartbeat.ts';
import { beatLimits } from './limits.ts';
import { ownerOf, type View } from './view.ts';

/** How long one value was seen. */
interface Still {
  /** -1: there is no row. */
  readonly n: number;
  readonly firstMs: number;
  readonly ownMovesBefore: number;
  lastMs: number;
  reads: number;
}

export class BeatWatch {
  readonly #me: string;
  readonly #stills = new Map<string, Still>();
  #ownN = -1;
  #ownMoves = 0;
  #ownMovedAtMs = Number.NEGATIVE_INFINITY;
  #readAtMs = Number.NEGATIVE_INFINITY;

  constructor(me: NodeRun) {
    this.#me = ownerOf(me.node, me.incarnation);
  }

  /** Takes a successful read of all beats. Members without a row count as standing still; others are ignored. */
  read(startedMonoMs: number, beats: readonly Beat[], view: View): void {
    const found = new Map(beats.map((beat) => [`${beat.node}/${beat.incarnation}`, beat.n]));
    if (startedMonoMs - this.#readAtMs > beatLimits.outageMs) this.#restart(startedMonoMs);
    this.#readAtMs = startedMonoMs;
    this.#watchOwn(startedMonoMs, found.get(this.#me) ?? -1);
    const members = new Set([...view.members].map(([node, one]) => ownerOf(node, one.incarnation)));
    for (const name of this.#stills.keys()) if (!members.has(name)) this.#stills.delete(name);
    for (const name of members) {
      if (name !== this.#me) this.#watch(startedMonoMs, name, found.get(name) ?? -1);
    }
  }

  /** A read was not answered: whatever stood still until now proves nothing. */
  readFailed(): void {
    this.#stills.clear();
  }

  /** Returns whether >= 5 reads over >= 2.5 s showed one value of that incarnation while the own beat moved twice. */
  isStalled(node: string, incarnation: string): boolean {
    const still = this.#stills.get(`${node}/${incarnation}`);
    if (still === undefined) return false;
    return (
      still.reads >= beatLimits.reads &&
      still.lastMs - still.firstMs >= beatLimits.spreadMs &&
      this.#ownMoves - still.ownMovesBefore >= beatLimits.ownMoves
    );
  }

  /** The own beat shows that the store takes writes: where it stands still, others cannot be blamed. */
  #watchOwn(atMs: number, n: number): void {
    if (n !== this.#ownN) {
      this.#ownN = n;
      this.#ownMoves++;
      this.#ownMovedAtMs = atMs;
    } else if (atMs - this.#ownMovedAtMs > beatLimits.outageMs) this.#restart(atMs);
  }

  #watch(atMs: number, name: string, n: number): void {
    const still = this.#stills.get(name);
    if (still?.n === n) {
      still.lastMs = atMs;
      still.reads++;
      return;
    }
    const fresh = { n, firstMs: atMs, ownMovesBefore: this.#ownMoves, lastMs: atMs, reads: 1 };
    this.#stills.set(name, fresh);
  }

  #restart(atMs: number): void {
    this.#stills.clear();
    this.#ownMovedAtMs = atMs;
  }
}
