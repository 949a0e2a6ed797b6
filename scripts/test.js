// `npm test`: set-up, then every test: the quick ones side by side, those with real processes one after another.
// Ends with the line `N passed, N failed`. Arguments name single files instead.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { root, setUp } from './setup.js';

const tap = join(root, 'node_modules', 'tap', 'dist', 'esm', 'run.mjs');
const total = { passed: 0, failed: 0, skipped: 0 };

/** Runs tap over files, passes its output through, and adds up its totals. Returns true where all was well. */
function runTap(what, args) {
  process.stdout.write(`# ${what}\n`);
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [tap, 'run', '--reporter=tap', ...args], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, TZ: 'UTC', LC_ALL: 'C' },
    });
    let text = '';
    child.stdout.on('data', (chunk) => {
      text = (text + chunk).slice(-65_536);
      process.stdout.write(chunk);
    });
    child.on('close', (code) => {
      const line =
        /^# \{ total: .*\}$/m.exec(text.slice(text.lastIndexOf('# { total:')))?.[0] ?? '';
      const number = (name) => Number(new RegExp(`${name}: (\\d+)`).exec(line)?.[1] ?? 0);
      total.passed += number('pass');
      total.failed += number('fail');
      total.skipped += number('skip') + number('todo');
      if (code !== 0 && number('fail') === 0) total.failed += 1;
      resolve(code === 0);
    });
  });
}

setUp();
const named = process.argv.slice(2);
const folder = join(root, 'test', 'integration');
const integration = existsSync(folder)
  ? readdirSync(folder)
      .filter((name) => name.endsWith('.test.ts'))
      .map((name) => `test/integration/${name}`)
  : [];
/** They fill both cores by themselves. */
const simulations = ['test/sim.test.ts', 'test/sim-cluster.test.ts'].filter((name) =>
  existsSync(join(root, name)),
);
let well = true;
if (named.length > 0) {
  well = await runTap('named tests', ['--disable-coverage', '--timeout=600', ...named]);
} else {
  well = await runTap('unit, property and conformance tests', []);
  if (integration.length + simulations.length > 0) {
    well =
      (await runTap('tests with real processes and servers, simulations', [
        '--disable-coverage',
        '--jobs=1',
        '--timeout=600',
        ...integration,
        ...simulations,
      ])) && well;
  }
}
const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : '';
process.stdout.write(`${total.passed} passed, ${total.failed} failed${skipped}\n`);
process.exit(well && total.failed === 0 && total.passed > 0 ? 0 : 1);
