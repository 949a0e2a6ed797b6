// Test checks: a check run once in each of its zones through the ordinary, guarded way of probes; waits for all.
// Bounded over the node. A zone that does not answer is a result with the reason, never a missing item.
import type { ProbeAnswer, ProbeRequest } from '../actors/check/types.ts';
import type { ActorKey } from '../runtime/ids.ts';
import { askActor } from './actor-ask.ts';
import { Gate } from './gate.ts';
import type { ApiPorts } from './ports.ts';
import { randomText } from './secret.ts';

/** Time that a zone's answer may take on its way, beyond the probe's own deadline. */
const graceMs = 5_000;

export interface TestCheckResult {
  readonly timestamp: number;
  readonly monitoring_zone_id: string;
  readonly available: boolean;
  readonly status: string;
  readonly metrics: Readonly<
    Record<string, { readonly type: string; readonly data: string; readonly unit: string }>
  >;
  readonly debug_info?: { readonly body: string };
}

export class TestChecks {
  readonly #ports: ApiPorts;
  readonly #gate: Gate;

  constructor(ports: ApiPorts) {
    this.#ports = ports;
    this.#gate = new Gate(ports.limits.testChecksMax);
  }

  /** Returns one probe request for each zone; throws the ApiError of attributes that are refused. */
  async prepare(
    key: ActorKey,
    what: { readonly id: string | null; readonly attributes: object; readonly debug: boolean },
  ): Promise<readonly ProbeRequest[]> {
    const requests = await askActor<readonly ProbeRequest[]>(this.#ports, key, {
      kind: 'check.prepareTest',
      ...what,
    });
    return requests.map((request) => ({
      ...request,
      id: `test-${randomText(this.#ports.random, 16)}`,
    }));
  }

  /** Runs them all; results in the order of the zones. Throws 503 where the node has too many under way. */
  async run(
    requests: readonly ProbeRequest[],
    wantsDebug: boolean,
  ): Promise<readonly TestCheckResult[]> {
    const all = () => Promise.all(requests.map((request) => this.#probe(request)));
    const answers = await this.#gate.run(all, requests.length);
    return answers.map((answer, at) => resultOf(requests[at] as ProbeRequest, answer, wantsDebug));
  }

  #probe(request: ProbeRequest): Promise<ProbeAnswer> {
    const { clock, probe } = this.#ports;
    const startedAtMs = clock.nowMs();
    return new Promise((resolve) => {
      const giveUp = (): void =>
        resolve({
          id: request.id,
          startedAtMs,
          durationMs: request.timeoutMs,
          outcome: 'failed',
          failure: 'no-prober',
          message: 'the zone did not answer in time',
        });
      const cancel = clock.schedule(clock.monoMs() + request.timeoutMs + graceMs, giveUp);
      probe.submit(request, (answer) => {
        cancel();
        resolve(answer);
      });
    });
  }
}

function resultOf(
  request: ProbeRequest,
  answer: ProbeAnswer,
  wantsDebug: boolean,
): TestCheckResult {
  const base = { timestamp: answer.startedAtMs, monitoring_zone_id: request.zone };
  if (answer.outcome === 'failed') {
    return { ...base, available: false, status: answer.message, metrics: {} };
  }
  const metrics = Object.fromEntries(
    answer.metrics.map(([name, type, value, unit]) => [name, { type, data: String(value), unit }]),
  );
  const hasDebug = wantsDebug && request.type === 'remote.http' && answer.debugInfo !== null;
  return {
    ...base,
    available: answer.available,
    status: answer.status,
    metrics,
    ...(hasDebug && answer.debugInfo !== null
      ? { debug_info: { body: answer.debugInfo.body } }
      : {}),
  };
}
