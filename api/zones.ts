// The monitoring zones of a node that runs its own probers.
import type { MonitoringZone } from './ports.ts';

/** Returns these zones as the API serves them. Probes leave from this machine, so the sources are its loopback. */
export function localZones(ids: readonly string[], node: string): readonly MonitoringZone[] {
  return ids.map((id) => ({
    id,
    label: `${id} (${node})`,
    country_code: 'ZZ',
    source_ips: ['127.0.0.1/32', '::1/128'],
  }));
}
