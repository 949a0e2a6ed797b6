// A zoo of certificates, made by the openssl program: one good, the others each wrong in one way. The name that is asked
// for is `zoo.test`. Must not know who verifies.
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The name that certificates should be for. */
export const zooName = 'zoo.test';

export interface Certificate {
  readonly key: string;
  /** Leaf, then what the server sends with it. */
  readonly cert: string;
}

export interface BadCertificate extends Certificate {
  readonly name: string;
  /** Names asked for; default `zoo.test`. */
  readonly host: string;
  /** `cert_error` of a probe that trusts the zoo's root, as Node names it; empty: only `cert_bits` tells. */
  readonly problem: string;
}

export interface Certificates {
  /** PEM of the root that a client trusts. */
  readonly root: string;
  readonly good: Certificate;
  readonly bad: readonly BadCertificate[];
}

interface LeafOptions {
  /** Name of the issuer's files; default `root`; null: self-signed. */
  readonly issuer?: string | null;
  readonly subject?: string;
  /** Lines of the extension section. */
  readonly extensions?: readonly string[];
  readonly days?: number;
  readonly digest?: string;
  /** Arguments of openssl for another kind of key. */
  readonly key?: readonly string[];
  /** `YYYYMMDDHHMMSSZ`. */
  readonly start?: string;
}

