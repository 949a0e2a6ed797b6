// What the servers say of their own settings (storage.md §15): acknowledged commits must survive a kill of the server, and
// serial reads must be linearizable, else an unknown outcome cannot be decided.
import type { Logger } from '../../runtime/ports.ts';
import { storeError } from '../errors.ts';
import type { SchemaLink } from './schema-link.ts';

const selectSettings = 'SELECT name, value FROM system_views.settings';

/**
 * Rejects `ST_NOT_DURABLE` where a server that tells its settings acknowledges before its log is on disk, or answers serial
 * reads without a round. `override`: only logs it. Servers that do not tell are left out.
 */
export async function checkDurability(
  link: SchemaLink,
  options: { readonly override: boolean; readonly logger: Logger },
): Promise<void> {
  for (const { address, rows } of await link.rowsOfEach(selectSettings)) {
    const settings = new Map(rows.map((row) => [String(row['name']), String(row['value'])]));
    const problem = problemOf(settings);
    if (problem === null) continue;
    if (!options.override) {
      throw storeError('ST_NOT_DURABLE', `${address}: ${problem}`, { details: { address } });
    }
    options.logger.warn('cassandra.not-durable', { address, problem });
  }
}

/** Returns what is wrong with the settings of a server, null where nothing is known to be. */
export function problemOf(settings: ReadonlyMap<string, string>): string | null {
  if (settings.get('commitlog_sync') === 'periodic') {
    return 'commitlog_sync is periodic; set it to group with commitlog_sync_group_window 10ms';
  }
  const variant = settings.get('paxos_variant') ?? '';
  if (variant.includes('without_linearizable_reads')) {
    return `paxos_variant is ${variant}; set it to v2`;
  }
  return null;
}
