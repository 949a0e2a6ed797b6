// Visits every server of the zoo through a real prober process and says what went wrong: a deadline that did not hold,
// another error class, a status with control characters, a prober that died. Reads the prober's memory.
import { readdirSync, readFileSync } from 'node:fs';
import type { ProbeAnswer } from '../../actors/check/types.ts';
import { type LocalProber, startLocalProber } from '../../prober/local.ts';
import { makeCertificates } from './certificates.ts';
import { dnsServers } from './dns-servers.ts';
import { httpServers } from './http-servers.ts';
import { socketServers, tlsServers } from './socket-servers.ts';
import { type Expected, type Visit, visitOf, Zoo, type ZooServer } from './zoo-server.ts';

/** One server and one way to visit it. */
export interface Stop {
  readonly name: string;
  readonly visit: Visit;
  readonly expected: Expected;
  readonly port: number;
}

export interface Tour {
  readonly servers: number;
  readonly stops: readonly Stop[];
  readonly prober: LocalProber;
  readonly log: string[];
  readonly close: () => Promise<void>;
}

/** Timeout of every visit: short, so that ten thousand of them take a minute. */
export const visitTimeoutMs = 1500;
/** I9: an answer is never later than this after its deadline. */
export const graceMs = 250;

/** Starts all servers and a prober; `folder` takes the certificates. */
export async function openTour(folder: string): Promise<Tour> {
  const zoo = new Zoo();
  const certificates = makeCertificates(folder);
  const servers: ZooServer[] = [
    ...httpServers,
    ...socketServers,
    ...tlsServers(certificates.good),
    ...dnsServers,
  ];
  const stops: Stop[] = [];
  for (const server of servers) {
    const port = await server.start(zoo);
    for (const [visit, expected] of Object.entries(server.expects)) {
      stops.push({ name: server.name, visit: visit as Visit, expected, port });
    }
  }
  const log: string[] = [];
  const prober = startLocalProber({
    zone: 'mzzoo',
    egress: 'local',
    onLog: (event, fields) => {
      if (log.length < 1000) log.push(`${event} ${JSON.stringify(fields)}`);
    },
  });
  await prober.ready;
  const close = async (): Promise<void> => {
    zoo.close();
    await prober.stop(100);
  };
  return { servers: servers.length, stops, prober, log, close };
}

/**
 * Returns what a visit came to: null where all is as it must be. A late answer counts where the same visit is late three
 * times in a row: a machine under load lends a process no time for a quarter of a second now and then.
 */
export async function visit(prober: LocalProber, stop: Stop): Promise<string | null> {
  for (let attempt = 1; ; attempt++) {
    const request = visitOf(stop.visit, stop.port, visitTimeoutMs);
    const answer = await new Promise<ProbeAnswer>((resolve) => prober.submit(request, resolve));
    const isLate = answer.durationMs > visitTimeoutMs + graceMs;
    if (isLate && attempt < 3) continue;
    const fault = isLate ? `took ${answer.durationMs} ms` : faultOf(answer, stop.expected);
    return fault === null ? null : `${stop.name} (${stop.visit}): ${fault}`;
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const control = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/;

function faultOf(answer: ProbeAnswer, expected: Expected): string | null {
  if (answer.outcome === 'failed') return `failed: ${answer.failure} ${answer.message}`;
  const allowed: readonly unknown[] = Array.isArray(expected) ? expected : [expected];
  if (!allowed.includes(answer.errorClass)) {
    return `${answer.errorClass} (${answer.status}), not ${expected}`;
  }
  const texts = [answer.status, ...answer.metrics.map((metric) => String(metric[2]))];
  const dirty = texts.find((text) => control.test(text) || text.length > 4096);
  return dirty === undefined ? null : `unclean text ${JSON.stringify(dirty.slice(0, 80))}`;
}

/** Visits `count` stops, `atOnce` at a time, round and round; returns the faults, each kind once. */
export async function travel(
  tour: Tour,
  count: number,
  atOnce: number,
  onVisit: (done: number) => void = () => undefined,
): Promise<ReadonlyMap<string, number>> {
  const faults = new Map<string, number>();
  let next = 0;
  let done = 0;
  const walk = async (): Promise<void> => {
    while (next < count) {
      const stop = tour.stops[next++ % tour.stops.length] as Stop;
      const fault = await visit(tour.prober, stop);
      if (fault !== null) {
        const kind = fault.replace(/\d+\.\d+/g, 'n');
        faults.set(kind, (faults.get(kind) ?? 0) + 1);
      }
      onVisit(++done);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, walk));
  return faults;
}

/** Returns the resident memory of a process in KiB; 0 where it cannot be read. */
export function residentKib(pid: number): number {
  try {
    const match = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return Number(match?.[1] ?? 0);
  } catch {
    // The process is gone, or this is no Linux.
    return 0;
  }
}

/** Returns the open descriptors of a process; 0 where they cannot be read. */
export function openFiles(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    // As above.
    return 0;
  }
}

/** Returns the slope of a line through points, by least squares. */
export function slopeOf(points: readonly (readonly [x: number, y: number])[]): number {
  const n = points.length;
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / n;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / n;
  const above = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  const below = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  return below === 0 ? 0 : above / below;
}
