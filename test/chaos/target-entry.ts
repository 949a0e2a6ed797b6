// The counting target of a run, a process of its own that no fault touches: answers `GET /NUMBER` and records when it came,
// by the machine's monotonic clock. A check in an outage is answered with 500. Told what to do over IPC.
import { createServer } from 'node:net';

export type TargetOrder =
  | { readonly kind: 'down' | 'up'; readonly checks: readonly number[] }
  | { readonly kind: 'tell' };

export interface TargetReport {
  readonly arrivals: ReadonlyMap<number, readonly number[]>;
  readonly outages: readonly { check: number; fromMs: number; toMs: number | null }[];
}

const monoMs = (): number => Number(process.hrtime.bigint()) / 1e6;
const answerOf = (status: string, text: string): string =>
  `HTTP/1.1 ${status}\r\nContent-Type: text/plain\r\nContent-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`;
const well = answerOf('200 OK', 'well');
const ill = answerOf('500 Internal Server Error', 'down');

const arrivals = new Map<number, number[]>();
const outages: { check: number; fromMs: number; toMs: number | null }[] = [];
const down = new Map<number, (typeof outages)[number]>();

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => socket.destroy());
  socket.once('data', (request) => {
    const check = Number.parseInt(request.toString('latin1', 5, 15), 10);
    const times = arrivals.get(check);
    if (times === undefined) arrivals.set(check, [monoMs()]);
    else times.push(monoMs());
    socket.end(down.has(check) ? ill : well);
  });
});

function obey(order: TargetOrder): void {
  if (order.kind === 'tell') {
    process.send?.({ arrivals, outages } satisfies TargetReport);
    return;
  }
  for (const check of order.checks) {
    const open = down.get(check);
    if (order.kind === 'down' && open === undefined) {
      const outage = { check, fromMs: monoMs(), toMs: null };
      outages.push(outage);
      down.set(check, outage);
    } else if (order.kind === 'up' && open !== undefined) {
      open.toMs = monoMs();
      down.delete(check);
    }
  }
}

process.on('message', obey);
process.on('disconnect', () => process.exit(0));
server.listen(0, '127.0.0.1', 4096, () => {
  const address = server.address();
  process.send?.(typeof address === 'object' && address !== null ? address.port : 0);
});
