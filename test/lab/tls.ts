// Certificates of a lab: an authority, a server's certificate for 127.0.0.1 that routes may use too, a client's. Made by
// openssl for each run, so that no key lies in the repository.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface LabAuthority {
  /** Where `server.pem`, `server.key` and `ca.pem` lie. */
  readonly folder: string;
  /** PEM of the authority: what a client trusts. */
  readonly ca: string;
  readonly clientCert: string;
  readonly clientKey: string;
  /** `cert_file`, `key_file` and `ca_file` for a server's configuration. */
  readonly serverLines: string;
}

/** Makes an authority and its certificates in `folder`. */
export function makeAuthority(folder: string): LabAuthority {
  mkdirSync(folder, { recursive: true });
  const path = (name: string): string => join(folder, name);
  const openssl = (...args: readonly string[]): void => {
    execFileSync('openssl', args, { stdio: 'ignore' });
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(
    ...['req', '-x509', ...key, '-days', '2', '-subj', '/CN=Tocsin lab authority'],
    ...['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign'],
    ...['-keyout', path('ca.key'), '-out', path('ca.pem')],
  );
  const leaf = (name: string, extensions: readonly string[]): void => {
    writeFileSync(path(`${name}.ext`), `${extensions.join('\n')}\n`);
    openssl(
      ...['req', '-new', ...key, '-subj', `/CN=${name}`],
      ...['-keyout', path(`${name}.key`), '-out', path(`${name}.csr`)],
    );
    openssl(
      ...['x509', '-req', '-in', path(`${name}.csr`), '-CA', path('ca.pem'), '-days', '2'],
      ...['-CAkey', path('ca.key'), '-CAcreateserial', '-extfile', path(`${name}.ext`)],
      ...['-out', path(`${name}.pem`)],
    );
  };
  leaf('server', [
    'subjectAltName=DNS:localhost,IP:127.0.0.1',
    'extendedKeyUsage=serverAuth,clientAuth',
  ]);
  leaf('client', ['extendedKeyUsage=clientAuth']);
  const files = [
    `cert_file: "${path('server.pem')}"`,
    `key_file: "${path('server.key')}"`,
    `ca_file: "${path('ca.pem')}"`,
  ];
  return {
    folder,
    ca: readFileSync(path('ca.pem'), 'utf8'),
    clientCert: readFileSync(path('client.pem'), 'utf8'),
    clientKey: readFileSync(path('client.key'), 'utf8'),
    serverLines: files.join(', '),
  };
}
