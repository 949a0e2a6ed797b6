// The error table of the prober: class, code, text for tenants, and what a failure says about the target.
// A class with `failure` made no observation (never "target down"); all others are facts about the target.
// Texts never hold an address that the tenant did not give (security.md §2.7); `detail` is for the operator.
import type { ProbeFailure } from '../actors/check/types.ts';

interface ErrorRow<Class extends string = string> {
  /** Stable name, as in `ProbeObserved.errorClass`. */
  readonly errorClass: Class;
  /** Status text of the check run. */
  readonly message: string;
  /** For people, in docs/errors.md. */
  readonly meaning: string;
  /** Worth another attempt with the same input. */
  readonly retryable: boolean;
  /** The prober's own network could be the cause: the self-test decides. */
  readonly network: boolean;
  /** No observation was made; null: the class is a fact about the target. */
  readonly failure: ProbeFailure | null;
}

interface RowOptions {
  readonly final?: true;
  readonly network?: true;
  readonly failure?: ProbeFailure;
}

const row = <Class extends string>(
  errorClass: Class,
  message: string,
  meaning: string,
  options: RowOptions = {},
): ErrorRow<Class> => ({
  errorClass,
  message,
  meaning,
  retryable: options.final !== true,
  network: options.network === true,
  failure: options.failure ?? null,
});
const network = { network: true } as const;
const final = { final: true } as const;

/** Every way in which an attempt can end without success. None reaches an API client as an error of the API. */
export const proberErrors = {
  PR_DNS_FAILURE: row(
    'dns-failure',
    'could not resolve host',
    'The name of the target has no address, or no name server said so.',
    network,
  ),
  PR_DNS_TIMEOUT: row(
    'dns-timeout',
    'timeout while resolving host',
    'No name server answered in time for the name of the target.',
    network,
  ),
  PR_DNS_ANSWER: row(
    'dns-answer',
    'name server answered with an error',
    'The name server that a remote.dns check asks answered with an error code.',
  ),
  PR_DNS_NO_ANSWER: row(
    'dns-no-answer',
    'no record of this type',
    'The name server answered without a record of the wanted type.',
  ),
  PR_CONNECTION_REFUSED: row(
    'connection-refused',
    'connection refused',
    'Nothing listens on the port of the target.',
  ),
  PR_CONNECTION_RESET: row(
    'connection-reset',
    'connection reset by peer',
    'The target cut the connection.',
  ),
  PR_CONNECT_TIMEOUT: row(
    'connect-timeout',
    'connect timeout',
    'No connection came about in time.',
    network,
  ),
  PR_HOST_UNREACHABLE: row(
    'host-unreachable',
    'no route to host',
    "A router or the target's network says that the host cannot be reached.",
    network,
  ),
  PR_NETWORK_UNREACHABLE: row(
    'network-unreachable',
    'network is unreachable',
    "There is no route to the target's network.",
    network,
  ),
  PR_NO_REPLY: row('no-reply', 'no reply', 'No echo reply came.', network),
  PR_TLS_HANDSHAKE: row(
    'tls-handshake',
    'tls handshake failed',
    'The TLS handshake with the target failed.',
  ),
  PR_TLS_TIMEOUT: row(
    'tls-timeout',
    'timeout during tls handshake',
    'The TLS handshake with the target did not end in time.',
    network,
  ),
  PR_TIMEOUT: row(
    'timeout',
    'timeout',
    "The target did not complete its answer before the check's timeout.",
    network,
  ),
  PR_EMPTY_RESPONSE: row(
    'empty-response',
    'empty response',
    'The target closed the connection without a byte of an answer.',
  ),
  PR_INCOMPLETE_RESPONSE: row(
    'incomplete-response',
    'connection closed before the end of the response',
    'The target closed the connection in the middle of its answer.',
  ),
  PR_MALFORMED_RESPONSE: row(
    'malformed-response',
    'malformed response',
    'The answer of the target breaks its protocol.',
  ),
  PR_HEADER_OVERFLOW: row(
    'header-overflow',
    'response headers too large',
    'The headers of the answer are larger than 16 KiB, or interim answers never end.',
  ),
  PR_BODY_LIMIT: row(
    'body-limit',
    'response body too large',
    'The decompressed body is larger than 4 MiB.',
  ),
  PR_DECOMPRESSION_BOMB: row(
    'decompression-bomb',
    'zlib: out-of-memory',
    'The body grows more than twentyfold when it is decompressed.',
  ),
  PR_MALFORMED_ENCODING: row(
    'malformed-encoding',
    'malformed compressed content',
    'The compressed body of the answer cannot be read.',
  ),
  PR_UNKNOWN_ENCODING: row(
    'unknown-encoding',
    'unknown content encoding',
    'The body has an encoding that nobody asked for, or more than one.',
  ),
  PR_REDIRECT_LOOP: row(
    'redirect-loop',
    'too many redirects',
    'The target redirects more than five times.',
  ),
  PR_REDIRECT_REFUSED: row(
    'redirect-refused',
    'redirect refused',
    'The target redirects to another scheme, from https to http, or to no URL.',
  ),
  PR_AUTH_UNSUPPORTED: row(
    'auth-unsupported',
    'no supported authentication scheme',
    "The target's authentication challenge cannot be answered.",
    final,
  ),
  PR_TARGET_NOT_ALLOWED: row(
    'target-not-allowed',
    "prevented by ACL 'global'",
    'The egress rules refuse the address or port of the target.',
    final,
  ),
  PR_INVALID_TARGET: row(
    'invalid-target',
    'invalid target',
    'The target is neither a host name nor an address.',
    final,
  ),
  PR_INVALID_REQUEST: row(
    'invalid-request',
    'invalid check details',
    'A detail of the check cannot be sent or used.',
    final,
  ),
  PR_OVERLOADED: row(
    'overloaded',
    'prober overloaded',
    'The prober, or its share for one destination, is busy.',
    { failure: 'overloaded' },
  ),
  PR_UNSUPPORTED: row(
    'unsupported',
    'not supported by this prober',
    'The prober cannot run this check type here, for example it has no way to ping.',
    { final: true, failure: 'unsupported' },
  ),
  PR_LOCAL_NETWORK: row(
    'local-network',
    "the prober's own network failed its self-test",
    'The target did not answer, and neither did any reference peer.',
    { failure: 'local-network' },
  ),
  PR_LOCAL_ADDRESS: row(
    'local-address',
    'no local address or port to connect from',
    'The machine of the prober has no address or port left to connect from.',
    { failure: 'local-network' },
  ),
  PR_MATCH_LIMIT: row(
    'match-limit',
    'regular expression took too long on this content',
    'A regular expression of the check took too long on the answer.',
    { failure: 'internal' },
  ),
  PR_NO_PROBER: row(
    'no-prober',
    'no prober answered',
    'The zone has no prober, or it died or was silent until the deadline.',
    { failure: 'no-prober' },
  ),
  PR_INTERNAL: row(
    'internal',
    'internal error of the prober',
    'The prober failed in an unexpected way; its log says how.',
    { failure: 'internal' },
  ),
} as const;

