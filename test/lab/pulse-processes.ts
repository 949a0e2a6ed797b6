// Starts nodes of pulse-node.ts as processes and reads their lines: who said what, when.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PulseNodeSettings } from './pulse-node.ts';

const root = resolve(fileURLToPath(new URL('../..', import.meta.url)));

/** One line of a node. */
export interface PulseLine {
  readonly say: 'event' | 'passing' | 'lease' | 'log';
  readonly atMs: number;
  readonly do?: string;
  readonly node?: string;
  readonly count?: number;
  readonly isValid?: boolean;
  readonly event?: string;
  readonly why?: string;
}

export class PulseProcess {
  readonly name: string;
  readonly lines: PulseLine[] = [];
  readonly #child: ChildProcess;
  errors = '';

  constructor(settings: PulseNodeSettings) {
    this.name = settings.node;
    const preload = ['--import', 'tsx', '--import', './test/store/tsx-workers.js'];
    const program = ['test/lab/pulse-node.ts', JSON.stringify(settings)];
    // Without the test runner's own preloads: they handle signals.
    const { NODE_OPTIONS: _, ...environment } = process.env;
    this.#child = spawn(process.execPath, [...preload, ...program], {
      cwd: root,
      env: environment,
    });
    let rest = '';
    this.#child.stdout?.on('data', (chunk) => {
      const parts = (rest + chunk).split('\n');
      rest = parts.pop() ?? '';
      for (const part of parts) this.lines.push(JSON.parse(part) as PulseLine);
    });
    this.#child.stderr?.on('data', (chunk) => {
      this.errors = (this.errors + chunk).slice(-10_000);
    });
  }

  command(text: string): void {
    this.#child.stdin?.write(`${text}\n`);
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(name);
  }

  /** Resolves with exit code and signal. */
  ended(): Promise<[number | null, string | null]> {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return Promise.resolve([exitCode, signalCode]);
    return once(this.#child, 'exit') as Promise<[number | null, string | null]>;
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended();
  }

  /** First event of a kind about a node, at or after an instant. */
  event(what: string, about: string | null, fromMs: number): PulseLine | undefined {
    return this.lines.find(
      (line) =>
        line.say === 'event' &&
        line.do === what &&
        line.atMs >= fromMs &&
        (about === null || line.node === about),
    );
  }

  /** Relays that pass now. */
  get passing(): number {
    return this.lines.findLast((line) => line.say === 'passing')?.count ?? 0;
  }

  get hasLease(): boolean {
    return this.lines.findLast((line) => line.say === 'lease')?.isValid ?? false;
  }
}
