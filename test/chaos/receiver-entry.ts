// The receiver of a run, a process of its own that no fault touches: takes webhooks and records when which came, by the
// machine's monotonic clock. Tells over IPC when asked.
import { createServer } from 'node:http';

interface Payload {
  readonly details: { readonly state: string; readonly previous_state: string };
  readonly check: { readonly label: string };
  readonly alarm: { readonly id: string };
  readonly unfenced?: boolean;
}

const monoMs = (): number => Number(process.hrtime.bigint()) / 1e6;
const receipts: object[] = [];

const server = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    const payload = JSON.parse(Buffer.concat(parts).toString('utf8')) as Payload;
    receipts.push({
      atMs: monoMs(),
      id: String(request.headers['webhook-id'] ?? ''),
      check: Number(payload.check.label.split(' ')[1]),
      alarm: payload.alarm.id,
      state: payload.details.state,
      previous: payload.details.previous_state,
      unfenced: payload.unfenced === true,
    });
    response.writeHead(204).end();
  });
});

process.on('message', () => process.send?.(receipts));
process.on('disconnect', () => process.exit(0));
server.listen(0, '127.0.0.1', 511, () => {
  const address = server.address();
  process.send?.(typeof address === 'object' && address !== null ? address.port : 0);
});
