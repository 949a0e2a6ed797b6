// What the benches of a running node share: a node as a process of its own from dist, its CPU and memory as the kernel
// counts them (Linux), filling it through the API. Must not know what is measured.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { engineArguments, engineEnvironment } from '../runtime/engine.ts';

const root = resolve(fileURLToPath(new URL('..', import.meta.url)));
const msPerTick = 10;

/** Flags that every bench of a node takes. */
export const { values: flags } = parseArgs({
  strict: false,
  options: { dist: { type: 'string' }, profile: { type: 'string' }, checks: { type: 'string' } },
});

/** Prints one line of results. */
export function report(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

export const round = (value: number, digits = 2): number => Number(value.toFixed(digits));

export const sleep = (ms: number): Promise<void> => new Promise((wake) => setTimeout(wake, ms));

/** Returns the value below which `share` of the sorted values are. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

export interface Usage {
  /** User and system time so far, ms. */
  readonly cpuMs: number;
  readonly residentMb: number;
  /** The same, but pages that several processes share (the Node program itself) counted once: each gets its part. */
  readonly proportionalMb: number;
}

/** Returns what a process has used so far. */
export function usageOf(pid: number): Usage {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  const shares = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
  return {
    cpuMs: (Number(fields[11]) + Number(fields[12])) * msPerTick,
    residentMb: (pages * 4096) / 1e6,
    proportionalMb: (Number(/^Pss:\s+(\d+)/m.exec(shares)?.[1]) * 1024) / 1e6,
  };
}

/** Returns the pids of a process's children: of a node, its probers. */
export function childrenOf(pid: number): readonly number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8')
      .split(' ')
      .filter(Boolean)
      .map(Number),
  );
}

/** Runs `work` over 0 … count − 1, `width` at a time. */
export async function inParallel(
  count: number,
  width: number,
  work: (number: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async () => {
    for (let number = next++; number < count; number = next++) await work(number);
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, lane));
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Returns the folder of the build that is measured: builds what is not current, unless `--dist` names one. */
export function buildFolder(): string {
  const given = flags['dist'];
  if (typeof given === 'string') return resolve(given);
  const set = spawnSync(process.execPath, [join(root, 'scripts', 'setup.js')], {
    encoding: 'utf8',
  });
  if (set.status !== 0) throw new Error(`set-up failed: ${set.stderr}`);
  return join(root, 'dist');
}

/** One node in a data folder of its own. */
export class BenchNode {
  readonly port: number;
  readonly folder = mkdtempSync(join(tmpdir(), 'tocsin-bench-'));
  readonly #dist: string;
  readonly #environment: Readonly<Record<string, string>>;
  #process: ChildProcess | null = null;
  #log = '';
  #access: { readonly tenantId: string; readonly token: string } | null = null;

  private constructor(dist: string, port: number, environment: Readonly<Record<string, string>>) {
    this.#dist = dist;
    this.port = port;
    this.#environment = environment;
  }

  /** Returns a node of the build that is measured, in a new folder, not started. */
  static async create(environment: Readonly<Record<string, string>> = {}): Promise<BenchNode> {
    return new BenchNode(buildFolder(), await freePort(), environment);
  }

  get pid(): number {
    const pid = this.#process?.pid;
    if (pid === undefined) throw new Error('the node does not run');
    return pid;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The administrator's tenant and token. */
  get access(): { readonly tenantId: string; readonly token: string } {
    this.#access ??= JSON.parse(readFileSync(join(this.folder, 'admin.json'), 'utf8'));
    return this.#access as { tenantId: string; token: string };
  }

  /** Starts the node; resolves once it says that it is ready. */
  async start(): Promise<void> {
    const profile = flags['profile'];
    const profiler =
      typeof profile === 'string' ? ['--cpu-prof', `--cpu-prof-dir=${resolve(profile)}`] : [];
    const engine = [...engineArguments, ...profiler];
    const child = spawn(process.execPath, [...engine, join(this.#dist, 'main.js'), 'node'], {
      cwd: this.folder,
      env: {
        PATH: process.env['PATH'] ?? '',
        ...engineEnvironment,
        TOCSIN_DATA: this.folder,
        TOCSIN_LISTEN: `127.0.0.1:${this.port}`,
        TOCSIN_MIN_PERIOD: '10',
        ...this.#environment,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk) => {
        this.#log = (this.#log + chunk).slice(-20_000);
      });
    }
    for (let tries = 0; tries < 1200; tries++) {
      if (child.exitCode !== null) throw new Error(`the node ended:\n${this.#log}`);
      const answer = await fetch(`${this.url}/readyz`).catch(() => null);
      if (answer?.ok === true) return;
      await sleep(50);
    }
    throw new Error(`the node is not ready within 60 s:\n${this.#log}`);
  }

  /** Ends the process and waits for that. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (child === null || child.exitCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  async remove(): Promise<void> {
    await this.end('SIGTERM');
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Creates an object below `/v1.0/{tenant}` and returns its id. */
  async create(path: string, body: object): Promise<string> {
    const { tenantId, token } = this.access;
    const answer = await fetch(`${this.url}/v1.0/${tenantId}${path}`, {
      method: 'POST',
      headers: { 'X-Auth-Token': token, 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
    const text = await answer.text();
    const id = answer.headers.get('x-object-id');
    if (!answer.ok || id === null) throw new Error(`POST ${path}: ${answer.status} ${text}`);
    return id;
  }

  /**
   * Creates `count` entities with one HTTP check each of `127.0.0.1:targetPort/NUMBER`, every 10 s; with an alarm each
   * where asked. Returns the entities' ids.
   */
  async fill(count: number, targetPort: number, withAlarms: boolean): Promise<readonly string[]> {
    const entities: string[] = [];
    await inParallel(count, 16, async (number) => {
      const entity = await this.create('/entities', {
        label: `host ${number}`,
        ip_addresses: { main: '127.0.0.1' },
      });
      entities.push(entity);
      const check = await this.create(`/entities/${entity}/checks`, {
        type: 'remote.http',
        label: `page ${number}`,
        details: { url: `http://127.0.0.1:${targetPort}/${number}` },
        monitoring_zones_poll: ['mzlocal'],
        ...{ period: 10, timeout: 5, target_alias: 'main' },
      });
      if (!withAlarms) return;
      await this.create(`/entities/${entity}/alarms`, {
        check_id: check,
        criteria: "if (metric['code'] regex '^[45]..$') { return CRITICAL } return OK",
        notification_plan_id: 'npTechnicalContactsEmail',
      });
    });
    return entities;
  }
}
