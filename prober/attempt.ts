// One attempt from request to answer: the total deadline, the sockets it opened, the self-test before a target is
// called down. Guarantees exactly one answer by deadline + 250 ms whatever the probe does (I9, I10).
// Must not know queues or IPC.
import { isIP } from 'node:net';
import type { ProbeAnswer, ProbeRequest } from '../actors/check/types.ts';
import { Canceller } from './cancellation.ts';
import { monotonicMs, wallNowMs } from './clock.ts';
import type { DestinationLimit } from './egress/destination-limit.ts';
import type { Egress } from './egress/dial.ts';
import { ProbeError, toProbeError } from './errors.ts';
import { cleanupGraceMs, metricsMax, selfTestLeadMs, timeoutMaxMs } from './limits.ts';
import type { MatchPool } from './probe/match-pool.ts';
import type { Pinger } from './probe/pinger.ts';
import type { Probe, ProbeContext, ProbeSeen } from './probe/probe.ts';
import type { SelfTest, Suspect } from './self-test.ts';
import { statusText } from './text.ts';

export interface AttemptPorts {
  readonly probes: ReadonlyMap<string, Probe>;
  readonly egress: Egress;
  readonly destinations: DestinationLimit;
  readonly selfTest: SelfTest;
  readonly matches: MatchPool;
  readonly pinger: Pinger;
  readonly userAgent: string;
  /** For the operator; bounded by the receiver. */
  readonly log: (event: string, fields: Readonly<Record<string, unknown>>) => void;
}

interface Attempt {
  readonly request: ProbeRequest;
  readonly ports: AttemptPorts;
  /** What is left of the timeout after the queue, ms. */
  readonly limitMs: number;
  readonly startedMs: number;
  readonly startedAtMs: number;
  readonly controller: Canceller;
  readonly sockets: { destroy(): unknown }[];
  readonly held: Set<string>;
  /** Last literal that was dialled. */
  address: string | null;
}

/**
 * Runs one probe and returns its answer; never rejects. `limitMs`, at most the request's timeout, is what the
 * queue left of it: an attempt that ends at a shortened deadline failed as `overloaded`, the target may be well.
 */
export function runAttempt(
  request: ProbeRequest,
  ports: AttemptPorts,
  limitMs: number,
): Promise<ProbeAnswer> {
  const attemptMs = Math.max(1, Math.min(limitMs, timeoutMaxMs));
  const startedMs = monotonicMs();
  const attempt: Attempt = {
    request,
    ports,
    limitMs: attemptMs,
    startedMs,
    startedAtMs: wallNowMs(),
    controller: new Canceller(startedMs + attemptMs),
    sockets: [],
    held: new Set(),
    address: null,
  };
  return new Promise((resolve) => {
    let failure: ProbeError | null = null;
    const settle = (answer: ProbeAnswer) => {
      clearTimeout(timer);
      for (const socket of attempt.sockets) socket.destroy();
      ports.destinations.leave(attempt.held);
      resolve(answer);
    };
    const atGraceEnd = () => {
      if (failure === null) ports.log('probe-overran', { id: request.id, type: request.type });
      const error = failure ?? new ProbeError('timeout');
      const passed = !error.network || ports.selfTest.known(suspectOf(attempt)) === true;
      settle(passed ? failed(attempt, error) : localNetwork(attempt, error));
    };
    const atDeadline = () => {
      timer = setTimeout(atGraceEnd, cleanupGraceMs);
      attempt.controller.abort('deadline');
    };
    const atLead = () => {
      timer = setTimeout(atDeadline, attempt.limitMs - leadMs);
      void ports.selfTest.verdict(suspectOf(attempt));
    };
    // Peers are asked while the target still has time to answer, so that no verdict is late.
    const leadMs = Math.min(selfTestLeadMs, attempt.limitMs / 2);
    let timer = setTimeout(atLead, attempt.limitMs - leadMs);

    runProbe(attempt).then(
      (seen) => settle(observed(attempt, seen)),
      async (error: unknown) => {
        failure = asProbeError(attempt, error);
        attempt.controller.abort('failed');
        const passed = !failure.network || (await ports.selfTest.verdict(suspectOf(attempt)));
        settle(passed ? failed(attempt, failure) : localNetwork(attempt, failure));
      },
    );
  });
}

