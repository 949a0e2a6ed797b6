// The life of the heartbeat's thread: control connections, detector and lease keeper on an event loop of their own, so that a
// collection on the main thread does not look like death; and the watchdog, which ends a process whose main loop is stuck.
// Knows messages and shared memory, not what the detector decides.
import type { MessagePort } from 'node:worker_threads';
import { monoOriginMs, systemClock, systemRandom } from '../../runtime/clock.ts';
import type { NodeId } from '../../runtime/ids.ts';
import type { Clock, Logger } from '../../runtime/ports.ts';
import type { PulseEvent, PulseReport, PulseStatus } from '../pulse.ts';
import { PulseEngine } from '../pulse-engine.ts';
import type { View } from '../view.ts';
import { natsControl } from './control.ts';
import { writeCulprit } from './culprit-file.ts';
import { threadSide } from './pulse-memory.ts';
import type { NatsPlace } from './wire.ts';

/** What the thread is started with. */
export interface ThreadSettings {
  readonly place: NatsPlace;
  readonly memory: SharedArrayBuffer;
  readonly isSticky: boolean;
  readonly culpritFile: string;
}

export type ToThread =
  | { readonly type: 'begin'; readonly incarnation: string; readonly view: View }
  | { readonly type: 'view'; readonly view: View }
  /** `startedMs` on the machine's monotonic clock. */
  | { readonly type: 'viewRead'; readonly startedMs: number; readonly isListed: boolean }
  | { readonly type: 'fenced'; readonly isFenced: boolean }
  | { readonly type: 'status'; readonly status: PulseStatus }
  | { readonly type: 'stop' };

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export type FromThread =
  | { readonly type: 'event'; readonly event: PulseEvent; readonly report: PulseReport | null }
  | {
      readonly type: 'log';
      readonly level: LogLevel;
      readonly event: string;
      readonly fields: Readonly<Record<string, unknown>>;
    };

/**
 * How the process ends when its main loop is stuck: a signal that nothing here handles, since a thread cannot end its process
 * in any other way. The shell calls it exit code 140.
 */
export const stuckSignal = 'SIGUSR2';

/** Beats until it is told to stop. */
export function serveHeartbeat(port: MessagePort, settings: ThreadSettings): void {
  const clock = systemClock();
  const say = (message: FromThread): void => port.postMessage(message);
  const logger = portLogger(say);
  const engine: PulseEngine = new PulseEngine({
    control: natsControl({ ...settings.place, clock, random: systemRandom(), logger }),
    ...{ clock, logger, shared: threadSide(settings.memory), isSticky: settings.isSticky },
    emit: (event) => say({ type: 'event', event, report: engine.report() }),
    onStuck: (culprit) => endProcess(culprit, { clock, logger, file: settings.culpritFile }),
  });
  const node = settings.place.node as NodeId;
  port.on('message', (message: ToThread) => {
    if (message.type !== 'stop') {
      obey(engine, node, message);
      return;
    }
    engine.stop().then(
      () => port.close(),
      () => port.close(),
    );
  });
}

function obey(
  engine: PulseEngine,
  node: NodeId,
  message: Exclude<ToThread, { type: 'stop' }>,
): void {
  switch (message.type) {
    case 'begin':
      engine.begin({ node, incarnation: message.incarnation }, message.view);
      break;
    case 'view':
      engine.view(message.view);
      break;
    case 'viewRead':
      engine.viewRead(message.startedMs - monoOriginMs(), message.isListed);
      break;
    case 'fenced':
      engine.fenced(message.isFenced);
      break;
    case 'status':
      engine.status(message.status);
  }
}

function portLogger(say: (message: FromThread) => void): Logger {
  const at =
    (level: LogLevel) =>
    (event: string, fields: Readonly<Record<string, unknown>> = {}): void =>
      say({ type: 'log', level, event, fields: { ...fields } });
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** The main loop cannot be asked any more: the culprit goes to disk, and the process ends. */
function endProcess(
  key: string | null,
  {
    clock,
    file,
    logger,
  }: { readonly clock: Clock; readonly file: string; readonly logger: Logger },
): void {
  try {
    writeCulprit(file, { key, atMs: clock.nowMs() });
  } catch (error) {
    logger.error('culprit.not_written', { key, error: String(error) });
  }
  process.kill(process.pid, stuckSignal);
  // Somebody handles that signal after all, on the loop that is stuck: then the signal that nobody can handle.
  clock.schedule(clock.monoMs() + 250, () => process.kill(process.pid, 'SIGKILL'));
}
