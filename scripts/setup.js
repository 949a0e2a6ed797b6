// Makes a fresh checkout ready: installs the locked packages and builds. Needs nothing but Node and npm.
// Does nothing (in well under a second) when nothing changed; says what it does when it takes long.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const sourceFolders = [
  'main',
  'runtime',
  'actors',
  'cluster',
  'store',
  'prober',
  'api',
  'cli',
  'config',
];

function digest(parts) {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex');
}

function sources(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(ts|sql)$/.test(entry.name))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

function isCurrent(marker, wanted) {
  return existsSync(marker) && readFileSync(marker, 'utf8') === wanted;
}

function run(what, command, args) {
  process.stderr.write(`tocsin: ${what} …\n`);
  const startedAt = performance.now();
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  if (result.status !== 0) {
    process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
    process.stderr.write(
      `tocsin: ${what} failed (${result.error?.message ?? `exit ${result.status}`})\n`,
    );
    process.exit(1);
  }
  process.stderr.write(
    `tocsin: ${what}: done in ${((performance.now() - startedAt) / 1000).toFixed(1)} s\n`,
  );
}

function install() {
  const marker = join(root, 'node_modules', '.tocsin-installed');
  const wanted = digest([
    process.version,
    process.arch,
    readFileSync(join(root, 'package-lock.json')),
  ]);
  if (isCurrent(marker, wanted)) return;
  run('installing packages (once; about 30 s)', 'npm', [
    'ci',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
  ]);
  writeFileSync(marker, wanted);
}

function build() {
  const marker = join(root, 'dist', '.tocsin-built');
  const files = [
    join(root, 'main.ts'),
    ...sourceFolders.flatMap((folder) => sources(join(root, folder))),
  ];
  const config = ['tsconfig.json', 'tsconfig.build.json'].map((name) =>
    readFileSync(join(root, name)),
  );
  const stamps = files.map((file) => `${file} ${statSync(file).mtimeMs} ${statSync(file).size}`);
  const wanted = digest([process.version, ...config, ...stamps]);
  if (isCurrent(marker, wanted)) return;
  run('building', process.execPath, [
    join(root, 'node_modules', 'typescript', 'bin', 'tsc'),
    '-p',
    'tsconfig.build.json',
  ]);
  mkdirSync(dirname(marker), { recursive: true });
  writeFileSync(marker, wanted);
}

/** Installs and builds what is not current. Ends the process with 1 where that fails. */
export function setUp() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    process.stderr.write(`tocsin needs Node 20.19 or newer, this is ${process.version}\n`);
    process.exit(1);
  }
  install();
  build();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) setUp();
