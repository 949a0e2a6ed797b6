// Live streams: 50 clients follow a tenant whose 100 alarms change state every second; events delivered, and the time from
// a transition's decision to its arrival at each client. Run: node --import tsx bench/stream.ts [--dist FOLDER]
import { once } from 'node:events';
import { connect } from 'node:net';
import { BenchNode, quantile, report, round, sleep, usageOf } from './rig.ts';
import { flappingFrom, startTarget } from './target.ts';

const clients = 50;
const checks = 100;
const windowMs = 20_000;
const criteria =
  ":set consecutiveCount=1\nif (metric['code'] == '500') { return CRITICAL } return OK";

async function fill(node: BenchNode, port: number): Promise<void> {
  const plan = await node.create('/notification_plans', { label: 'nobody' });
  for (let number = 0; number < checks; number++) {
    const entity = await node.create('/entities', {
      label: `flapping ${number}`,
      ip_addresses: { main: '127.0.0.1' },
    });
    const check = await node.create(`/entities/${entity}/checks`, {
      type: 'remote.http',
      details: { url: `http://127.0.0.1:${port}/${flappingFrom + number}` },
      monitoring_zones_poll: ['mzlocal'],
      ...{ period: 1, timeout: 1, target_alias: 'main' },
    });
    await node.create(`/entities/${entity}/alarms`, {
      ...{ check_id: check, criteria, notification_plan_id: plan },
    });
  }
}

/** Opens a stream; calls `onEvent` with the instant of each decision. */
async function follow(node: BenchNode, onEvent: (atMs: number) => void): Promise<() => void> {
  const { tenantId, token } = node.access;
  const socket = connect(node.port, '127.0.0.1');
  let rest = '';
  let isUp: () => void = () => undefined;
  const up = new Promise<void>((resolve) => {
    isUp = resolve;
  });
  socket.setEncoding('latin1').on('data', (text: unknown) => {
    const events = (rest + String(text)).split('\n\n');
    rest = events.pop() ?? '';
    for (const event of events) {
      if (event.includes('event: hello')) isUp();
      const atMs = /"timestamp":(\d+)/.exec(event)?.[1];
      if (event.includes('event: changelog') && atMs !== undefined) onEvent(Number(atMs));
    }
  });
  await once(socket, 'connect');
  socket.write(
    `GET /v1.0/${tenantId}/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\nX-Auth-Token: ${token}\r\n\r\n`,
  );
  await up;
  return () => socket.destroy();
}

const target = await startTarget();
const node = await BenchNode.create({ TOCSIN_MIN_PERIOD: '1' });
try {
  await node.start();
  await fill(node, target.port);
  let latencies: number[] = [];
  const onEvent = (atMs: number) =>
    latencies.push(performance.timeOrigin + performance.now() - atMs);
  const closers = await Promise.all(Array.from({ length: clients }, () => follow(node, onEvent)));
  await sleep(5000);
  latencies = [];
  const before = usageOf(node.pid).cpuMs;
  await sleep(windowMs);
  const sorted = [...latencies].sort((a, b) => a - b);
  report({
    ...{ bench: 'stream', case: 'changelog rows to all clients', clients, alarms: checks },
    eventsPerSecond: round(sorted.length / clients / (windowMs / 1000), 1),
    deliveriesPerSecond: Math.round(sorted.length / (windowMs / 1000)),
    p50Ms: round(quantile(sorted, 0.5), 1),
    p99Ms: round(quantile(sorted, 0.99), 1),
    maxMs: round(sorted.at(-1) ?? 0, 1),
    nodeCorePercent: round((usageOf(node.pid).cpuMs - before) / (windowMs / 100)),
  });
  for (const close of closers) close();
} finally {
  await node.remove();
  target.close();
}
