// The target of HTTP checks, a lean process of its own whose CPU is not counted: answers each connection's request for
// `/NUMBER` with a small page and records when it came. Forked by benches; must not know the product.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

/** What a target saw in a window. */
export interface Arrivals {
  /** Requests. */
  readonly total: number;
  /** Different checks. */
  readonly checks: number;
  /** |interval − period| between arrivals of the same check, ms, sorted. */
  readonly jitterMs: readonly number[];
  /** When each check came first, ms since the window began, sorted. */
  readonly firstMs: readonly number[];
}

export interface Target {
  readonly port: number;
  /** Forgets what came so far. */
  clear(): void;
  /** Returns what came since the last `clear`. */
  arrivals(periodMs: number): Promise<Arrivals>;
  close(): void;
}

/** Starts a target. */
export async function startTarget(): Promise<Target> {
  const child: ChildProcess = fork(fileURLToPath(import.meta.url), ['serve'], {
    serialization: 'advanced',
  });
  const [port] = (await once(child, 'message')) as [number];
  return {
    port,
    clear: () => void child.send({ clear: true }),
    arrivals: async (periodMs) => {
      child.send({ periodMs });
      const [seen] = (await once(child, 'message')) as [Arrivals];
      return seen;
    },
    close: () => child.disconnect(),
  };
}

const page = 'x'.repeat(100);
const answerOf = (status: string): string =>
  `HTTP/1.1 ${status}\r\nContent-Type: text/plain\r\nContent-Length: ${page.length}\r\nConnection: close\r\n\r\n${page}`;
const well = answerOf('200 OK');
const ill = answerOf('500 Internal Server Error');
/** Checks of numbers from here on see every other answer fail. */
export const flappingFrom = 1_000_000;

async function serve(): Promise<void> {
  let cameMs = new Map<number, number[]>();
  let sinceMs = performance.now();
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('data', (request) => {
      const nowMs = performance.now();
      const number = Number.parseInt(request.toString('latin1', 5, 15), 10);
      const times = cameMs.get(number);
      if (times === undefined) cameMs.set(number, [nowMs]);
      else times.push(nowMs);
      const isIll = number >= flappingFrom && (cameMs.get(number)?.length ?? 0) % 2 === 0;
      socket.end(isIll ? ill : well);
    });
  });
  server.listen(0, '127.0.0.1', 4096);
  await once(server, 'listening');
  process.on('message', (asked: { clear?: true; periodMs?: number }) => {
    if (asked.periodMs !== undefined) process.send?.(seen(cameMs, asked.periodMs, sinceMs));
    else {
      cameMs = new Map();
      sinceMs = performance.now();
    }
  });
  process.on('disconnect', () => process.exit(0));
  process.send?.((server.address() as AddressInfo).port);
}

function seen(
  cameMs: ReadonlyMap<number, readonly number[]>,
  periodMs: number,
  sinceMs: number,
): Arrivals {
  const jitterMs: number[] = [];
  const firstMs: number[] = [];
  let total = 0;
  for (const times of cameMs.values()) {
    total += times.length;
    firstMs.push((times[0] ?? 0) - sinceMs);
    for (let at = 1; at < times.length; at++) {
      jitterMs.push(Math.abs((times[at] ?? 0) - (times[at - 1] ?? 0) - periodMs));
    }
  }
  const ascending = (a: number, b: number) => a - b;
  return {
    total,
    checks: cameMs.size,
    jitterMs: jitterMs.sort(ascending),
    firstMs: firstMs.sort(ascending),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await serve();
