// What the trace of a cluster says, put in order for its rules: process runs, views, who was granted what, faults. Owns no rule.
// Imports types only, and what text and structure of one node's judge is the same.
import type { Violation } from '../../sim/oracle/facts.ts';
import type { ClusterEvent, MemberSeen, Of } from '../trace.ts';

export interface ClusterGround {
  readonly mode: 'safety' | 'liveness';
  readonly healT: number;
  readonly nodes: readonly { readonly name: string; readonly weight: number }[];
  readonly truth: (target: string) => readonly { from: number; to: number; state: string }[];
}

export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface ProcessRun {
  readonly run: number;
  name: string;
  weight: number;
  readonly startT: number;
  readyT: number;
  endT: number;
  why: string;
  readonly pauses: { from: number; to: number }[];
}

export interface FaultSpan extends Span {
  readonly kind: string;
  readonly what: string;
}

export interface ViewSeen {
  readonly t: number;
  readonly run: number;
  readonly version: number;
  readonly members: readonly MemberSeen[];
}

export interface ClusterFacts {
  readonly events: readonly ClusterEvent[];
  readonly ground: ClusterGround;
  readonly runs: ReadonlyMap<number, ProcessRun>;
  readonly faults: readonly FaultSpan[];
  readonly views: readonly ViewSeen[];
  readonly healedT: number;
  /** The view in force at a time; null: none yet. */
  viewAt(t: number): ViewSeen | null;
  /** True where [from, to] touches a fault other than those left out. */
  isDisturbed(from: number, to: number, but?: (fault: FaultSpan) => boolean): boolean;
}

const never = Number.MAX_SAFE_INTEGER;

export function clusterFactsOf(
  events: readonly ClusterEvent[],
  ground: ClusterGround,
): ClusterFacts {
  const runs = runsOf(events);
  const healedT = events.find((one) => one.kind === 'healed')?.t ?? never;
  const faults = faultsOf(events, runs, healedT);
  const views = events
    .filter((one): one is Of<'view.applied'> & ClusterEvent => one.kind === 'view.applied')
    .map(({ t, run, to, members }) => ({ t, run, version: to, members }));
  return {
    ...{ events, ground, runs, faults, views, healedT },
    viewAt: (t) => views.findLast((view) => view.t <= t) ?? null,
    isDisturbed: (from, to, but = () => false) =>
      faults.some((fault) => fault.from <= to && fault.to >= from && !but(fault)),
  };
}

function runsOf(events: readonly ClusterEvent[]): Map<number, ProcessRun> {
  const runs = new Map<number, ProcessRun>();
  for (const event of events) {
    const run = runs.get(event.run);
    if (event.kind === 'node.start') {
      const since = { startT: event.t, readyT: never, endT: never, why: '', pauses: [] };
      runs.set(event.run, { run: event.run, name: '', weight: 0, ...since });
    } else if (run === undefined) continue;
    else if (event.kind === 'process')
      Object.assign(run, { name: event.name, weight: event.weight });
    else if (event.kind === 'node.ready') run.readyT = event.t;
    else if (event.kind === 'node.end') Object.assign(run, { endT: event.t, why: event.why });
    else if (event.kind === 'node.pause') run.pauses.push({ from: event.t, to: never });
    else if (event.kind === 'node.resume') {
      const last = run.pauses.at(-1);
      if (last !== undefined) last.to = event.t;
    }
  }
  return runs;
}

/** Faults of the plan, and what they made of nodes: gone, stopped, new. */
function faultsOf(
  events: readonly ClusterEvent[],
  runs: ReadonlyMap<number, ProcessRun>,
  healedT: number,
): FaultSpan[] {
  const faults: FaultSpan[] = [];
  const momentary = new Set(['kill', 'drain', 'pause', 'freeze', 'twin']);
  for (const event of events) {
    if (event.kind !== 'fault' || momentary.has(event.fault)) continue;
    // Slots that lead or trail the wall clock do so for long (clustering.md §12).
    const to = event.fault === 'wall' ? never : Math.min(event.untilT, healedT);
    faults.push({ kind: event.fault, what: event.what, from: event.t, to });
  }
  for (const { run, name, startT, readyT, endT, why, pauses } of runs.values()) {
    faults.push({
      kind: 'start',
      what: `${name} ${run}`,
      from: startT,
      to: Math.min(readyT, endT),
    });
    if (endT < never) faults.push({ kind: 'end', what: `${name} ${why}`, from: endT, to: endT });
    for (const { from, to } of pauses) {
      faults.push({ kind: 'pause', what: `${name} ${run}`, from, to: Math.min(to, endT) });
    }
  }
  for (const event of events) {
    if (event.kind === 'fenced') {
      faults.push({ kind: 'fenced', what: `${event.run}`, from: event.t, to: event.t });
    }
  }
  return faults.sort((left, right) => left.from - right.from);
}

export function violation(id: string, t: number, text: string): Violation {
  return { id, t, text };
}
