// The node's side of a local prober: starts it, starts it again when it dies or hangs, correlates answers with
// requests. Each request is answered exactly once, whatever happens to the process (I10). Imports node: builtins
// and prober files without protocols only. Must not know checks, slots or zones' quorum.
import type { ChildProcess } from 'node:child_process';
import type { ProbeAnswer, ProbeRequest } from '../actors/check/types.ts';
import { monotonicMs, wallNowMs } from './clock.ts';
import { readProberFrame } from './frame.ts';
import { launchProber } from './launch.ts';
import { createBatcher, type ProberFrame } from './link.ts';
import type { PingMode } from './probe/pinger.ts';
import { defaultUserAgent, writeSettings } from './settings.ts';

export interface LocalProberOptions {
  readonly zone: string;
  readonly egress: 'local' | 'public';
  /** CIDRs refused besides the list of the preset. */
  readonly deny?: readonly string[];
  /** Private CIDRs that `public` allows. */
  readonly allow?: readonly string[];
  /** `address[:port]` of hosts that are up whenever the network is. */
  readonly anchors?: readonly string[];
  /** The node's own API. */
  readonly selfAddress?: { readonly host: string; readonly port: number };
  readonly userAgent?: string;
  /** Requests without an answer, at most. Default 12,000: the prober's 2000 attempts and its queue. */
  readonly inFlightMax?: number;
  readonly attemptsMax?: number;
  readonly queueLengthMax?: number;
  /** Further variables of the process: PATH, NODE_EXTRA_CA_CERTS, TZ. Never secrets. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly onLog?: (event: string, fields: object) => void;
}

export interface LocalProberStats {
  /** Null while none runs. */
  readonly pid: number | null;
  readonly restarts: number;
  readonly inFlight: number;
  /** Epoch ms of the running process's start. */
  readonly startedAtMs: number;
  readonly answered: number;
  /** Requests that ended as `no-prober`. */
  readonly unanswered: number;
  readonly pingMode: PingMode;
  readonly checkTypes: readonly string[];
}

export interface LocalProber {
  readonly zone: string;
  /** Settles when the first process is ready; rejects when the prober is stopped before. */
  readonly ready: Promise<void>;
  /** Calls `done` exactly once, never before this returns. */
  submit(request: ProbeRequest, done: (answer: ProbeAnswer) => void): void;
  /** Takes no more requests, waits for answers until the deadline, ends the process. */
  stop(deadlineMs: number): Promise<void>;
  stats(): LocalProberStats;
}

interface InFlight {
  readonly request: ProbeRequest;
  readonly done: (answer: ProbeAnswer) => void;
  readonly sentMs: number;
}

const inFlightMaxDefault = 12_000;
const answerGraceMs = 1000;
const sweepEveryMs = 200;
const backoffFirstMs = 100;
const backoffMaxMs = 5000;
/** A process that lived this long failed by itself, not at its start. */
const healthyMs = 10_000;
const killAfterMs = 1000;
const stderrLineCharsMax = 500;

/** Starts the prober of a zone; throws nothing: a prober that cannot start is tried again and told in the log. */
export function startLocalProber(options: LocalProberOptions): LocalProber {
  const prober = new LocalProberProcess(options);
  prober.start();
  return prober;
}

class LocalProberProcess implements LocalProber {
  readonly zone: string;
  readonly ready: Promise<void>;
  readonly #options: LocalProberOptions;
  readonly #inFlight = new Map<string, InFlight>();
  readonly #requests = createBatcher<ProbeRequest>((frame) => this.#send(frame), queueMicrotask);
  #child: ChildProcess | null = null;
  #startedMs = 0;
  #startedAtMs = 0;
  #lastFrameMs = 0;
  #backoffMs = backoffFirstMs;
  #restarts = 0;
  #answered = 0;
  #unanswered = 0;
  #pingMode: PingMode = 'none';
  #checkTypes: readonly string[] = [];
  #isStopping = false;
  #sweeper: NodeJS.Timeout | null = null;
  #restartTimer: NodeJS.Timeout | null = null;
  #onReady: () => void = () => undefined;
  #onStopped: (error: Error) => void = () => undefined;

  constructor(options: LocalProberOptions) {
    this.zone = options.zone;
    this.#options = options;
    this.ready = new Promise((resolve, reject) => {
      this.#onReady = resolve;
      this.#onStopped = reject;
    });
    // Nobody has to wait for it.
    this.ready.catch(() => undefined);
  }

  start(): void {
    const options = this.#options;
    const settings = writeSettings({
      zone: options.zone,
      egress: options.egress,
      deny: options.deny ?? [],
      allow: options.allow ?? [],
      anchors: options.anchors ?? [],
      self: options.selfAddress ?? null,
      attemptsMax: options.attemptsMax ?? null,
      queueLengthMax: options.queueLengthMax ?? null,
      userAgent: options.userAgent ?? defaultUserAgent,
    });
    const child = launchProber({ ...options.environment, ...settings });
    this.#child = child;
    this.#startedMs = monotonicMs();
    this.#startedAtMs = wallNowMs();
    this.#lastFrameMs = this.#startedMs;
    child.on('message', (frame) => this.#receive(readProberFrame(frame)));
    child.on('error', (error) => {
      this.#log('prober-error', { reason: error.message });
      // Without a pid it never started, and no `exit` will come.
      if (child.pid === undefined) this.#ended(child, 'not started');
    });
    child.on('exit', (code, signal) => this.#ended(child, signal ?? `code ${code}`));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      const line = text.trim().slice(0, stderrLineCharsMax);
      if (line !== '') this.#log('prober-stderr', { line });
    });
  }

