// What an error of SQLite means to us: its primary code, and the store's error that a caller gets for it.
import { TocsinError } from '../../runtime/errors.ts';
import { isStoreErrorCode, storeError } from '../errors.ts';

/** Primary result codes that are told apart (sqlite.org/rescode.html). */
export const resultCodes = {
  busy: 5,
  locked: 6,
  noMemory: 7,
  readOnly: 8,
  interrupt: 9,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  notADatabase: 26,
} as const;

/** Codes after which nothing of a transaction can be trusted to go on: the round fails as a whole. */
const roundCodes: readonly number[] = Object.values(resultCodes);

/** Returns the primary result code of an error of SQLite, null for any other error. */
export function resultCode(error: unknown): number | null {
  if (!(error instanceof Error) || !('sqliteCode' in error)) return null;
  return typeof error.sqliteCode === 'number' ? error.sqliteCode & 0xff : null;
}

/** True for an error of the file or machine, false for one of the single request. */
export function failsRound(error: unknown): boolean {
  const code = resultCode(error);
  return code !== null && roundCodes.includes(code);
}

/** Returns the store's error for an error of which nothing took effect. */
export function refusal(error: unknown): TocsinError {
  if (error instanceof TocsinError) return error;
  const code = resultCode(error);
  const message = error instanceof Error ? error.message : String(error);
  if (code === resultCodes.corrupt || code === resultCodes.notADatabase) {
    return storeError('ST_CORRUPT', `the store file is damaged: ${message}`, { cause: error });
  }
  if (code === resultCodes.full) return diskFull(error);
  if (failsRound(error)) return storeError('ST_UNAVAILABLE', message, { cause: error });
  return storeError('ST_FAILED', message, { cause: error });
}

/** Returns the refusal of a write for want of room. */
export function diskFull(cause?: unknown): TocsinError {
  const details = { reason: 'disk full' };
  return storeError('ST_UNAVAILABLE', 'the disk of the store is full', { details, cause });
}

/** An error as it crosses to the main thread. */
export interface WireError {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly details: Readonly<Record<string, unknown>>;
}

/** Returns what of an error crosses threads. */
export function toWire(error: TocsinError): WireError {
  const { code, message, retryable, details } = error;
  return { code, message, retryable, details };
}

/** Returns the error that came over from the worker. */
export function fromWire({ code, message, retryable, details }: WireError): TocsinError {
  return storeError(isStoreErrorCode(code) ? code : 'ST_FAILED', message, { retryable, details });
}
