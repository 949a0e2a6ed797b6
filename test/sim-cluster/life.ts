// One process run in the world, and an account of what it was told: which of its heartbeats reached it back acknowledged, who
// votes against whom, which beats it read. Kept apart from the product's own detector, so that a broken one is seen.
import type { Heartbeat } from '../../cluster/heartbeat.ts';
import type { Beat } from '../../runtime/cluster-ports.ts';
import type { Process } from '../sim/kernel.ts';
import type { Machine } from '../sim/machine.ts';
import type { Station } from './network.ts';
import type { ClusterNode } from './node.ts';
import type { Permission } from './trace.ts';

/** Lengths of clustering.md §6 and §8, written out here on purpose. */
const leaseMs = 1_400;
const voteKeptMs = 1_100;
const readsKept = 16;

interface Heard {
  readonly mono: number;
  readonly against: ReadonlySet<string>;
}

export class Life {
  readonly name: string;
  readonly run: number;
  readonly process: Process;
  readonly machine: Machine;
  station: Station | null = null;
  node: ClusterNode | null = null;
  isReady = false;
  isStopping = false;
  /** Asks of the client without an answer. */
  readonly asks = new Set<(error: Error) => void>();
  readonly #sentMono = new Map<string, number>();
  readonly #ackedMono = new Map<string, number>();
  readonly #heard = new Map<string, Heard>();
  #readMono = Number.NEGATIVE_INFINITY;
  #reads: { mono: number; beats: ReadonlyMap<string, number> }[] = [];

  constructor(of: Pick<Life, 'name' | 'run' | 'process' | 'machine'>) {
    this.name = of.name;
    this.run = of.run;
    this.process = of.process;
    this.machine = of.machine;
  }

  get incarnation(): string {
    return this.node?.membership.status().incarnation ?? '';
  }

  sent(seq: number): void {
    this.#sentMono.set(`${seq}`, this.machine.monoMs());
    this.#sentMono.delete(`${seq - 100}`);
  }

  heard(heartbeat: Heartbeat): void {
    const { node, incarnation, votes, verdicts, heard } = heartbeat;
    const against = new Set([...votes, ...verdicts].map((one) => `${one.node}/${one.incarnation}`));
    this.#heard.set(`${node}/${incarnation}`, { mono: this.machine.monoMs(), against });
    const isOwn = node === this.name && incarnation === this.incarnation;
    const seq = isOwn
      ? heartbeat.seq
      : heard.find((one) => one.node === this.name && one.incarnation === this.incarnation)?.seq;
    const mono = this.#sentMono.get(`${seq}`);
    if (mono === undefined) return;
    this.#ackedMono.set(node, Math.max(mono, this.#ackedMono.get(node) ?? mono));
  }

  /** A read of the view that was asked for then lists this incarnation. */
  viewRead(askedMono: number): void {
    this.#readMono = Math.max(this.#readMono, askedMono);
  }

  beatsRead(askedMono: number, beats: readonly Beat[] | null): void {
    if (beats === null) {
      this.#reads = [];
      return;
    }
    const seen = new Map(beats.map((beat) => [`${beat.node}/${beat.incarnation}`, beat.n]));
    this.#reads.push({ mono: askedMono, beats: seen });
    if (this.#reads.length > readsKept) this.#reads.shift();
  }

  /** Five reads over 2.5 s showed one beat of it, and the own one moved twice. */
  sawStalled(owner: string): boolean {
    const last = this.#reads.at(-1);
    if (last === undefined) return false;
    const value = last.beats.get(owner) ?? -1;
    let from = this.#reads.length;
    while (from > 0 && (this.#reads[from - 1]?.beats.get(owner) ?? -1) === value) from--;
    const same = this.#reads.slice(from);
    const own = new Set(
      same.map((read) => read.beats.get(`${this.name}/${this.incarnation}`) ?? -1),
    );
    return same.length >= 5 && last.mono - (same[0]?.mono ?? last.mono) >= 2_500 && own.size > 2;
  }

  /** Names of those whose newest heartbeat here says that it is dead, this process included. */
  votersOf(owner: string): string[] {
    const nowMono = this.machine.monoMs();
    const voters = [...this.#heard]
      .filter(([, { mono, against }]) => nowMono - mono < voteKeptMs && against.has(owner))
      .map(([name]) => name.slice(0, name.indexOf('/')));
    const isMine = this.node?.pulse
      .report()
      .votes.some((one) => `${one.node}/${one.incarnation}` === owner);
    return [...new Set(isMine === true ? [...voters, this.name] : voters)];
  }

  permission(): Permission {
    const { node } = this;
    if (node === null) return { leaseMs: 0, provenMs: 0, mode: 'none', isMember: false };
    const status = node.membership.status();
    const nowMono = this.machine.monoMs();
    const round = (ms: number): number => Math.round(Math.max(-99_999, Math.min(99_999, ms)));
    return {
      leaseMs: round(node.leaseUntilMonoMs() - nowMono),
      provenMs: round(this.#provenUntil() - nowMono),
      mode: status.mode.mode,
      isMember: status.isMember,
    };
  }

  /** End of the lease by acknowledgements of a majority of the view, or by a read of it. */
  #provenUntil(): number {
    const members = [...(this.node?.membership.status().view.members.keys() ?? [])];
    const majority = Math.floor(members.length / 2) + 1;
    const acked = members
      .map((name) => this.#ackedMono.get(name) ?? Number.NEGATIVE_INFINITY)
      .sort((left, right) => right - left);
    return Math.max(acked[majority - 1] ?? Number.NEGATIVE_INFINITY, this.#readMono) + leaseMs;
  }
}
