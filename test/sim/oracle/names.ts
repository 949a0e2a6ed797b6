// Names of slots: the other half of I8. A slot is named for the time at which it falls due by the wall clock; where nobody
// stepped that clock, no slot is run under a name that lies further ahead than one period.
import { checkAt } from './checks.ts';
import type { Facts, Poll, Violation } from './facts.ts';

const smallMs = 1_500;

/** I8: what was slept through is left out, not made up for under names of slots to come. */
export function namedInTime(facts: Facts): Violation[] {
  if (facts.wallSteps.length > 0) return [];
  const found: Violation[] = [];
  for (const [place, polls] of facts.polls) {
    if (!isTrueRate(polls)) continue;
    const early = polls.find((poll) => {
      const periodS = checkAt(facts, poll.key, poll.check, poll.t)?.period;
      return periodS !== undefined && poll.slot - poll.wall > periodS * 1_000 + smallMs;
    });
    if (early === undefined) continue;
    const aheadMs = Math.round(early.slot - early.wall);
    found.push({
      id: 'I8',
      t: early.t,
      text: `${place}: slot ${early.slot} run ${aheadMs} ms early`,
    });
  }
  return found;
}

/** A monotonic clock that runs fast or slow moves slots against the wall clock. */
function isTrueRate(polls: readonly Poll[]): boolean {
  const [one, two] = polls;
  if (one === undefined || two === undefined || one.run !== two.run) return false;
  return Math.abs(two.mono - one.mono - (two.t - one.t)) < 5;
}
