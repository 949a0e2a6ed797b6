// A changelog row as a server-sent event. Pure. Must not know clients.
import type { HistoryRecord } from '../../runtime/ports.ts';
import { changelogItem } from '../changelog-item.ts';
import { bodyOf } from '../record-body.ts';

/** Returns the bytes of a row's event; a row that is not committed yet has no id to resume from. */
export function eventBytes(record: HistoryRecord): Uint8Array {
  const isCommitted = record.seq > 0;
  const data = { ...changelogItem(record, bodyOf(record)), committed: isCommitted };
  const id = isCommitted ? `id: ${record.id}.${record.seq}\n` : '';
  return Buffer.from(`${id}event: changelog\ndata: ${JSON.stringify(data)}\n\n`);
}

/** Returns a function that makes the event when it is first wanted, and keeps it. */
export function eventOnce(record: HistoryRecord): () => Uint8Array {
  let made: Uint8Array | null = null;
  return () => {
    made ??= eventBytes(record);
    return made;
  };
}
