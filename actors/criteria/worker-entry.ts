// The entry of a worker thread that evaluates criteria in batches: one message in, one result out.
import { type BatchResult, type BatchTask, evaluateBatch } from './batch.ts';

/** Returns the verdicts on a batch; called by the worker pool with a cloned task. */
export default (task: BatchTask): BatchResult => evaluateBatch(task);
