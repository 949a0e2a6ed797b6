// `tocsin node` and `tocsin prober`: the programs themselves, started as processes of their own.
import { spawn } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from '../command.ts';

/** Starts the program of a role and waits for its end; signals are passed on. Returns its exit code. */
export function runProgram(role: string, args: readonly string[]): Promise<number> {
  const extension = extname(import.meta.url);
  const path = role === 'prober' ? `../../prober/main${extension}` : `../../main${extension}`;
  const program = [fileURLToPath(new URL(path, import.meta.url)), role, ...args];
  const child = spawn(process.execPath, [...process.execArgv, ...program], {
    stdio: 'inherit',
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => child.on('exit', (code) => resolve(code ?? 1)));
}

const described = (word: string, summary: string, examples: readonly string[]): Command => ({
  words: [word],
  args: [],
  summary,
  flags: [],
  examples,
  run: async () => runProgram(word, []),
});

/** Listed for help; main.ts of the command line hands their arguments through unparsed. */
export const programCommands: readonly Command[] = [
  described('node', 'run a node; settings as flags: --listen, --data, --zones, …', [
    'tocsin node --listen 127.0.0.1:7420 --data ./data',
  ]),
  described('prober', 'run the probes of one zone for a node that started it', []),
];
