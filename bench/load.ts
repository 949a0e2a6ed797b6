// The load of bench/queries, a process of its own: asks over kept connections, either as fast as answers come or at a constant
// rate, paced by a thread that sleeps in fractions of a millisecond (timers of whole ones would make bursts, spinning would
// take a core from the node). Latency counts from when a question was due, and the load says how late it was itself.
// Must not know what is asked.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { quantile, round } from './rig.ts';

export interface LoadAsked {
  readonly port: number;
  /** Whole requests, asked in turn. */
  readonly requests: readonly string[];
  readonly connections: number;
  /** Questions a second; 0: as fast as answers come. */
  readonly perSecond: number;
  readonly windowMs: number;
}

/** What a load saw; latencies in ms. */
export interface LoadSeen {
  readonly queries: number;
  readonly failed: number;
  readonly tookMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** How much later than due a question was sent though a connection was free: the load's own fault. */
  readonly ownLateP99Ms: number;
  readonly ownLateMaxMs: number;
}

export interface Load {
  run(asked: LoadAsked): Promise<LoadSeen>;
  close(): void;
}

/** Starts the process of a load. */
export function startLoad(): Load {
  const child: ChildProcess = fork(fileURLToPath(import.meta.url), ['serve']);
  return {
    run: async (asked) => {
      child.send(asked);
      const [seen] = (await once(child, 'message')) as [LoadSeen];
      return seen;
    },
    close: () => child.disconnect(),
  };
}

const ending = Buffer.from('\r\n0\r\n\r\n');
const good = Buffer.from('HTTP/1.1 200');

/** One kept connection with at most one question under way; where the server ends it, the next question opens another. */
class Client {
  readonly #port: number;
  readonly #onFree: (client: Client, isGood: boolean) => void;
  #socket: Socket | null = null;
  #isFirst = true;
  #isGood = true;
  #isLast = false;
  dueMs = 0;

  constructor(port: number, onFree: (client: Client, isGood: boolean) => void) {
    this.#port = port;
    this.#onFree = onFree;
  }

  ask(request: string, dueMs: number): void {
    this.dueMs = dueMs;
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
    if (this.#isFirst) {
      this.#isFirst = false;
      this.#isGood = chunk.subarray(0, good.length).equals(good);
      this.#isLast = chunk.includes('Connection: close');
    }
    if (!chunk.subarray(-ending.length).equals(ending)) return;
    this.#isFirst = true;
    if (this.#isLast) {
      this.#socket?.destroy();
      this.#socket = null;
    }
    this.#onFree(this, this.#isGood);
  }
}

/** One run: its clients, its clock, what it saw. */
class Run {
  readonly #asked: LoadAsked;
  readonly #free: Client[] = [];
  readonly #latencies: number[] = [];
  readonly #lateness: number[] = [];
  readonly #startMs = performance.now();
  #planned = 0;
  #failed = 0;
  #end: () => void = () => undefined;

  constructor(asked: LoadAsked) {
    this.#asked = asked;
    const onFree = (client: Client, isGood: boolean) => this.#answered(client, isGood);
    for (let i = 0; i < asked.connections; i++) this.#free.push(new Client(asked.port, onFree));
  }

  async seen(): Promise<LoadSeen> {
    const { perSecond } = this.#asked;
    const pacer =
      perSecond === 0 ? null : new Worker(pacing, { eval: true, workerData: perSecond });
    await new Promise<void>((resolve) => {
      this.#end = resolve;
      pacer?.on('message', () => this.#tick(true));
      this.#tick(false);
    });
    await pacer?.terminate();
    const tookMs = performance.now() - this.#startMs;
    for (const client of this.#free) client.close();
    const latencies = this.#latencies.sort((a, b) => a - b);
    const lateness = this.#lateness.sort((a, b) => a - b);
    return {
      ...{ queries: latencies.length, failed: this.#failed, tookMs },
      p50Ms: round(quantile(latencies, 0.5)),
      p99Ms: round(quantile(latencies, 0.99)),
      maxMs: round(latencies.at(-1) ?? 0),
      ownLateP99Ms: round(quantile(lateness, 0.99)),
      ownLateMaxMs: round(lateness.at(-1) ?? 0),
    };
  }

  /** Sends what is due and has a connection; goes on until the window is over and all is answered. */
  #tick(isPaced: boolean): void {
    const { perSecond, windowMs, connections } = this.#asked;
    const nowMs = performance.now();
    const isOver = nowMs - this.#startMs >= windowMs;
    const hadFree = isPaced && this.#free.length > 0;
    while (this.#free.length > 0) {
      const dueMs = perSecond === 0 ? nowMs : this.#startMs + (this.#planned * 1000) / perSecond;
      if (dueMs > nowMs || (perSecond === 0 ? isOver : dueMs - this.#startMs >= windowMs)) break;
      // Late though nothing was in its way: the load itself was.
      if (hadFree) this.#lateness.push(nowMs - dueMs);
      this.#free.pop()?.ask(this.#requestOf(this.#planned++), dueMs);
    }
    if (isOver && this.#free.length === connections) this.#end();
  }

  #requestOf(number: number): string {
    const { requests } = this.#asked;
    return requests[number % requests.length] ?? '';
  }

  #answered(client: Client, isGood: boolean): void {
    this.#latencies.push(performance.now() - client.dueMs);
    if (!isGood) this.#failed++;
    this.#free.push(client);
    this.#tick(false);
  }
}

/** Wakes the load at each due instant. Plain JavaScript: it runs without a loader. */
const pacing = `
const { parentPort, workerData: perSecond } = require('node:worker_threads');
const never = new Int32Array(new SharedArrayBuffer(4));
const startMs = performance.now();
for (let turn = 1; ; turn++) {
  const waitMs = startMs + (turn * 1000) / perSecond - performance.now();
  if (waitMs > 0) Atomics.wait(never, 0, 0, waitMs);
  parentPort.postMessage(null);
}`;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.on('message', async (asked: LoadAsked) => process.send?.(await new Run(asked).seen()));
  process.on('disconnect', () => process.exit(0));
}
