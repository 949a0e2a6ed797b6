// Real NATS servers for tests: one cluster on free loopback ports, each server a process that can be killed, stopped,
// continued and started again. Servers that run already are named in TOCSIN_TEST_NATS; these are never killed.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { natsBinary } from './nats-binary.ts';
import { type LabAuthority, makeAuthority } from './tls.ts';

export interface LabOptions {
  /** Default 3. */
  readonly servers?: number;
  /** TLS on client and route ports, with an authority made for this lab. */
  readonly tls?: 'plain' | 'tls' | 'handshake-first';
  /** Lines of the configuration with accounts, users and permissions; default: anybody may do anything. */
  readonly users?: string;
  /** Runs docs/nats/server.conf with other addresses and paths; `users` stands for the file that it includes. */
  readonly isDocumented?: boolean;
  /** For `$NAME` in `users`. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** Returns why no server can be had, or null. Fails the test where CI must have one. */
export function natsMissing(t: Test): string | null {
  if (natsBinary() !== null) return null;
  const why = 'no nats-server: none on PATH, none in the cache, none from a package registry';
  if (process.env['CI'] === 'true') t.fail(why);
  return `skipped: ${why}`;
}

/** Returns the addresses of servers that run already, `host:port` with commas between; empty where none are named. */
export function givenServers(): readonly string[] {
  return (process.env['TOCSIN_TEST_NATS'] ?? '').split(',').filter((address) => address !== '');
}

/** Starts a cluster and stops it with the test. Resolves once every server knows the others. */
export async function natsLab(t: Test, options: LabOptions = {}): Promise<NatsLab> {
  const lab = await NatsLab.start(options);
  t.teardown(() => lab.stop());
  return lab;
}

export class NatsLab {
  readonly servers: readonly LabServer[];
  readonly authority: LabAuthority | null;
  readonly #folder: string;

  private constructor(
    folder: string,
    servers: readonly LabServer[],
    authority: LabAuthority | null,
  ) {
    this.#folder = folder;
    this.servers = servers;
    this.authority = authority;
  }

  static async start(options: LabOptions = {}): Promise<NatsLab> {
    const binary = natsBinary();
    if (binary === null) throw new Error('no nats-server');
    const count = options.servers ?? 3;
    const folder = mkdtempSync(join(tmpdir(), 'tocsin-nats-'));
    const isTls =
      options.isDocumented === true || options.tls === 'tls' || options.tls === 'handshake-first';
    const authority = isTls ? makeAuthority(join(folder, 'tls')) : null;
    const ports = await freePorts(2 * count);
    const routePorts = ports.slice(count);
    const servers = ports.slice(0, count).map((port, index) => {
      const file = join(folder, `n${index}.conf`);
      const routePort = routePorts[index] as number;
      const others = routePorts.filter((other) => other !== routePort);
      const write = options.isDocumented === true ? documented : configuration;
      writeFileSync(file, write({ index, port, routePort, others, authority, options }));
      return new LabServer({ binary: binary.path, file, port, index, options });
    });
    const lab = new NatsLab(folder, servers, authority);
    process.once('exit', lab.#abandon);
    try {
      for (const server of servers) server.spawn();
      await lab.ready();
    } catch (error) {
      await lab.stop();
      throw error;
    }
    return lab;
  }

  /** `host:port` of each server. */
  get addresses(): readonly string[] {
    return this.servers.map((server) => server.address);
  }

  server(index: number): LabServer {
    return this.servers[index] as LabServer;
  }

  /** No server outlives a test process that ends without teardown. */
  readonly #abandon = (): void => {
    for (const server of this.servers) server.abandon();
  };

