// The API's error types with their HTTP status, the error class that handlers throw, and the table of the API's own codes (AP_*).
// Types and wording follow Cloud Monitoring v1.0; what v1.0 lacks (405, 415) is named in its style.
import type { Refusal, RefusalType } from '../actors/refusal.ts';
import { type ErrorEntry, TocsinError } from '../runtime/errors.ts';

/** Every `type` that an error body can carry. */
export type ErrorType =
  | Exclude<RefusalType, 'conflict'>
  | 'invalidLimit'
  | 'agentNotConnected'
  | 'agentDoesNotExist'
  | 'rateLimitReached'
  | 'unauthorizedError'
  | 'missingCapabilitiesError'
  | 'methodNotAllowedError'
  | 'unsupportedMediaTypeError'
  | 'requestTooLargeError'
  | 'requestTimeout'
  | 'internalError'
  | 'notImplementedError';

/** HTTP status of each type. Never 409: an old client takes it for success. */
export const statusOfType: Readonly<Record<ErrorType, number>> = {
  badRequest: 400,
  requiredNotFoundError: 400,
  invalidLimit: 400,
  childrenExistError: 400,
  alarmParseError: 400,
  invalidKeyPrefix: 400,
  agentNotConnected: 400,
  agentDoesNotExist: 400,
  checkDoesNotSupportTargets: 400,
  limitReached: 400,
  indexCardinalityConstraintViolation: 400,
  unauthorizedError: 401,
  forbiddenError: 403,
  missingCapabilitiesError: 403,
  notFoundError: 404,
  parentNotFoundError: 404,
  methodNotAllowedError: 405,
  requestTooLargeError: 413,
  unsupportedMediaTypeError: 415,
  rateLimitReached: 429,
  requestTimeout: 500,
  internalError: 500,
  notImplementedError: 501,
  systemFailureError: 503,
};

export type ErrorDetails = string | Readonly<Record<string, unknown>>;

/** An error that a client is told as it stands: message and details hold nothing that the caller may not know. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly type: ErrorType;
  readonly status: number;
  readonly details: ErrorDetails;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    type: ErrorType,
    message: string,
    options: {
      readonly details?: ErrorDetails;
      readonly status?: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.type = type;
    this.status = options.status ?? statusOfType[type];
    this.details = options.details ?? message;
    this.headers = options.headers ?? {};
  }
}

/** Returns a 400 `badRequest`. */
export function badRequest(message: string, details: ErrorDetails = message): ApiError {
  return new ApiError('badRequest', message, { details });
}

/** Returns the 400 of a rule that key `key` of the body or query fails; clients parse its message. */
export function invalidKey(key: string, rule: string): ApiError {
  return badRequest(`Validation error for key '${key}'`, rule);
}

/** Returns the 404 of an unknown object. */
export function notFound(type: string, key: string): ApiError {
  const details = `Object "${type}" with key "${key}" does not exist`;
  return new ApiError('notFoundError', 'Object does not exist', { details });
}

/** Returns the 503 of a call that may succeed when repeated after `afterSeconds`. */
export function tryLater(message: string, afterSeconds = 1, cause?: unknown): ApiError {
  return new ApiError('systemFailureError', message, {
    headers: { 'Retry-After': String(afterSeconds) },
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Returns the error of an actor's refusal. A `conflict` that outlived its retries is a 503. */
export function ofRefusal(refusal: Refusal): ApiError {
  if (refusal.type === 'conflict') return tryLater('No free id was found, try again');
  const { type, message, details } = refusal;
  return new ApiError(type, message, {
    details,
    ...(type === 'systemFailureError' ? { headers: { 'Retry-After': '1' } } : {}),
  });
}

/** Returns what a client is told of any error; an unexpected one becomes a bare 500 that tells nothing of its cause. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof TocsinError) return ofTocsin(error);
  return ofFramework(error) ?? new ApiError('internalError', 'Internal error', { cause: error });
}

function ofTocsin(error: TocsinError): ApiError {
  if (error.code === 'RT_BAD_KEY') {
    return new ApiError('notFoundError', 'Object does not exist', { cause: error });
  }
  if (error.code === 'RT_QUARANTINED') {
    const message = 'The entity is quarantined until an operator releases it';
    return new ApiError('systemFailureError', message, {
      headers: { 'Retry-After': '60' },
      cause: error,
    });
  }
  if (error.retryable || error.code.startsWith('ST_')) {
    return tryLater('The system cannot answer just now, try again', 1, error);
  }
  return new ApiError('internalError', 'Internal error', { cause: error });
}

const frameworkTypes: Readonly<Record<number, ErrorType>> = {
  404: 'notFoundError',
  405: 'methodNotAllowedError',
  413: 'requestTooLargeError',
  415: 'unsupportedMediaTypeError',
  503: 'systemFailureError',
};

/** Fastify's own errors carry a status; their message names no internals. */
function ofFramework(error: unknown): ApiError | null {
  if (!(error instanceof Error)) return null;
  const { statusCode, code } = error as Error & { statusCode?: unknown; code?: unknown };
  if (typeof statusCode !== 'number' || typeof code !== 'string') return null;
  if (statusCode < 400 || statusCode > 599 || statusCode === 500) return null;
  if (code === 'FST_ERR_MAX_PARAM_LENGTH') {
    return new ApiError('notFoundError', 'Object does not exist', { cause: error });
  }
  const type = frameworkTypes[statusCode] ?? 'badRequest';
  return new ApiError(type, error.message, { cause: error });
}

/** Codes of the API's own operating errors; the types above are what clients see. */
export const apiErrors = {
  AP_ROUTE_INCOMPLETE: {
    meaning: 'A route of the API lacks a part of its description; the node does not start.',
    retryable: false,
    httpStatus: 500,
  },
  AP_BOOTSTRAP_FAILED: {
    meaning: 'The first tenant or administrator could not be made.',
    retryable: true,
    httpStatus: 503,
  },
} as const satisfies Record<string, ErrorEntry>;
