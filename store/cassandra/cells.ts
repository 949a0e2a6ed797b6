// Cells of the driver's rows as our types, and rows put together in requests of a fair size.
import cassandra from 'cassandra-driver';
import { storeError } from '../errors.ts';
import type { DriverRow, Query } from './clients.ts';

/** A batch of several mutations warns above 5 KiB and fails above 50 KiB on a server with the defaults. */
const batchBytesMax = 16_384;

/** Returns a whole number: an int as it is, a bigint from the driver's Long. Throws `ST_CORRUPT` above 2^53 or where missing. */
export function whole(row: DriverRow, column: string): number {
  const cell: unknown = row[column];
  const value = cassandra.types.Long.isLong(cell) ? cell.toNumber() : cell;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  throw storeError('ST_CORRUPT', `${column} of a row is ${String(cell)}, not a whole number`);
}

export function text(row: DriverRow, column: string): string {
  const cell: unknown = row[column];
  if (typeof cell === 'string') return cell;
  throw storeError('ST_CORRUPT', `${column} of a row is no text`);
}

export function blob(row: DriverRow, column: string): Uint8Array {
  const cell: unknown = row[column];
  if (cell instanceof Uint8Array) return cell;
  throw storeError('ST_CORRUPT', `${column} of a row is no bytes`);
}

/** Bytes as the driver takes them, not copied. */
export function blobParam(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** One row's statement with about its size. */
export interface SizedQuery extends Query {
  readonly bytes: number;
}

/** Returns the statements in order, in groups of at most 16 KB; a larger one alone. */
export function batches(queries: readonly SizedQuery[]): SizedQuery[][] {
  const groups: SizedQuery[][] = [];
  let group: SizedQuery[] = [];
  let bytes = 0;
  for (const query of queries) {
    if (group.length > 0 && bytes + query.bytes > batchBytesMax) {
      groups.push(group);
      group = [];
      bytes = 0;
    }
    group.push(query);
    bytes += query.bytes;
  }
  if (group.length > 0) groups.push(group);
  return groups;
}

/** Runs `task` for each item, at most `limit` at once; answers in the order of the items. */
export async function inLanes<Item, Answer>(
  items: readonly Item[],
  limit: number,
  task: (item: Item) => Promise<Answer>,
): Promise<Answer[]> {
  const answers: Answer[] = new Array(items.length);
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      const at = next++;
      answers[at] = await task(items[at] as Item);
    }
  };
  const lanes = Array.from({ length: Math.min(limit, items.length) }, lane);
  try {
    await Promise.all(lanes);
  } catch (error) {
    next = items.length;
    await Promise.allSettled(lanes);
    throw error;
  }
  return answers;
}
