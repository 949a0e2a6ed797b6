// The bugs of a cluster to plant, as text patches, so that the product holds no switch: the lists of reliability.md §6.1 and
// clustering.md §21.1 as far as several nodes show them, and what this simulator found. Each text stands exactly once in its
// file (test/sim-cluster.test.ts), so keep them short.
import type { Plant } from '../sim/bugs.ts';
import type { ClusterFault } from './faults.ts';
import type { ClusterPlan } from './plan.ts';

/** A bug, and in which runs it can show at all. */
export interface ClusterPlant extends Plant {
  readonly shows: (plan: ClusterPlan) => boolean;
}

type Kind = ClusterFault['kind'];

const needs: Readonly<Record<string, readonly Kind[]>> = {
  'claim-less-than-for-exact': ['store', 'partition'],
  'late-claim-forgotten': ['store'],
  'commit-without-fence': ['store', 'kill'],
  'commit-without-owner': ['store'],
  'commit-without-head': ['store'],
  'verdict-is-authority': ['pause', 'link'],
  'one-observer-declares': ['link'],
  'stall-across-an-outage': ['store', 'link'],
  'rejoin-under-the-same-name': ['pause'],
  'fence-keeps-shards': ['pause'],
  'twin-is-not-replaced': ['twin'],
  'twin-denies-the-member': ['twin', 'wall'],
  'lease-unchecked': ['pause'],
  'lease-by-wall-clock': ['wall', 'pause'],
  'lease-by-own-echo': ['link'],
  'lease-by-any-read': ['partition'],
  'blind-lease-not-read': ['natsDown'],
  'lease-of-any-length': ['pause'],
  'gate-open-before-claim': ['kill'],
  'tail-not-folded-in': ['kill'],
  'giver-goes-on-unclaimed': ['frames'],
  'directory-outlives-the-dead': ['pause'],
  'refusal-loses-all-shards': ['pause', 'store'],
};

const showsIn =
  (name: string) =>
  (plan: ClusterPlan): boolean => {
    const kinds = needs[name] ?? [];
    const isWeighty =
      name !== 'weight-0-declares-at-once' || plan.nodes.some((node) => node.weight === 0);
    return isWeighty && kinds.every((kind) => plan.faults.some((fault) => fault.kind === kind));
  };

const one = (name: string, file: string, find: string, replace: string): ClusterPlant => ({
  name,
  shows: showsIn(name),
  patches: [{ file, find, replace }],
});

const logFile = 'store/memory/shard-log.ts';
const declareFile = 'cluster/declare.ts';
const leaseFile = 'cluster/lease-keeper.ts';
const membershipFile = 'cluster/membership.ts';