async function runProbe(attempt: Attempt): Promise<ProbeSeen> {
  const probe = attempt.ports.probes.get(attempt.request.type);
  if (probe === undefined) {
    const message = `check type ${attempt.request.type} is not supported by this prober`;
    throw new ProbeError('unsupported', { message });
  }
  return probe(contextOf(attempt));
}

function contextOf(attempt: Attempt): ProbeContext {
  const { request, ports, controller: signal } = attempt;
  const remainingMs = () => Math.max(1, attempt.limitMs - (monotonicMs() - attempt.startedMs));
  const admit = (address: string) => {
    attempt.address = address;
    ports.destinations.enter(address, attempt.held);
  };
  const common = () => ({
    purpose: 'probe' as const,
    family: request.resolver,
    timeoutMs: remainingMs(),
    signal,
  });
  return {
    request,
    signal,
    startedMs: attempt.startedMs,
    remainingMs,
    async connect(options) {
      const connection = await ports.egress.connect({ ...common(), ...options, admit });
      attempt.sockets.push(connection.socket);
      // The deadline may have passed between the connection and this line.
      if (signal.aborted) connection.socket.destroy();
      return connection;
    },
    async resolve(options) {
      const resolved = await ports.egress.resolve({ ...common(), ...options });
      admit(resolved.addresses[0] ?? '');
      return resolved;
    },
    match: (pattern, subject) => ports.matches.match(pattern, subject, signal),
    pinger: ports.pinger,
    userAgent: ports.userAgent,
  };
}

function suspectOf(attempt: Attempt): Suspect {
  const literal = attempt.address ?? attempt.request.target;
  const isSix = isIP(literal) === 6 || (isIP(literal) === 0 && attempt.request.resolver === 'IPv6');
  return { family: isSix ? 6 : 4, address: attempt.address };
}

/** What a failure means, seen with the deadline: cut off by a full queue it says nothing about the target. */
function asProbeError(attempt: Attempt, error: unknown): ProbeError {
  const isOver = attempt.controller.aborted;
  const known = error instanceof ProbeError ? error : toProbeError(error);
  if (isOver && attempt.limitMs < attempt.request.timeoutMs) {
    return new ProbeError('overloaded', { message: 'ended early after a long wait in the queue' });
  }
  if (isOver && known.errorClass === 'internal') return new ProbeError('timeout', { cause: error });
  if (known.errorClass === 'internal') {
    const { type, id } = attempt.request;
    const detail = known.detail ?? String(known.cause ?? '');
    attempt.ports.log('probe-error', { id, type, detail });
  }
  if (known.errorClass === 'target-not-allowed') {
    attempt.ports.log('target-refused', { id: attempt.request.id, detail: known.detail });
  }
  return known;
}

function base(attempt: Attempt) {
  return {
    id: attempt.request.id,
    startedAtMs: attempt.startedAtMs,
    durationMs: monotonicMs() - attempt.startedMs,
  };
}

function observed(attempt: Attempt, seen: ProbeSeen): ProbeAnswer {
  if (seen.address !== null) attempt.ports.selfTest.noteSuccess(seen.address, seen.port);
  return {
    id: attempt.request.id,
    startedAtMs: attempt.startedAtMs,
    durationMs: monotonicMs() - attempt.startedMs,
    outcome: 'observed',
    available: true,
    status: statusText(seen.status),
    errorClass: null,
    metrics: seen.metrics.length > metricsMax ? seen.metrics.slice(0, metricsMax) : seen.metrics,
    address: seen.address,
    debugInfo: seen.debugBody === undefined ? null : { body: seen.debugBody },
  };
}

function failed(attempt: Attempt, error: ProbeError): ProbeAnswer {
  const message = statusText(error.message);
  if (error.failure !== null) {
    return { ...base(attempt), outcome: 'failed', failure: error.failure, message };
  }
  return {
    ...base(attempt),
    outcome: 'observed',
    available: false,
    status: message,
    errorClass: error.errorClass,
    metrics: [],
    // A refused address is not told (no oracle).
    address: error.errorClass === 'target-not-allowed' ? null : attempt.address,
    debugInfo: null,
  };
}

function localNetwork(attempt: Attempt, error: ProbeError): ProbeAnswer {
  const { message } = new ProbeError('local-network');
  attempt.ports.log('self-test-failed', { id: attempt.request.id, errorClass: error.errorClass });
  const text = statusText(`${message} (${error.message})`);
  return { ...base(attempt), outcome: 'failed', failure: 'local-network', message: text };
}
