// The error body of the API, and the one place where an unexpected error is logged: the client gets its txnId, the log the cause.
import type { Answer } from './answer.ts';
import { type ApiError, asApiError, type ErrorDetails } from './errors.ts';
import type { ApiPorts } from './ports.ts';

/** Body of every error. */
export interface ErrorBody {
  readonly type: string;
  readonly code: number;
  readonly message: string;
  readonly details: ErrorDetails;
  readonly txnId: string;
}

/** Returns the body of an error. */
export function errorBody(error: ApiError, txnId: string): ErrorBody {
  const { type, status, message, details } = error;
  return { type, code: status, message, details, txnId };
}

/**
 * Returns the answer to an error. `identity`: the identity service's clients look for their own envelope, which stands
 * beside ours.
 */
export function errorAnswer(
  ports: ApiPorts,
  thrown: unknown,
  request: { readonly txnId: string; readonly what: string; readonly identity: boolean },
): Answer & { readonly kind: 'json' } {
  const error = asApiError(thrown);
  if (error.status >= 500 && error.type !== 'notImplementedError') log(ports, error, request);
  const body = errorBody(error, request.txnId);
  const beside = request.identity
    ? { [identityName(error.status)]: { code: error.status, message: error.message } }
    : {};
  return {
    kind: 'json',
    status: error.status,
    body: { ...beside, ...body },
    headers: error.headers,
  };
}

function identityName(status: number): string {
  if (status === 401) return 'unauthorized';
  if (status === 403) return 'forbidden';
  if (status === 404) return 'itemNotFound';
  if (status === 413 || status === 429) return 'overLimit';
  if (status === 503) return 'serviceUnavailable';
  return status < 500 ? 'badRequest' : 'identityFault';
}

function log(
  ports: ApiPorts,
  error: ApiError,
  request: { readonly txnId: string; readonly what: string },
): void {
  const cause = error.cause ?? error;
  const known = cause instanceof Error ? cause : new Error(String(cause));
  const fields = {
    txnId: request.txnId,
    what: request.what,
    status: error.status,
    code: (known as { code?: unknown }).code ?? null,
    reason: known.message,
  };
  if (error.status === 503) ports.logger.warn('api.unavailable', fields);
  else ports.logger.error('api.failed', { ...fields, stack: known.stack ?? null });
}
