// What a TLS session says about its certificate, as metrics. Certificates are not verified for availability
// (api.md §10.1): what is wrong stands in `cert_error`. Subjects and names are hostile text.
import type { PeerCertificate, TLSSocket } from 'node:tls';
import type { WireMetric } from '../../actors/check/types.ts';
import { wallNowMs } from '../clock.ts';
import { certificateTextCharsMax } from '../limits.ts';
import { cleanText } from '../text.ts';
import { text, unsigned } from './probe.ts';

const algorithms: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.4': 'md5WithRSAEncryption',
  '1.2.840.113549.1.1.5': 'sha1WithRSAEncryption',
  '1.2.840.113549.1.1.10': 'rsassaPss',
  '1.2.840.113549.1.1.11': 'sha256WithRSAEncryption',
  '1.2.840.113549.1.1.12': 'sha384WithRSAEncryption',
  '1.2.840.113549.1.1.13': 'sha512WithRSAEncryption',
  '1.2.840.10045.4.1': 'ecdsa-with-SHA1',
  '1.2.840.10045.4.3.2': 'ecdsa-with-SHA256',
  '1.2.840.10045.4.3.3': 'ecdsa-with-SHA384',
  '1.2.840.10045.4.3.4': 'ecdsa-with-SHA512',
  '1.3.101.112': 'ED25519',
  '1.3.101.113': 'ED448',
};

/** Returns the metrics of a session; a session without a certificate has only its version and error. */
export function certificateMetrics(socket: TLSSocket): WireMetric[] {
  const version = text('ssl_session_version', socket.getProtocol() ?? 'unknown');
  const problem = socket.authorized ? '' : String(socket.authorizationError ?? 'unknown');
  const error = text('cert_error', cleanText(problem, certificateTextCharsMax));
  const certificate = socket.getPeerCertificate(false);
  if (certificate?.raw === undefined) return [version, error];
  const start = Date.parse(certificate.valid_from) / 1000;
  const end = Date.parse(certificate.valid_to) / 1000;
  return [
    ...(Number.isFinite(start) ? [unsigned('cert_start', start, 'seconds')] : []),
    ...(Number.isFinite(end) ? endMetrics(end) : []),
    text('cert_issuer', oneLine(certificate.issuer)),
    text('cert_subject', oneLine(certificate.subject)),
    text('cert_subject_alternative_names', names(certificate.subjectaltname)),
    error,
    ...(certificate.bits === undefined ? [] : [unsigned('cert_bits', certificate.bits, 'bits')]),
    text('cert_type', keyType(certificate)),
    text('cert_sig_algo', signatureAlgorithm(certificate.raw)),
    version,
  ];
}

function endMetrics(end: number): WireMetric[] {
  const left = Math.round(end - wallNowMs() / 1000);
  const within = Math.max(-0x8000_0000, Math.min(0x7fff_ffff, left));
  return [unsigned('cert_end', end, 'seconds'), ['cert_end_in', 'i', within, 'seconds']];
}

/** Returns a name as OpenSSL's one-line form: `/C=US/O=Example/CN=example.com`. */
function oneLine(name: PeerCertificate['subject'] | undefined): string {
  const parts = Object.entries(name ?? {}).flatMap(([key, value]) =>
    [value ?? []].flat().map((one) => `/${key}=${one}`),
  );
  return cleanText(parts.join(''), certificateTextCharsMax);
}

const names = (list: string | undefined): string =>
  cleanText(
    (list ?? '').replaceAll('DNS:', '').replaceAll('IP Address:', ''),
    certificateTextCharsMax,
  );

function keyType(certificate: PeerCertificate): string {
  if (certificate.modulus !== undefined) return 'rsa';
  return certificate.asn1Curve === undefined ? 'unknown' : 'ec';
}

/** Returns the name of the algorithm that signed a DER certificate, its dotted id, or `unknown`. */
export function signatureAlgorithm(der: Buffer): string {
  const certificate = element(der, 0);
  const signed = certificate && element(der, certificate.start);
  const algorithm = signed && element(der, signed.end);
  const id = algorithm && element(der, algorithm.start);
  if (!id || der[algorithm.start] !== 0x06 || id.end > der.length) return 'unknown';
  const dotted = objectId(der.subarray(id.start, id.end));
  return algorithms[dotted] ?? dotted;
}

/** Returns where the content of the DER element at `at` starts and ends, or null where it has no sane length. */
function element(der: Buffer, at: number): { start: number; end: number } | null {
  const first = der[at + 1];
  if (first === undefined) return null;
  if (first < 0x80) return { start: at + 2, end: at + 2 + first };
  const lengthBytes = first & 0x7f;
  if (lengthBytes === 0 || lengthBytes > 3 || at + 2 + lengthBytes > der.length) return null;
  const start = at + 2 + lengthBytes;
  return { start, end: start + der.readUIntBE(at + 2, lengthBytes) };
}

function objectId(bytes: Buffer): string {
  const parts: number[] = [];
  let value = 0;
  for (const byte of bytes.subarray(0, 32)) {
    value = value * 128 + (byte & 0x7f);
    if (byte >= 0x80) continue;
    if (parts.length === 0) {
      const root = Math.min(2, Math.floor(value / 40));
      parts.push(root, value - root * 40);
    } else parts.push(value);
    value = 0;
  }
  return parts.join('.');
}
