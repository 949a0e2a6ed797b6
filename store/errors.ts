// Error codes of the stores (ST_*), and the one constructor of their errors.
// Says what a caller may do next: repeat, read and decide, or stop. Must not know any adapter.
import { type ErrorEntry, TocsinError } from '../runtime/errors.ts';

export const storeErrors = {
  ST_UNAVAILABLE: {
    meaning:
      'The store cannot do this now (down, overloaded, disk full or failing); nothing happened.',
    retryable: true,
    httpStatus: 503,
  },
  ST_UNKNOWN: {
    meaning: 'The store may or may not have done this: read, then decide.',
    retryable: false,
    httpStatus: 503,
  },
  ST_LOCKED: {
    meaning: 'Another process has the data folder open; one process at a time may use it.',
    retryable: false,
    httpStatus: 503,
  },
  ST_SCHEMA_NEWER: {
    meaning: 'The store was written by a newer version of Tocsin than this one.',
    retryable: false,
    httpStatus: 503,
  },
  ST_SCHEMA_DIFFERS: {
    meaning: 'The shared store has a table definition that this version of Tocsin did not make.',
    retryable: false,
    httpStatus: 503,
  },
  ST_NOT_DURABLE: {
    meaning: 'A server of the shared store acknowledges writes that a crash of it would lose.',
    retryable: false,
    httpStatus: 503,
  },
  ST_CORRUPT: {
    meaning: 'The store file is damaged or is not a store file.',
    retryable: false,
    httpStatus: 503,
  },
  ST_OPEN_FAILED: {
    meaning: 'The store could not be opened: folder missing, not writable, or no binding.',
    retryable: false,
    httpStatus: 503,
  },
  ST_CLOSED: {
    meaning: 'The store was closed, or its thread has ended; nothing happened.',
    retryable: false,
    httpStatus: 503,
  },
  ST_FAILED: {
    meaning: 'The store failed on this request for a fault of the program; nothing of it happened.',
    retryable: false,
    httpStatus: 500,
  },
} as const satisfies Record<string, ErrorEntry>;

export type StoreErrorCode = keyof typeof storeErrors;

/** True where a text from another thread or process is a code of this table. */
export function isStoreErrorCode(code: unknown): code is StoreErrorCode {
  return typeof code === 'string' && Object.hasOwn(storeErrors, code);
}

/**
 * Returns an error of the table. `retryable` follows the table unless given: an unknown outcome of a write that may be
 * repeated blindly (soft state, samples, history) is retryable, one of a conditional write is not.
 */
export function storeError(
  code: StoreErrorCode,
  message: string,
  options: {
    retryable?: boolean;
    details?: Readonly<Record<string, unknown>>;
    cause?: unknown;
  } = {},
): TocsinError {
  return new TocsinError(code, message, { retryable: storeErrors[code].retryable, ...options });
}
