// remote.tcp: connect, TLS where asked, then banner (one line) where it is to be matched, text to send, and the
// first 1024 bytes of the answer. A pattern that does not match is an empty metric, not an unavailable target.
import type { TLSSocket } from 'node:tls';
import type { WireMetric } from '../../actors/check/types.ts';
import { monotonicMs } from '../clock.ts';
import { flag, optionalText, portNumber } from '../details.ts';
import { ProbeError } from '../errors.ts';
import { matchCharsMax, tcpBodyIdleMs, tcpReadBytesMax } from '../limits.ts';
import { cleanText, unescapeSendText } from '../text.ts';
import { certificateMetrics } from './certificate.ts';
import { compilePattern, type MatchSubject, type Pattern } from './pattern.ts';
import { milliseconds, type ProbeContext, type ProbeSeen, text } from './probe.ts';
import { type ReadEnd, readTcp, type TcpReader } from './tcp-reader.ts';

interface TcpPlan {
  readonly port: number;
  readonly isTls: boolean;
  readonly banner: Pattern | null;
  readonly body: Pattern | null;
  readonly sendText: Buffer | null;
}

/** A body that drips is matched this often while it comes, and once more at its end. */
const matchesWhileReading = 8;
const ownMetrics = new Set([
  'duration',
  'tt_connect',
  'tt_firstbyte',
  'tt_body',
  'banner',
  'banner_match',
  'body_match',
]);

function planTcp(details: Readonly<Record<string, unknown>>): TcpPlan {
  const banner = optionalText(details, 'banner_match', 255);
  const body = optionalText(details, 'body_match', 255);
  const send = optionalText(details, 'send_body', 1024);
  return {
    port: portNumber(details, 'port'),
    isTls: flag(details, 'ssl', false),
    banner: banner === null ? null : compilePattern(banner, 'banner_match'),
    body: body === null ? null : compilePattern(body, 'body_match'),
    sendText: send === null ? null : unescapeSendText(send, 'send_body'),
  };
}

/** Runs the check once. A banner or body that never starts or ends throws `timeout` or `empty-response`. */
export async function probeTcp(context: ProbeContext): Promise<ProbeSeen> {
  const plan = planTcp(context.request.details);
  const connection = await context.connect({
    host: context.request.target,
    port: plan.port,
    ...(plan.isTls ? { tls: { rejectUnauthorized: false } } : {}),
  });
  const { socket, timings } = connection;
  const connectedMs = monotonicMs() - timings.tlsMs - context.startedMs;
  const reader = readTcp(socket, tcpReadBytesMax, context.signal);
  const metrics: WireMetric[] = [];
  const isGreeted = await bannerMetrics(context, plan, reader, metrics);
  if (plan.sendText !== null && isGreeted) socket.write(plan.sendText);
  if (plan.body !== null) {
    if (isGreeted) await bodyMetrics(context, plan.body, reader, metrics);
    else metrics.push(text('body_match', ''));
  }
  if (plan.isTls) metrics.push(...certificateMetrics(socket as TLSSocket));
  // What was sent reaches the wire before the connection goes.
  await new Promise<void>((resolve) => {
    if (plan.sendText === null || plan.body !== null || !isGreeted) resolve();
    else socket.end(resolve);
  });
  const durationMs = monotonicMs() - context.startedMs;
  return {
    status: 'success',
    metrics: [
      milliseconds('duration', durationMs),
      milliseconds('tt_connect', connectedMs),
      ...metrics,
    ],
    address: connection.address,
    port: plan.port,
  };
}

/** Reads and reports the banner where it is to be matched; returns whether the rest of the check goes on. */
async function bannerMetrics(
  context: ProbeContext,
  plan: TcpPlan,
  reader: TcpReader,
  metrics: WireMetric[],
): Promise<boolean> {
  if (plan.banner === null) return true;
  const line = await readLine(reader);
  const found = await context.match(plan.banner, line);
  metrics.push(
    milliseconds('tt_firstbyte', (reader.firstByteMs() ?? context.startedMs) - context.startedMs),
    text('banner', cleanText(line, matchCharsMax)),
    text('banner_match', cleanText(found?.text ?? '', matchCharsMax)),
  );
  return found !== null;
}

/** Returns the first line without its end; a line longer than the bound, or one cut by silence, as far as it came. */
async function readLine(reader: TcpReader): Promise<string> {
  const hasLine = () => reader.bytes().includes(0x0a);
  let ended: ReadEnd | null = null;
  while (ended === null && !hasLine()) ended = await nextPiece(reader);
  const bytes = reader.bytes();
  if (bytes.length === 0 || ended === 'aborted') throw silence(ended);
  const newline = bytes.indexOf(0x0a);
  const end = newline < 0 ? bytes.length : newline;
  reader.take(Math.min(bytes.length, end + 1));
  return bytes.toString('utf8', 0, end).replace(/\r$/, '');
}

/** Waits for more bytes: without limit for the first, then until a silence. Returns why it is over, or null. */
async function nextPiece(reader: TcpReader): Promise<ReadEnd | null> {
  const { length } = reader.bytes();
  if (length >= tcpReadBytesMax) return 'idle';
  return reader.more(length === 0 ? null : tcpBodyIdleMs);
}

const silence = (ended: ReadEnd | null): ProbeError =>
  new ProbeError(ended === 'closed' ? 'empty-response' : 'timeout', { network: false });

async function findInBody(
  context: ProbeContext,
  pattern: Pattern,
  reader: TcpReader,
): Promise<MatchSubject | null> {
  const match = () => context.match(pattern, reader.bytes().toString('utf8'));
  for (let pieces = 0; ; pieces += 1) {
    const ended = await nextPiece(reader);
    if (ended !== null) {
      if (reader.bytes().length === 0) throw silence(ended);
      const last = await match();
      // What still drips at the deadline is no complete answer.
      if (last === null && ended === 'aborted') throw silence(ended);
      return last;
    }
    const found = pieces < matchesWhileReading ? await match() : null;
    if (found !== null) return found;
  }
}

async function bodyMetrics(
  context: ProbeContext,
  pattern: Pattern,
  reader: TcpReader,
  metrics: WireMetric[],
): Promise<void> {
  const found = await findInBody(context, pattern, reader);
  metrics.push(milliseconds('tt_body', monotonicMs() - context.startedMs));
  metrics.push(text('body_match', cleanText(found?.text ?? '', matchCharsMax)));
  for (const [name, value] of found?.groups ?? []) {
    if (!ownMetrics.has(name) && !name.startsWith('cert_')) {
      metrics.push(text(name, cleanText(value, matchCharsMax)));
    }
  }
}
