// Live state of entities asked over HTTP: latency at 5,000 a second (open loop: a late request counts from when it was due)
// and the highest rate, with 32 kept connections. Run: node --import tsx bench/queries.ts [--dist FOLDER]
import { connect, type Socket } from 'node:net';
import { BenchNode, childrenOf, quantile, report, round, usageOf } from './rig.ts';
import { startTarget } from './target.ts';

const entities = 1000;
const connections = 32;
const windowMs = 10_000;

/** One kept connection that asks one question at a time; where the server ends it, the next question opens another. */
class Client {
  readonly #port: number;
  #socket: Socket | null = null;
  #onAnswer: () => void = () => undefined;
  #isFirst = true;
  #isLast = false;
  isFree = true;
  failed = 0;

  constructor(port: number) {
    this.#port = port;
  }

  ask(request: string, onAnswer: () => void): void {
    this.isFree = false;
    this.#onAnswer = onAnswer;
    this.#socket ??= this.#open();
    this.#socket.write(request);
  }

  close(): void {
    this.#socket?.destroy();
  }

  #open(): Socket {
    const socket = connect(this.#port, '127.0.0.1').setNoDelay();
    // The server ends connections that rest.
    socket.on('close', () => {
      if (this.#socket === socket) this.#socket = null;
    });
    return socket.on('data', (chunk: Buffer) => this.#took(chunk));
  }

  /** Answers are chunked; there is one under way, so that its last chunk is the end of what came. */
  #took(chunk: Buffer): void {
    const text = chunk.toString('latin1');
    if (this.#isFirst) {
      this.#isFirst = false;
      if (!text.startsWith('HTTP/1.1 200')) this.failed++;
      this.#isLast = /connection: close/i.test(text);
    }
    if (!text.endsWith('\r\n0\r\n\r\n')) return;
    this.#isFirst = true;
    this.isFree = true;
    if (this.#isLast) {
      this.#socket?.destroy();
      this.#socket = null;
    }
    this.#onAnswer();
  }
}

type Ask = (client: Client, onAnswer: () => void) => void;

/** Asks as fast as answers come; returns latencies. */
async function closedLoop(clients: readonly Client[], ask: Ask): Promise<number[]> {
  const latencies: number[] = [];
  const endMs = performance.now() + windowMs;
  await Promise.all(
    clients.map(
      (client) =>
        new Promise<void>((resolve) => {
          const next = () => {
            const sinceMs = performance.now();
            if (sinceMs >= endMs) return resolve();
            ask(client, () => {
              latencies.push(performance.now() - sinceMs);
              next();
            });
          };
          next();
        }),
    ),
  );
  return latencies;
}

/** Asks at a fixed rate; what finds no free connection waits, and its latency grows. */
async function openLoop(clients: readonly Client[], ask: Ask, perSecond: number) {
  const latencies: number[] = [];
  const dueMs: number[] = [];
  const startMs = performance.now();
  let planned = 0;
  const start = () => {
    for (const client of clients) {
      if (!client.isFree) continue;
      const sinceMs = dueMs.shift();
      if (sinceMs === undefined) return;
      ask(client, () => {
        latencies.push(performance.now() - sinceMs);
        start();
      });
    }
  };
  await new Promise<void>((resolve) => {
    const tick = () => {
      const nowMs = performance.now();
      const wanted = Math.min(nowMs - startMs, windowMs) * (perSecond / 1000);
      for (; planned < wanted; planned++) dueMs.push(startMs + (planned * 1000) / perSecond);
      start();
      if (nowMs - startMs < windowMs || latencies.length < planned) setImmediate(tick);
      else resolve();
    };
    tick();
  });
  return latencies;
}

const target = await startTarget();
const node = await BenchNode.create();
try {
  await node.start();
  const ids = await node.fill(entities, target.port, true);
  const { tenantId, token } = node.access;
  const requests = ids.map(
    (id) =>
      `GET /v1.0/${tenantId}/entities/${id}/state HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Auth-Token: ${token}\r\n\r\n`,
  );
  const clients = Array.from({ length: connections }, () => new Client(node.port));
  let asked = 0;
  const ask: Ask = (client, onAnswer) => client.ask(requests[asked++ % entities] ?? '', onAnswer);
  const pids = [node.pid, ...childrenOf(node.pid)];
  const cpuMs = () => pids.reduce((sum, pid) => sum + usageOf(pid).cpuMs, 0);
  const run = async (name: string, work: () => Promise<number[]>) => {
    const before = cpuMs();
    const startMs = performance.now();
    const latencies = (await work()).sort((a, b) => a - b);
    const tookMs = performance.now() - startMs;
    report({
      ...{ bench: 'queries', case: name, entities, connections, queries: latencies.length },
      perSecond: Math.round((latencies.length / tookMs) * 1000),
      p50Ms: round(quantile(latencies, 0.5)),
      p99Ms: round(quantile(latencies, 0.99)),
      maxMs: round(latencies.at(-1) ?? 0),
      cpuUsEach: Math.round(((cpuMs() - before) * 1000) / latencies.length),
      failed: clients.reduce((sum, client) => sum + client.failed, 0),
    });
  };
  await run('as fast as it answers', () => closedLoop(clients, ask));
  await run('1,000 a second', () => openLoop(clients, ask, 1000));
  await run('5,000 a second', () => openLoop(clients, ask, 5000));
  for (const client of clients) client.close();
} finally {
  await node.remove();
  target.close();
}