/** Stable name of a failure, as in `ProbeObserved.errorClass`. */
export type ProbeErrorClass = (typeof proberErrors)[keyof typeof proberErrors]['errorClass'];

interface CodedRow extends ErrorRow {
  readonly code: string;
}

const rowOfClass: ReadonlyMap<string, CodedRow> = new Map(
  Object.entries(proberErrors).map(([code, found]) => [found.errorClass, { ...found, code }]),
);

interface ProbeErrorOptions {
  /** Replaces the table's text; must be safe to show to the tenant. */
  readonly message?: string;
  /** For the operator's log only. */
  readonly detail?: string;
  /** Overrides the table: false where an answer proves that the network works. */
  readonly network?: boolean;
  readonly cause?: unknown;
}

/** A failed attempt. `message` is the status text for the tenant. */
export class ProbeError extends Error {
  override readonly name = 'ProbeError';
  readonly errorClass: ProbeErrorClass;
  readonly code: string;
  readonly retryable: boolean;
  readonly network: boolean;
  readonly failure: ProbeFailure | null;
  readonly detail: string | null;

  constructor(errorClass: ProbeErrorClass, options: ProbeErrorOptions = {}) {
    const found = rowOfClass.get(errorClass) as CodedRow;
    super(options.message ?? found.message, 'cause' in options ? { cause: options.cause } : {});
    this.errorClass = errorClass;
    this.code = found.code;
    this.retryable = found.retryable;
    this.network = options.network ?? found.network;
    this.failure = found.failure;
    this.detail = options.detail ?? null;
  }
}

const classOfCode: Readonly<Record<string, ProbeErrorClass>> = {
  ECONNREFUSED: 'connection-refused',
  ECONNRESET: 'connection-reset',
  EPIPE: 'connection-reset',
  ECONNABORTED: 'connection-reset',
  ETIMEDOUT: 'connect-timeout',
  EHOSTUNREACH: 'host-unreachable',
  EHOSTDOWN: 'host-unreachable',
  ENETUNREACH: 'network-unreachable',
  ENETDOWN: 'network-unreachable',
  EACCES: 'network-unreachable',
  EPERM: 'network-unreachable',
  EADDRNOTAVAIL: 'local-address',
  EADDRINUSE: 'local-address',
  EMFILE: 'overloaded',
  ENFILE: 'overloaded',
  ENOBUFS: 'overloaded',
  ENOMEM: 'overloaded',
  HPE_HEADER_OVERFLOW: 'header-overflow',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 'header-overflow',
  EPROTO: 'tls-handshake',
};

/** Returns the code of a Node error, or an empty string. */
export function errorCode(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}

/**
 * Returns any error of a socket, parser or TLS stack as a `ProbeError`; one that already is passes unchanged.
 * `otherwise` is the class of what is not in the table.
 */
export function toProbeError(error: unknown, otherwise: ProbeErrorClass = 'internal'): ProbeError {
  if (error instanceof ProbeError) return error;
  const code = errorCode(error);
  const detail = error instanceof Error ? error.message : String(error);
  const known = classOfCode[code];
  if (known !== undefined) return new ProbeError(known, { detail, cause: error });
  if (code.startsWith('HPE_'))
    return new ProbeError('malformed-response', { detail, cause: error });
  if (code.startsWith('ERR_SSL_')) return new ProbeError('tls-handshake', { detail, cause: error });
  return new ProbeError(otherwise, { detail, cause: error });
}
