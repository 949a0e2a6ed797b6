// `npm start`: set-up where needed, then one node in this very process group, with the settings of the environment.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { root, setUp } from './setup.js';

setUp();
const node = spawn(
  process.execPath,
  ['--enable-source-maps', join(root, 'dist', 'main.js'), 'node', ...process.argv.slice(2)],
  {
    stdio: 'inherit',
  },
);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => node.kill(signal));
node.on('exit', (code, signal) => {
  process.exit(code ?? (signal === null ? 1 : 128));
});
