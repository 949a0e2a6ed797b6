// The failures of one activation and its waits between tries: decides by supervisor.ts, waits on the timer wheel.
// Must not know what is tried again.
import type { ActorKey } from './ids.ts';
import type { ActivationPorts } from './perform.ts';
import { textOf } from './refusals.ts';
import { afterFailure, backOffMs, type Failures, noFailures, type Verdict } from './supervisor.ts';

/** What an activation waits for; each kind at most once at a time. */
export type Wait = 'resume' | 'reload' | 'quarantine';

export class Restarts {
  /** Message kind and error of the last failure, or null. */
  lastFailure: string | null = null;
  readonly #key: ActorKey;
  readonly #ports: ActivationPorts;
  #failures: Failures = noFailures;
  #reloadTries = 0;

  constructor(key: ActorKey, ports: ActivationPorts) {
    this.#key = key;
    this.#ports = ports;
  }

  /** Counts and logs a failure of the behaviour; returns what to do. */
  failed(error: unknown, messageKind: string, actorKind: string): Verdict {
    const { clock, logger, meter, random } = this.#ports;
    this.lastFailure = `${messageKind}: ${textOf(error)}`;
    meter.count('steps_failed', 1, actorKind);
    const stack = error instanceof Error ? error.stack : undefined;
    logger.error('step.failed', { key: this.#key, message: messageKind, stack });
    const { failures, verdict } = afterFailure(this.#failures, clock.monoMs(), random.next());
    this.#failures = failures;
    return verdict;
  }

  /** Runs `reload` after a pause that grows with each call until `succeeded`. */
  reloadLater(reload: () => void): void {
    this.#reloadTries++;
    this.waitFor('reload', this.backOff(this.#reloadTries), reload);
  }

  /** A commit was acknowledged: the store works for this actor. */
  succeeded(): void {
    this.#reloadTries = 0;
  }

  /** Forgets the failures of the last minute: an operator released the actor. */
  forgive(): void {
    this.#failures = noFailures;
  }

  backOff(attempt: number): number {
    return backOffMs(attempt, this.#ports.random.next());
  }

  waitFor(what: Wait, delayMs: number, run: () => void): void {
    const { clock, timers } = this.#ports;
    timers.start(this.#owner(), what, clock.monoMs() + delayMs, run);
  }

  cancel(what: Wait): void {
    this.#ports.timers.cancel(this.#owner(), what);
  }

  cancelAll(): void {
    this.#ports.timers.cancelAll(this.#owner());
  }

  /** No actor key has a control character, so these waits cannot meet the actor's own timers. */
  #owner(): string {
    return `${this.#key}\u0000`;
  }
}
