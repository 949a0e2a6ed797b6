// Where concurrency is policy: a queue of n at a time and a cargo queue that works in batches, both bounded. The one wrapper
// around async, whose traps it removes: queues without a maximum, errors that vanish, a `drain` that never ends when idle.
import async from 'async';
import type { Meter } from './ports.ts';
import { queueFull } from './refusals.ts';

export interface WorkQueue<Task, Result> {
  /** Resolves with the task's result, rejects with what `work` threw, or with `RT_QUEUE_FULL` at once. */
  push(task: Task): Promise<Result>;
  /** Tasks waiting, without those under way. */
  readonly length: number;
  /** Tasks under way (cargo: batches). */
  readonly running: number;
  /** Resolves once nothing waits and nothing is under way; at once where that is so. Never rejects. */
  drain(): Promise<void>;
}

interface QueueOptions {
  /** For the counter `queue_refused` and the error's text. */
  readonly name: string;
  /** Tasks waiting at most. */
  readonly lengthMax: number;
  /** Tasks (cargo: batches) under way at most; default 1. */
  readonly concurrency?: number;
  readonly meter?: Meter;
}

/** Returns a queue that runs `work` on each task, `concurrency` at a time, in order of arrival. */
export function workQueue<Task, Result>(
  options: QueueOptions,
  work: (task: Task) => Promise<Result>,
): WorkQueue<Task, Result> {
  const tasks = async.queue<Task, Result>(
    async (task: Task) => await work(task),
    options.concurrency ?? 1,
  );
  return bounded(tasks, options);
}

/**
 * Returns a queue that runs `work` on batches of at most `batchMax` tasks, in order of arrival: what comes while a batch is
 * under way makes up the next. A batch that fails rejects each of its tasks; one that succeeds resolves them.
 */
export function cargoQueue<Task>(
  options: QueueOptions & { readonly batchMax: number },
  work: (batch: readonly Task[]) => Promise<void>,
): WorkQueue<Task, void> {
  const tasks = async.cargoQueue<Task>(
    async (batch: Task[]) => await work(batch),
    options.concurrency ?? 1,
    options.batchMax,
  );
  return bounded(tasks, options);
}

function bounded<Task, Result>(
  tasks: async.QueueObject<Task>,
  { name, lengthMax, meter }: QueueOptions,
): WorkQueue<Task, Result> {
  return {
    push: (task) => {
      if (tasks.length() < lengthMax) return tasks.pushAsync<Result>(task);
      meter?.count('queue_refused', 1, name);
      return Promise.reject(queueFull(name));
    },
    get length() {
      return tasks.length();
    },
    get running() {
      return tasks.running();
    },
    drain: async () => {
      if (!tasks.idle()) await tasks.drain();
    },
  };
}

/** Returns the results of `work` on each item, in order, at most `limit` under way; rejects with the first failure. */
export async function mapLimited<Item, Result>(
  items: readonly Item[],
  limit: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results = await async.mapLimit(
    [...items],
    limit,
    async (item: Item) => [await work(item)] as const,
  );
  return results.map(([result]) => result);
}
