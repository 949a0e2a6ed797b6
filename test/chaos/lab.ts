// What a run with real processes needs: NATS servers, Cassandra, nodes with their probers, a counting target, a receiver;
// filled with entities, its targets taken down and up all the time. Must not know which fault is done, nor how it is judged.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inParallel } from '../../cluster/pause.ts';
import { root } from '../integration/harness.ts';
import { CassandraLab } from '../lab/cassandra.ts';
import { NatsLab } from '../lab/nats.ts';
import type { FaultRecord, History, Receipt } from './judge/history.ts';
import { LinkProxy } from './link-proxy.ts';
import { monoMs, NodeProcess, sleep } from './node-process.ts';
import type { TargetOrder, TargetReport } from './target-entry.ts';

export interface LabSettings {
  readonly nodes: number;
  readonly cassandras: 1 | 3;
  readonly entities: number;
  /** So many of them have an alarm, and outages. */
  readonly watched: number;
  readonly dist: string;
  readonly say: (text: string) => void;
}

const periodMs = 10_000;
const timeoutMs = 5_000;
/** An outage lasts so long, so that it must be told whatever strikes meanwhile; its end too. */
const [shortestMs, longestMs] = [45_000, 75_000];

interface Admin {
  readonly tenantId: string;
  readonly token: string;
}

export class ChaosLab {
  readonly settings: LabSettings;
  readonly nats: NatsLab;
  readonly cassandra: CassandraLab;
  readonly nodes: NodeProcess[] = [];
  /** Links of the first node to each NATS server. */
  readonly links: readonly LinkProxy[];
  readonly faults: FaultRecord[] = [];
  readonly #folder: string;
  readonly #target: ChildProcess;
  readonly #receiver: ChildProcess;
  readonly #ports: { readonly target: number; readonly receiver: number };
  #admin: Admin | null = null;
  #isTroubling = false;
  #troubling: Promise<void> = Promise.resolve();

