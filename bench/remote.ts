// Messages between two nodes over real NATS servers: this project's transport beside plain requests of the client library, in
// the same run, with the other side a process of its own. One JSON line per case.
// Run: npm run bench -- --only remote
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { connect, type NatsConnection } from 'nats';
import type { NodeTransport } from '../cluster/frame-transport.ts';
import { natsTransport } from '../cluster/nats/transport.ts';
import { systemClock, systemRandom } from '../runtime/clock.ts';
import { createLogger } from '../runtime/log.ts';
import { createMeter } from '../runtime/meter.ts';
import { NatsLab } from '../test/lab/nats.ts';

const bodyBytes = 200;
const warmUpMs = 1_000;
const measuredMs = 3_000;
const incarnation = 'i1';

function transportOf(node: string, servers: readonly string[]): NodeTransport {
  const transport = natsTransport({
    ...{ cluster: 'bench', node, servers, login: { tls: null }, clock: systemClock() },
    ...{ random: systemRandom(), meter: createMeter() },
    logger: createLogger({ level: 'warn' }),
    incarnationOf: () => incarnation,
  });
  transport.begin(incarnation);
  return transport;
}

/** The other side: answers every frame, and every plain request. */
async function serve(servers: readonly string[]): Promise<void> {
  const transport = transportOf('b', servers);
  transport.onFrame((from, frame) => {
    // The first byte says whether an answer is wanted.
    if (frame[0] === 1) transport.send(from, frame.slice());
  });
  const connection = await connect({ servers: servers[0] as string });
  connection.subscribe('bench.echo', { callback: (_, message) => message.respond(message.data) });
  await connection.flush();
  process.send?.('ready');
}

/** Runs asks, `concurrency` at a time, and returns how many were answered in a second, and their latency. */
async function asks(concurrency: number, ask: () => Promise<void>) {
  const untilMs = performance.now() + warmUpMs + measuredMs;
  const fromMs = performance.now() + warmUpMs;
  const latencies: number[] = [];
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (performance.now() < untilMs) {
        const askedMs = performance.now();
        await ask();
        if (askedMs >= fromMs) latencies.push(performance.now() - askedMs);
      }
    }),
  );
  latencies.sort((left, right) => left - right);
  const at = (share: number) =>
    Math.round((latencies[Math.floor(latencies.length * share)] ?? 0) * 100) / 100;
  const perSecond = Math.round((latencies.length * 1_000) / measuredMs);
  return { perSecond, p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** Returns an ask over the transport: the answer is the frame that carries its number back. */
function askOver(transport: NodeTransport): () => Promise<void> {
  const waiting = new Map<number, () => void>();
  let next = 0;
  transport.onFrame((_, frame) => {
    const number = new DataView(frame.buffer, frame.byteOffset).getUint32(1);
    waiting.get(number)?.();
    waiting.delete(number);
  });
  return () => {
    const number = next++ >>> 0;
    const frame = new Uint8Array(bodyBytes);
    frame[0] = 1;
    new DataView(frame.buffer).setUint32(1, number);
    return new Promise((resolve) => {
      waiting.set(number, resolve);
      transport.send('b', frame);
    });
  };
}

/** Sends without answers as fast as the credit window takes it; returns messages a second. */
async function tells(transport: NodeTransport): Promise<{ perSecond: number; refused: number }> {
  const untilMs = performance.now() + measuredMs;
  let sent = 0;
  let refused = 0;
  const frame = new Uint8Array(bodyBytes);
  while (performance.now() < untilMs) {
    try {
      for (let n = 0; n < 256; n++, sent++) transport.send('b', frame);
    } catch {
      refused++; // full: the other side is behind
    }
    await new Promise((wake) => setImmediate(wake));
  }
  return { perSecond: Math.round((sent * 1_000) / measuredMs), refused };
}

function tell(line: object): void {
  process.stdout.write(`${JSON.stringify({ bench: 'remote', bodyBytes, ...line })}\n`);
}

async function measure(servers: readonly string[]): Promise<void> {
  const transport = transportOf('a', servers);
  const plain: NatsConnection = await connect({ servers: servers[1] as string });
  const ask = askOver(transport);
  await new Promise((wake) => setTimeout(wake, 1_000)); // subscriptions reach the other servers
  await ask();
  const body = new Uint8Array(bodyBytes);
  for (const concurrency of [1, 64, 512]) {
    const request = async (): Promise<void> => void (await plain.request('bench.echo', body));
    tell({ case: 'plain request', concurrency, ...(await asks(concurrency, request)) });
    tell({ case: 'transport ask', concurrency, ...(await asks(concurrency, ask)) });
  }
  tell({ case: 'transport tell', ...(await tells(transport)) });
  await plain.close();
  await transport.close();
}

const [role, list] = process.argv.slice(2);
if (role === '--serve') await serve(JSON.parse(list as string) as string[]);
else {
  const lab = await NatsLab.start();
  const file = fileURLToPath(import.meta.url);
  const other = spawn(
    process.execPath,
    ['--import', 'tsx', file, '--serve', JSON.stringify(lab.addresses)],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
  );
  await once(other, 'message');
  await measure(lab.addresses);
  other.kill();
  await lab.stop();
}
