// Runs seeds in processes of their own, in chunks of one, with a pinned time zone and locale. Must not know what a run does.
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RunResult } from './run.ts';

export interface SeedResult extends RunResult {
  readonly wasRunTwice: boolean;
}

export interface PoolOptions {
  readonly workers: number;
  /** Folder of the tree that is run; default: this one. */
  readonly root?: string;
  readonly onResult?: (result: SeedResult) => void;
  /** True: start no more seeds. */
  readonly isOver?: () => boolean;
}

/** One run takes a second or two; one that takes longer than this hangs. */
const runMsMax = 180_000;

/** Returns the results of all seeds that were run, by seed. Rejects where a process fails. */
export async function runSeeds(
  seeds: readonly number[],
  options: PoolOptions,
): Promise<readonly SeedResult[]> {
  const results: SeedResult[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    let child = startChild(options.root);
    try {
      while (next < seeds.length && options.isOver?.() !== true) {
        const seed = seeds[next++] as number;
        const result = await oneRun(child, seed);
        if (result.events === 0) {
          child.kill('SIGKILL');
          child = startChild(options.root);
        }
        results.push(result);
        options.onResult?.(result);
      }
    } finally {
      child.kill('SIGKILL');
    }
  };
  await Promise.all(Array.from({ length: Math.min(options.workers, seeds.length) }, lane));
  return results.sort((left, right) => left.seed - right.seed);
}

function startChild(root?: string): ChildProcess {
  const folder =
    root === undefined ? fileURLToPath(new URL('.', import.meta.url)) : join(root, 'test/sim');
  return fork(join(folder, 'worker.ts'), [], {
    cwd: join(folder, '../..'),
    execArgv: ['--import', 'tsx'],
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      TMPDIR: process.env['TMPDIR'],
      TZ: 'UTC',
      LC_ALL: 'C',
    },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}

function oneRun(child: ChildProcess, seed: number): Promise<SeedResult> {
  return new Promise((resolve, reject) => {
    const timeout = setTimeout(() => {
      child.kill('SIGKILL');
      end();
      reject(new Error(`seed ${seed} did not end in ${runMsMax} ms`));
    }, runMsMax);
    const answered = (message: { error: string } | { result: SeedResult }): void => {
      end();
      if ('result' in message) resolve(message.result);
      else reject(new Error(`seed ${seed}: ${message.error}`));
    };
    const exited = (code: number | null): void => {
      end();
      reject(new Error(`seed ${seed}: the process ended with ${code}`));
    };
    const end = (): void => {
      clearTimeout(timeout);
      child.off('message', answered);
      child.off('exit', exited);
    };
    child.on('message', answered);
    child.on('exit', exited);
    child.send({ seed });
  });
}