  submit(request: ProbeRequest, done: (answer: ProbeAnswer) => void): void {
    const refuse = (failure: 'no-prober' | 'overloaded' | 'internal', message: string) => {
      setImmediate(done, noAnswer(request.id, failure, message, 0));
    };
    if (this.#isStopping) refuse('no-prober', 'the prober is stopping');
    else if (this.#child?.connected !== true) refuse('no-prober', 'the prober is not running');
    else if (this.#inFlight.size >= (this.#options.inFlightMax ?? inFlightMaxDefault)) {
      refuse('overloaded', 'too many requests without an answer');
    } else if (this.#inFlight.has(request.id)) refuse('internal', 'an id was used twice');
    else {
      this.#inFlight.set(request.id, { request, done, sentMs: monotonicMs() });
      this.#sweeper ??= setInterval(() => this.#sweep(), sweepEveryMs);
      this.#requests.add(request);
    }
  }

  async stop(deadlineMs: number): Promise<void> {
    this.#isStopping = true;
    if (this.#restartTimer !== null) clearTimeout(this.#restartTimer);
    this.#onStopped(new Error('the prober was stopped'));
    const endMs = monotonicMs() + deadlineMs;
    while (this.#inFlight.size > 0 && this.#child !== null && monotonicMs() < endMs) {
      await delay(Math.min(20, Math.max(1, endMs - monotonicMs())));
    }
    const child = this.#child;
    if (child !== null) {
      const exited = new Promise<void>((resolve) => {
        child.once('exit', () => resolve());
        if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined)
          resolve();
      });
      if (child.connected) child.disconnect();
      const killer = setTimeout(() => child.kill('SIGKILL'), killAfterMs);
      await exited;
      clearTimeout(killer);
    }
    this.#failAll('the prober was stopped');
  }

  stats(): LocalProberStats {
    return {
      pid: this.#child?.pid ?? null,
      restarts: this.#restarts,
      inFlight: this.#inFlight.size,
      startedAtMs: this.#startedAtMs,
      answered: this.#answered,
      unanswered: this.#unanswered,
      pingMode: this.#pingMode,
      checkTypes: this.#checkTypes,
    };
  }

  #send(frame: readonly ProbeRequest[]): void {
    const child = this.#child;
    if (child?.connected !== true) return;
    child.send(frame as object, (error) => {
      if (error !== null) this.#log('prober-send-failed', { reason: error.message });
    });
  }

  #receive(frame: ProberFrame | null): void {
    this.#lastFrameMs = monotonicMs();
    if (frame === null) this.#log('prober-bad-frame', {});
    else if ('hello' in frame) {
      this.#pingMode = frame.hello.pingMode;
      this.#checkTypes = frame.hello.checkTypes;
      this.#onReady();
      this.#log('prober-ready', { pid: this.#child?.pid, pingMode: this.#pingMode });
    } else if ('log' in frame) this.#log(frame.log.event, frame.log.fields);
    else for (const answer of frame) this.#settle(answer);
  }

  #settle(answer: ProbeAnswer): void {
    const entry = this.#inFlight.get(answer.id);
    // An answer that came too late was answered for already.
    if (entry === undefined) return;
    this.#inFlight.delete(answer.id);
    this.#answered += 1;
    this.#idle();
    entry.done(answer);
  }

  /** Fails what is overdue; a prober that was silent since such a request is hung and ends by force. */
  #sweep(): void {
    const now = monotonicMs();
    let isHung = false;
    for (const entry of [...this.#inFlight.values()]) {
      if (now - entry.sentMs < entry.request.timeoutMs + answerGraceMs) continue;
      isHung ||= this.#lastFrameMs < entry.sentMs;
      this.#fail(entry, 'the prober did not answer in time');
    }
    if (!isHung) return;
    this.#log('prober-hung', { pid: this.#child?.pid });
    this.#child?.kill('SIGKILL');
  }

  #ended(child: ChildProcess, reason: string): void {
    if (this.#child !== child) return;
    this.#child = null;
    this.#failAll(`the prober ended (${reason})`);
    if (this.#isStopping) return;
    if (monotonicMs() - this.#startedMs >= healthyMs) this.#backoffMs = backoffFirstMs;
    this.#log('prober-ended', { reason, restartInMs: this.#backoffMs });
    this.#restartTimer = setTimeout(() => {
      this.#restarts += 1;
      this.start();
    }, this.#backoffMs);
    this.#backoffMs = Math.min(backoffMaxMs, this.#backoffMs * 2);
  }

  #failAll(message: string): void {
    for (const entry of [...this.#inFlight.values()]) this.#fail(entry, message);
  }

  #fail(entry: InFlight, message: string): void {
    this.#inFlight.delete(entry.request.id);
    this.#unanswered += 1;
    this.#idle();
    const durationMs = monotonicMs() - entry.sentMs;
    entry.done(noAnswer(entry.request.id, 'no-prober', message, durationMs));
  }

  #idle(): void {
    if (this.#inFlight.size > 0 || this.#sweeper === null) return;
    clearInterval(this.#sweeper);
    this.#sweeper = null;
  }

  #log(event: string, fields: object): void {
    this.#options.onLog?.(event, { zone: this.zone, ...fields });
  }
}

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function noAnswer(
  id: string,
  failure: 'no-prober' | 'overloaded' | 'internal',
  message: string,
  durationMs: number,
): ProbeAnswer {
  const startedAtMs = wallNowMs() - durationMs;
  return { id, startedAtMs, durationMs, outcome: 'failed', failure, message };
}
