// remote.dns: one question to the name server that is the check's target, over UDP (sent up to three times), over
// TCP where the answer is truncated. All types through our own packets: c-ares lacks the mailbox types and TTLs.

import dgram from 'node:dgram';
import { isIP } from 'node:net';
import type { Cancellation } from '../cancellation.ts';
import { monotonicMs, unpredictableBytes } from '../clock.ts';
import { portNumber, requiredText } from '../details.ts';
import { ProbeError, toProbeError } from '../errors.ts';
import { dnsMessageBytesMax, dnsTextCharsMax } from '../limits.ts';
import { cleanText } from '../text.ts';
import {
  type DnsAnswer,
  decodeAnswer,
  encodeQuery,
  queryName,
  type RecordType,
  recordTypes,
} from './dns-packet.ts';
import { type ProbeContext, type ProbeSeen, text, unsigned } from './probe.ts';
import { readTcp } from './tcp-reader.ts';
import { literalOnly } from './udp.ts';

interface Question {
  readonly id: number;
  readonly name: string;
  readonly type: number;
  readonly packet: Buffer;
}

const codeNames = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'];
const sendsMax = 3;
const resendAfterMs = 1500;

const isRecordType = (type: string): type is RecordType => Object.hasOwn(recordTypes, type);

/** Asks once. An error code of the server throws `dns-answer`, an answer without such records `dns-no-answer`. */
export async function probeDns(context: ProbeContext): Promise<ProbeSeen> {
  const { details, target } = context.request;
  const typeName = requiredText(details, 'record_type', 5);
  if (!isRecordType(typeName)) {
    throw new ProbeError('invalid-request', { message: 'record_type: not supported' });
  }
  const port = portNumber(details, 'port', 53);
  const question = makeQuestion(requiredText(details, 'query', 255), typeName);
  const server = await context.resolve({ host: target, port });
  const address = server.addresses[0] ?? '';
  const sentMs = monotonicMs();
  let answer = await askByUdp(address, port, question, context.signal);
  if (answer.isTruncated) answer = await askByTcp(context, port, question);
  const rttMs = monotonicMs() - sentMs;
  if (answer.code !== 0) {
    const message = codeNames[answer.code] ?? `RCODE${answer.code}`;
    throw new ProbeError('dns-answer', { message });
  }
  const records = answer.records.filter((record) => record.type === question.type);
  if (records.length === 0) throw new ProbeError('dns-no-answer');
  const values = records.map((record) => record.value).join(' ');
  return {
    status: `rtt=${(rttMs / 1000).toFixed(4)}s,answers=${records.length}`,
    metrics: [
      text('answer', cleanText(values, dnsTextCharsMax)),
      ['rtt', 'n', Math.round(rttMs * 1000) / 1000, 'milliseconds'],
      unsigned('ttl', Math.min(...records.map((record) => record.ttl)), 'seconds'),
    ],
    address,
    port,
  };
}

function makeQuestion(query: string, typeName: RecordType): Question {
  const name = queryName(query, typeName);
  const id = unpredictableBytes(2).readUInt16BE(0);
  const type = recordTypes[typeName];
  return { id, name, type, packet: encodeQuery(id, name, type) };
}

/** Answers to other questions are passed over: they may be forged or late. */
function isAnswerTo(answer: DnsAnswer, asked: Question): boolean {
  if (answer.id !== asked.id) return false;
  if (answer.question === null) return answer.code !== 0;
  return answer.question.name === asked.name && answer.question.type === asked.type;
}

function askByUdp(
  address: string,
  port: number,
  question: Question,
  signal: Cancellation,
): Promise<DnsAnswer> {
  return new Promise((resolve, reject) => {
    const socket = dgram.createSocket({
      type: isIP(address) === 6 ? 'udp6' : 'udp4',
      lookup: literalOnly,
    });
    let sends = 0;
    let timer: NodeJS.Timeout | undefined;
    const end = (act: () => void) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.removeAllListeners();
      socket.on('error', () => undefined);
      socket.close();
      act();
    };
    const fail = (error: unknown) => end(() => reject(toProbeError(error, 'network-unreachable')));
    const onAbort = () => fail(new ProbeError('timeout'));
    const send = () => {
      sends += 1;
      socket.send(question.packet);
      if (sends < sendsMax) timer = setTimeout(send, resendAfterMs);
    };
    socket.on('error', fail);
    socket.on('message', (packet) => {
      try {
        const answer = decodeAnswer(packet);
        if (isAnswerTo(answer, question)) end(() => resolve(answer));
      } catch (error) {
        fail(error);
      }
    });
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort);
    // A connected socket takes datagrams of this server only, and hears that its port is closed.
    socket.connect(port, address, send);
  });
}

async function askByTcp(
  context: ProbeContext,
  port: number,
  question: Question,
): Promise<DnsAnswer> {
  const { socket } = await context.connect({ host: context.request.target, port });
  const reader = readTcp(socket, dnsMessageBytesMax + 2, context.signal);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(question.packet.length);
  socket.write(Buffer.concat([length, question.packet]));
  for (;;) {
    const bytes = reader.bytes();
    const wanted = bytes.length < 2 ? Number.POSITIVE_INFINITY : bytes.readUInt16BE(0) + 2;
    if (bytes.length >= wanted) {
      const answer = decodeAnswer(bytes.subarray(2, wanted));
      if (isAnswerTo(answer, question)) return answer;
      throw new ProbeError('malformed-response');
    }
    const ended = await reader.more(null);
    if (ended === 'aborted') throw new ProbeError('timeout');
    if (ended !== null) throw new ProbeError('incomplete-response');
  }
}
