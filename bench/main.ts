// Runs the benches one after the other, each a process of its own, and passes their lines on: one JSON line per case.
// Run: npm run bench [-- --only NAME] [-- further flags of that bench]. What they came to is in RESULTS.md.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Name of a bench (its file) and the engine's arguments beside the loaders. */
const benches: readonly (readonly [name: string, ...engine: string[]])[] = [
  ['criteria'],
  ['mailbox', '--expose-gc'],
  ['timers', '--expose-gc'],
  ['entities', '--expose-gc'],
  ['store'],
  ['prober'],
  ['checks'],
  ['restart'],
  ['queries'],
  ['stream'],
  ['remote'],
];

async function run(name: string, engine: readonly string[], rest: readonly string[]) {
  const file = fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
  const loaders = ['--import', 'tsx', '--import', './test/store/tsx-workers.js'];
  const child = spawn(process.execPath, [...engine, ...loaders, file, ...rest], {
    stdio: 'inherit',
    cwd: fileURLToPath(new URL('..', import.meta.url)),
  });
  return new Promise<number>((resolve) => child.on('exit', (code) => resolve(code ?? 1)));
}

const given = process.argv.slice(2);
const at = given.indexOf('--only');
const only = at < 0 ? null : given[at + 1];
const rest = at < 0 ? given : given.toSpliced(at, 2);
const chosen = benches.filter(([name]) => only === null || name === only);
if (chosen.length === 0) {
  process.stderr.write(`no bench ${only}: ${benches.map(([name]) => name).join(', ')}\n`);
  process.exitCode = 2;
}
for (const [name, ...engine] of chosen) {
  process.exitCode = Math.max(Number(process.exitCode ?? 0), await run(name, engine, rest));
}
