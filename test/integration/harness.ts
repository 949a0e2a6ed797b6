// Verbs of the tests with real processes: start, stop, kill a node; a target that can be switched off; a receiver that counts.
// Everything listens on free loopback ports and ends with the test.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = resolve(fileURLToPath(new URL('../..', import.meta.url)));
let isBuilt = false;

/** Builds what is not current: these tests run the product as it is shipped. */
function build(): void {
  if (isBuilt) return;
  const made = spawnSync(process.execPath, [join(root, 'scripts', 'setup.js')], {
    encoding: 'utf8',
  });
  if (made.status !== 0) throw new Error(`set-up failed: ${made.stderr}`);
  isBuilt = true;
}

/** Returns a port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Waits until `read` returns something else than undefined; rejects with `what` after `timeoutMs`. */
export async function eventually<T>(
  what: string,
  timeoutMs: number,
  read: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  const untilMs = performance.now() + timeoutMs;
  for (;;) {
    const found = await read();
    if (found !== undefined) return found;
    if (performance.now() > untilMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((wake) => setTimeout(wake, 50));
  }
}

export interface Admin {
  readonly tenantId: string;
  readonly username: string;
  readonly apiKey: string;
  readonly token: string;
}

/** One node as a process of its own, in a data folder of its own. */
export class TestNode {
  readonly folder: string;
  readonly port: number;
  readonly environment: Record<string, string>;
  #process: ChildProcess | null = null;
  #log = '';

  private constructor(folder: string, port: number, environment: Record<string, string>) {
    this.folder = folder;
    this.port = port;
    this.environment = environment;
  }

  static async create(environment: Record<string, string> = {}): Promise<TestNode> {
    build();
    return new TestNode(mkdtempSync(join(tmpdir(), 'tocsin-test-')), await freePort(), environment);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get log(): string {
    return this.#log;
  }

  get pid(): number {
    const pid = this.#process?.pid;
    if (pid === undefined) throw new Error('the node does not run');
    return pid;
  }

  get admin(): Admin {
    return JSON.parse(readFileSync(join(this.folder, 'admin.json'), 'utf8')) as Admin;
  }

  /** Starts and waits until it is ready; rejects with its log where it ends or takes longer than 20 s. */
  async start(): Promise<void> {
    const child = this.spawn();
    this.#process = child;
    await eventually('the node is ready', 20_000, async () => {
      if (child.exitCode !== null)
        throw new Error(`the node ended with ${child.exitCode}:\n${this.#log}`);
      const answer = await fetch(`${this.url}/readyz`).catch(() => null);
      return answer?.ok === true && existsSync(join(this.folder, 'admin.json')) ? true : undefined;
    }).catch((error: unknown) => {
      throw new Error(`${(error as Error).message}\n${this.#log.slice(-4000)}`);
    });
  }

  /** Starts another process on the same folder, without waiting. */
  spawn(port = this.port): ChildProcess {
    const child = spawn(process.execPath, [join(root, 'dist', 'main.js'), 'node'], {
      cwd: this.folder,
      env: {
        PATH: process.env['PATH'] ?? '',
        TOCSIN_DATA: this.folder,
        TOCSIN_LISTEN: `127.0.0.1:${port}`,
        TOCSIN_MIN_PERIOD: '1',
        ...this.environment,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk) => {
        this.#log = (this.#log + chunk).slice(-200_000);
      });
    }
    return child;
  }

  /** SIGKILL, and waits for the end. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** SIGTERM; returns the exit code. */
  async stop(): Promise<number | null> {
    return this.#end('SIGTERM');
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#process;
    this.#process = null;
    if (child === null || child.exitCode !== null) return child?.exitCode ?? null;
    const ended = once(child, 'exit');
    child.kill(signal);
    const [code] = (await ended) as [number | null];
    return code;
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Calls the API as the administrator; `path` behind `/v1.0/{tenant}`. Rejects on an unexpected status. */
  async call(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; id: string | null; body: unknown }> {
    const { tenantId, token } = this.admin;
    const target = path.startsWith('/v1.0/') ? path : `/v1.0/${tenantId}${path}`;
    const answer = await fetch(`${this.url}${target}`, {
      method,
      headers: { 'X-Auth-Token': token, 'Content-Type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return {
      status: answer.status,
      id: answer.headers.get('x-object-id'),
      body: text === '' ? null : JSON.parse(text),
    };
  }

  /** Creates and returns the new id. */
  async create(path: string, body: unknown): Promise<string> {
    const { id } = await this.call('POST', path, body);
    if (id === null) throw new Error(`no id for ${path}`);
    return id;
  }

  async get<T>(path: string): Promise<T> {
    return (await this.call('GET', path)).body as T;
  }
}

/** An HTTP server that can be switched off and on again on the same port. */
export class Target {
  readonly port: number;
  hits = 0;
  #server: Server | null = null;

  private constructor(port: number) {
    this.port = port;
  }

  static async create(): Promise<Target> {
    const target = new Target(await freePort());
    await target.on();
    return target;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  async on(): Promise<void> {
    this.#server = createServer((_request, response) => {
      this.hits++;
      response.end('all is well');
    }).listen(this.port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async off(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server === null) return;
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  }
}

export interface Received {
  readonly headers: IncomingHttpHeaders;
  // biome-ignore lint/suspicious/noExplicitAny: the payload is what the test looks at
  readonly body: any;
  readonly text: string;
}

/** A webhook receiver that keeps what came. */
export class Receiver {
  readonly received: Received[] = [];
  /** Status of its answers. */
  status = 204;
  #server: Server | null = null;

  static async create(): Promise<Receiver> {
    const receiver = new Receiver();
    receiver.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        receiver.received.push({ headers: request.headers, text, body: JSON.parse(text) });
        response.statusCode = receiver.status;
        response.end();
      });
    }).listen(0, '127.0.0.1');
    await once(receiver.#server, 'listening');
    return receiver;
  }

  get url(): string {
    const address = this.#server?.address() ?? null;
    if (address === null) throw new Error('the receiver is closed');
    return `http://127.0.0.1:${(address as AddressInfo).port}/hook`;
  }

  /** Waits for the next deliveries until there are `count` of this state. */
  of(state: string): Received[] {
    return this.received.filter((one) => one.body.details?.state === state);
  }

  async close(): Promise<void> {
    this.#server?.close();
    this.#server?.closeAllConnections();
  }
}
