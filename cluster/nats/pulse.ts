// The main loop's side of the heartbeat thread: starts it, tells it views and status, ticks in shared memory, hears verdicts.
// The lease is read from shared memory: no message has to arrive before it counts as lost. Must not know the detector.
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { monoOriginMs } from '../../runtime/clock.ts';
import type { ActorKey } from '../../runtime/ids.ts';
import type { Clock, Logger } from '../../runtime/ports.ts';
import { pulseLimits } from '../limits.ts';
import type { Pulse, PulseEvent, PulseReport, PulseStatus } from '../pulse.ts';
import { silentReport } from '../pulse-engine.ts';
import type { View } from '../view.ts';
import type { FromThread, ThreadSettings, ToThread } from './heartbeat-thread.ts';
import { type MainSide, mainSide, pulseMemory } from './pulse-memory.ts';
import type { NatsPlace } from './wire.ts';

export interface NatsPulseOptions extends NatsPlace {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Where the watchdog leaves the key of an actor that stopped the main loop: a file in the data folder. */
  readonly culpritFile: string;
  /** One address that stands for several servers behind a balancer. Default false. */
  readonly isSticky?: boolean;
  /** Thread entry, for tests that start it in another way. */
  readonly entry?: URL;
}

/** Returns the pulse of this node over NATS; its thread starts with `begin`. */
export function natsPulse(options: NatsPulseOptions): Pulse {
  return new NatsPulse(options);
}

class NatsPulse implements Pulse {
  readonly #options: NatsPulseOptions;
  readonly #settings: ThreadSettings;
  readonly #memory: MainSide;
  #worker: Worker | null = null;
  #listener: (event: PulseEvent) => void = () => undefined;
  #report: PulseReport = silentReport;
  #begun: { incarnation: string; view: View } | null = null;
  #isFenced = false;
  #status: PulseStatus | null = null;
  #cancelTick: (() => void) | null = null;
  #cancelRestart: (() => void) | null = null;
  #isStopped = false;

  constructor(options: NatsPulseOptions) {
    const { cluster, culpritFile, isSticky = false, login, node, servers } = options;
    const memory = pulseMemory();
    this.#options = options;
    this.#memory = mainSide(memory, options.clock);
    const place = { cluster, node, servers, login };
    this.#settings = { place, memory, isSticky, culpritFile };
  }

  begin(incarnation: string, view: View): void {
    this.#begun = { incarnation, view };
    this.#isFenced = false;
    this.#report = silentReport;
    if (this.#worker === null) this.#start();
    else this.#post({ type: 'begin', incarnation, view });
    if (this.#cancelTick === null) this.#tick();
  }

  listen(listener: (event: PulseEvent) => void): void {
    this.#listener = listener;
  }

  report(): PulseReport {
    return this.#report;
  }

  leaseUntilMonoMs(): number {
    return this.#memory.leaseUntilMonoMs();
  }

  dropLease(): void {
    this.#memory.dropLease();
  }

  view(view: View): void {
    if (this.#begun !== null) this.#begun = { ...this.#begun, view };
    this.#post({ type: 'view', view });
  }

  viewRead(startedMonoMs: number, isListed: boolean): void {
    this.#post({ type: 'viewRead', startedMs: startedMonoMs + monoOriginMs(), isListed });
  }

  fenced(isFenced: boolean): void {
    this.#isFenced = isFenced;
    this.#post({ type: 'fenced', isFenced });
  }

  status(status: PulseStatus): void {
    this.#status = status;
    this.#post({ type: 'status', status });
  }

  working(key: ActorKey | null): void {
    this.#memory.working(key);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelTick?.();
    this.#cancelRestart?.();
    this.#memory.dropLease();
    const worker = this.#worker;
    if (worker === null) return;
    const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    this.#post({ type: 'stop' });
    const { clock, logger } = this.#options;
    const cancel = clock.schedule(clock.monoMs() + pulseLimits.stopMs, () => {
      logger.warn('heartbeat.thread_terminated');
      void worker.terminate();
    });
    await ended;
    cancel();
  }

  #tick(): void {
    const { clock } = this.#options;
    this.#memory.tick();
    const nextMonoMs = clock.monoMs() + pulseLimits.mainTickMs;
    this.#cancelTick = clock.schedule(nextMonoMs, () => this.#tick());
  }

  #start(): void {
    const begun = this.#begun;
    if (begun === null || this.#isStopped) return;
    const standard = new URL(`./worker-entry${extname(import.meta.url)}`, import.meta.url);
    const entry = this.#options.entry ?? standard;
    const worker = new Worker(entry, { workerData: this.#settings, name: 'heartbeat' });
    this.#worker = worker;
    worker.on('message', (message: FromThread) => this.#receive(message));
    worker.on('error', (error) => {
      this.#options.logger.error('heartbeat.thread_failed', { error: String(error) });
    });
    worker.on('exit', () => this.#ended());
    this.#post({ type: 'begin', ...begun });
    if (this.#isFenced) this.#post({ type: 'fenced', isFenced: true });
    if (this.#status !== null) this.#post({ type: 'status', status: this.#status });
  }

  /** Without its thread the lease runs out by itself; another thread goes on with the numbers of the first. */
  #ended(): void {
    this.#worker = null;
    this.#report = silentReport;
    if (this.#isStopped) return;
    const { clock, logger } = this.#options;
    logger.error('heartbeat.thread_ended', { restartMs: pulseLimits.restartMs });
    this.#cancelRestart = clock.schedule(clock.monoMs() + pulseLimits.restartMs, () =>
      this.#start(),
    );
  }

  #receive(message: FromThread): void {
    if (message.type === 'log') {
      this.#options.logger[message.level](message.event, message.fields);
      return;
    }
    if (message.report !== null) this.#report = message.report;
    if (!this.#isStopped) this.#listener(message.event);
  }

  #post(message: ToThread): void {
    this.#worker?.postMessage(message);
  }
}
