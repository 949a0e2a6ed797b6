// One run of a cluster from plan to verdict. Must not know processes or command lines.
import { targetName } from '../sim/targets.ts';
import { type ClusterVerdict, judgeCluster } from './oracle/judge.ts';
import type { ClusterPlan } from './plan.ts';
import type { ClusterEvent } from './trace.ts';
import { ClusterWorld } from './world.ts';

export interface ClusterResult extends ClusterVerdict {
  readonly seed: number;
  readonly mode: ClusterPlan['mode'];
  readonly nodes: number;
  readonly simulatedMs: number;
  readonly events: number;
  readonly hash: string;
  /** Faults that struck, by kind. */
  readonly faults: Readonly<Record<string, number>>;
  /** Rare points that were reached. */
  readonly sometimes: Readonly<Record<string, number>>;
}

/** Counters and log lines of the product that name a rare branch. */
const rareCounts = [
  ...['claims_refused.CL_CLAIM_REFUSED', 'claims_refused.CL_VIEW_STALE', 'shards_found_lost'],
  ...['handoffs.moved', 'handoffs.kept', 'handoffs.lost', 'handoff_cuts_refused', 'fenced'],
  ...['deaths_declared', 'verdicts', 'verdicts_withdrawn', 'commits_in_doubt', 'asks_expired'],
  ...[
    'leases_dropped.accused',
    'leases_dropped.lag',
    'leases_dropped.suspend',
    'link_messages_refused',
  ],
  ...['log.cluster.rejoined', 'log.cluster.denied', 'log.cluster.replaced', 'log.view.unknown'],
  ...['log.handoff.in-doubt', 'log.handoff.undecided', 'notifications_deferred'],
];

/** Runs a plan; the same plan gives the same result. */
export async function runCluster(
  plan: ClusterPlan,
): Promise<{ result: ClusterResult; trace: readonly ClusterEvent[] }> {
  const world = new ClusterWorld(plan);
  await world.run();
  const { events } = world.trace;
  const truth = new Map(plan.people.targets.map((spans, at) => [targetName(at), spans]));
  const { mode, healT, nodes, seed } = plan;
  const verdict = judgeCluster(events, {
    ...{ mode, healT, nodes },
    truth: (target) => truth.get(target) ?? [],
  });
  const faults: Record<string, number> = {};
  const sometimes: Record<string, number> = {};
  const count = (into: Record<string, number>, name: string, by = 1): void => {
    into[name] = (into[name] ?? 0) + by;
  };
  for (const event of events) {
    if (event.kind === 'fault') count(faults, faultName(event.fault, event.what));
    else if (event.kind === 'sometimes') count(sometimes, event.point);
    else if (event.kind === 'mode') count(sometimes, `mode ${event.mode}`);
    else if (event.kind === 'node.end')
      count(sometimes, `end by ${event.why} ${event.point}`.trim());
  }
  for (const name of rareCounts) {
    const value = world.counts.get(name) ?? 0;
    if (value > 0) count(sometimes, name, value);
  }
  const result: ClusterResult = {
    ...verdict,
    ...{ seed, mode, nodes: nodes.length, faults, sometimes, events: world.kernel.events },
    simulatedMs: Math.round(world.kernel.now),
    hash: world.trace.digest(),
  };
  return { result, trace: events };
}

function faultName(kind: string, what: string): string {
  const [how = ''] = what.split(' ');
  return ['relay', 'link', 'partition', 'store', 'receiver'].includes(kind)
    ? `${kind} ${how}`
    : kind;
}
