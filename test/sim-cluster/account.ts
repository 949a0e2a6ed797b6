// What the world counts by itself of the operations that processes ask the store for: who asks for a death and what he was told
// before, which reads of the view and of the beats were answered. Must not know what is right.
import { decodeView } from '../../cluster/view-codec.ts';
import type { Beat } from '../../runtime/cluster-ports.ts';
import type { Life } from './life.ts';
import type { StoreSeat } from './store.ts';
import type { ClusterHappening, MemberSeen } from './trace.ts';

export interface AccountOptions {
  readonly lifeOf: (run: number) => Life | undefined;
  readonly emit: (run: number, happening: ClusterHappening) => void;
}

export class Account {
  /** The view as stored. */
  members: readonly MemberSeen[] = [];
  version = 0;
  readonly #of: AccountOptions;

  constructor(of: AccountOptions) {
    this.#of = of;
  }

  /** An operation leaves its process. */
  asked(seat: StoreSeat, name: string, args: readonly unknown[]): void {
    const life = this.#of.lifeOf(seat.run);
    if (life === undefined) return;
    if (name === 'commit') {
      this.#of.emit(seat.run, {
        kind: 'commit.asked',
        shard: (args[0] as { shard: number }).shard,
      });
    } else if (name === 'claim') {
      const { epoch } = args[1] as { epoch: number };
      this.#of.emit(seat.run, { kind: 'claim.asked', shard: args[0] as number, epoch });
    } else if (name === 'casView')
      this.#askedDeath(life, args[0] as { from: number; body: Uint8Array });
  }

  #askedDeath(life: Life, change: { from: number; body: Uint8Array }): void {
    if (change.from !== this.version) return;
    const { members } = decodeView(change.from + 1, change.body);
    for (const { node, incarnation } of this.members) {
      if (members.has(node as never) || node === life.name) continue;
      const owner = `${node}/${incarnation}`;
      this.#of.emit(life.run, {
        ...{ kind: 'death.asked', of: node, incarnation, members: this.members.length },
        voters: life.votersOf(owner),
        isStalled: life.sawStalled(owner),
        lively: this.members
          .filter((one) => one.weight > 0 && one.node !== life.name)
          .filter((one) => !life.sawStalled(`${one.node}/${one.incarnation}`))
          .map((one) => one.node),
      });
    }
  }

  /** An operation was answered. */
  answered(
    seat: StoreSeat,
    of: { name: string; args: readonly unknown[]; answer: unknown; askedMono: number },
  ): void {
    const life = this.#of.lifeOf(seat.run);
    if (life === undefined) return;
    if (of.name === 'readBeats') life.beatsRead(of.askedMono, of.answer as readonly Beat[]);
    if (of.name !== 'readView' && of.name !== 'casView') return;
    if (of.name === 'casView' || of.answer === null) return;
    const { version, body } = of.answer as { version: number; body: Uint8Array };
    const member = decodeView(version, body).members.get(life.name as never);
    if (member?.incarnation === life.incarnation) life.viewRead(of.askedMono);
  }
}
