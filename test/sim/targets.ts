// What the world outside does: targets whose truth comes from the plan, probers of the zones that look at them, receivers
// that take notifications or do not. Must not know the judge nor how a node is made.
import { createHash } from 'node:crypto';
import type { ProbeAnswer, ProbeRequest } from '../../actors/check/types.ts';
import type { IntentBody } from '../../actors/notify/intent.ts';
import type { ActorKey } from '../../runtime/ids.ts';
import type { Delivery, DeliveryResult, Intent, Notifier, ProbeLink } from '../../runtime/ports.ts';
import type { Kernel, Process } from './kernel.ts';
import type { Machine } from './machine.ts';
import type { Fault, TruthSpan, TruthState } from './plan.ts';
import type { Draw } from './random.ts';
import type { Happening } from './trace.ts';

type ProberMode = Extract<Fault, { kind: 'prober' }>['mode'];
type ReceiverMode = Extract<Fault, { kind: 'receiver' }>['mode'];

/** Faults of the outside as they are now. */
export interface Outside {
  readonly probers: Map<string, ProberMode>;
  readonly receivers: Map<string, ReceiverMode>;
}

export interface OutsideOptions {
  readonly kernel: Kernel;
  readonly draw: Draw;
  readonly outside: Outside;
  readonly targets: readonly (readonly TruthSpan[])[];
  /** When the receiver of a line of notifications last took one. */
  readonly tookT: Map<string, number>;
  readonly emit: (run: number, happening: Happening) => void;
  readonly hit: (process: Process, point: string) => void;
}

export interface Seat {
  readonly process: Process;
  readonly run: number;
  readonly machine: Machine;
}

/** A notification so soon behind the one before it in its line: the store may not know of that one. */
const followedMs = 120;

/** Name of a target in a check, and back. */
export const targetName = (at: number): string => `target${at}.test`;
const targetAt = (name: string): number => Number(/^target(\d+)/.exec(name)?.[1] ?? -1);

export function truthAt(spans: readonly TruthSpan[], t: number): TruthState {
  return spans.find((span) => t >= span.from && t < span.to)?.state ?? 'up';
}

/** Returns the probers of all zones as one process sees them. */
export function probersOf(
  options: OutsideOptions,
  seat: Seat,
): ProbeLink<ProbeRequest, ProbeAnswer> {
  const { kernel, emit, hit } = options;
  return {
    submit: (request, done) => {
      if (seat.process.isDead) return;
      const { id, zone, target, timeoutMs } = request;
      emit(seat.run, { kind: 'probe.start', id, zone, target, timeoutMs });
      hit(seat.process, 'probe.started');
      const { waitMs, answer } = answerOf(options, seat, request);
      kernel.after(waitMs, seat.process, () => {
        const { outcome, durationMs } = answer;
        const observed = outcome === 'observed';
        const available = observed && answer.available;
        const failure = observed ? '' : answer.failure;
        emit(seat.run, { kind: 'probe.end', id, observed, available, durationMs, failure });
        done(answer);
      });
    },
  };
}

function answerOf(
  { draw, kernel, outside, targets }: OutsideOptions,
  seat: Seat,
  request: ProbeRequest,
): { waitMs: number; answer: ProbeAnswer } {
  const base = { id: request.id, startedAtMs: seat.machine.wallMs() };
  const failed = (failure: 'no-prober' | 'local-network', waitMs: number) => ({
    waitMs,
    answer: { ...base, durationMs: 0, outcome: 'failed', failure, message: failure } as const,
  });
  const mode = outside.probers.get(request.zone);
  if (mode === 'dead') return failed('no-prober', draw.between(0.1, 3));
  if (mode === 'silent') return failed('no-prober', draw.between(20_000, 90_000));
  if (mode === 'local') return failed('local-network', draw.between(200, request.timeoutMs));
  const truth = truthAt(targets[targetAt(request.target)] ?? [], kernel.now);
  const lateMs = mode === 'slow' ? draw.between(500, 6_000) : 0;
  if (truth === 'down') {
    const isSwift = draw.chance(0.5);
    const durationMs = Math.round(isSwift ? draw.between(1, 60) : request.timeoutMs);
    const text = isSwift ? 'connection refused' : 'timed out';
    const seen = { available: false, status: text, errorClass: 'connect', metrics: [] } as const;
    return { waitMs: durationMs + lateMs, answer: observed(base, durationMs, seen) };
  }
  const durationMs = Math.round(
    truth === 'slow' ? draw.between(1_200, 2_400) : draw.between(5, 250),
  );
  const seen = {
    available: true,
    status: `code=200,rt=${durationMs}`,
    errorClass: null,
    metrics: [
      ['code', 's', '200', 'unknown'],
      ['duration', 'I', durationMs, 'milliseconds'],
    ] as const,
  };
  return { waitMs: durationMs + lateMs, answer: observed(base, durationMs, seen) };
}

