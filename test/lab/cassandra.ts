// Real Cassandra nodes for tests: one or three on loopback addresses, each a process that can be killed, frozen and
// started again. Contact points in TOCSIN_TEST_CASSANDRA are used instead where set: then nothing can be killed.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { cassandraJars, type Jars, recordClasses } from './cassandra-jars.ts';

/** Where a store finds its servers. */
export interface LabContact {
  readonly contactPoints: readonly string[];
  readonly port: number;
  readonly localDataCenter: string;
}

interface Place {
  readonly folder: string;
  readonly storagePort: number;
  readonly nativePort: number;
  readonly nodes: number;
}

const startMs = 60_000;
const readyLine = 'Starting listening for CQL clients';
const tokens = ['-9223372036854775808', '-3074457345618258603', '3074457345618258602'];

/** Returns why no server can be had, or null. Fails the test where CI must have one. `parts`: how much is not tested then. */
export function cassandraMissing(t: Test, parts: number): string | null {
  const jars = outerContact() === null ? cassandraJars() : null;
  if (typeof jars !== 'string') return null;
  const why = `${jars}: ${parts} parts are not tested`;
  if (process.env['CI'] === 'true') t.fail(why);
  return `skipped: ${why}`;
}

/** Returns the servers that TOCSIN_TEST_CASSANDRA names (`host:port,…`; data centre in TOCSIN_TEST_CASSANDRA_DC), or null. */
export function outerContact(): LabContact | null {
  const points = (process.env['TOCSIN_TEST_CASSANDRA'] ?? '').split(',').filter((at) => at !== '');
  if (points.length === 0) return null;
  return {
    contactPoints: points.map((at) => at.split(':')[0] as string),
    port: Number(points[0]?.split(':')[1] ?? 9042),
    localDataCenter: process.env['TOCSIN_TEST_CASSANDRA_DC'] ?? 'datacenter1',
  };
}

/** Starts a cluster and ends it with the test. Resolves once every node answers and sees every other. */
export async function cassandraLab(t: Test, nodes: 1 | 3): Promise<CassandraLab> {
  const lab = await CassandraLab.start(nodes);
  t.teardown(() => lab.stop());
  return lab;
}

/** Servers for tests that need no more than one that answers: those of the environment, or one node of a lab. */
export async function cassandraContact(t: Test): Promise<LabContact> {
  return outerContact() ?? (await cassandraLab(t, 1)).contact;
}

export class CassandraLab {
  readonly nodes: readonly LabNode[];
  readonly contact: LabContact;
  readonly #folder: string;
  readonly #onExit = (): void => this.#killAll();
  readonly #onSignal = (): void => {
    this.#killAll();
    process.exit(143);
  };

  private constructor(jars: Jars, place: Place) {
    this.#folder = place.folder;
    this.nodes = Array.from({ length: place.nodes }, (_, at) => new LabNode(jars, place, at));
    this.contact = {
      contactPoints: this.nodes.map(({ address }) => address),
      port: place.nativePort,
      localDataCenter: 'datacenter1',
    };
    process.once('exit', this.#onExit);
    process.once('SIGTERM', this.#onSignal);
    process.once('SIGINT', this.#onSignal);
  }

  static async start(nodes: 1 | 3): Promise<CassandraLab> {
    const jars = cassandraJars();
    if (typeof jars === 'string') throw new Error(jars);
    await ensureArchive(jars);
    const lab = new CassandraLab(jars, await placeFor(nodes));
    try {
      // The seed first: the others ask it for the ring.
      await lab.nodes[0]?.start();
      await Promise.all(lab.nodes.slice(1).map((node) => node.start()));
      await lab.joined();
    } catch (error) {
      await lab.stop();
      throw error;
    }
    return lab;
  }

  /** Resolves once every running node sees every other running one as up. */
  async joined(): Promise<void> {
    const running = this.nodes.filter((node) => node.isRunning);
    await until(
      () =>
        running.every((node) => running.every((peer) => peer === node || node.sees(peer.address))),
      'the nodes see each other',
    );
  }

  /** Ends a node as a power cut does, and starts nothing. */
  async kill(at: number): Promise<void> {
    const node = this.nodes[at] as LabNode;
    await node.kill();
    for (const other of this.nodes) other.forget(node.address);
  }

  /** Starts a killed node again and waits until all see it. */
  async restart(at: number): Promise<void> {
    await this.nodes[at]?.start();
    await this.joined();
  }

  async stop(): Promise<void> {
    process.off('exit', this.#onExit);
    process.off('SIGTERM', this.#onSignal);
    process.off('SIGINT', this.#onSignal);
    await Promise.all(this.nodes.map((node) => node.kill()));
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  #killAll(): void {
    for (const node of this.nodes) node.signal('SIGKILL');
  }
}

export class LabNode {
  readonly address: string;
  readonly #jars: Jars;
  readonly #args: readonly string[];
  readonly #up = new Set<string>();
  #process: ChildProcess | null = null;
  #isListening = false;
  #log: string[] = [];

  constructor(jars: Jars, place: Place, at: number) {
    this.address = `127.0.0.${at + 1}`;
    this.#jars = jars;
    this.#args = nodeArguments(jars, place, at);
  }

  get isRunning(): boolean {
    return this.#process !== null;
  }

  /** The last lines it wrote. */
  get log(): string {
    return this.#log.join('\n');
  }

  sees(address: string): boolean {
    return this.#up.has(address);
  }

  forget(address: string): void {
    this.#up.delete(address);
  }

  /** Starts the process and resolves once it listens for clients. */
  async start(): Promise<void> {
    this.#isListening = false;
    this.#up.clear();
    const archive = existsSync(this.#jars.archive)
      ? [`-XX:SharedArchiveFile=${this.#jars.archive}`, '-Xshare:auto']
      : [];
    const child = spawn(this.#jars.java, [...archive, ...this.#args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process = child;
    child.once('exit', () => {
      if (this.#process === child) this.#process = null;
    });
    let rest = '';
    const read = (text: string): void => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#read(line);
    };
    child.stdout.setEncoding('utf8').on('data', read);
    child.stderr.setEncoding('utf8').on('data', read);
    await until(
      () => this.#isListening || this.#process !== child,
      `${this.address} listens for clients`,
    );
    if (!this.#isListening) throw new Error(`${this.address} ended:\n${this.log}`);
  }

  /** SIGSTOP: connections stay, nothing answers. */
  freeze(): void {
    this.signal('SIGSTOP');
  }

  thaw(): void {
    this.signal('SIGCONT');
  }

  async kill(): Promise<void> {
    const child = this.#process;
    if (child === null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  #read(line: string): void {
    this.#log.push(line);
    if (this.#log.length > 200) this.#log.shift();
    if (line.includes(readyLine)) this.#isListening = true;
    const seen = /\/([\d.]+)(?::\d+)? (?:is now|has restarted, now) (UP|DOWN)/.exec(line);
    if (seen === null) return;
    if (seen[2] === 'UP') this.#up.add(seen[1] as string);
    else this.#up.delete(seen[1] as string);
  }
}

/** One start in a folder of its own, the first time only. */
async function ensureArchive(jars: Jars): Promise<void> {
  if (existsSync(jars.archive)) return;
  const place = await placeFor(1);
  await recordClasses(jars, nodeArguments(jars, place, 0), (line) => line.includes(readyLine));
  rmSync(place.folder, { recursive: true, force: true, maxRetries: 5 });
}

async function placeFor(nodes: number): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), 'tocsin-cassandra-'));
  return {
    folder,
    nodes,
    storagePort: await freePort(nodes, 2),
    nativePort: await freePort(nodes, 1),
  };
}

/** Returns a port that is free on the addresses of all nodes, and the next ones too: peers must have the same. */
async function freePort(nodes: number, ports: number): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const free = await Promise.all(
      Array.from({ length: nodes * ports }, (_, at) =>
        isFree(`127.0.0.${(at % nodes) + 1}`, port + Math.floor(at / nodes)),
      ),
    );
    if (free.every(Boolean)) return port;
  }
  throw new Error('no free port');
}

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host, port }, () => server.close(() => resolve(true)));
  });
}

