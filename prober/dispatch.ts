// Requests in, answers out: at most so many attempts at once, at most so many waiting, first come first served.
// A request that waited so long that its answer would come too late is answered `overloaded`, never run late.
// Must not know IPC or protocols.
import type { ProbeAnswer, ProbeRequest } from '../actors/check/types.ts';
import { monotonicMs, wallNowMs } from './clock.ts';
import { attemptsMax, queueGraceMs, queueLengthMax } from './limits.ts';

export interface DispatcherOptions {
  /** Runs one attempt; never rejects. `limitMs` is what the queue left of the timeout. */
  readonly run: (request: ProbeRequest, limitMs: number) => Promise<ProbeAnswer>;
  /** Default 2000. */
  readonly attemptsMax?: number;
  /** Default 10,000. */
  readonly queueLengthMax?: number;
}

export interface Dispatcher {
  /** Calls `done` exactly once, later or at once. */
  submit(request: ProbeRequest, done: (answer: ProbeAnswer) => void): void;
  stats(): { readonly inFlight: number; readonly queued: number };
}

interface Waiting {
  readonly request: ProbeRequest;
  readonly done: (answer: ProbeAnswer) => void;
  readonly sinceMs: number;
}

const sweepEveryMs = 250;
/** An attempt needs at least this share of its timeout, or it is not worth starting. */
const usefulShare = 0.5;

/** Returns an answer that no attempt was made. */
function overloadedAnswer(id: string, message: string): ProbeAnswer {
  return {
    id,
    startedAtMs: wallNowMs(),
    durationMs: 0,
    outcome: 'failed',
    failure: 'overloaded',
    message,
  };
}

/** Returns a dispatcher without requests. */
export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const inFlightMax = options.attemptsMax ?? attemptsMax;
  const waitingMax = options.queueLengthMax ?? queueLengthMax;
  let queue: Waiting[] = [];
  let head = 0;
  let inFlight = 0;
  let sweeper: NodeJS.Timeout | null = null;

  const limitOf = (entry: Waiting): number => {
    const waitedMs = monotonicMs() - entry.sinceMs;
    return entry.request.timeoutMs - Math.max(0, waitedMs - queueGraceMs);
  };
  const isUseful = (entry: Waiting) => limitOf(entry) >= entry.request.timeoutMs * usefulShare;
  const refuse = (entry: Waiting) =>
    entry.done(overloadedAnswer(entry.request.id, 'waited too long in the queue of the prober'));

  const start = (entry: Waiting, limitMs: number) => {
    inFlight += 1;
    void options.run(entry.request, limitMs).then((answer) => {
      inFlight -= 1;
      entry.done(answer);
      fill();
    });
  };
  const fill = () => {
    while (inFlight < inFlightMax && head < queue.length) {
      const entry = queue[head] as Waiting;
      head += 1;
      if (isUseful(entry)) start(entry, limitOf(entry));
      else refuse(entry);
    }
    if (head < queue.length) return;
    queue = [];
    head = 0;
    if (sweeper !== null) clearInterval(sweeper);
    sweeper = null;
  };
  const sweep = () => {
    const waiting = queue.slice(head);
    queue = waiting.filter(isUseful);
    head = 0;
    for (const entry of waiting) if (!isUseful(entry)) refuse(entry);
    fill();
  };

  return {
    submit(request, done) {
      const entry = { request, done, sinceMs: monotonicMs() };
      if (inFlight < inFlightMax && head >= queue.length) start(entry, request.timeoutMs);
      else if (queue.length - head >= waitingMax) {
        done(overloadedAnswer(request.id, 'the queue of the prober is full'));
      } else {
        queue.push(entry);
        sweeper ??= setInterval(sweep, sweepEveryMs);
      }
    },
    stats: () => ({ inFlight, queued: queue.length - head }),
  };
}
