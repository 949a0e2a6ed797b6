// Logger and meter of a process in the world: everything is counted, errors are written down.
import type { Logger, Meter } from '../../runtime/ports.ts';
import type { ClusterHappening } from './trace.ts';

const loggedEvents = new Set(['actor.reloading', 'actor.restarted']);

type Counts = Map<string, number>;

/** Returns the logger of a process. */
export function loggerOf(counts: Counts, emit: (happening: ClusterHappening) => void): Logger {
  const write =
    (level: string) =>
    (event: string, fields: object = {}) => {
      count(counts, `log.${event}`, 1);
      if (level !== 'error' && !loggedEvents.has(event)) return;
      const text = JSON.stringify(fields, (_, value) =>
        value instanceof Error ? `${value.name}: ${value.message}` : (value as unknown),
      );
      emit({ kind: 'log', level, event, text: text.slice(0, 400) });
    };
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
}

/** Returns the meter of all processes. */
export function meterOf(counts: Counts): Meter {
  return {
    count: (name, by, label) => count(counts, label === undefined ? name : `${name}.${label}`, by),
    gauge: () => undefined,
  };
}

function count(counts: Counts, name: string, by: number): void {
  counts.set(name, (counts.get(name) ?? 0) + by);
}
