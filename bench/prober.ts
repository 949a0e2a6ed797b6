// How many HTTP, TCP, ping and DNS checks a second one prober process runs, and what a check costs in CPU and memory at the
// prober and at the node's end of the link, against servers in a process of their own: as fast as answers come, and at the
// rates of 1,000 and 5,000 checks every 10 s. One JSON line per case.
// Run: node --import tsx bench/prober.ts [--dist FOLDER]
import { fork } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { ProbeAnswer, ProbeRequest } from '../actors/check/types.ts';
import type * as Local from '../prober/local.ts';
import { buildFolder, quantile, report, round, usageOf } from './rig.ts';

const pageBytes = 1500;

interface Case {
  readonly name: string;
  readonly type: 'http' | 'tcp' | 'ping' | 'dns';
  readonly checks: number;
  /** As fast as answers come, so many at once. */
  readonly inFlight: number;
  /** Instead of that, at instants drawn evenly over the time, so many a second. */
  readonly perSecond?: number;
  readonly details: Readonly<Record<string, unknown>>;
}

interface Ports {
  readonly http: number;
  readonly dns: number;
}

/** The targets: a child of this same file, so that its CPU is not counted. */
async function serve(): Promise<void> {
  const page = 'x'.repeat(pageBytes);
  const server = createServer((_request, response) => response.end(page));
  server.listen(0, '127.0.0.1', 4096);
  await once(server, 'listening');
  const names = createSocket('udp4').bind(0, '127.0.0.1');
  // Every question gets one address: the question again, marked as answered, and a record that points to its name.
  const record = Buffer.from('c00c00010001000000010004c0000201', 'hex');
  names.on('message', (question, from) => {
    const answer = Buffer.concat([question, record]);
    answer.writeUInt16BE(0x8180, 2);
    answer.writeUInt16BE(1, 6);
    names.send(answer, from.port, from.address);
  });
  await once(names, 'listening');
  process.send?.({ http: (server.address() as AddressInfo).port, dns: names.address().port });
  process.on('disconnect', () => process.exit(0));
}

function detailsOf(asked: Case, ports: Ports, number: number): Readonly<Record<string, unknown>> {
  switch (asked.type) {
    case 'http':
      return { ...asked.details, url: `http://127.0.0.1:${ports.http}/${number}` };
    case 'tcp':
      return { ...asked.details, port: ports.http };
    case 'dns':
      return { query: 'www.example.org', record_type: 'A', port: ports.dns };
    default:
      return asked.details;
  }
}

/** Calls `next` at `count` instants drawn over their time, as the phases of checks are spread over their period. */
function paced(count: number, perSecond: number, next: () => void): void {
  const lengthMs = (count / perSecond) * 1000;
  const startMs = performance.now();
  const dueMs = Array.from({ length: count }, () => startMs + Math.random() * lengthMs);
  dueMs.sort((a, b) => b - a);
  const tick = () => {
    while ((dueMs.at(-1) ?? Number.POSITIVE_INFINITY) <= performance.now()) {
      dueMs.pop();
      next();
    }
    if (dueMs.length > 0) setTimeout(tick, 1);
  };
  tick();
}

async function run(prober: Local.LocalProber, ports: Ports, asked: Case): Promise<void> {
  const pid = prober.stats().pid as number;
  let sent = 0;
  let available = 0;
  const durations: number[] = [];
  const cpuBefore = { prober: usageOf(pid).cpuMs, node: process.cpuUsage() };
  const startedMs = performance.now();
  await new Promise<void>((resolve) => {
    const next = () => {
      sent += 1;
      const request: ProbeRequest = {
        id: `${asked.name}-${sent}`,
        zone: 'bench',
        type: `remote.${asked.type}`,
        details: detailsOf(asked, ports, sent),
        target: '127.0.0.1',
        resolver: null,
        timeoutMs: 10_000,
        debug: false,
      };
      prober.submit(request, done);
    };
    const done = (answer: ProbeAnswer) => {
      durations.push(answer.durationMs);
      if (answer.outcome === 'observed' && answer.available) available += 1;
      if (asked.perSecond === undefined && sent < asked.checks) next();
      else if (durations.length === asked.checks) resolve();
    };
    if (asked.perSecond !== undefined) paced(asked.checks, asked.perSecond, next);
    else for (let i = 0; i < asked.inFlight; i += 1) next();
  });
  const tookMs = performance.now() - startedMs;
  const proberCpuMs = usageOf(pid).cpuMs - cpuBefore.prober;
  const node = process.cpuUsage(cpuBefore.node);
  durations.sort((a, b) => a - b);
  report({
    bench: 'prober',
    case: asked.name,
    checks: asked.checks,
    available,
    checksPerSecond: Math.round((asked.checks / tookMs) * 1000),
    proberCorePercent: round((proberCpuMs / tookMs) * 100),
    checksPerSecondOfOneCore: Math.round((asked.checks / proberCpuMs) * 1000),
    proberCpuUsPerCheck: Math.round((proberCpuMs * 1000) / asked.checks),
    nodeCpuUsPerCheck: Math.round((node.user + node.system) / asked.checks),
    durationP50Ms: round(quantile(durations, 0.5), 1),
    durationP99Ms: round(quantile(durations, 0.99), 1),
    proberResidentMb: Math.round(usageOf(pid).residentMb),
    nodeResidentMb: Math.round(process.memoryUsage.rss() / 1e6),
  });
}

async function main(): Promise<void> {
  const target = fork(fileURLToPath(import.meta.url), ['serve']);
  const [ports] = (await once(target, 'message')) as [Ports];
  // The build, not the source: the loader of the source would be in the prober's memory.
  const built = pathToFileURL(join(buildFolder(), 'prober', 'local.js')).href;
  const { startLocalProber } = (await import(built)) as typeof Local;
  const prober = startLocalProber({
    zone: 'bench',
    egress: 'local',
    environment: { PATH: process.env['PATH'] ?? '' },
  });
  await prober.ready;
  const plain = { method: 'GET', follow_redirects: true, include_body: false };
  const http = { type: 'http', inFlight: 50, details: plain } as const;
  const cases: Case[] = [
    { ...http, name: 'warm-up', checks: 8000 },
    { ...http, name: 'http, 100 a second', checks: 2000, perSecond: 100 },
    { ...http, name: 'http, 500 a second', checks: 10_000, perSecond: 500 },
    { ...http, name: 'http', checks: 20_000 },
    { ...http, name: 'http-body-match', checks: 20_000, details: { ...plain, body: 'xy|x{5}' } },
    { ...http, name: 'http-burst', checks: 20_000, inFlight: 2000 },
    { name: 'tcp', type: 'tcp', checks: 20_000, inFlight: 50, details: {} },
    { name: 'dns', type: 'dns', checks: 20_000, inFlight: 50, details: {} },
    // Five echo requests 200 ms apart: a second each.
    { name: 'ping', type: 'ping', checks: 4000, inFlight: 500, details: { count: 5 } },
  ];
  const { pingMode } = prober.stats();
  for (const one of cases) {
    if (one.type === 'ping' && pingMode === 'none') {
      report({ bench: 'prober', case: one.name, skipped: 'this machine has no way to ping' });
    } else await run(prober, ports, one);
  }
  await prober.stop(1000);
  target.disconnect();
}

await (process.argv[2] === 'serve' ? serve() : main());
