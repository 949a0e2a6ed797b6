// One node of the cluster under test as a process from dist: started, killed, frozen, resumed, ended; its log in a file, whose
// lines say when it saw what.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, freePort } from '../integration/harness.ts';

const startMs = 90_000;

/** Milliseconds of the machine's monotonic clock. */
export const monoMs = (): number => Number(process.hrtime.bigint()) / 1e6;

export const sleep = (ms: number): Promise<void> => new Promise((wake) => setTimeout(wake, ms));

/** One line of a node's log. */
export interface LogLine {
  /** Wall clock, epoch ms. */
  readonly time: number;
  readonly event: string;
  readonly [field: string]: unknown;
}

export interface NodeSettings {
  readonly name: string;
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Folder of the build that is run. */
  readonly dist: string;
}

export class NodeProcess {
  readonly name: string;
  readonly folder: string;
  readonly #settings: NodeSettings;
  #port = 0;
  #child: ChildProcess | null = null;

  constructor(settings: NodeSettings) {
    this.#settings = settings;
    this.name = settings.name;
    this.folder = settings.folder;
    mkdirSync(settings.folder, { recursive: true });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  get logFile(): string {
    return join(this.folder, 'node.log');
  }

  /** Starts it and waits until it is ready. */
  async start(): Promise<void> {
    this.#port ||= await freePort();
    const log = openSync(this.logFile, 'a');
    const child = spawn(process.execPath, [join(this.#settings.dist, 'main.js'), 'node'], {
      cwd: this.folder,
      env: {
        PATH: process.env['PATH'] ?? '',
        TOCSIN_NODE: this.name,
        TOCSIN_DATA: join(this.folder, 'data'),
        TOCSIN_LISTEN: `127.0.0.1:${this.#port}`,
        ...this.#settings.environment,
      },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    this.#child = child;
    await eventually(`${this.name} is ready`, startMs, async () => {
      if (child.exitCode !== null) throw new Error(`${this.name} ended: ${this.lastLog()}`);
      const answer = await fetch(`${this.url}/readyz`, {
        signal: AbortSignal.timeout(2_000),
      }).catch(() => null);
      return answer?.ok === true ? true : undefined;
    }).catch((error: unknown) => {
      throw new Error(`${(error as Error).message}\n${this.lastLog()}`);
    });
  }

  /** Sends a signal; SIGKILL and SIGTERM are waited for. Returns the exit code of SIGTERM. */
  async signal(name: 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT'): Promise<number | null> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return null;
    const isEnd = name === 'SIGKILL' || name === 'SIGTERM';
    const ended = isEnd ? once(child, 'exit') : null;
    child.kill(name);
    if (ended === null) return null;
    const [code] = (await ended) as [number | null];
    this.#child = null;
    return code;
  }

  get isRunning(): boolean {
    const child = this.#child;
    return child !== null && child.exitCode === null && child.signalCode === null;
  }

  lastLog(): string {
    return existsSync(this.logFile) ? readFileSync(this.logFile, 'utf8').slice(-4_000) : '';
  }

  /** Lines of the log with this message since a wall clock instant. */
  logged(event: string, sinceMs = 0): readonly LogLine[] {
    if (!existsSync(this.logFile)) return [];
    const wanted = `"event":${JSON.stringify(event)}`;
    return readFileSync(this.logFile, 'utf8')
      .split('\n')
      .filter((line) => line.includes(wanted))
      .flatMap((line) => {
        try {
          return [JSON.parse(line) as LogLine];
        } catch {
          return [];
        }
      })
      .filter((line) => line.time >= sinceMs);
  }

  /** Calls the API; `path` from the root. Rejects on an unexpected status. */
  async call<T>(token: string, method: string, path: string, body?: unknown): Promise<T> {
    const answer = await fetch(`${this.url}${path}`, {
      method,
      headers: { 'X-Auth-Token': token, 'Content-Type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(30_000),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text.slice(0, 300)}`);
    const id = answer.headers.get('x-object-id');
    return (text === '' ? { id } : { id, ...JSON.parse(text) }) as T;
  }
}
