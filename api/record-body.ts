// The body of a history row.
import { decodeValue } from '../runtime/codec.ts';
import type { HistoryRecord } from '../runtime/ports.ts';

/** Returns the decoded body of a row. */
export function bodyOf(record: HistoryRecord): Readonly<Record<string, unknown>> {
  return decodeValue(record.body) as Readonly<Record<string, unknown>>;
}
