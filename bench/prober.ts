// How many HTTP checks a second one prober process runs, and what a check costs in CPU: requests over the IPC link
// against a counting server in a process of its own. One JSON line per case. Run: node --import tsx bench/prober.ts
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import type { ProbeAnswer, ProbeRequest } from '../actors/check/types.ts';
import { type LocalProber, startLocalProber } from '../prober/local.ts';

const ticksPerSecond = 100;
const pageBytes = 1500;

interface Case {
  readonly name: string;
  readonly checks: number;
  readonly inFlight: number;
  readonly details: Readonly<Record<string, unknown>>;
}

/** The target: a child of this same file, so that its CPU is not counted. */
async function serve(): Promise<void> {
  const page = 'x'.repeat(pageBytes);
  const server = createServer((_request, response) => response.end(page));
  server.listen(0, '127.0.0.1', 4096);
  await once(server, 'listening');
  process.send?.((server.address() as AddressInfo).port);
  process.on('disconnect', () => process.exit(0));
}

/** CPU of a process in ms, user and system together (Linux). */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / ticksPerSecond;
}

function residentMb(pid: number): number {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
  return Math.round((pages * 4096) / 1e6);
}

async function run(prober: LocalProber, port: number, asked: Case): Promise<void> {
  const pid = prober.stats().pid as number;
  let sent = 0;
  let available = 0;
  const durations: number[] = [];
  const cpuBefore = { prober: cpuMs(pid), node: process.cpuUsage() };
  const startedMs = performance.now();
  await new Promise<void>((resolve) => {
    const next = () => {
      sent += 1;
      const request: ProbeRequest = {
        id: `${asked.name}-${sent}`,
        zone: 'bench',
        type: 'remote.http',
        details: { ...asked.details, url: `http://127.0.0.1:${port}/${sent}` },
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
      if (sent < asked.checks) next();
      else if (durations.length === asked.checks) resolve();
    };
    for (let i = 0; i < asked.inFlight; i += 1) next();
  });
  const tookMs = performance.now() - startedMs;
  const proberCpuMs = cpuMs(pid) - cpuBefore.prober;
  const node = process.cpuUsage(cpuBefore.node);
  durations.sort((a, b) => a - b);
  const line = {
    bench: 'prober',
    case: asked.name,
    checks: asked.checks,
    available,
    checksPerSecond: Math.round((asked.checks / tookMs) * 1000),
    checksPerSecondOfOneCore: Math.round((asked.checks / proberCpuMs) * 1000),
    proberCpuUsPerCheck: Math.round((proberCpuMs * 1000) / asked.checks),
    nodeCpuUsPerCheck: Math.round((node.user + node.system) / asked.checks),
    durationP50Ms: Number(durations[Math.floor(durations.length * 0.5)]?.toFixed(1)),
    durationP99Ms: Number(durations[Math.floor(durations.length * 0.99)]?.toFixed(1)),
    proberResidentMb: residentMb(pid),
  };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function main(): Promise<void> {
  const target = fork(fileURLToPath(import.meta.url), ['serve']);
  const [port] = (await once(target, 'message')) as [number];
  const prober = startLocalProber({ zone: 'bench', egress: 'local' });
  await prober.ready;
  const plain = { method: 'GET', follow_redirects: true, include_body: false };
  const cases: Case[] = [
    { name: 'warm-up', checks: 8000, inFlight: 50, details: plain },
    { name: 'http', checks: 20_000, inFlight: 50, details: plain },
    {
      name: 'http-body-match',
      checks: 20_000,
      inFlight: 50,
      details: { ...plain, body: 'xy|x{5}' },
    },
    { name: 'http-burst', checks: 20_000, inFlight: 2000, details: plain },
  ];
  for (const one of cases) await run(prober, port, one);
  await prober.stop(1000);
  target.disconnect();
}

await (process.argv[2] === 'serve' ? serve() : main());
