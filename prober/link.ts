// The IPC link between a node and its local prober: what the frames are, and the prober's end of it.
// Requests (node → prober) and answers go as arrays, batched both ways; hello and log lines go as objects.
import type { ProbeAnswer, ProbeRequest } from '../actors/check/types.ts';
import { monotonicMs } from './clock.ts';
import type { Dispatcher } from './dispatch.ts';
import { frameMessagesMax, logsPerSecond } from './limits.ts';
import type { PingMode } from './probe/pinger.ts';

/** First frame of a prober: it is ready. */
export interface HelloFrame {
  readonly hello: { readonly pingMode: PingMode; readonly checkTypes: readonly string[] };
}
export interface LogFrame {
  readonly log: { readonly event: string; readonly fields: Readonly<Record<string, unknown>> };
}
/** Prober → node. An empty array says: alive. */
export type ProberFrame = readonly ProbeAnswer[] | HelloFrame | LogFrame;

/** Collects messages and hands them on in frames of at most 64. */
export interface Batcher<T> {
  add(message: T): void;
}

/**
 * Returns a batcher that sends at 64 messages at once, else when `later` runs its task: at the end of this turn of the
 * loop. No timer: each one would wake the process once more, and a lone check has four wakes in all.
 */
export function createBatcher<T>(
  send: (frame: readonly T[]) => void,
  later: (task: () => void) => unknown,
): Batcher<T> {
  let waiting: T[] = [];
  let isPlanned = false;
  const flush = () => {
    const frame = waiting;
    waiting = [];
    if (frame.length > 0) send(frame);
  };
  const planned = () => {
    isPlanned = false;
    flush();
  };
  return {
    add(message) {
      waiting.push(message);
      if (waiting.length >= frameMessagesMax) flush();
      else if (!isPlanned) {
        isPlanned = true;
        later(planned);
      }
    },
  };
}

/** The channel of a child process, as `process` has it. */
export interface Channel {
  send(frame: ProberFrame): void;
  on(event: 'message', listener: (frame: unknown) => void): unknown;
}

/** Returns whether a message can be tried at all; everything finer is the probe's business. */
export function isProbeRequest(message: unknown): message is ProbeRequest {
  if (typeof message !== 'object' || message === null) return false;
  const { id, type, target, details, timeoutMs } = message as Partial<ProbeRequest>;
  const isText = typeof id === 'string' && typeof type === 'string' && typeof target === 'string';
  const isTimed = typeof timeoutMs === 'number' && timeoutMs >= 1 && Number.isFinite(timeoutMs);
  return isText && isTimed && typeof details === 'object' && details !== null;
}

/** Serves the requests of a channel; what is no request is logged and dropped. */
export function serveChannel(
  channel: Channel,
  dispatcher: Dispatcher,
  log: (event: string, fields: Readonly<Record<string, unknown>>) => void,
): void {
  const answers = createBatcher<ProbeAnswer>((frame) => channel.send(frame), setImmediate);
  const answer = (made: ProbeAnswer) => answers.add(made);
  channel.on('message', (frame) => {
    for (const message of Array.isArray(frame) ? frame : []) {
      if (isProbeRequest(message)) dispatcher.submit(message, answer);
      else log('bad-request-frame', {});
    }
  });
}

/** Returns a log that sends at most 20 lines a second and tells how many it dropped. */
export function createLinkLog(
  channel: Pick<Channel, 'send'>,
): (event: string, fields: Readonly<Record<string, unknown>>) => void {
  let windowMs = Number.NEGATIVE_INFINITY;
  let sent = 0;
  let dropped = 0;
  return (event, fields) => {
    const now = monotonicMs();
    if (now - windowMs >= 1000) {
      windowMs = now;
      sent = 0;
      if (dropped > 0) channel.send({ log: { event: 'log-lines-dropped', fields: { dropped } } });
      dropped = 0;
    }
    sent += 1;
    if (sent > logsPerSecond) dropped += 1;
    else channel.send({ log: { event, fields } });
  };
}