async function until(isSo: () => boolean, what: string): Promise<void> {
  const deadlineMs = Date.now() + startMs;
  while (!isSo()) {
    if (Date.now() > deadlineMs) throw new Error(`not within ${startMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function nodeArguments(jars: Jars, place: Place, at: number): string[] {
  const folder = join(place.folder, `node${at + 1}`);
  mkdirSync(join(folder, 'tmp'), { recursive: true });
  const yaml = join(folder, 'cassandra.yaml');
  writeFileSync(yaml, cassandraYaml(place, at, folder));
  return [
    `@${jars.jvmArguments}`,
    ...['-Xms320m', '-Xmx320m'],
    `-Dcassandra.config=file://${yaml}`,
    `-Dlogback.configurationFile=file://${jars.logback}`,
    ...[`-Dcassandra.storagedir=${folder}`, `-Dcassandra.logdir=${join(folder, 'log')}`],
    ...[`-Djava.io.tmpdir=${join(folder, 'tmp')}`, '-Dcassandra-foreground=yes'],
    `-Dcassandra.jmx.local.port=0`,
    ...['-Dcassandra.skip_wait_for_gossip_to_settle=0', '-Dcassandra.ring_delay_ms=5000'],
    ...['-Dcassandra.memtable.row_overhead_size=181', '-Dcassandra.shutdown_announce_in_ms=0'],
    ...['-cp', jars.classPath, 'org.apache.cassandra.service.CassandraDaemon'],
  ];
}

function cassandraYaml(place: Place, at: number, folder: string): string {
  const address = `127.0.0.${at + 1}`;
  const seeds = `127.0.0.1:${place.storagePort}`;
  return `cluster_name: 'tocsin-test'
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
num_tokens: 1
initial_token: "${tokens[at]}"
auto_bootstrap: false
listen_address: ${address}
rpc_address: ${address}
storage_port: ${place.storagePort}
ssl_storage_port: ${place.storagePort + 1}
native_transport_port: ${place.nativePort}
start_native_transport: true
seed_provider: [ { class_name: org.apache.cassandra.locator.SimpleSeedProvider, parameters: [ { seeds: "${seeds}" } ] } ]
data_file_directories: [ ${folder}/data ]
commitlog_directory: ${folder}/commitlog
hints_directory: ${folder}/hints
saved_caches_directory: ${folder}/saved_caches
cdc_raw_directory: ${folder}/cdc_raw
cdc_enabled: false
commitlog_sync: group
commitlog_sync_group_window: 10ms
commitlog_segment_size: 8MiB
commitlog_total_space: 128MiB
auto_snapshot: false
incremental_backups: false
disk_access_mode: standard
memtable_allocation_type: heap_buffers
memtable_heap_space: 96MiB
memtable_offheap_space: 32MiB
memtable_flush_writers: 1
concurrent_compactors: 1
concurrent_reads: 16
concurrent_writes: 128
concurrent_counter_writes: 4
key_cache_size: 8MiB
counter_cache_size: 0MiB
file_cache_size: 64MiB
paxos_variant: v2
storage_compatibility_mode: NONE
block_for_peers_timeout_in_secs: 1
`;
}
