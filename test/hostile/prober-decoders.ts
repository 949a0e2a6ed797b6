// What the prober reads: from targets and name servers, from its node, from its environment; and what the node reads of it.
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import tls, { type PeerCertificate, type TLSSocket } from 'node:tls';
import { parseAddress, parseRange } from '../../prober/egress/address.ts';
import { parseHosts } from '../../prober/egress/host-file.ts';
import { normalizeHost } from '../../prober/egress/resolve.ts';
import { isProbeAnswer, readProberFrame } from '../../prober/frame.ts';
import { isProbeRequest } from '../../prober/link.ts';
import { certificateMetrics, signatureAlgorithm } from '../../prober/probe/certificate.ts';
import { decodeAnswer, encodeQuery, queryName } from '../../prober/probe/dns-packet.ts';
import { digestAuthorization, digestChallenge } from '../../prober/probe/http-auth.ts';
import { planHttp } from '../../prober/probe/http-plan.ts';
import { compilePattern } from '../../prober/probe/pattern.ts';
import { parsePingOutput } from '../../prober/probe/ping-program.ts';
import { parseAnchors } from '../../prober/self-test.ts';
import { ProberSettingsError, readSettings, writeSettings } from '../../prober/settings.ts';
import { cleanText, statusText, unescapeSendText } from '../../prober/text.ts';
import { bytes, type Decoder, isProbe, must, never, text, value } from './decoder.ts';

const challenges = [
  'Digest realm="x", nonce="abc", qop="auth,auth-int", algorithm=SHA-256, opaque="o"',
  'Basic realm="a \\"b\\"", Digest nonce="n"',
  'Negotiate, Bearer a=b, Digest realm=x,nonce=y,algorithm=MD5-sess',
];

function readChallenge(input: string): void {
  const found = digestChallenge(input);
  if (found === null) return;
  const answer = digestAuthorization(
    found,
    { user: 'u', password: 'p' },
    { method: 'GET', path: '/', clientNonce: '00' },
  );
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there
  must(!/[\u0000-\u001f\u007f]/.test(answer), 'a header value');
}

const query = encodeQuery(7, 'zoo.test', 16);
const dnsRecord = (type: number, data: Buffer): Buffer => {
  const fixed = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, data.length]);
  return Buffer.concat([fixed, data]);
};
const dnsAnswers = [
  dnsRecord(1, Buffer.from([1, 2, 3, 4])),
  dnsRecord(28, Buffer.alloc(16, 1)),
  dnsRecord(16, Buffer.from('\x05hello\x05world')),
  dnsRecord(15, Buffer.from([0, 10, 4, 109, 97, 105, 108, 0xc0, 12])),
  dnsRecord(5, Buffer.from([0xc0, 12])),
  dnsRecord(6, Buffer.concat([Buffer.from([0xc0, 12, 1, 97, 0xc0, 12]), Buffer.alloc(20)])),
].map((record) => {
  const packet = Buffer.concat([query, record, record]);
  packet.writeUInt16BE(0x8180, 2);
  packet.writeUInt16BE(2, 6);
  return packet;
});

function readDns(input: Buffer): void {
  const { records, question } = decodeAnswer(input);
  must(records.length <= 100 && (question?.name.length ?? 0) <= 255, 'bounds of an answer');
  for (const record of records) must(record.value.length <= 65_535, 'bounds of a record');
}

const certificates = tls.rootCertificates.slice(0, 12).map((pem) => new X509Certificate(pem).raw);

function readCertificate(der: Buffer): void {
  signatureAlgorithm(der);
  let legacy: PeerCertificate;
  try {
    legacy = new X509Certificate(der).toLegacyObject() as unknown as PeerCertificate;
  } catch {
    // OpenSSL refuses it: in a handshake it would not get here.
    return;
  }
  const socket = {
    getProtocol: () => 'TLSv1.3',
    authorized: false,
    authorizationError: new Error('x'),
    getPeerCertificate: () => legacy,
  } as unknown as TLSSocket;
  for (const [, type, found] of certificateMetrics(socket)) {
    const isFine = type === 's' ? String(found).length <= 1024 : Number.isFinite(found);
    must(isFine, 'a metric');
  }
}

const answer = {
  id: 'a1',
  startedAtMs: 1,
  durationMs: 2,
  outcome: 'observed',
  available: true,
  status: 'code=200',
  errorClass: null,
  metrics: [['code', 's', '200', 'unknown']],
  address: '127.0.0.1',
  debugInfo: { body: 'x' },
};
const frames: readonly unknown[] = [
  [
    answer,
    {
      id: 'b',
      startedAtMs: 1,
      durationMs: 1,
      outcome: 'failed',
      failure: 'internal',
      message: 'x',
    },
  ],
  { hello: { pingMode: 'none', checkTypes: ['remote.http'] } },
  { log: { event: 'probe-error', fields: { id: 'x', detail: 'y' } } },
];

