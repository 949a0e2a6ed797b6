// Many evaluations of one criteria text as one piece of work for a worker thread: bursts, back-tests, test-alarm.
// Pure; takes and returns what can be cloned between threads.
import { assert } from '../../runtime/assert.ts';
import type { WireMetric } from '../check/types.ts';
import { type Observation, observation } from '../observation/observation.ts';
import { CriteriaError, type CriteriaStage, criteriaCache, type Verdict } from './criteria.ts';
import { batchItemsMax } from './limits.ts';

/** An observation without its interned shape. */
export interface WireObservation {
  readonly slotAtMs: number;
  readonly atMs: number;
  readonly available: boolean;
  readonly status: string;
  readonly metrics: readonly WireMetric[];
}

export interface BatchTask {
  readonly source: string | null;
  /** At most 10,000. `previous`: the preceding observation of the same zone, or null. */
  readonly items: readonly {
    readonly observation: WireObservation;
    readonly previous: WireObservation | null;
  }[];
}

/** What is wrong with the criteria, as `CriteriaError` tells it; errors lose their class between threads. */
export interface BatchRefusal {
  readonly message: string;
  readonly position: number;
  readonly line: number;
  readonly column: number;
  readonly token: string;
  readonly stage: CriteriaStage;
}

export type BatchResult =
  | { readonly kind: 'verdicts'; readonly verdicts: readonly Verdict[] }
  | { readonly kind: 'bad-criteria'; readonly refusal: BatchRefusal };

/** Returns one verdict per item, in their order, or why the criteria cannot be compiled. */
export function evaluateBatch(task: BatchTask): BatchResult {
  assert(task.items.length <= batchItemsMax, `a batch has at most ${batchItemsMax} items`);
  try {
    const criteria = criteriaCache.get(task.source);
    const verdicts = task.items.map((item) =>
      criteria.evaluate(read(item.observation), item.previous && read(item.previous)),
    );
    return { kind: 'verdicts', verdicts };
  } catch (error) {
    if (!(error instanceof CriteriaError)) throw error;
    const { message, position, line, column, token, stage } = error;
    return { kind: 'bad-criteria', refusal: { message, position, line, column, token, stage } };
  }
}

function read({ slotAtMs, atMs, available, status, metrics }: WireObservation): Observation {
  return observation({ slotAtMs, atMs, available, status }, metrics);
}
