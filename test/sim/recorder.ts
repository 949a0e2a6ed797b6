// What a node says of itself, for the trace: log lines that the judge reads, counters, gauges. Must not know what they mean.
import type { Logger, Meter } from '../../runtime/ports.ts';
import type { SimNode } from './node.ts';
import type { Happening } from './trace.ts';

const loggedEvents = new Set(['actor.reloading', 'shard.lost', 'actor.restarted']);

/** Returns a logger that writes errors, and the events that the judge knows, to the trace. */
export function loggerOf(emit: (happening: Happening) => void): Logger {
  const write =
    (level: string) =>
    (event: string, fields: object = {}) => {
      if (level !== 'error' && !loggedEvents.has(event)) return;
      const text = JSON.stringify(fields, (_, value) =>
        value instanceof Error ? `${value.name}: ${value.message}` : (value as unknown),
      );
      emit({ kind: 'log', level, event, text: text.slice(0, 400) });
    };
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
  };
}

/** Returns a meter that adds up in `counts`, by name and label. */
export function meterOf(counts: Map<string, number>): Meter {
  return {
    count: (name, by, label) => {
      const place = label === undefined ? name : `${name}.${label}`;
      counts.set(place, (counts.get(place) ?? 0) + by);
    },
    gauge: () => undefined,
  };
}

/** Returns what must return to its usual value once all is quiet (I37). */
export function gaugesOf(node: SimNode): Record<string, number> {
  const { outbox, ...host } = node.host.stats();
  const counts = node.catalog.counts();
  return {
    ...host,
    outboxPending: outbox.pending,
    outboxDeferred: outbox.deferred,
    asks: node.router.pending,
    timers: node.timers.size,
    quarantined: counts.quarantined,
    paused: counts.paused,
    creating: counts.creating,
    messagesWaiting: counts.messagesWaiting,
    commitsPending: counts.commitsPending,
  };
}