function readFrame(input: unknown): void {
  const frame = readProberFrame(input);
  if (Array.isArray(frame)) must(frame.every(isProbeAnswer), 'answers');
  else if (frame !== null && 'log' in frame)
    must(JSON.stringify(frame).length < 1_000_000, 'a line');
}

const request = {
  id: 'r',
  zone: 'mz',
  type: 'remote.http',
  details: {
    url: 'https://u:p%20@example.test/a?b#c',
    method: 'GET',
    headers: { 'X-A': 'b' },
    body: 'x+',
    body_matches: { a: '(?P<n>x)' },
    auth_user: 'u',
    auth_password: 'p',
    payload: 'y',
    follow_redirects: true,
  },
  target: 'example.test',
  timeoutMs: 1000,
};

function readRequest(input: unknown): void {
  if (!isProbeRequest(input)) return;
  const plan = planHttp(input.details);
  must(/^https?:$/.test(plan.url.protocol), 'a scheme');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there
  for (const pair of plan.headers) must(!/[\u0000-\u001f]/.test(pair.join('')), 'clean headers');
}

const hosts = [
  '127.0.0.1',
  '[::ffff:1.2.3.4]',
  '2130706433',
  '0x7f.1',
  'example.test.',
  'xn--bcher-kva.example',
  'ｅｘａｍｐｌｅ.test',
  'fe80::1%eth0',
];

function readHost(input: string): void {
  const host = normalizeHost(input);
  must(normalizeHost(host) === host, 'a normal form is its own');
  must(host.length <= 253 && /^[0-9a-zA-Z_.:-]+$/.test(host), 'a host');
  const literal = parseAddress(host);
  must(literal !== null || isIP(host) === 0 || host.includes('%'), 'a literal is read as one');
  if (literal !== null) must(isIP(literal.text) !== 0, 'canonical text');
}

function readHosts(input: string): void {
  for (const addresses of parseHosts(input).values()) {
    must(
      addresses.every((address) => isIP(address) !== 0),
      'addresses',
    );
  }
}

const settings = writeSettings({
  zone: 'mz',
  egress: 'public',
  deny: ['10.0.0.0/8'],
  allow: [],
  anchors: ['1.1.1.1:53'],
  self: { host: '::1', port: 7420 },
  attemptsMax: 10,
  queueLengthMax: 10,
  userAgent: 'x',
});

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there
const dirty = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/;

function readText(input: string): void {
  must(!dirty.test(cleanText(input, 80)) && cleanText(input, 80).length <= 80, 'clean text');
  must(!/[\n\t]/.test(statusText(input)) && statusText(input).length <= 256, 'a status line');
  unescapeSendText(input, 'x');
}

const asTexts = (input: unknown): Record<string, string> =>
  Object.fromEntries(
    Object.entries(Object(input)).map(([name, one]) => [name, JSON.stringify(one) ?? '']),
  );

/** Decoders of the prober. */
export const proberDecoders: readonly Decoder[] = [
  bytes('DNS answer', dnsAnswers, readDns, isProbe),
  text(
    'DNS question',
    { corpus: hosts },
    (input) => encodeQuery(1, queryName(input, 'PTR'), 1),
    isProbe,
  ),
  bytes('certificate', certificates, readCertificate, never),
  value('frame of a prober', frames, readFrame),
  value('probe request', [request], readRequest, isProbe),
  text('host', { corpus: hosts, words: ['.', '0x', '::', '%25'] }, readHost, isProbe),
  text('hosts file', { corpus: ['127.0.0.1 localhost # x\n::1 a b\n', '1.2.3.4\tA'] }, readHosts),
  text(
    'digest challenge',
    { corpus: challenges, words: ['Digest ', 'nonce=', '"', '\\'] },
    readChallenge,
    isProbe,
  ),
  text(
    'pattern',
    { corpus: ['^a(b|c)*$', '(?P<n>x{2,5})'], words: ['(', ')', '{1000}', '|', '[^'] },
    (input) => compilePattern(input, 'x'),
    isProbe,
  ),
  text('text of targets', { corpus: ['220 mail\\r\\n\\x41'] }, readText, isProbe),
  text(
    'output of ping',
    { corpus: ['64 bytes from 1.2.3.4: icmp_seq=1 ttl=64 time=0.05 ms\n'] },
    parsePingOutput,
  ),
  text(
    'range',
    { corpus: ['10.0.0.0/8', 'fd00::/8'] },
    parseRange,
    (error) => error instanceof RangeError,
  ),
  text(
    'anchors',
    { corpus: ['1.1.1.1:53', '[::1]:80'] },
    (input) => parseAnchors([input]),
    (error) => error instanceof RangeError,
  ),
  value(
    'settings of a prober',
    [settings],
    (input) => readSettings(asTexts(input)),
    (error) => error instanceof ProberSettingsError,
  ),
];
