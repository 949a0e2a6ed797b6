// A cluster for a person to play with: 3 NATS servers, one Cassandra, 3 nodes on ports 7421 to 7423, each node a process that may
// be killed and frozen. Started by `npm run dev:cluster`; everything ends, and is forgotten, with it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CassandraLab } from './cassandra.ts';
import { NatsLab } from './nats.ts';

const root = resolve(fileURLToPath(new URL('../..', import.meta.url)));
const firstPort = 7421;
const names = ['node1', 'node2', 'node3'];
const readyMs = 60_000;

const say = (text: string): void => void process.stdout.write(`${text}\n`);

class DevCluster {
  readonly #folder = mkdtempSync(join(tmpdir(), 'tocsin-dev-'));
  readonly #nodes = new Map<string, ChildProcess>();
  readonly #servers: { stop(): Promise<void> }[] = [];
  #isEnding = false;

  async start(): Promise<void> {
    say('starting 3 NATS servers and Cassandra (the first time they are fetched, a minute or two)');
    const [nats, cassandra] = await Promise.all([
      NatsLab.start({ servers: 3 }),
      CassandraLab.start(1),
    ]);
    this.#servers.push(nats, cassandra);
    const { contactPoints, port, localDataCenter } = cassandra.contact;
    for (const [at, name] of names.entries()) {
      await this.#startNode(name, {
        TOCSIN_LISTEN: `127.0.0.1:${firstPort + at}`,
        TOCSIN_CLUSTER: 'dev',
        TOCSIN_NATS: nats.addresses.join(','),
        TOCSIN_CASSANDRA: contactPoints.map((host) => `${host}:${port}`).join(','),
        TOCSIN_CASSANDRA_DATACENTER: localDataCenter,
        TOCSIN_CASSANDRA_REPLICAS: '1',
        TOCSIN_FAILURE_ZONE: `zone${at + 1}`,
        TOCSIN_EGRESS: 'local',
      });
    }
    this.#tell();
  }

  async #startNode(name: string, settings: Readonly<Record<string, string>>): Promise<void> {
    const folder = join(this.#folder, name);
    mkdirSync(folder, { recursive: true });
    const log = openSync(join(folder, 'node.log'), 'a');
    const child = spawn(process.execPath, [join(root, 'dist', 'main.js'), 'node'], {
      cwd: folder,
      env: {
        PATH: process.env['PATH'] ?? '',
        TOCSIN_NODE: name,
        TOCSIN_DATA: join(folder, 'data'),
        ...settings,
      },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    this.#nodes.set(name, child);
    child.on('exit', (code, signal) => void this.#onExit(name, settings, code ?? signal));
    const untilMs = performance.now() + readyMs;
    while (performance.now() < untilMs && child.exitCode === null) {
      const answer = await fetch(`http://${settings['TOCSIN_LISTEN']}/readyz`).catch(() => null);
      if (answer?.ok === true) {
        say(`${name} is ready: http://${settings['TOCSIN_LISTEN']} (pid ${child.pid})`);
        return;
      }
      await new Promise((wake) => setTimeout(wake, 100));
    }
    const lines = readFileSync(join(folder, 'node.log'), 'utf8').split('\n').slice(-20);
    throw new Error(`${name} did not get ready\n${lines.join('\n')}`);
  }

  /** A node that was killed comes back after 15 s, as a service manager would have it. */
  async #onExit(
    name: string,
    settings: Readonly<Record<string, string>>,
    why: number | string | null,
  ): Promise<void> {
    if (this.#isEnding) return;
    say(
      `${name} ended (${why}); it starts again in 15 s. Its share is polled by the others already.`,
    );
    await new Promise((wake) => setTimeout(wake, 15_000));
    if (this.#isEnding) return;
    await this.#startNode(name, settings).catch((error: unknown) => say(String(error)));
  }

  #tell(): void {
    const file = names
      .map((name) => join(this.#folder, name, 'data', 'admin.json'))
      .find((path) => existsSync(path));
    if (file === undefined) throw new Error('no node made an administrator');
    const { tenantId, token } = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>;
    const pid = (name: string): number | undefined => this.#nodes.get(name)?.pid;
    say(`
Three nodes form the cluster "dev". Administrator: ${file}
Logs: ${join(this.#folder, 'node?', 'node.log')}

Try:
  export TOCSIN_URL=http://127.0.0.1:${firstPort} TOCSIN_TOKEN=${token} TOCSIN_TENANT=${tenantId}
  scripts/tocsin.js cluster status           who is a member, and who owns how much
  open http://127.0.0.1:${firstPort + 1}                the page of another node shows the same
  kill -9 ${pid('node2')}                          node2 dies: its share moves within about a second
  kill -STOP ${pid('node3')}; sleep 8; kill -CONT ${pid('node3')}   node3 freezes, loses its share, comes back as another
  scripts/tocsin.js cluster status

Ctrl-C ends everything and forgets it.`);
  }

  async stop(): Promise<void> {
    if (this.#isEnding) return;
    this.#isEnding = true;
    const running = [...this.#nodes.values()].filter(
      (child) => child.exitCode === null && child.signalCode === null,
    );
    await Promise.all(
      running.map(async (child) => {
        const ended = once(child, 'exit');
        child.kill('SIGKILL');
        await ended;
      }),
    );
    await Promise.all(this.#servers.map((server) => server.stop()));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

const cluster = new DevCluster();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => void cluster.stop().then(() => process.exit(0)));
try {
  await cluster.start();
} catch (error) {
  say((error as Error).message);
  await cluster.stop();
  process.exit(1);
}
