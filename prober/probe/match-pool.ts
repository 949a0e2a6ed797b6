// Runs expensive matches in at most two worker threads, started when first needed, ended when one match takes
// longer than 500 ms. Bounded queue. Not piscina: runtime/ is out of the prober's reach, and this is all it needs.

import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Cancellation } from '../cancellation.ts';
import { ProbeError } from '../errors.ts';
import { matchQueueMax, matchTimeoutMs, matchWorkers } from '../limits.ts';
import { findMatch, isCheap, type MatchSubject, type Pattern } from './pattern.ts';

export interface MatchPool {
  /** Returns the first match or null; throws `match-limit` (also when the signal aborts) or `overloaded`. */
  match(pattern: Pattern, subject: string, signal: Cancellation): Promise<MatchSubject | null>;
  /** Ends all threads; running matches fail. */
  close(): void;
}

interface Job {
  readonly source: string;
  readonly subject: string;
  readonly signal: Cancellation;
  readonly resolve: (found: MatchSubject | null) => void;
  readonly reject: (error: unknown) => void;
}

/** A thread needs this long for its first answer: loading the engine is not the match's fault. */
const warmUpMs = 5000;

/** Returns what a thread runs; from source it first loads tsx, whose hooks do not reach threads by themselves. */
function workerEntry(): URL {
  const extension = extname(import.meta.url);
  const entry = new URL(`./worker-entry${extension}`, import.meta.url);
  if (extension !== '.ts') return entry;
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const source = `import { register } from ${loader}; register(); await import('${entry.href}');`;
  return new URL(`data:text/javascript,${encodeURIComponent(source)}`);
}

/** Returns a pool without threads; it makes them when they are needed. */
export function createMatchPool(): MatchPool {
  return new MatchThreads();
}

class MatchThreads implements MatchPool {
  readonly #queue: Job[] = [];
  readonly #idle: Worker[] = [];
  readonly #all = new Set<Worker>();
  readonly #warm = new WeakSet<Worker>();

  async match(
    pattern: Pattern,
    subject: string,
    signal: Cancellation,
  ): Promise<MatchSubject | null> {
    if (isCheap(pattern, subject)) return findMatch(pattern, subject);
    if (this.#queue.length >= matchQueueMax) throw new ProbeError('overloaded');
    return new Promise((resolve, reject) => {
      this.#queue.push({ source: pattern.source, subject, signal, resolve, reject });
      this.#next();
    });
  }

  close(): void {
    for (const worker of this.#all) void worker.terminate();
    this.#all.clear();
    this.#idle.length = 0;
  }

  #start(): Worker {
    const worker = new Worker(workerEntry(), { resourceLimits: { maxOldGenerationSizeMb: 64 } });
    worker.unref();
    this.#all.add(worker);
    // Its running match hears errors itself; without a listener an idle thread's error would end the process.
    worker.on('error', () => undefined);
    worker.on('exit', () => this.#forget(worker));
    return worker;
  }

  #forget(worker: Worker): void {
    this.#all.delete(worker);
    const at = this.#idle.indexOf(worker);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  #next(): void {
    while (this.#queue.length > 0) {
      const worker = this.#idle.pop() ?? (this.#all.size < matchWorkers ? this.#start() : null);
      if (worker === null) return;
      const job = this.#queue.shift();
      if (job === undefined || job.signal.aborted) {
        this.#idle.push(worker);
        job?.reject(new ProbeError('match-limit'));
      } else this.#run(worker, job);
    }
  }

  #run(worker: Worker, job: Job): void {
    const end = (settle: () => void, isUsable: boolean) => {
      clearTimeout(timer);
      job.signal.removeEventListener('abort', onAbort);
      // One by one: removing all would cut the thread's own message listener.
      worker.off('message', onMessage);
      worker.off('error', onError);
      if (isUsable) {
        this.#warm.add(worker);
        this.#idle.push(worker);
      } else {
        this.#forget(worker);
        void worker.terminate();
      }
      settle();
      this.#next();
    };
    const fail = (error: unknown) => end(() => job.reject(error), false);
    const onAbort = () => fail(new ProbeError('match-limit'));
    const onMessage = (found: MatchSubject | null) => end(() => job.resolve(found), true);
    const onError = (cause: unknown) => fail(new ProbeError('internal', { cause }));
    const limitMs = this.#warm.has(worker) ? matchTimeoutMs : warmUpMs;
    const timer = setTimeout(onAbort, limitMs);
    worker.once('message', onMessage);
    worker.once('error', onError);
    job.signal.addEventListener('abort', onAbort);
    worker.postMessage({ source: job.source, subject: job.subject });
  }
}
