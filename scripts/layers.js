// Checks the arrows between folders with dependency-cruiser, and that it really looked: zero modules is a failure.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './setup.js';

const wanted = [
  'main.ts',
  'main',
  'config',
  'runtime',
  'actors',
  'cluster',
  'store',
  'prober',
  'api',
  'cli',
  'bench',
  'test',
];
const command = join(root, 'node_modules', 'dependency-cruiser', 'bin', 'dependency-cruise.mjs');
const result = spawnSync(
  process.execPath,
  [command, '--output-type', 'err', ...wanted.filter((name) => existsSync(join(root, name)))],
  {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  },
);
process.stdout.write(result.stdout);
process.stderr.write(result.stderr);
const modules = Number(/\((\d+) modules/.exec(result.stdout)?.[1] ?? 0);
if (result.status === 0 && modules < 50) {
  process.stderr.write(`layers: only ${modules} modules were looked at: nothing was checked\n`);
  process.exit(1);
}
process.exit(result.status ?? 1);
