// A changelog row as it is served, in lists and in live streams alike.
import type { HistoryRecord } from '../runtime/ports.ts';

/** Returns the row's fields; its id and time go before what the body says. `n` (the alarm's count) is internal. */
export function changelogItem(
  record: HistoryRecord,
  body: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const { n: _n, ...shown } = body;
  return { ...shown, id: record.id, timestamp: record.atMs };
}