const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
const san = `subjectAltName=DNS:${zooName},IP:127.0.0.1`;
const leafUse = ['basicConstraints=critical,CA:FALSE', 'extendedKeyUsage=serverAuth'];
const authority = [
  'basicConstraints=critical,CA:TRUE',
  'keyUsage=critical,keyCertSign,cRLSign',
  'subjectKeyIdentifier=hash',
];
/** GeneralNames with one dNSName of these bytes. */
const rawName = (name: string): string => {
  const bytes = Buffer.from(name, 'latin1');
  const inner = Buffer.concat([Buffer.from([0x82, bytes.length]), bytes]);
  const der = Buffer.concat([Buffer.from([0x30, inner.length]), inner]);
  return `2.5.29.17=DER:${[...der].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;
};

class Maker {
  readonly #folder: string;
  #count = 0;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  /** Makes a certificate; returns the base of its files. */
  make(options: LeafOptions): string {
    const name = `c${this.#count++}`;
    const path = (kind: string): string => join(this.#folder, `${name}.${kind}`);
    this.openssl(
      'req',
      '-new',
      '-utf8',
      '-nodes',
      ...(options.key ?? curve),
      '-keyout',
      path('key'),
      '-subj',
      options.subject ?? `/O=Tocsin/CN=${zooName}`,
      '-out',
      path('csr'),
    );
    writeFileSync(path('ext'), `[x]\n${(options.extensions ?? [...leafUse, san]).join('\n')}\n`);
    if (options.start !== undefined) this.#future(name, options.start);
    else {
      const issuer = options.issuer === undefined ? 'root' : options.issuer;
      const signer =
        issuer === null
          ? ['-signkey', path('key')]
          : [
              '-CA',
              this.pathOf(issuer, 'pem'),
              '-CAkey',
              this.pathOf(issuer, 'key'),
              '-set_serial',
              String(1000 + this.#count),
            ];
      this.openssl(
        'x509',
        '-req',
        '-in',
        path('csr'),
        ...signer,
        '-days',
        String(options.days ?? 30),
        `-${options.digest ?? 'sha256'}`,
        '-extfile',
        path('ext'),
        '-extensions',
        'x',
        '-out',
        path('pem'),
      );
    }
    return name;
  }

  /** Only `openssl ca` can set the first day. */
  #future(name: string, start: string): void {
    const config = join(this.#folder, 'ca.cnf');
    const database = join(this.#folder, 'index.txt');
    writeFileSync(database, '');
    writeFileSync(
      config,
      `[ca]\ndefault_ca=d\n[d]\ndatabase=${database}\nnew_certs_dir=${this.#folder}\n` +
        'default_md=sha256\npolicy=p\nrand_serial=yes\n[p]\ncommonName=optional\norganizationName=optional\n',
    );
    this.openssl(
      'ca',
      '-batch',
      '-notext',
      '-config',
      config,
      '-cert',
      this.pathOf('root', 'pem'),
      '-keyfile',
      this.pathOf('root', 'key'),
      '-in',
      this.pathOf(name, 'csr'),
      '-startdate',
      start,
      '-enddate',
      '20990101000000Z',
      '-extfile',
      this.pathOf(name, 'ext'),
      '-extensions',
      'x',
      '-out',
      this.pathOf(name, 'pem'),
    );
  }

  /** Renames the last files: authorities are known by name. */
  authority(name: string, options: LeafOptions): void {
    const made = this.make({ subject: `/O=Tocsin/CN=${name}`, extensions: authority, ...options });
    for (const kind of ['key', 'pem']) {
      writeFileSync(this.pathOf(name, kind), readFileSync(this.pathOf(made, kind)));
    }
  }

  pathOf(name: string, kind: string): string {
    return join(this.#folder, `${name}.${kind}`);
  }

  read(name: string, kind: string): string {
    return readFileSync(this.pathOf(name, kind), 'utf8');
  }

  openssl(...args: string[]): void {
    try {
      execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    } catch (error) {
      const stderr = String((error as { stderr?: Buffer }).stderr ?? '');
      throw new Error(`openssl ${args.join(' ')}: ${stderr}`, { cause: error });
    }
  }
}

function authorities(maker: Maker): void {
  maker.authority('root', { issuer: null, days: 3650 });
  maker.authority('unknown', { issuer: null, days: 3650 });
  maker.authority('middle', { days: 300 });
  maker.authority('rsa', { key: ['-newkey', 'rsa:2048'] });
  maker.authority('expired-middle', { days: -1 });
  maker.authority('no-authority', { extensions: leafUse });
  maker.authority('no-sign', {
    extensions: ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,digitalSignature'],
  });
  maker.authority('only-other', {
    extensions: [...authority, 'nameConstraints=critical,permitted;DNS:other.test'],
  });
  maker.authority('never-zoo', {
    extensions: [...authority, `nameConstraints=critical,excluded;DNS:${zooName}`],
  });
  maker.authority('last', {
    extensions: ['basicConstraints=critical,CA:TRUE,pathlen:0', 'keyUsage=critical,keyCertSign'],
  });
  maker.authority('beyond-last', { issuer: 'last' });
}

/** Name, problem, how it is made, what is sent along, name asked for. */
type Row = readonly [
  name: string,
  problem: string,
  options: LeafOptions,
  chain?: readonly string[],
  host?: string,
];

const named = (...names: readonly string[]): LeafOptions => ({
  subject: '/O=Tocsin',
  extensions: [...leafUse, `subjectAltName=${names.join(',')}`],
});
const wrongName = 'ERR_TLS_CERT_ALTNAME_INVALID';

const rows: readonly Row[] = [
  ['expired', 'CERT_HAS_EXPIRED', { days: -1 }],
  ['not yet valid', 'CERT_NOT_YET_VALID', { start: '20900101000000Z' }],
  ['for another name', wrongName, named('DNS:other.test')],
  ['self-signed', 'DEPTH_ZERO_SELF_SIGNED_CERT', { issuer: null }],
  ['of an unknown root', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', { issuer: 'unknown' }],
  [
    'of an unknown root that is sent',
    'SELF_SIGNED_CERT_IN_CHAIN',
    { issuer: 'unknown' },
    ['unknown'],
  ],
  ['without its intermediate', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', { issuer: 'middle' }],
  [
    'of an expired intermediate',
    'CERT_HAS_EXPIRED',
    { issuer: 'expired-middle' },
    ['expired-middle'],
  ],
  ['signed with SHA-1', 'UNSPECIFIED', { digest: 'sha1' }],
  ['signed with MD5', 'UNSPECIFIED', { issuer: 'rsa', digest: 'md5' }, ['rsa']],
  ['of RSA 1024', '', { key: ['-newkey', 'rsa:1024'] }],
  ['for clients only', 'INVALID_PURPOSE', { extensions: [san, 'extendedKeyUsage=clientAuth'] }],
  ['for signing code', 'INVALID_PURPOSE', { extensions: [san, 'extendedKeyUsage=codeSigning'] }],
  ['outside the permitted names', 'UNSPECIFIED', { issuer: 'only-other' }, ['only-other']],
  ['of an excluded name', 'UNSPECIFIED', { issuer: 'never-zoo' }, ['never-zoo']],
  ['signed by a leaf', 'INVALID_PURPOSE', { issuer: 'no-authority' }, ['no-authority']],
  ['signed by a key that may not sign', 'UNSPECIFIED', { issuer: 'no-sign' }, ['no-sign']],
  [
    'of a path too long',
    'PATH_LENGTH_EXCEEDED',
    { issuer: 'beyond-last' },
    ['beyond-last', 'last'],
  ],
  [
    'with an unknown critical extension',
    'UNSPECIFIED',
    { extensions: [...leafUse, san, '1.2.3.4.5=critical,ASN1:UTF8String:x'] },
  ],
  ['without any SAN', wrongName, { extensions: leafUse }],
  ['with neither subject nor SAN', wrongName, { subject: '/', extensions: leafUse }],
  ['with an address only', wrongName, named('IP:127.0.0.1')],
  [
    'with mail and URI names only',
    wrongName,
    named(`email:a@${zooName}`, `URI:https://${zooName}/`),
  ],
  ['for a whole top domain', wrongName, named('DNS:*.test')],
  ['for everything', wrongName, named('DNS:*')],
  ['with a wildcard for two labels', wrongName, named(`DNS:*.${zooName}`), [], `a.b.${zooName}`],
  ['with a wildcard for its parent', wrongName, named(`DNS:*.${zooName}`)],
  ['with a wildcard within', wrongName, named(`DNS:a.*.${zooName}`), [], `a.b.${zooName}`],
  [
    'with four thousand names',
    wrongName,
    named(...Array.from({ length: 4000 }, (_, n) => `DNS:h${n}.test`)),
  ],
  [
    'with control characters in its subject',
    wrongName,
    { ...named('DNS:other.test'), subject: '/O=\u001b[2J\nCN=zoo.test\u0007/CN=a\tb<script>' },
  ],
  [
    'with NUL in its name',
    wrongName,
    { subject: '/O=Tocsin', extensions: [...leafUse, rawName(`${zooName}\0.evil.test`)] },
  ],
  [
    'with a list inside one name',
    wrongName,
    { subject: '/O=Tocsin', extensions: [...leafUse, rawName(`evil.test, DNS:${zooName}`)] },
  ],
  [
    'with quotes inside one name',
    wrongName,
    { subject: '/O=Tocsin', extensions: [...leafUse, rawName(`evil.test", DNS:${zooName}, "`)] },
  ],
];

/** Flips the last byte of the signature. */
function broken(pem: string): string {
  const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
  const last = der.length - 1;
  der[last] = (der[last] ?? 0) ^ 1;
  const lines = der.toString('base64').replace(/.{64}/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

/** Makes all certificates in a folder of the test's own; takes some seconds. */
export function makeCertificates(folder: string): Certificates {
  const maker = new Maker(folder);
  authorities(maker);
  const made = (options: LeafOptions, chain: readonly string[] = []): Certificate => {
    const name = maker.make(options);
    for (const sent of chain) appendFileSync(maker.pathOf(name, 'pem'), maker.read(sent, 'pem'));
    return { key: maker.read(name, 'key'), cert: maker.read(name, 'pem') };
  };
  const good = made({});
  const bad = rows.map(([name, problem, options, chain, host]) => ({
    name,
    problem,
    host: host ?? zooName,
    ...made(options, chain),
  }));
  const damaged = made({});
  bad.push({
    name: 'with a broken signature',
    problem: 'CERT_SIGNATURE_FAILURE',
    host: zooName,
    key: damaged.key,
    cert: broken(damaged.cert),
  });
  return { root: maker.read('root', 'pem'), good, bad };
}
