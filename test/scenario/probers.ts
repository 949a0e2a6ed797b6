// The probers of a scenario: zones that answer or not, and a target that is up or down, seen alike or differently by zones.
// A request waits until the scenario has said how the target is. Must not know actors.
import type { ProbeAnswer, ProbeRequest, WireMetric } from '../../actors/check/types.ts';
import type { Clock } from '../../runtime/ports.ts';

/** What a zone's prober does; `silent`: it never answers. */
export type ZoneMode = 'up' | 'dead' | 'offline' | 'silent';

/** How the target answers; `check` and `zone` null: for all. */
export interface Target {
  readonly check: string | null;
  readonly zone: string | null;
  readonly available: boolean;
  readonly status: string;
  readonly metrics: readonly WireMetric[];
}

type Done = (answer: ProbeAnswer) => void;

export class Probers {
  readonly modes = new Map<string, ZoneMode>();
  /** Answers of a zone come so much later, ms. */
  readonly lateMs = new Map<string, number>();
  #targets: readonly Target[] = [];
  #waiting: { readonly request: ProbeRequest; readonly done: Done }[] = [];

  /** True while a probe waits for the target's first answer. */
  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Says how the target is from now on; what waited is answered. */
  aim(target: Target, clock: Clock): void {
    this.#targets = [...this.#targets.filter((one) => !covers(target, one)), target];
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { request, done } of waiting) this.submit(clock, request, done);
  }

  submit(clock: Clock, request: ProbeRequest, done: Done): void {
    const mode = this.modes.get(request.zone) ?? 'up';
    if (mode === 'silent') return;
    const target = this.#targets.findLast((one) => covers(one, placeOf(request)));
    if (mode === 'up' && target === undefined) {
      this.#waiting.push({ request, done });
      return;
    }
    const startedAtMs = clock.nowMs();
    const afterMs = this.lateMs.get(request.zone) ?? 0;
    clock.schedule(clock.monoMs() + afterMs, () => {
      const base = { id: request.id, startedAtMs, durationMs: afterMs };
      done(mode === 'up' ? observed(base, target) : failed(base, mode));
    });
  }
}

function placeOf(request: ProbeRequest): Pick<Target, 'check' | 'zone'> {
  return { check: request.id.split('|')[1] ?? '', zone: request.zone };
}

function covers(wide: Pick<Target, 'check' | 'zone'>, narrow: Pick<Target, 'check' | 'zone'>) {
  const isCheck = wide.check === null || wide.check === narrow.check;
  return isCheck && (wide.zone === null || wide.zone === narrow.zone);
}

type Base = Pick<ProbeAnswer, 'id' | 'startedAtMs' | 'durationMs'>;

function observed(base: Base, target: Target | undefined): ProbeAnswer {
  const available = target?.available ?? true;
  return {
    ...base,
    outcome: 'observed',
    available,
    status: target?.status ?? '',
    errorClass: available ? null : 'refused',
    metrics: target?.metrics ?? [],
    address: '192.0.2.10',
    debugInfo: null,
  };
}

function failed(base: Base, mode: 'dead' | 'offline'): ProbeAnswer {
  return mode === 'dead'
    ? { ...base, outcome: 'failed', failure: 'no-prober', message: 'the prober is not running' }
    : {
        ...base,
        outcome: 'failed',
        failure: 'local-network',
        message: 'the prober reaches none of its anchors',
      };
}
