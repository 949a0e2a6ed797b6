// A machine's clocks: wall and monotonic apart, each with its own faults; and the Clock port of a process on it.
// Must not know what runs there.
import type { Clock } from '../../runtime/ports.ts';
import type { Kernel, Process } from './kernel.ts';
import type { Draw } from './random.ts';

/** Wall clock at virtual time 0. */
export const epochMs = 1_767_225_600_000;

export class Machine {
  readonly #kernel: Kernel;
  readonly #rate: number;
  #wallOffsetMs: number;
  /** The monotonic clock was `#monoMs` at virtual time `#since`. */
  #monoMs = 5_000_000;
  #since = 0;

  constructor(kernel: Kernel, of: { rate: number; wallOffsetMs: number }) {
    this.#kernel = kernel;
    this.#rate = of.rate;
    this.#wallOffsetMs = of.wallOffsetMs;
  }

  wallMs(): number {
    return epochMs + Math.floor(this.#kernel.now) + this.#wallOffsetMs;
  }

  monoMs(): number {
    return this.#monoMs + (this.#kernel.now - this.#since) * this.#rate;
  }

  stepWall(deltaMs: number): void {
    this.#wallOffsetMs += deltaMs;
  }

  /** Started anew: the monotonic clock begins somewhere else. */
  reboot(monoMs: number): void {
    this.#monoMs = monoMs;
    this.#since = this.#kernel.now;
  }

  /** The monotonic clock stood still for the last `ms`, as in a suspended machine. */
  stoodStill(ms: number): void {
    this.#monoMs = this.monoMs() - ms * this.#rate;
    this.#since = this.#kernel.now;
  }

  /** Virtual time at which the monotonic clock shows `atMonoMs`, if nothing stops it. */
  timeOf(atMonoMs: number): number {
    return this.#since + (atMonoMs - this.#monoMs) / this.#rate;
  }

  /** Returns the clock of one process: its tasks end with it, never run early, and up to 1 ms late. */
  clockOf(process: Process, draw: Draw): Clock {
    const schedule = (atMonoMs: number, task: () => void): (() => void) => {
      let cancel: () => void;
      const arm = (): void => {
        const due = Math.max(this.timeOf(atMonoMs), this.#kernel.now) + draw.next();
        cancel = this.#kernel.at(due, process, () => {
          if (this.monoMs() < atMonoMs) arm();
          else task();
        });
      };
      arm();
      return () => cancel();
    };
    return { nowMs: () => this.wallMs(), monoMs: () => this.monoMs(), schedule };
  }
}
