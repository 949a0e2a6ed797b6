// Committed and projected changelog rows, in process: feeds the live streams of this node.
// A listener that throws is counted and loses that row, never the others. Must not know HTTP.
import { TocsinError } from '../runtime/errors.ts';
import type { EventBus, HistoryRecord, Logger, Meter } from '../runtime/ports.ts';
import { eventBusLimits } from './limits.ts';

type Listener = (record: HistoryRecord) => void;

/** Returns a bus of this process. `subscribe` throws `RT_QUEUE_FULL` above 10,000 listeners. */
export function localEventBus(options: { meter: Meter; logger: Logger }): EventBus {
  const byTenant = new Map<string, Set<Listener>>();
  let listeners = 0;
  options.meter.gauge('stream_listeners', () => listeners);
  const tell = (listener: Listener, record: HistoryRecord): void => {
    try {
      listener(record);
    } catch (cause) {
      options.meter.count('stream_listener_failures', 1);
      options.logger.warn('stream.listener-failed', { cause });
    }
  };
  return {
    publish: (record) => {
      for (const listener of [...(byTenant.get(record.partition) ?? [])]) tell(listener, record);
    },
    subscribe: (tenant, listener) => {
      if (listeners >= eventBusLimits.listeners) {
        throw new TocsinError('RT_QUEUE_FULL', 'too many live streams', { retryable: true });
      }
      const own: Listener = (record) => listener(record);
      const group = byTenant.get(tenant) ?? new Set<Listener>();
      byTenant.set(tenant, group.add(own));
      listeners++;
      return () => {
        if (!group.delete(own)) return;
        listeners--;
        if (group.size === 0 && byTenant.get(tenant) === group) byTenant.delete(tenant);
      };
    },
  };
}
