// What must be left when it is quiet: I37, and the health half of I42. Written against reliability.md §5.
import { documentKind, type Facts, type Violation } from './facts.ts';

const emptyAtRest = [
  'rowsWaiting',
  'shardsInDoubt',
  'projectionsWaiting',
  'quarantined',
  'paused',
  'creating',
  'commitsPending',
];

/** I37: at the end of a quiet time queues are empty, and timers are those of what is monitored. */
export function restingGauges(facts: Facts): Violation[] {
  const found: Violation[] = [];
  for (const event of facts.events) {
    if (event.kind !== 'gauges' || event.when !== 'end') continue;
    for (const name of emptyAtRest) {
      const value = event.values[name] ?? 0;
      if (value > 1) found.push({ id: 'I37', t: event.t, text: `${name} is ${value} at rest` });
    }
    const entities = count(facts, documentKind.entity, event.t);
    const checks = count(facts, documentKind.check, event.t);
    // A slot and a deadline for each check, a report for each entity, those deleted lately included.
    const most = 2 * checks.all + entities.all + 20;
    const timers = event.values['timers'] ?? 0;
    if (timers > most)
      found.push({ id: 'I37', t: event.t, text: `${timers} timers for ${checks.live} checks` });
  }
  return found;
}

function count(facts: Facts, kind: number, t: number): { all: number; live: number } {
  let all = 0;
  let live = 0;
  for (const [place, versions] of facts.documents) {
    if (Number(place.split(' ')[1]) !== kind) continue;
    all++;
    if (versions.findLast((version) => version.t <= t)?.body !== null) live++;
  }
  return { all, live };
}

const alarming = new Set([
  'actor.quarantined',
  'effect.failed',
  'snapshot.failed',
  'soft-state.unreadable',
  'tick.unencodable',
  'sim.failed',
  'tell.not_sent',
]);

/** I42: nothing broke that a person would have to mend. */
export function nothingBroken(facts: Facts): Violation[] {
  const found: Violation[] = [];
  for (const event of facts.events) {
    if (event.kind === 'log' && alarming.has(event.event)) {
      found.push({ id: 'I42', t: event.t, text: `${event.event}: ${event.text}` });
    }
  }
  const last = facts.runs.at(-1);
  const isReady = last !== undefined && last.readyT < Number.MAX_SAFE_INTEGER;
  if (!isReady) found.push({ id: 'I42', t: facts.lastT, text: 'the node did not come back' });
  if (facts.ground.mode !== 'liveness') return found;
  const before = facts.runs.filter((run) => run.startT < facts.lastT - 1_000).at(-1);
  if (
    before !== undefined &&
    before.readyT > facts.ground.healT + 60_000 &&
    before.startT < facts.ground.healT + 60_000
  ) {
    found.push({
      id: 'I42',
      t: facts.lastT,
      text: 'the node was not ready a minute after the faults ended',
    });
  }
  return found;
}