  /** Waits until all servers listen and their routes stand. */
  async ready(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.listening()));
    const routes = this.servers.length - 1;
    await Promise.all(this.servers.map((server) => server.routed(routes)));
  }

  async stop(): Promise<void> {
    process.removeListener('exit', this.#abandon);
    await Promise.all(this.servers.map((server) => server.kill()));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** One server process. */
export class LabServer {
  readonly name: string;
  readonly port: number;
  readonly address: string;
  readonly #binary: string;
  readonly #file: string;
  readonly #environment: Readonly<Record<string, string>>;
  #process: ChildProcess | null = null;
  #log = '';

  constructor(of: {
    binary: string;
    file: string;
    port: number;
    index: number;
    options: LabOptions;
  }) {
    this.name = `n${of.index}`;
    this.port = of.port;
    this.address = `127.0.0.1:${of.port}`;
    this.#binary = of.binary;
    this.#file = of.file;
    this.#environment = of.options.environment ?? {};
  }

  get log(): string {
    return this.#log;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  spawn(): void {
    this.#log = '';
    const child = spawn(this.#binary, ['-c', this.#file], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...this.#environment },
    });
    child.stderr?.on('data', (chunk) => {
      this.#log = (this.#log + chunk).slice(-200_000);
    });
    this.#process = child;
  }

  async listening(): Promise<void> {
    await until(
      `${this.name} listens`,
      () => answers(this.port),
      () => this.#log,
    );
  }

  /** Waits for routes to so many other servers: each says it in its log. */
  async routed(others: number): Promise<void> {
    const isRouted = async (): Promise<boolean> => {
      const names = this.#log.matchAll(/Route connection created|rid:\d+ - Route connection/g);
      return [...names].length >= others;
    };
    await until(`${this.name} has ${others} routes`, isRouted, () => this.#log);
  }

  /** Kills it at once; resolves when the process is gone. */
  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  /** Kills it without waiting. */
  abandon(): void {
    this.#process?.kill('SIGKILL');
  }

  /** Freezes it: its sockets stay open and silent. */
  freeze(): void {
    this.#process?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#process?.kill('SIGCONT');
  }

  /** Starts it again on the same port with the same name. */
  async restart(): Promise<void> {
    await this.kill();
    this.spawn();
    await this.listening();
  }
}

interface ServerPlace {
  readonly index: number;
  readonly port: number;
  readonly routePort: number;
  readonly others: readonly number[];
  readonly authority: LabAuthority | null;
  readonly options: LabOptions;
}

/** Returns docs/nats/server.conf with the addresses and paths of this lab. */
function documented(of: ServerPlace): string {
  const { index, port, routePort, others, authority, options } = of;
  const routes = others.map((other) => `"nats://127.0.0.1:${other}"`).join(', ');
  return readFileSync(new URL('../../docs/nats/server.conf', import.meta.url), 'utf8')
    .replace('"nats1"', `"n${index}"`)
    .replace('0.0.0.0:4222', `127.0.0.1:${port}`)
    .replace('nats1.example.net:4222', `127.0.0.1:${port}`)
    .replace(/^http: .*$/m, '')
    .replace('0.0.0.0:6222', `127.0.0.1:${routePort}`)
    .replace(/routes: \[.*\]/, `routes: [ ${routes} ]`)
    .replaceAll('/etc/tocsin/nats', authority?.folder ?? '')
    .replace('include "users.conf"', options.users ?? '');
}

function configuration(of: ServerPlace): string {
  const { index, port, routePort, others, authority, options } = of;
  const first = options.tls === 'handshake-first' ? 'handshake_first: true' : '';
  const files = authority === null ? '' : authority.serverLines;
  const tls = authority === null ? '' : `tls { ${files}, verify: false, timeout: 2\n ${first} }`;
  const routeTls = authority === null ? '' : `tls { ${files}, verify: true, timeout: 2 }`;
  const routes = others.map((other) => `nats://route:rpw@127.0.0.1:${other}`).join(', ');
  return `
server_name: "n${index}"
listen: "127.0.0.1:${port}"
client_advertise: "127.0.0.1:${port}"
ping_interval: "1s"
ping_max: 2
write_deadline: "5s"
max_payload: 1048576
${tls}
cluster {
  name: "tocsin-lab"
  listen: "127.0.0.1:${routePort}"
  ping_interval: "500ms"
  ping_max: 2
  ${routeTls}
  authorization { user: route, password: rpw, timeout: 2 }
  routes: [ ${routes} ]
}
${options.users ?? ''}
`;
}

/** Returns ports that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(
    servers.map(async (server) => {
      server.close();
      await once(server, 'close');
    }),
  );
  return ports;
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false; // asked again
  } finally {
    socket.destroy();
  }
}

async function until(what: string, isSo: () => Promise<boolean>, log: () => string): Promise<void> {
  const untilMs = performance.now() + 10_000;
  while (!(await isSo())) {
    if (performance.now() > untilMs) throw new Error(`not within 10 s: ${what}\n${log()}`);
    await new Promise((wake) => setTimeout(wake, 20));
  }
}

/** Returns the text of a documented configuration file. */
export function documentedUsers(): string {
  return readFileSync(new URL('../../docs/nats/users.conf', import.meta.url), 'utf8');
}
