// The Pulse on the main loop itself: for tests and simulation, over any control plane. There is no thread to be stuck beside.
import type { NodeId } from '../../runtime/ids.ts';
import type { Clock, Logger } from '../../runtime/ports.ts';
import type { ControlPlane } from '../control-plane.ts';
import type { Pulse, PulseEvent } from '../pulse.ts';
import { PulseEngine, silentReport } from '../pulse-engine.ts';

export interface MemoryPulseOptions {
  readonly node: NodeId;
  readonly control: ControlPlane;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly isSticky?: boolean;
}

/** Returns a pulse whose detector runs on the caller's event loop. */
export function memoryPulse(options: MemoryPulseOptions): Pulse {
  const { clock, control, logger, node } = options;
  let listener: (event: PulseEvent) => void = () => undefined;
  let leaseUntilMonoMs = Number.NEGATIVE_INFINITY;
  let isDropped = false;
  let seq = 0;
  const engine = new PulseEngine({
    control,
    clock,
    logger,
    isSticky: options.isSticky ?? false,
    emit: (event) => listener(event),
    shared: {
      mainTickMonoMs: () => clock.monoMs(),
      takeDrop: () => {
        const was = isDropped;
        isDropped = false;
        return was;
      },
      publishLease: (untilMonoMs) => {
        leaseUntilMonoMs = untilMonoMs;
      },
      working: () => null,
      nextSeq: () => ++seq,
    },
  });
  return {
    begin: (incarnation, view) => engine.begin({ node, incarnation }, view),
    listen: (heard) => {
      listener = heard;
    },
    report: () => engine.report() ?? silentReport,
    leaseUntilMonoMs: () => (isDropped ? Number.NEGATIVE_INFINITY : leaseUntilMonoMs),
    dropLease: () => {
      isDropped = true;
    },
    view: (view) => engine.view(view),
    viewRead: (startedMonoMs, isListed) => engine.viewRead(startedMonoMs, isListed),
    fenced: (isFenced) => engine.fenced(isFenced),
    status: (status) => engine.status(status),
    working: () => undefined,
    stop: () => engine.stop(),
  };
}
