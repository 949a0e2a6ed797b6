// The options of one run of a cluster, expanded from its seed: nodes and their clocks, who is monitored, what the truth is,
// which faults come when. Plain data, so that a replay can print it and a shrinker cut it down. Must not know how it is done.
import type {
  ChangeWish,
  CheckPlan,
  EntityPlan,
  Plan,
  TruthSpan,
  TruthState,
} from '../sim/plan.ts';
import { type Draw, drawOf } from '../sim/random.ts';
import { type ClusterFault, faultsOf } from './faults.ts';

export interface NodePlan {
  readonly name: string;
  readonly weight: number;
  readonly rate: number;
  readonly wallOffsetMs: number;
  /** When it starts first. */
  readonly startT: number;
}

export interface ClusterPlan {
  readonly seed: number;
  readonly mode: 'safety' | 'liveness';
  readonly healT: number;
  readonly quietMs: number;
  readonly nodes: readonly NodePlan[];
  readonly delayMs: readonly [number, number];
  readonly storeMs: number;
  readonly lateWrites: boolean;
  readonly faults: readonly ClusterFault[];
  /** What the people of one node's simulator need to know. */
  readonly people: Plan;
}

/** Within CONV of reliability.md §3.1: 30 s until a node that came back is given shards, then 51 of them each 5 s. */
export const convergeMs = 100_000;

/** Returns the plan of a seed; the same for the same seed. */
export function clusterPlanOf(seed: number): ClusterPlan {
  const draw = drawOf(seed, 'cluster plan');
  const healT = draw.whole(75, 130) * 1_000;
  const mode = draw.chance(0.5) ? 'liveness' : 'safety';
  const many = draw.pick([2, 3, 3, 3, 3, 4, 5]);
  const nodes = Array.from({ length: many }, (_, at) => nodeOf(draw, at, healT));
  const storeMs = draw.pick([0.5, 2, 8]);
  const lateWrites = draw.chance(0.5);
  const faults = faultsOf(drawOf(seed, 'cluster faults'), {
    healT,
    nodes: nodes.map(({ name }) => name),
  });
  const base = { seed, mode, healT, nodes, storeMs, lateWrites, faults } as const;
  return {
    ...base,
    quietMs: convergeMs,
    delayMs: draw.pick([
      [0.1, 1],
      [0.2, 4],
      [1, 30],
    ] as const),
    people: peopleOf(seed, { healT, mode, storeMs, lateWrites }),
  };
}

function nodeOf(draw: Draw, at: number, healT: number): NodePlan {
  const isLate = at > 1 && draw.chance(0.15);
  return {
    name: `n${at + 1}`,
    weight: draw.chance(0.1) ? draw.pick([0, 1, 8]) : 4,
    rate: draw.chance(0.2) ? draw.between(0.95, 1.05) : 1,
    wallOffsetMs: draw.whole(-200, 200),
    startT: isLate ? draw.whole(20_000, healT) : draw.whole(0, 900),
  };
}

type Base = Pick<Plan, 'healT' | 'mode' | 'storeMs' | 'lateWrites'>;

function peopleOf(seed: number, base: Base): Plan {
  const draw = drawOf(seed, 'people');
  const entities = entitiesOf(draw);
  const targets = entities.flatMap((one) => one.checks).length;
  return {
    ...base,
    ...{ seed, profile: 'busy', quietMs: convergeMs, rate: 1, wallOffsetMs: 0, stragglers: 0 },
    answersLost: draw.pick([0, 0.1]),
    spots: [],
    ...{ tenants: draw.whole(1, 2), receivers: draw.whole(2, 3), zones: 3 },
    entities,
    targets: Array.from({ length: targets }, (_, at) =>
      truthOf(drawOf(seed, `truth${at}`), base.healT),
    ),
    faults: [],
    changes: changesOf(draw, base.healT),
  };
}

function entitiesOf(draw: Draw): EntityPlan[] {
  let target = 0;
  return Array.from({ length: draw.whole(8, 14) }, () => ({
    tenant: 0,
    checks: Array.from({ length: draw.pick([1, 1, 2]) }, (): CheckPlan => {
      const zones = draw.shuffled([0, 1, 2]);
      return {
        target: target++,
        zones: draw.chance(0.7) ? zones : zones.slice(0, draw.whole(1, 2)),
        periodS: draw.pick([10, 10, 10, 20]),
        timeoutS: draw.pick([2, 3, 5]),
        alarms: Array.from({ length: draw.pick([1, 1, 2]) }, () => ({
          count: draw.pick([1, 1, 2, 3]),
          level: draw.pick(['QUORUM', 'QUORUM', 'QUORUM', 'ONE', 'ALL']),
          sees: draw.pick(['availability', 'duration']),
          plan: draw.whole(0, 1),
        })),
      };
    }),
  }));
}

function truthOf(draw: Draw, healT: number): TruthSpan[] {
  const isFlapping = draw.chance(0.3);
  const spans: TruthSpan[] = [];
  let from = 0;
  let state: TruthState = draw.chance(0.15) ? 'down' : 'up';
  while (from < healT) {
    const ms = isFlapping ? draw.between(4_000, 30_000) : draw.between(20_000, 90_000);
    const to = Math.min(from + Math.round(ms), healT);
    spans.push({ from, to, state });
    from = to;
    state = state === 'up' ? draw.pick(['down', 'down', 'slow']) : draw.pick(['up', 'up', 'slow']);
  }
  const last = draw.pick(['up', 'up', 'down'] as const);
  spans.push({ from, to: Number.MAX_SAFE_INTEGER, state: last });
  return spans;
}

const changeKinds: readonly ChangeWish['kind'][] = [
  ...(['checkPeriod', 'checkToggle', 'checkCreate', 'checkDelete', 'alarmCriteria'] as const),
  ...(['alarmToggle', 'alarmPlan', 'alarmDelete', 'entityUpdate', 'entityCreate'] as const),
  ...(['entityDelete', 'planUpdate', 'suppress', 'unsuppress', 'contacts'] as const),
];

function changesOf(draw: Draw, healT: number): ChangeWish[] {
  const changes = Array.from({ length: draw.pick([0, 4, 10, 16]) }, (_, salt) => ({
    at: Math.round(draw.between(25_000, healT * 0.97)),
    kind: draw.pick(changeKinds),
    salt,
  }));
  return changes.sort((left, right) => left.at - right.at);
}