export const plants: readonly ClusterPlant[] = [
  // Claims.
  one(
    'claim-less-than-for-exact',
    logFile,
    'row.head.epoch !== claim.seen || row.head.owner !== claim.was',
    'row.head.epoch > claim.epoch',
  ),
  one(
    'claim-from-live-owner',
    'cluster/claims.ts',
    'return listsOwner(view, head.owner) ? null : epoch(view.version);',
    'return epoch(view.version);',
  ),
  one(
    'own-claim-not-adopted',
    'cluster/claims.ts',
    "if (head.owner === owner) return 'adopt';",
    '',
  ),
  one(
    'late-claim-forgotten',
    'cluster/claims.ts',
    'if (head.epoch === claimed && head.owner === owner) return claimed;',
    'if (head.epoch === claimed && head.owner === owner) throw refused(shard, head);',
  ),
  // Commits.
  one('commit-without-fence', logFile, 'epoch !== batch.epoch || owner !== batch.owner || ', ''),
  one('commit-without-owner', logFile, ' || owner !== batch.owner', ''),
  one('commit-without-head', logFile, ' || head !== batch.prevHead', ''),
  // The view and who is in it.
  one(
    'view-written-over-another',
    'store/memory/views.ts',
    'if ((view?.version ?? 0) !== from) return false;',
    '',
  ),
  one(
    'verdict-is-authority',
    membershipFile,
    "if (event.do === 'dropLease') {",
    "if (event.do === 'dropLease') {\n      if (event.why === 'accused') this.#fall();",
  ),
  one('one-observer-declares', declareFile, 'return isVerdict || ', 'return true || isVerdict || '),
  one('weight-0-declares-at-once', declareFile, ' || isHeldBack(inputs)', ''),
  one(
    'stall-across-an-outage',
    'cluster/beats.ts',
    'still.reads >= beatLimits.reads &&',
    'true || still.reads >= beatLimits.reads &&',
  ),
  one(
    'rejoin-under-the-same-name',
    membershipFile,
    'this.#incarnation = newIncarnation(random);\n    this.#beats',
    'void newIncarnation(random);\n    this.#beats',
  ),
  one('fence-keeps-shards', membershipFile, '    onFence();\n', ''),
  one('twin-is-not-replaced', membershipFile, '      onReplaced();\n', ''),
  one(
    'twin-denies-the-member',
    'cluster/failure-detector.ts',
    'if (lists(this.#view, beat.node, beat.incarnation)) return;',
    '',
  ),
  // The lease.
  one(
    'lease-unchecked',
    'cluster/lease.ts',
    'clock.monoMs() < validUntilMonoMs() && isHeld(shard)',
    'isHeld(shard)',
  ),
  one(
    'lease-by-wall-clock',
    'cluster/lease.ts',
    'mayAct: (shard) => clock.monoMs() < validUntilMonoMs() && isHeld(shard)',
    'mayAct: (shard) => {\n      const at = globalThis as { wallOff?: Map<object, number> };\n      at.wallOff ??= new Map();\n      const off = at.wallOff.get(options) ?? clock.nowMs() - clock.monoMs();\n      at.wallOff.set(options, off);\n      return clock.nowMs() - off < validUntilMonoMs() && isHeld(shard);\n    }',
  ),
  one('lease-by-own-echo', leaseFile, 'this.#view.members.size !== 1 || ', ''),
  one(
    'lease-by-any-read',
    leaseFile,
    'if (isListed) this.#confirm(startedMonoMs);',
    'this.#confirm(startedMonoMs);\n    if (isListed) return;',
  ),
  one('blind-lease-not-read', leaseFile, 'this.#passing === 0 || acksAgeMs', 'acksAgeMs'),
  one(
    'lease-of-any-length',
    leaseFile,
    'this.#confirm(startedMs);\n',
    'this.#confirm(Number.MAX_SAFE_INTEGER);\n',
  ),
  // Taking over and handing off.
  one('gate-open-before-claim', 'cluster/host.ts', "(key, loaded, 'closed')", '(key, loaded)'),
  one(
    'tail-not-folded-in',
    'cluster/take-over.ts',
    'onOpen(key, isNews(key) ? newest(key) : null)',
    'onOpen(key, null)',
  ),
  one(
    'giver-goes-on-unclaimed',
    'cluster/handoff.ts',
    'if ((await authority.claim(shard, claim)).applied) return false;',
    'if (claim.epoch > 0) return false;',
  ),
  one(
    'directory-outlives-the-dead',
    'cluster/following.ts',
    "if (hasLost) void this.settle('differing');",
    'void hasLost;',
  ),
  one(
    'head-rows-never-looked-at',
    'cluster/following.ts',
    'if (this.#rounds % perSettle === 0)',
    'if (this.#rounds < 0 && perSettle > 0)',
  ),
  one(
    'refusal-loses-all-shards',
    'cluster/shards.ts',
    "count('shards_lost', 1);\n    return leave(shard);",
    "count('shards_lost', 1);\n    for (const other of held.all()) leave(other.shard);\n    return true;",
  ),
];