function observed(
  base: { id: string; startedAtMs: number },
  durationMs: number,
  seen: Pick<
    Extract<ProbeAnswer, { outcome: 'observed' }>,
    'available' | 'status' | 'errorClass' | 'metrics'
  >,
): ProbeAnswer {
  return {
    ...base,
    ...seen,
    durationMs,
    outcome: 'observed',
    address: '192.0.2.1',
    debugInfo: null,
  };
}

/** Returns the receivers as one process sees them. */
export function receiversOf(options: OutsideOptions, seat: Seat): Notifier {
  return {
    receiverOf,
    deliver: (key, intent, delivery) => deliver(options, seat, { key, intent, delivery }),
  };
}

function receiverOf(intent: Intent): string {
  return (intent.body as IntentBody).notification.details['url'] ?? 'mail';
}

function deliver(
  options: OutsideOptions,
  seat: Seat,
  of: { key: ActorKey; intent: Intent; delivery: Delivery },
): Promise<DeliveryResult> {
  const { kernel, emit, hit, draw, outside } = options;
  if (seat.process.isDead) return new Promise(() => undefined);
  const { key, intent, delivery } = of;
  const { id, alarm, n, channel } = intent;
  const body = intent.body as IntentBody;
  const receiver = receiverOf(intent);
  emit(seat.run, {
    kind: 'page.start',
    ...{ key, alarm, n, channel, id, receiver, attempt: delivery.attempt },
    incident: body.incident_key,
    state: body.state,
    hash: createHash('sha256').update(JSON.stringify(body)).digest('hex').slice(0, 16),
  });
  hit(seat.process, 'page.started');
  const line = `${key} ${alarm} ${channel}`;
  if (kernel.now - (options.tookT.get(line) ?? -followedMs) < followedMs) {
    hit(seat.process, 'page.followed');
  }
  const { receivedMs, answerMs, result } = responseOf(draw, outside.receivers.get(receiver));
  if (receivedMs !== null) {
    // The receiver lives on whatever becomes of the sender.
    kernel.after(receivedMs, null, () => {
      emit(0, { kind: 'page.received', id, receiver });
      hit(seat.process, 'page.received');
    });
  }
  return new Promise((resolve) => {
    let isOver = false;
    const end = (given: DeliveryResult): void => {
      if (isOver) return;
      isOver = true;
      const final = !given.delivered && given.final === true;
      emit(seat.run, { kind: 'page.end', id, delivered: given.delivered, final });
      if (given.delivered) options.tookT.set(line, kernel.now);
      resolve(given);
      hit(seat.process, 'page.answered');
    };
    if (answerMs !== null) kernel.after(answerMs, seat.process, () => end(result));
    delivery.signal.addEventListener('abort', () => end({ delivered: false, message: 'aborted' }));
  });
}

interface Response {
  readonly receivedMs: number | null;
  /** null: it never answers. */
  readonly answerMs: number | null;
  readonly result: DeliveryResult;
}

function responseOf(draw: Draw, mode: ReceiverMode | undefined): Response {
  const soon = draw.between(5, 300);
  const failed = (message: string) => ({ delivered: false, message }) as const;
  switch (mode) {
    case 'error':
      return { receivedMs: null, answerMs: soon, result: failed('503') };
    case 'busy': {
      const retryAfterMs = draw.whole(1, 40) * 1000;
      return { receivedMs: null, answerMs: soon, result: { ...failed('429'), retryAfterMs } };
    }
    case 'refused':
      return { receivedMs: null, answerMs: draw.between(0.2, 5), result: failed('refused') };
    case 'hang':
      return { receivedMs: draw.chance(0.5) ? soon : null, answerMs: null, result: failed('') };
    case 'lose':
      return { receivedMs: soon / 2, answerMs: soon, result: failed('socket hang up') };
    case 'slow': {
      const ms = draw.between(1_000, 14_000);
      return { receivedMs: ms - 1, answerMs: ms, result: { delivered: true, message: '200' } };
    }
    default:
      return { receivedMs: soon / 2, answerMs: soon, result: { delivered: true, message: '200' } };
  }
}
