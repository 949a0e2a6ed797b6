// The judge of a cluster's run: its own rules, those of one node that hold for several, and whether enough happened.
import type { Violation } from '../../sim/oracle/facts.ts';
import type { ClusterEvent } from '../trace.ts';
import { actorRules } from './actors.ts';
import { type ClusterFacts, type ClusterGround, clusterFactsOf } from './facts.ts';
import { equalCopies, oneOwner, ownedAgain } from './failover.ts';
import {
  evidentDeaths,
  fencedByView,
  gaplessLog,
  leasedEffects,
  noDeathsBlind,
  noReturn,
  replacedEnds,
  rightfulClaims,
  singleCommitter,
} from './ownership.ts';
import { gapBound, noStorm, polledAgain } from './polling.ts';

const rules: readonly ((facts: ClusterFacts) => Violation[])[] = [
  singleCommitter,
  gaplessLog,
  leasedEffects,
  evidentDeaths,
  fencedByView,
  rightfulClaims,
  noDeathsBlind,
  noReturn,
  replacedEnds,
  ownedAgain,
  oneOwner,
  equalCopies,
  gapBound,
  noStorm,
  polledAgain,
  actorRules,
];

export interface ClusterVerdict {
  readonly violations: readonly Violation[];
  readonly polls: number;
  readonly transitions: number;
  readonly pages: number;
  readonly deaths: number;
  readonly handOffs: number;
  /** False: too little happened for the run to count. */
  readonly isValid: boolean;
}

/** Returns what the rules say, in order of time. */
export function judgeCluster(
  events: readonly ClusterEvent[],
  ground: ClusterGround,
): ClusterVerdict {
  const facts = clusterFactsOf(events, ground);
  const violations = rules.flatMap((rule) => rule(facts)).sort((left, right) => left.t - right.t);
  const count = (is: (event: ClusterEvent) => boolean): number => events.filter(is).length;
  const polls = count((event) => event.kind === 'probe.start');
  const transitions = events.reduce(
    (sum, event) =>
      event.kind === 'commit' && event.applied
        ? sum + event.rows.filter((row) => row.kind === 1).length
        : sum,
    0,
  );
  return {
    ...{ violations, polls, transitions },
    pages: count((event) => event.kind === 'page.start'),
    deaths: count((event) => event.kind === 'death.asked'),
    handOffs: count((event) => event.kind === 'handoff' && event.step === 'cut'),
    isValid: polls >= 60 && transitions >= 2,
  };
}
