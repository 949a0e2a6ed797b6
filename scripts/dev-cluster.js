// `npm run dev:cluster`: a whole cluster on this machine to play with. Needs the test dependencies; brings its own servers.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { root, setUp } from './setup.js';

setUp();
const child = spawn(
  process.execPath,
  ['--import', 'tsx', join(root, 'test', 'lab', 'dev-cluster.ts'), ...process.argv.slice(2)],
  { cwd: root, stdio: 'inherit' },
);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code) => process.exit(code ?? 1));
