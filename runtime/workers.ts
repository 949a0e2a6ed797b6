// Piscina behind the WorkerPool port; its only importer. For work that is heavy, bulky or not trusted to end: a task over
// its time is aborted, which kills its thread. Threads start with the first task; all but one end after a quiet minute.
// Must not know what the tasks are: the caller names the entry file. Settings after clustering §19.
import { availableParallelism } from 'node:os';
import type { Piscina } from 'piscina';
import { TocsinError } from './errors.ts';
import { workerLimits } from './limits.ts';
import type { WorkerPool } from './ports.ts';
import { queueFull } from './refusals.ts';

export interface WorkerPoolOptions {
  /** File URL of the thread's entry, whose default export takes a task; the extension from `import.meta.url`. */
  readonly filename: string;
  /** Threads at most; default: cores - 2, at least 1. */
  readonly threads?: number;
  /** Tasks waiting at most; default 256. More are refused with `RT_QUEUE_FULL`. */
  readonly queueLengthMax?: number;
  /** A quiet thread ends after this; default 60 s. */
  readonly idleTimeoutMs?: number;
}

/**
 * Returns a pool; nothing runs before the first task. `run` rejects with `RT_QUEUE_FULL`, with `RT_DEADLINE` after `timeoutMs`
 * (waiting included; the thread is killed), with the signal's reason, or with what the task threw.
 */
export function workerPool(options: WorkerPoolOptions): WorkerPool {
  return new PiscinaPool(options);
}

class PiscinaPool implements WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #queueLengthMax: number;
  #pool: Piscina | null = null;
  #starting: Promise<Piscina> | null = null;
  #isClosed = false;

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
    this.#queueLengthMax = options.queueLengthMax ?? workerLimits.queue;
  }

  readonly saturation = (): number => (this.#pool?.queueSize ?? 0) / this.#queueLengthMax;

  async run<Task, Result>(
    task: Task,
    options: { timeoutMs: number; signal?: AbortSignal },
  ): Promise<Result> {
    if (this.#isClosed) throw queueFull('closed worker pool');
    options.signal?.throwIfAborted();
    const pool = await this.#started();
    options.signal?.throwIfAborted();
    if (pool.queueSize >= this.#queueLengthMax) throw queueFull('worker pool');
    const abort = new AbortController();
    const onAbort = (): void => abort.abort();
    // Not AbortSignal.timeout: this one keeps the process alive while a thread starts, and is gone with its task.
    let isLate = false;
    const timeout = setTimeout(() => {
      isLate = true;
      abort.abort();
    }, options.timeoutMs);
    options.signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return (await pool.run(task, { signal: abort.signal })) as Result;
    } catch (cause) {
      options.signal?.throwIfAborted();
      if (!isLate) throw cause;
      const message = `the task was not done in ${options.timeoutMs} ms`;
      throw new TocsinError('RT_DEADLINE', message, { retryable: true, cause });
    } finally {
      clearTimeout(timeout);
      options.signal?.removeEventListener('abort', onAbort);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await (await this.#starting)?.destroy();
    this.#pool = null;
  }

  async #started(): Promise<Piscina> {
    this.#starting ??= this.#start();
    this.#pool = await this.#starting;
    if (this.#isClosed) throw queueFull('closed worker pool');
    return this.#pool;
  }

  /** Loads the package with the first task: most nodes have none for days. */
  async #start(): Promise<Piscina> {
    const { Piscina } = await import('piscina');
    const threads = this.#options.threads ?? Math.max(1, availableParallelism() - 2);
    return new Piscina({
      filename: this.#options.filename,
      // Not 0: tasks that wait while the only thread is killed would wait for ever (piscina 5.3).
      minThreads: 1,
      maxThreads: threads,
      // One more than our own bound, which refuses first and with our code.
      maxQueue: this.#queueLengthMax + 1,
      idleTimeout: this.#options.idleTimeoutMs ?? workerLimits.idleTimeoutMs,
      concurrentTasksPerWorker: 1,
      atomics: 'sync',
      recordTiming: false,
      resourceLimits: {
        maxOldGenerationSizeMb: workerLimits.oldGenerationMb,
        maxYoungGenerationSizeMb: workerLimits.youngGenerationMb,
        stackSizeMb: workerLimits.stackMb,
      },
    });
  }
}
