// What the prober's tests share: one attempt in this process, and servers that answer byte by byte as told.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { ProbeAnswer, ProbeRequest } from '../../actors/check/types.ts';
import { type AttemptPorts, runAttempt } from '../../prober/attempt.ts';
import { noDestinationLimit } from '../../prober/egress/destination-limit.ts';
import { createEgress } from '../../prober/egress/dial.ts';
import { createMatchPool } from '../../prober/probe/match-pool.ts';
import { createPinger } from '../../prober/probe/pinger.ts';
import { probes } from '../../prober/probe/registry.ts';
import { createSelfTest } from '../../prober/self-test.ts';

/** Returns ports of a prober on loopback; `more` replaces some. */
export function attemptPorts(more: Partial<AttemptPorts> = {}): AttemptPorts {
  return {
    probes,
    egress: createEgress({ preset: 'local' }),
    destinations: noDestinationLimit(),
    selfTest: createSelfTest({ anchors: [], isReachable: async () => true }),
    matches: createMatchPool(),
    pinger: createPinger({ socket4: null, socket6: null, program: null }),
    userAgent: 'Tocsin/test',
    log: () => undefined,
    ...more,
  };
}

const shared = attemptPorts();
let attempts = 0;

/** Runs one attempt against loopback and checks that it kept its deadline (I9). */
export async function attempt(
  t: Test,
  type: string,
  details: Readonly<Record<string, unknown>>,
  more: Partial<ProbeRequest> = {},
  ports: AttemptPorts = shared,
): Promise<ProbeAnswer> {
  attempts += 1;
  const request: ProbeRequest = {
    id: `attempt-${attempts}`,
    zone: 'mztest',
    type,
    details,
    target: '127.0.0.1',
    resolver: null,
    timeoutMs: 5000,
    debug: false,
    ...more,
  };
  const startedMs = performance.now();
  const answer = await runAttempt(request, ports, request.timeoutMs);
  t.ok(performance.now() - startedMs <= request.timeoutMs + 250, 'the deadline held');
  t.equal(answer.id, request.id);
  return answer;
}

/** Returns the metrics of an answer as an object; fails where the target is not available. */
export function metricsOf(t: Test, answer: ProbeAnswer): Record<string, number | string> {
  t.match(answer, { outcome: 'observed', available: true });
  if (answer.outcome !== 'observed') return {};
  return Object.fromEntries(answer.metrics.map(([name, , value]) => [name, value]));
}

/** Starts a TCP server with this handler; returns its port. */
export async function rawServer(t: Test, serve: (socket: net.Socket) => void): Promise<number> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** Starts a server that answers each request with these bytes, then closes or goes silent. */
export function answering(
  t: Test,
  bytes: string | Buffer,
  after: 'close' | 'silence' = 'close',
): Promise<number> {
  return rawServer(t, (socket) => {
    socket.once('data', () => {
      socket.write(bytes);
      if (after === 'close') socket.end();
    });
  });
}

/** Starts a server that sends `start`, then `piece` every `everyMs` for ever. */
export function dripping(t: Test, start: string, piece: string, everyMs: number): Promise<number> {
  return rawServer(t, (socket) => {
    socket.on('data', () => undefined);
    socket.write(start);
    const timer = setInterval(() => socket.write(piece), everyMs);
    socket.on('close', () => clearInterval(timer));
  });
}

/** Returns a port on which nobody listens. */
export async function closedPort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

export interface KeyPair {
  readonly key: string;
  readonly cert: string;
}

/** Makes a self-signed certificate for localhost, valid for `days` (−1: expired), by the openssl program. */
export function certificate(t: Test, days: number): KeyPair {
  const folder = mkdtempSync(join(tmpdir(), 'tocsin-tls-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const key = join(folder, 'key.pem');
  const cert = join(folder, 'cert.pem');
  const request = join(folder, 'request.pem');
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(
    'req',
    '-new',
    ...curve,
    '-keyout',
    key,
    '-subj',
    '/O=Tocsin/CN=localhost',
    '-addext',
    'subjectAltName=DNS:localhost',
    '-out',
    request,
  );
  const signed = ['-signkey', key, '-days', String(days), '-copy_extensions', 'copy'];
  openssl('x509', '-req', '-in', request, ...signed, '-out', cert);
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
}
