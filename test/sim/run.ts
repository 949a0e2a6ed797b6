// One run from plan to verdict. Pins what could differ between machines. Must not know processes or command lines.
import { judge, type Verdict } from './oracle/judge.ts';
import type { Fault, Plan } from './plan.ts';
import { targetName } from './targets.ts';
import type { TraceEvent } from './trace.ts';
import { World } from './world.ts';

export interface RunResult extends Verdict {
  readonly seed: number;
  readonly mode: Plan['mode'];
  readonly profile: Plan['profile'];
  readonly simulatedMs: number;
  readonly events: number;
  readonly hash: string;
  /** Faults that struck, by kind. */
  readonly faults: Readonly<Record<string, number>>;
  /** Rare points that were reached. */
  readonly sometimes: Readonly<Record<string, number>>;
}

/** Counters of the product that name a rare branch. */
const rareCounts = [
  'commits_in_doubt',
  'activations_reloaded',
  'projections_retried',
  'projections_late',
  'notifications_deferred',
  'notifications.superseded',
  'notifications.undeliverable',
  'notification_attempts_slow',
  'slots.lost',
  'slots.failed',
  'slots.skipped',
  'slots_late',
  'ticks_retried',
  'ticks_unread',
  'soft_states_failed',
  'probe_answers_late',
  'checks_unobserved',
  'asks_expired',
] as const;

/** Runs a plan; the same plan gives the same result. */
export async function runPlan(
  plan: Plan,
): Promise<{ result: RunResult; trace: readonly TraceEvent[] }> {
  const world = new World(plan);
  await world.run();
  const { events } = world.trace;
  const truth = new Map(plan.targets.map((spans, at) => [targetName(at), spans]));
  const verdict = judge(events, {
    mode: plan.mode,
    healT: plan.healT,
    lateWrites: plan.lateWrites,
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
    else if (event.kind === 'node.end' && event.why === 'crash')
      count(sometimes, `crash at ${event.point}`);
    else if (event.kind === 'node.end') count(sometimes, `end by ${event.why}`);
  }
  for (const name of rareCounts) {
    const value = world.counts.get(name) ?? 0;
    if (value > 0) count(sometimes, name, value);
  }
  const { seed, mode, profile } = plan;
  const result: RunResult = {
    ...verdict,
    ...{ seed, mode, profile, faults, sometimes, events: world.events },
    simulatedMs: Math.round(world.simulatedMs),
    hash: world.trace.digest(),
  };
  return { result, trace: events };
}

function faultName(kind: string, what: string): string {
  const modes: readonly Fault['kind'][] = ['receiver', 'prober'];
  return modes.includes(kind as Fault['kind']) ? `${kind} ${what}` : kind;
}
