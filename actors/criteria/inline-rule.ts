// Where a batch of evaluations runs: on the loop or in the worker pool. The one place of this rule. Pure.
// The numbers behind it, repeated by bench/criteria.ts: see `inlineItemsMax` in limits.ts.
import type { BatchTask, WireObservation } from './batch.ts';
import { inlineItemsMax, inlineLengthMax } from './limits.ts';

/**
 * True where a batch is evaluated at once by the caller. A live evaluation is a batch of one and never asks. False for what
 * could hold the loop: more items than `inlineItemsMax`, or texts together longer than `inlineLengthMax`.
 */
export function isInline(task: Pick<BatchTask, 'items'>): boolean {
  if (task.items.length > inlineItemsMax) return false;
  let length = 0;
  for (const { observation } of task.items) length += lengthOf(observation);
  return length <= inlineLengthMax;
}

/** UTF-16 units that regular expressions could have to search. */
function lengthOf({ metrics }: WireObservation): number {
  let length = 0;
  for (const [, , value] of metrics) length += typeof value === 'string' ? value.length : 8;
  return length;
}
