// Runs seeds of the cluster in processes of their own with a pinned time zone and locale. Must not know what a run does.
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ClusterResult } from './run.ts';

export interface SeedResult extends ClusterResult {
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

/** One run takes some seconds; one that takes longer than this hangs. */
const runMsMax = 240_000;

type Answer = { readonly crashed: string } | { readonly result: SeedResult };

/** Returns the results of all seeds that were run, by seed. A run that ends its process breaks I42. */
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
        const answer = await oneRun(child, seed);
        if ('crashed' in answer) {
          child.kill('SIGKILL');
          child = startChild(options.root);
        }
        const result = 'result' in answer ? answer.result : crashedRun(seed, answer.crashed);
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

function crashedRun(seed: number, text: string): SeedResult {
  return {
    ...{ seed, mode: 'safety', nodes: 0, simulatedMs: 0, events: 0, hash: '', wasRunTwice: false },
    ...{ polls: 0, transitions: 0, pages: 0, deaths: 0, handOffs: 0, faults: {}, sometimes: {} },
    ...{ isValid: true, violations: [{ id: 'I42', t: 0, text }] },
  };
}

function startChild(root?: string): ChildProcess {
  const here = fileURLToPath(new URL('.', import.meta.url));
  const folder = root === undefined ? here : join(root, 'test/sim-cluster');
  const { PATH, HOME, TMPDIR } = process.env;
  return fork(join(folder, 'worker.ts'), [], {
    cwd: join(folder, '../..'),
    execArgv: ['--import', 'tsx'],
    env: { PATH, HOME, TMPDIR, TZ: 'UTC', LC_ALL: 'C' },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}

function oneRun(child: ChildProcess, seed: number): Promise<Answer> {
  return new Promise((resolve) => {
    const end = (answer: Answer): void => {
      clearTimeout(timeout);
      child.off('message', end);
      child.off('exit', exited);
      resolve(answer);
    };
    const timeout = setTimeout(
      () => end({ crashed: `it did not end in ${runMsMax} ms` }),
      runMsMax,
    );
    const exited = (code: number | null): void =>
      end({ crashed: `the process ended with ${code}` });
    child.on('message', end);
    child.on('exit', exited);
    child.send({ seed });
  });
}
