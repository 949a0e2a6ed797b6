// Reads the frames of a prober on the node's side. A prober talks to hostile servers all day: what comes from it is taken
// apart field by field, so that one that was taken over can lie about its targets and do nothing else. Pure.
import type { ProbeAnswer, WireMetric } from '../actors/check/types.ts';
import { bodyMetricCharsMax, debugBodyBytesMax, frameMessagesMax, metricsMax } from './limits.ts';
import type { HelloFrame, ProberFrame } from './link.ts';
import type { PingMode } from './probe/pinger.ts';

const textCharsMax = 4096;
const checkTypesMax = 64;
const logFieldsMax = 32;
const pingModes: readonly unknown[] = ['socket', 'program', 'none'] satisfies readonly PingMode[];
const metricTypes: readonly unknown[] = ['i', 'I', 'l', 'L', 'n', 's'];
const failures: readonly unknown[] = [
  'local-network',
  'no-prober',
  'unsupported',
  'overloaded',
  'internal',
];

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown, charsMax = textCharsMax): value is string =>
  typeof value === 'string' && value.length <= charsMax;
const isTextOrNull = (value: unknown): boolean => value === null || isText(value);
const isNumber = (value: unknown): value is number => Number.isFinite(value);

/** Returns the frame, or null where it is none; answers that are none are left out of theirs. */
export function readProberFrame(frame: unknown): ProberFrame | null {
  if (Array.isArray(frame)) return frame.slice(0, frameMessagesMax).filter(isProbeAnswer);
  if (!isFields(frame)) return null;
  if (isFields(frame['hello']))
    return isHello(frame['hello']) ? (frame as unknown as HelloFrame) : null;
  const log = frame['log'];
  if (!isFields(log) || !isText(log['event'], 64) || !isFields(log['fields'])) return null;
  return { log: { event: log['event'], fields: shortened(log['fields']) } };
}

function isHello({ pingMode, checkTypes }: Fields): boolean {
  if (!pingModes.includes(pingMode) || !Array.isArray(checkTypes)) return false;
  return checkTypes.length <= checkTypesMax && checkTypes.every((type) => isText(type, 64));
}

/** A log line of a prober may take neither the node's memory nor its names. */
function shortened(fields: Fields): Fields {
  const entries = Object.entries(fields).slice(0, logFieldsMax);
  return Object.fromEntries(
    entries.map(([name, value]) => [
      name.slice(0, 64),
      typeof value === 'number' || typeof value === 'boolean' || value === null
        ? value
        : String(typeof value === 'string' ? value : JSON.stringify(value)).slice(0, textCharsMax),
    ]),
  );
}

/** Returns whether a message answers a probe in every field. */
export function isProbeAnswer(message: unknown): message is ProbeAnswer {
  if (!isFields(message)) return false;
  const { id, startedAtMs, durationMs, outcome } = message;
  if (!isText(id, 256) || !isNumber(startedAtMs) || !isNumber(durationMs)) return false;
  if (outcome === 'failed')
    return isText(message['message']) && failures.includes(message['failure']);
  return outcome === 'observed' && isObserved(message);
}

function isObserved(message: Fields): boolean {
  const { available, status, errorClass, metrics, address, debugInfo } = message;
  if (typeof available !== 'boolean' || !isText(status)) return false;
  if (!isTextOrNull(errorClass) || !isTextOrNull(address)) return false;
  if (debugInfo !== null && !(isFields(debugInfo) && isText(debugInfo['body'], debugBodyBytesMax)))
    return false;
  return Array.isArray(metrics) && metrics.length <= metricsMax && metrics.every(isMetric);
}

function isMetric(metric: unknown): metric is WireMetric {
  if (!Array.isArray(metric) || metric.length !== 4) return false;
  const [name, type, value, unit] = metric as unknown[];
  if (!isText(name, 256) || !metricTypes.includes(type) || !isText(unit, 64)) return false;
  return type === 's' ? isText(value, bodyMetricCharsMax) : isNumber(value);
}
