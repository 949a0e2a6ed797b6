// Who writes a death into the view, and when (clustering.md §6 rule 1); and when a fenced node may come back. Pure decisions:
// called again right before the compare-and-set, and again with whatever view the loser of one then reads.
import { murmur3, type NodeId } from '../runtime/ids.ts';
import type { NodeRun, Vote } from './heartbeat.ts';
import { declareLimits } from './limits.ts';
import { lists, type Member, type View } from './view.ts';

export interface DeclareInputs {
  readonly view: View;
  readonly me: NodeRun;
  /** True: this node accuses nobody now. */
  readonly isVetoed: boolean;
  /** Own votes and verdicts. */
  readonly votes: readonly Vote[];
  readonly verdicts: readonly NodeRun[];
  /** Members whose vote or verdict counts against a member now, this node included. */
  readonly votersOf: (node: NodeId) => readonly NodeId[];
  /** Is the beat of that incarnation stalled? */
  readonly isStalled: (node: NodeId, incarnation: string) => boolean;
}

export interface Declaration extends NodeRun {
  /** Wait so long, then decide again with the view of then: an earlier voter has the first turn. */
  readonly afterMs: number;
}

/**
 * Returns the deaths that this node is to write. An own vote must stand (a pong since withdrew it), and with it the verdict
 * of a majority, or a stalled beat, or there are exactly two members: then the compare-and-set is the duel.
 */
export function declarations(inputs: DeclareInputs): readonly Declaration[] {
  const { view, me, votes, isVetoed } = inputs;
  if (isVetoed || !lists(view, me.node, me.incarnation) || isHeldBack(inputs)) return [];
  return votes
    .filter((vote) => lists(view, vote.node, vote.incarnation) && isEvident(inputs, vote))
    .map(({ node, incarnation }) => ({ node, incarnation, afterMs: turnMs(inputs, node) }));
}

function isEvident(
  { view, verdicts, isStalled }: DeclareInputs,
  { node, incarnation }: Vote,
): boolean {
  const isVerdict = verdicts.some((run) => run.node === node && run.incarnation === incarnation);
  return isVerdict || view.members.size === 2 || isStalled(node, incarnation);
}

/** A node without weight neither duels nor declares while a member with weight lives, as its beat shows. */
function isHeldBack({ view, me, isStalled }: DeclareInputs): boolean {
  if (view.members.get(me.node)?.weight !== 0) return false;
  const lives = ([node, member]: [NodeId, Member]): boolean =>
    node !== me.node && member.weight > 0 && !isStalled(node, member.incarnation);
  return [...view.members].some(lives);
}

/** The i-th voter, in rendezvous order for the name of the accused, writes after i × 150 ms. */
function turnMs({ me, votersOf }: DeclareInputs, accused: NodeId): number {
  const score = (voter: NodeId): number => murmur3(Buffer.from(`${voter}/${accused}`, 'utf8'));
  const order = [...new Set([...votersOf(accused), me.node])].sort(
    (a, b) => score(b) - score(a) || (a < b ? -1 : 1),
  );
  return order.indexOf(me.node) * declareLimits.stepMs;
}

/**
 * Returns whether a fenced node may join again under a new incarnation: it hears a member on NATS, or the beats of all
 * members are stalled (it beats meanwhile, to compare with), or there is none.
 */
export function mayRejoin(inputs: {
  readonly view: View;
  readonly hearsMember: boolean;
  readonly isStalled: DeclareInputs['isStalled'];
}): boolean {
  const members = [...inputs.view.members];
  return (
    inputs.hearsMember ||
    members.every(([node, { incarnation }]) => inputs.isStalled(node, incarnation))
  );
}