  private constructor(
    settings: LabSettings,
    parts: {
      nats: NatsLab;
      cassandra: CassandraLab;
      links: readonly LinkProxy[];
      folder: string;
      target: readonly [ChildProcess, number];
      receiver: readonly [ChildProcess, number];
    },
  ) {
    this.settings = settings;
    this.nats = parts.nats;
    this.cassandra = parts.cassandra;
    this.links = parts.links;
    this.#folder = parts.folder;
    [this.#target, this.#receiver] = [parts.target[0], parts.receiver[0]];
    this.#ports = { target: parts.target[1], receiver: parts.receiver[1] };
    for (let at = 0; at < settings.nodes; at++) this.#addNode();
  }

  /** Starts all servers and nodes. */
  static async start(settings: LabSettings): Promise<ChaosLab> {
    const folder = mkdtempSync(join(tmpdir(), 'tocsin-chaos-'));
    settings.say(`3 NATS servers, ${settings.cassandras} Cassandra, ${settings.nodes} nodes`);
    const [nats, cassandra] = await Promise.all([
      NatsLab.start({ servers: 3 }),
      CassandraLab.start(settings.cassandras),
    ]);
    const links = await Promise.all(nats.addresses.map((address) => LinkProxy.open(address)));
    const [target, receiver] = await Promise.all([
      forked('./target-entry.ts'),
      forked('./receiver-entry.ts'),
    ]);
    const lab = new ChaosLab(settings, { nats, cassandra, links, folder, target, receiver });
    try {
      // The first one makes keyspace, tables and administrator.
      for (const node of lab.nodes) await node.start();
    } catch (error) {
      await lab.stop();
      throw error;
    }
    return lab;
  }

  get admin(): Admin {
    this.#admin ??= this.nodes
      .map((node) => join(node.folder, 'data', 'admin.json'))
      .map((file) => {
        try {
          return JSON.parse(readFileSync(file, 'utf8')) as Admin;
        } catch {
          return null; // another node was first
        }
      })
      .find((admin) => admin !== null) as Admin;
    return this.#admin;
  }

  get running(): readonly NodeProcess[] {
    return this.nodes.filter((node) => node.isRunning);
  }

  /** One more node, not started. */
  addNode(): NodeProcess {
    return this.#addNode();
  }

  #addNode(): NodeProcess {
    const at = this.nodes.length;
    const { contactPoints, port, localDataCenter } = this.cassandra.contact;
    const servers = at === 0 ? this.links.map((link) => link.address) : this.nats.addresses;
    const node = new NodeProcess({
      name: `node${at + 1}`,
      folder: join(this.#folder, `node${at + 1}`),
      dist: this.settings.dist,
      environment: {
        TOCSIN_CLUSTER: 'chaos',
        TOCSIN_NATS: servers.join(','),
        TOCSIN_CASSANDRA: contactPoints.map((host) => `${host}:${port}`).join(','),
        TOCSIN_CASSANDRA_DATACENTER: localDataCenter,
        TOCSIN_CASSANDRA_REPLICAS: String(this.settings.cassandras),
        TOCSIN_FAILURE_ZONE: `zone${(at % 3) + 1}`,
        TOCSIN_ZONES: 'mzlocal',
        TOCSIN_EGRESS: 'local',
        TOCSIN_LOG_LEVEL: 'info',
      },
    });
    this.nodes.push(node);
    return node;
  }

  /** Creates the entities through the APIs of all nodes. */
  async fill(): Promise<void> {
    const { entities, watched, say } = this.settings;
    const { tenantId } = this.admin;
    const startedMs = monoMs();
    const create = async (at: number, path: string, body: object): Promise<string> => {
      const node = this.nodes[at % this.nodes.length] as NodeProcess;
      const made = await node.call<{ id: string }>(
        this.admin.token,
        'POST',
        `/v1.0/${tenantId}${path}`,
        body,
      );
      return made.id;
    };
    const url = `http://127.0.0.1:${this.#ports.receiver}/`;
    const hook = await create(0, '/notifications', {
      label: 'hook',
      type: 'webhook',
      details: { url },
    });
    const plan = await create(0, '/notification_plans', {
      label: 'page',
      critical_state: [hook],
      ok_state: [hook],
    });
    await inParallel([...Array(entities).keys()], 48, async (number) => {
      const entity = await create(number, '/entities', {
        label: `host ${number}`,
        ip_addresses: { main: '127.0.0.1' },
      });
      const check = await create(number, `/entities/${entity}/checks`, {
        type: 'remote.http',
        label: `check ${number}`,
        details: { url: `http://127.0.0.1:${this.#ports.target}/${number}` },
        monitoring_zones_poll: ['mzlocal'],
        period: periodMs / 1000,
        timeout: timeoutMs / 1000,
        target_alias: 'main',
      });
      if (number >= watched) return;
      await create(number, `/entities/${entity}/alarms`, {
        check_id: check,
        notification_plan_id: plan,
        criteria:
          "if (metric['code'] != '200') { return new AlarmStatus(CRITICAL, 'answered #{code}'); } return new AlarmStatus(OK, 'well');",
      });
    });
    say(`${entities} entities made in ${Math.round((monoMs() - startedMs) / 1000)} s`);
  }

  /** Takes watched targets down and up, at random, until `calm`. */
  trouble(): void {
    if (this.#isTroubling) return;
    this.#isTroubling = true;
    this.#troubling = this.#troubleOn();
  }

  /** Ends all outages; resolves after the time that their ends take to be told. */
  async calm(): Promise<void> {
    this.#isTroubling = false;
    await this.#troubling;
  }

  async #troubleOn(): Promise<void> {
    const until = new Map<number, number>();
    const restUntil = new Map<number, number>();
    const { watched } = this.settings;
    const lengthMs = (): number => shortestMs + Math.random() * (longestMs - shortestMs);
    while (this.#isTroubling) {
      const now = monoMs();
      const up = [...until].filter(([, atMs]) => atMs <= now).map(([check]) => check);
      for (const check of up) {
        until.delete(check);
        restUntil.set(check, now + lengthMs());
      }
      this.#order({ kind: 'up', checks: up });
      const check = Math.floor(Math.random() * watched);
      if (!until.has(check) && (restUntil.get(check) ?? 0) <= now) {
        until.set(check, now + lengthMs());
        this.#order({ kind: 'down', checks: [check] });
      }
      await sleep(200);
    }
    this.#order({ kind: 'up', checks: [...until.keys()] });
    await sleep(longestMs / 2);
  }

  #order(order: TargetOrder): void {
    this.#target.send(order);
  }

  /** Everything seen since `fromMs` until now. */
  async history(fromMs: number, faults: readonly FaultRecord[]): Promise<History> {
    const told = once(this.#target, 'message');
    this.#target.send({ kind: 'tell' });
    const [report] = (await told) as [TargetReport];
    const heard = once(this.#receiver, 'message');
    this.#receiver.send({ kind: 'tell' });
    const [receipts] = (await heard) as [Receipt[]];
    return {
      ...{ periodMs, timeoutMs, confirmations: 1, fromMs, toMs: monoMs(), faults },
      checks: this.settings.entities,
      watched: Array.from({ length: this.settings.watched }, (_, at) => at),
      arrivals: report.arrivals,
      outages: report.outages,
      receipts,
    };
  }

  async stop(): Promise<void> {
    this.#isTroubling = false;
    await Promise.all(this.nodes.map((node) => node.signal('SIGKILL')));
    this.#target.kill('SIGKILL');
    this.#receiver.kill('SIGKILL');
    for (const link of this.links) link.close();
    await Promise.all([this.nats.stop(), this.cassandra.stop()]);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function forked(file: string): Promise<readonly [ChildProcess, number]> {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), {
    cwd: root,
    execArgv: ['--import', 'tsx'],
    serialization: 'advanced',
  });
  const [port] = (await once(child, 'message')) as [number];
  return [child, port];
}
