// What an error of the driver or of a server means: nothing happened, nobody knows, or a fault of the program
// (storage.md §4 and §13). Whatever of a compare-and-set is not surely harmless is unknown.
import cassandra from 'cassandra-driver';
import { AssertionFailure } from '../../runtime/assert.ts';
import { TocsinError } from '../../runtime/errors.ts';
import { type StoreErrorCode, storeError } from '../errors.ts';

const { errors, types } = cassandra;
const codes = types.responseErrorCodes;

/** `cas`: conditional, never repeated blindly. `write`: may be repeated with its timestamp. `read`: changes nothing. */
export type RequestKind = 'cas' | 'write' | 'read';

/** A server refuses these before it does anything. */
const refusedCodes: ReadonlySet<number> = new Set([
  codes.isBootstrapping,
  codes.badCredentials,
  codes.unauthorized,
]);
/** A server says so of what it cannot understand or do, ever: nothing happened. */
const faultCodes: ReadonlySet<number> = new Set([
  ...[codes.syntaxError, codes.invalid, codes.configError, codes.alreadyExists],
  ...[codes.unprepared, codes.protocolError, codes.functionFailure],
]);
const serialLevels: ReadonlySet<number> = new Set([
  types.consistencies.serial,
  types.consistencies.localSerial,
]);

type Effect = 'none' | 'unknown' | 'fault';

/** Returns the store's error for an error of a request. Errors of our own pass. */
export function requestError(kind: RequestKind, what: string, error: unknown): Error {
  if (error instanceof TocsinError || error instanceof AssertionFailure) return error;
  const message = error instanceof Error ? error.message : String(error);
  const effect = effectOf(error);
  const code = codeOf(effect, kind);
  return storeError(code, `${what}: ${message}`, {
    ...(code === 'ST_UNKNOWN' ? { retryable: kind !== 'cas' } : {}),
    ...(isResponse(error) ? { details: { response: error.code } } : {}),
    cause: error,
  });
}

function codeOf(effect: Effect, kind: RequestKind): StoreErrorCode {
  if (effect === 'fault') return 'ST_FAILED';
  return effect === 'none' || kind === 'read' ? 'ST_UNAVAILABLE' : 'ST_UNKNOWN';
}

/** True where a later try of the same request may succeed (storage.md §13: never of codes 0x2xxx). */
export function mayRetry(error: unknown): boolean {
  return effectOf(error) !== 'fault';
}

function effectOf(error: unknown): Effect {
  if (isResponse(error)) return effectOfResponse(error);
  if (error instanceof errors.BusyConnectionError) return 'none';
  if (error instanceof errors.AuthenticationError) return 'none';
  if (error instanceof errors.NoHostAvailableError) return effectOfHosts(error);
  // The driver checks and encodes before it sends; whatever it throws there is of the program.
  if (error instanceof errors.ArgumentError || error instanceof TypeError) return 'fault';
  if (error instanceof errors.NotSupportedError || error instanceof RangeError) return 'fault';
  if (wasNotWritten(error)) return 'none';
  return 'unknown';
}

function effectOfResponse(error: ResponseError): Effect {
  if (error.code === codes.unavailableException) return effectOfUnavailable(error);
  if (error.code === codes.overloaded) return effectOfOverload(error);
  if (refusedCodes.has(error.code)) return 'none';
  return faultCodes.has(error.code) ? 'fault' : 'unknown';
}

/** Too few replicas for the proposal: nothing happened. For the commit that follows: it was accepted already. */
function effectOfUnavailable(error: ResponseError): Effect {
  return error.consistencies === undefined || serialLevels.has(error.consistencies)
    ? 'none'
    : 'unknown';
}

/** A coordinator sheds requests before it looks at them; only for want of room for hints it has begun. */
function effectOfOverload(error: ResponseError): Effect {
  return /hint/i.test(error.message) ? 'unknown' : 'none';
}

/** No host took the request. What was tried before is remembered by host. */
function effectOfHosts(error: InstanceType<typeof errors.NoHostAvailableError>): Effect {
  const inner = Object.values(error.innerErrors ?? {}) as unknown[];
  return inner.every(wasNotSent) ? 'none' : 'unknown';
}

function wasNotSent(error: unknown): boolean {
  // A text says that the host was considered down; null that a connection was taken and the next host asked instead.
  if (typeof error === 'string') return true;
  if (!(error instanceof Error)) return false;
  if (isResponse(error)) return error.code === codes.unprepared || effectOf(error) === 'none';
  return (
    wasNotWritten(error) ||
    error instanceof errors.BusyConnectionError ||
    error instanceof errors.AuthenticationError ||
    /^No connection available/.test(error.message)
  );
}

function wasNotWritten(error: unknown): boolean {
  return error instanceof Error && 'requestNotWritten' in error && error.requestNotWritten === true;
}

type ResponseError = InstanceType<typeof errors.ResponseError> & {
  readonly consistencies?: number;
};

function isResponse(error: unknown): error is ResponseError {
  return error instanceof errors.ResponseError;
}
