// The Logger port over pino: one JSON line per event, `event` a fixed name, the rest ids and numbers.
// Secrets are removed by name, wherever a field of that name stands in the first two levels.
import { type DestinationStream, pino } from 'pino';
import type { Logger } from './ports.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

export interface LogOptions {
  readonly level: LogLevel;
  /** Name of this node, in every line. */
  readonly node?: string;
  /** Default: standard output. */
  readonly destination?: DestinationStream;
}

const secretNames = [
  'password',
  'apiKey',
  'api_key',
  'token',
  'secret',
  'authorization',
  'cookie',
  'webhook_token',
  'service_key',
];

/** Returns a logger. */
export function createLogger(options: LogOptions): Logger {
  const settings = {
    level: options.level,
    base: options.node === undefined ? null : { node: options.node },
    messageKey: 'event',
    formatters: { level: (label: string) => ({ level: label }) },
    redact: {
      paths: secretNames.flatMap((name) => [name, `*.${name}`]),
      censor: '[removed]',
    },
  };
  const lines =
    options.destination === undefined ? pino(settings) : pino(settings, options.destination);
  return {
    debug: (event, fields = {}) => lines.debug(fields, event),
    info: (event, fields = {}) => lines.info(fields, event),
    warn: (event, fields = {}) => lines.warn(fields, event),
    error: (event, fields = {}) => lines.error(fields, event),
  };
}
