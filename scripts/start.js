// `npm start`: set-up where needed, then one node in this very process group, with the settings of the environment.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { root, setUp } from './setup.js';

setUp();
// Built just now where it was not there.
const { engineArguments, engineEnvironment } = await import('../dist/runtime/engine.js');
const node = spawn(
  process.execPath,
  [...engineArguments, join(root, 'dist', 'main.js'), 'node', ...process.argv.slice(2)],
  {
    env: { ...engineEnvironment, ...process.env },
    stdio: 'inherit',
  },
);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => node.kill(signal));
node.on('exit', (code, signal) => {
  process.exit(code ?? (signal === null ? 1 : 128));
});
