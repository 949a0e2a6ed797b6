// Shard → node over the agreed view: weighted rendezvous with bounded load (clustering.md §5), and which moves that map asks
// a living owner to start. Pure and in integers only: every node must compute the same map from the same view.
// Must not know who owns what; the map says who should, the claimed epoch says who does.
import { murmur3, type NodeId, type ShardId, shardsTotal } from '../runtime/ids.ts';
import { moveLimits } from './limits.ts';
import type { View } from './view.ts';

/** Who should own each shard, by its number. null: the view has no member that may own. */
export type Placement = readonly (NodeId | null)[];

interface Candidate {
  readonly node: NodeId;
  readonly weight: number;
  /** utf8(name), 0, try, shard low, shard high: what is hashed. */
  readonly key: Uint8Array;
  readonly cap: number;
  load: number;
}

const known = new WeakMap<View, Placement>();

/** Returns the map of a view; the same object for the same view. 1024 shards × 3 nodes of weight 4: about 1 ms. */
export function placementOf(view: View): Placement {
  let placement = known.get(view);
  if (placement === undefined) {
    placement = computed(view);
    known.set(view, placement);
  }
  return placement;
}

/**
 * Returns the weights that the map uses: a draining member counts as 0, and where fewer than half of the others have
 * weight, all of them count as equal, so that nodes which drain themselves cannot empty the cluster.
 */
export function effectiveWeights(view: View): ReadonlyMap<NodeId, number> {
  const staying = [...view.members].filter(([, member]) => member.state === 'up');
  const withWeight = staying.filter(([, member]) => member.weight > 0).length;
  const allEqual = withWeight * 2 < staying.length;
  const weights = new Map<NodeId, number>([...view.members.keys()].map((node) => [node, 0]));
  for (const [node, member] of staying) weights.set(node, allEqual ? 1 : member.weight);
  return weights;
}

function computed(view: View): Placement {
  const candidates = candidatesOf(view);
  const placement = new Array<NodeId | null>(shardsTotal).fill(null);
  const byName = new Map(candidates.map((candidate) => [candidate.node, candidate]));
  for (const [shard, node] of view.overrides) {
    const pinned = byName.get(node);
    if (pinned === undefined || shard >= shardsTotal) continue;
    placement[shard] = node;
    pinned.load++;
  }
  for (let shard = 0; shard < shardsTotal; shard++) {
    if (placement[shard] !== null) continue;
    const best = bestFor(candidates, shard);
    if (best === null) continue;
    placement[shard] = best.node;
    best.load++;
  }
  return placement;
}

/** In order of their names: equal scores go to the first. */
function candidatesOf(view: View): readonly Candidate[] {
  const weights = [...effectiveWeights(view)].filter(([, weight]) => weight > 0);
  const total = weights.reduce((sum, [, weight]) => sum + weight, 0);
  return weights
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([node, weight]) => ({
      node,
      weight,
      key: Uint8Array.from([...Buffer.from(node, 'utf8'), 0, 0, 0, 0]),
      cap: capOf(weight, total),
      load: 0,
    }));
}

/** ⌈1.10 × shards × weight ÷ total⌉, without a fraction on the way. */
function capOf(weight: number, total: number): number {
  const tenths = 10 * total;
  return Math.floor((moveLimits.capTenths * shardsTotal * weight + tenths - 1) / tenths);
}

function bestFor(candidates: readonly Candidate[], shard: number): Candidate | null {
  let best: Candidate | null = null;
  let bestScore = -1;
  for (const candidate of candidates) {
    if (candidate.load >= candidate.cap) continue;
    const score = scoreOf(candidate, shard);
    if (score > bestScore) {
      best = candidate;
      bestScore = score;
    }
  }
  return best;
}

/** The best of `weight` hashes. Frozen: nodes of different releases must agree. */
function scoreOf({ key, weight }: Candidate, shard: number): number {
  const end = key.length;
  key[end - 2] = shard & 0xff;
  key[end - 1] = shard >>> 8;
  let best = 0;
  for (let attempt = 0; attempt < weight; attempt++) {
    key[end - 3] = attempt;
    best = Math.max(best, murmur3(key));
  }
  return best;
}

export interface Move {
  readonly shard: ShardId;
  readonly to: NodeId;
  readonly reason: 'drain' | 'override' | 'rebalance';
}

export interface MoveInputs {
  readonly view: View;
  /** The node that gives: only its own shards are looked at. */
  readonly me: NodeId;
  /** Who holds a shard; null where this node does not know: only what it holds itself counts. */
  readonly holders: (shard: ShardId) => NodeId | null;
  /** Moves of this node that were started and have not ended. */
  readonly inFlight: readonly Pick<Move, 'shard' | 'to'>[];
  /** Moves for a rebalance that this node started within the last 5 s. */
  readonly startedRecently: number;
  /** Since when this node has seen the current incarnation of each member up, monotonic ms. */
  readonly upSinceMonoMs: ReadonlyMap<NodeId, number>;
  readonly nowMonoMs: number;
}

/**
 * Returns the moves that this node should start now, in order of shard. A node that drains or has no weight gives all, at
 * most 64 at a time; pins are followed at once; a rebalance goes to members up for 30 s, by this node's part of 5 % of the
 * shards per 5 s, and 1 at a time per receiver and 64 held shards.
 */
export function movesWanted(inputs: MoveInputs): readonly Move[] {
  const { view, me, holders } = inputs;
  if (!view.members.has(me)) return [];
  const placement = placementOf(view);
  const held = (placement.map((_, shard) => shard) as ShardId[]).filter(
    (shard) => holders(shard) === me,
  );
  const busy = new Set(inputs.inFlight.map((move) => move.shard));
  const isDraining = (effectiveWeights(view).get(me) ?? 0) === 0;
  const wanted = held.flatMap((shard): readonly Move[] => {
    const to = placement[shard] ?? null;
    if (to === null || to === me || busy.has(shard)) return [];
    if (isDraining) return [{ shard, to, reason: 'drain' }];
    return [{ shard, to, reason: view.overrides.has(shard) ? 'override' : 'rebalance' }];
  });
  return paced(inputs, wanted, held.length);
}

function paced(inputs: MoveInputs, wanted: readonly Move[], held: number): readonly Move[] {
  const perPairMax = Math.max(1, Math.floor(held / moveLimits.shardsPerPairMove));
  // Who gets nothing gives too: the shards of 5 s are divided among them without asking anybody.
  const givers = inputs.view.members.size - new Set(wanted.map((move) => move.to)).size;
  const share = Math.max(1, Math.floor(moveLimits.perWindow / Math.max(1, givers)));
  const perPair = new Map<NodeId, number>();
  for (const { to } of inputs.inFlight) perPair.set(to, (perPair.get(to) ?? 0) + 1);
  let started = inputs.startedRecently;
  let inFlight = inputs.inFlight.length;
  const moves: Move[] = [];
  for (const move of wanted) {
    if (inFlight >= moveLimits.drainInFlight) break;
    const pair = perPair.get(move.to) ?? 0;
    if (move.reason === 'rebalance') {
      if (!isSettled(inputs, move.to) || pair >= perPairMax || started >= share) continue;
      started++;
    }
    perPair.set(move.to, pair + 1);
    inFlight++;
    moves.push(move);
  }
  return moves;
}

function isSettled({ upSinceMonoMs, nowMonoMs }: MoveInputs, node: NodeId): boolean {
  const since = upSinceMonoMs.get(node);
  return since !== undefined && nowMonoMs - since >= moveLimits.upMs;
}
