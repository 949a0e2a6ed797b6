// Makes a failing plan smaller: fewer faults, fewer changes, then a shorter run, as long as the same rule is broken.
// Must not know what the rules are.
import type { Violation } from './oracle/facts.ts';
import type { Plan } from './plan.ts';
import { runPlan } from './run.ts';

export interface Shrunk {
  readonly plan: Plan;
  readonly violations: readonly Violation[];
}

/** Runs that shrinking may take. */
const runsMax = 60;

/** Returns the smallest plan found that still breaks rule `id`. */
export async function shrunk(plan: Plan, id: string): Promise<Shrunk> {
  let left = runsMax;
  const broken = async (candidate: Plan): Promise<readonly Violation[] | null> => {
    if (left-- <= 0) return null;
    const { result } = await runPlan(candidate);
    const same = result.violations.filter((violation) => violation.id === id);
    return same.length > 0 ? same : null;
  };
  let best: Shrunk = { plan, violations: (await broken(plan)) ?? [] };
  const attempt = async (candidate: Plan): Promise<boolean> => {
    const violations = await broken(candidate);
    if (violations !== null) best = { plan: candidate, violations };
    return violations !== null;
  };
  for (const list of ['faults', 'changes'] as const) {
    let size = Math.max(1, Math.ceil(best.plan[list].length / 2));
    while (best.plan[list].length > 0 && left > 0) {
      let isSmaller = false;
      for (let at = 0; at < best.plan[list].length && left > 0; ) {
        const items = best.plan[list] as readonly unknown[];
        const without = [...items.slice(0, at), ...items.slice(at + size)];
        if (await attempt({ ...best.plan, [list]: without } as Plan)) isSmaller = true;
        else at += size;
      }
      if (size === 1 && !isSmaller) break;
      if (!isSmaller) size = Math.max(1, Math.floor(size / 2));
    }
  }
  for (const part of [0.25, 0.5, 0.75]) {
    const healT = Math.round(plan.healT * part);
    if (healT < best.plan.healT && (await attempt({ ...best.plan, healT }))) break;
  }
  return best;
}
