// The options of one run, expanded from its seed: who is monitored, what the truth is, which faults come when, what people
// change meanwhile. Plain data: printed for a replay, and cut down by the shrinker. Must not know how anything is done.
import { duetsOf, strainsOf, whimsOf } from './duets.ts';
import { type Draw, drawOf } from './random.ts';

export type TruthState = 'up' | 'slow' | 'down';

export interface TruthSpan {
  readonly from: number;
  readonly to: number;
  readonly state: TruthState;
}

export type Fault =
  | { readonly at: number; readonly kind: 'crash'; readonly point: string; readonly downMs: number }
  | { readonly at: number; readonly kind: 'stop'; readonly downMs: number }
  | { readonly at: number; readonly kind: 'pause' | 'freeze'; readonly ms: number }
  | { readonly at: number; readonly kind: 'wall'; readonly deltaMs: number }
  | {
      readonly at: number;
      readonly kind: 'wallSteps';
      readonly deltaMs: number;
      readonly steps: number;
    }
  | { readonly at: number; readonly kind: 'outage' | 'projectionsOut'; readonly ms: number }
  | {
      readonly at: number;
      readonly kind: 'storeSlow';
      readonly ms: number;
      readonly factor: number;
    }
  | {
      readonly at: number;
      readonly kind: 'storeUnknown';
      readonly ms: number;
      readonly chance: number;
    }
  | {
      readonly at: number;
      readonly kind: 'receiver';
      readonly receiver: number;
      readonly ms: number;
      readonly mode: 'error' | 'busy' | 'refused' | 'hang' | 'slow' | 'lose';
    }
  | {
      readonly at: number;
      readonly kind: 'prober';
      readonly zone: number;
      readonly ms: number;
      readonly mode: 'dead' | 'silent' | 'local' | 'slow';
    };

export type ChangeKind =
  | 'checkPeriod'
  | 'checkToggle'
  | 'checkZones'
  | 'checkCreate'
  | 'checkDelete'
  | 'checkBlink'
  | 'checkMayfly'
  | 'alarmCriteria'
  | 'alarmToggle'
  | 'alarmPlan'
  | 'alarmDelete'
  | 'entityDelete'
  | 'entityUpdate'
  | 'entityCreate'
  | 'planUpdate'
  | 'planDelete'
  | 'suppress'
  | 'unsuppress'
  | 'contacts';

export interface ChangeWish {
  readonly at: number;
  readonly kind: ChangeKind;
  /** Names the stream that its details are drawn from. */
  readonly salt: number;
}

export interface AlarmPlan {
  readonly count: number;
  readonly level: 'ONE' | 'QUORUM' | 'ALL';
  readonly sees: 'availability' | 'duration';
  readonly plan: number;
}

export interface CheckPlan {
  readonly target: number;
  readonly zones: readonly number[];
  readonly periodS: number;
  readonly timeoutS: number;
  readonly alarms: readonly AlarmPlan[];
}

export interface EntityPlan {
  readonly tenant: number;
  readonly checks: readonly CheckPlan[];
}

export interface Plan {
  readonly seed: number;
  readonly mode: 'safety' | 'liveness';
  readonly profile: 'busy' | 'long';
  /** Faults and changes end here; then the world is well. */
  readonly healT: number;
  /** Quiet time behind it. */
  readonly quietMs: number;
  readonly rate: number;
  readonly wallOffsetMs: number;
  /** Writes of a dead process may still land. */
  readonly lateWrites: boolean;
  /** Chance that such a write lands behind the next owner's claim. */
  readonly stragglers: number;
  /** Chance that a stamped write happens once more, minutes later. */
  readonly echoes?: number;
  /** Chance that an answer never reaches the client, which asks again much later. */
  readonly answersLost: number;
  /** When people look at everything. */
  readonly spots: readonly number[];
  readonly storeMs: number;
  readonly tenants: number;
  readonly receivers: number;
  readonly zones: number;
  readonly entities: readonly EntityPlan[];
  /** State of each target over time, without a gap. */
  readonly targets: readonly (readonly TruthSpan[])[];
  readonly faults: readonly Fault[];
  readonly changes: readonly ChangeWish[];
}

/** CONV of reliability.md §3.1. */
export const convergeMs = 120_000;

const crashPoints = [
  'now',
  'now',
  'commit.asked',
  'commit.applied',
  'commit.answered',
  'page.started',
  'page.received',
  'page.answered',
  'states.applied',
  'documents.applied',
  'history.applied',
  'ticks.applied',
  'claim.applied',
  'loaded',
  'probe.started',
  'api.answered',
] as const;

type FaultKind = Fault['kind'];

/** Returns the plan of a seed; the same for the same seed. */
export function planOf(seed: number): Plan {
  const draw = drawOf(seed, 'plan');
  const isLong = draw.chance(0.03);
  const healT = isLong ? draw.whole(20, 78) * 3_600_000 : draw.whole(13, 17) * 60_000;
  const mode = draw.chance(0.5) ? 'liveness' : 'safety';
  const zones = 3;
  const receivers = draw.whole(2, 4);
  const tenants = draw.whole(1, 2);
  const entities = isLong ? longEntities(draw, tenants) : busyEntities(draw, tenants, zones);
  const checks = entities.flatMap((entity) => entity.checks);
  const targetsTotal = checks.reduce((most, check) => Math.max(most, check.target + 1), 1);
  const endT = healT + convergeMs * 3;
  const duets = duetsOf(drawOf(seed, 'duets'), { healT, receivers, zones });
  const whims = whimsOf(drawOf(seed, 'whims'), { healT });
  const plain = faultsOf(drawOf(seed, 'faults'), { healT, isLong, receivers, zones });
  const strains = strainsOf(drawOf(seed, 'strains'), {
    healT,
    faults: [...plain, ...duets.faults],
  });
  const targets = Array.from({ length: targetsTotal }, (_, at) =>
    truthOf(drawOf(seed, `truth${at}`), { endT, healT, isLong }),
  );
  return {
    seed,
    mode,
    profile: isLong ? 'long' : 'busy',
    healT,
    quietMs: isLong ? 2 * 1_800_000 + convergeMs : convergeMs + 30_000,
    rate: draw.chance(0.3) ? draw.between(0.95, 1.05) : 1,
    wallOffsetMs: draw.chance(0.2) ? draw.whole(-86_400_000, 86_400_000) : draw.whole(-500, 500),
    lateWrites: draw.chance(0.4) || duets.stragglers > 0,
    stragglers: duets.stragglers,
    echoes: strains.echoes,
    answersLost: whims.answersLost,
    spots: whims.spots,
    storeMs: draw.pick([0.5, 2, 8]),
    tenants,
    receivers,
    zones,
    entities,
    targets,
    faults: inTime(strains.isCalm ? strains.faults : [...plain, ...duets.faults, ...whims.faults]),
    changes: strains.isCalm
      ? []
      : inTime([
          ...changesOf(drawOf(seed, 'changes'), { healT, isLong }),
          ...whims.changes,
          ...duets.changes,
        ]),
  };
}

function alarmOf(draw: Draw, plans: number): AlarmPlan {
  return {
    count: draw.pick([1, 1, 2, 3]),
    level: draw.pick(['QUORUM', 'QUORUM', 'QUORUM', 'ONE', 'ALL']),
    sees: draw.pick(['availability', 'duration']),
    plan: draw.whole(0, plans - 1),
  };
}

function busyEntities(draw: Draw, tenants: number, zones: number): EntityPlan[] {
  let target = 0;
  return Array.from({ length: draw.whole(14, 22) }, () => ({
    tenant: draw.whole(0, tenants - 1),
    checks: Array.from({ length: draw.pick([1, 1, 2]) }, () => {
      const periodS = draw.pick([20, 30, 30, 60]);
      const all = draw.shuffled(Array.from({ length: zones }, (_, at) => at));
      return {
        target: target++,
        zones: draw.chance(0.75) ? all : all.slice(0, draw.whole(1, 2)),
        periodS,
        timeoutS: draw.pick([3, 5, 8]),
        alarms: Array.from({ length: draw.pick([1, 1, 2]) }, () => alarmOf(draw, 2)),
      };
    }),
  }));
}

function longEntities(draw: Draw, tenants: number): EntityPlan[] {
  return Array.from({ length: 3 }, (_, target) => ({
    tenant: draw.whole(0, tenants - 1),
    checks: [
      {
        target,
        zones: [0, 1, 2],
        periodS: draw.pick([900, 1200, 1800]),
        timeoutS: 10,
        alarms: [{ ...alarmOf(draw, 2), count: draw.pick([1, 2]) }],
      },
    ],
  }));
}

interface Horizon {
  readonly healT: number;
  readonly isLong: boolean;
}

function truthOf(draw: Draw, of: Horizon & { readonly endT: number }): TruthSpan[] {
  const temper = draw.pick(['steady', 'outages', 'outages', 'flapping'] as const);
  const scale = of.isLong ? 60 : 1;
  const lengthOf = (state: TruthState): number => {
    if (temper === 'flapping') return draw.between(5_000, 60_000) * scale;
    if (state === 'up')
      return draw.between(60_000, temper === 'steady' ? 900_000 : 300_000) * scale;
    return draw.between(40_000, 360_000) * scale;
  };
  const spans: TruthSpan[] = [];
  let from = 0;
  let state: TruthState = draw.chance(0.15) ? 'down' : 'up';
  while (from < of.healT) {
    const to = Math.min(from + Math.round(lengthOf(state)), of.healT);
    spans.push({ from, to, state });
    from = to;
    state =
      state === 'up' ? draw.pick(['down', 'down', 'slow']) : draw.pick(['up', 'up', 'up', 'slow']);
  }
  const last = draw.pick(['up', 'up', 'down', 'slow'] as const);
  spans.push({ from, to: Number.MAX_SAFE_INTEGER, state: last });
  return spans;
}

function faultsOf(
  draw: Draw,
  of: Horizon & { readonly receivers: number; readonly zones: number },
): Fault[] {
  const kinds: readonly FaultKind[] = [
    'crash',
    'stop',
    'pause',
    'freeze',
    'wall',
    'wallSteps',
    'outage',
    'storeSlow',
    'storeUnknown',
    'receiver',
    'prober',
  ];
  // Swarm: each run has a few kinds only, and one in twenty none.
  const wanted = draw.chance(0.05) ? [] : draw.shuffled(kinds).slice(0, draw.whole(1, 6));
  const faults: Fault[] = [];
  for (const kind of wanted) {
    const many = kind === 'wall' || kind === 'wallSteps' ? draw.whole(1, 2) : draw.whole(1, 5);
    for (let count = 0; count < many; count++) {
      const at = Math.round(draw.between(of.isLong ? 60_000 : 20_000, of.healT * 0.95));
      faults.push(faultOf(draw, kind, { ...of, at }));
    }
  }
  return faults.sort((left, right) => left.at - right.at);
}

function inTime<Item extends { readonly at: number }>(items: readonly Item[]): Item[] {
  return items.toSorted((left, right) => left.at - right.at);
}

const shortOrLong = (draw: Draw, longMs: number): number =>
  Math.round(draw.chance(0.6) ? draw.between(100, longMs / 10) : draw.between(1000, longMs));

function faultOf(
  draw: Draw,
  kind: FaultKind,
  of: Horizon & { readonly receivers: number; readonly zones: number; readonly at: number },
): Fault {
  const { at } = of;
  const longMs = of.isLong ? 7_200_000 : 90_000;
  switch (kind) {
    case 'crash':
      return { at, kind, point: draw.pick(crashPoints), downMs: shortOrLong(draw, longMs) };
    case 'stop':
      return { at, kind, downMs: shortOrLong(draw, longMs) };
    case 'pause':
    case 'freeze':
      return { at, kind, ms: shortOrLong(draw, of.isLong ? 3_600_000 : 120_000) };
    case 'wall':
      return { at, kind, deltaMs: wallJump(draw) };
    case 'wallSteps':
      return { at, kind, deltaMs: draw.pick([-900, -300, 300, 900]), steps: draw.whole(5, 40) };
    case 'outage':
      return { at, kind, ms: shortOrLong(draw, longMs) };
    case 'storeSlow':
      return { at, kind, ms: shortOrLong(draw, longMs), factor: draw.pick([10, 50, 200]) };
    case 'storeUnknown':
      return { at, kind, ms: shortOrLong(draw, longMs), chance: draw.pick([0.05, 0.2, 0.5]) };
    case 'receiver':
      return {
        at,
        kind,
        receiver: draw.whole(0, of.receivers - 1),
        ms: receiverMs(draw, of.isLong),
        mode: draw.pick(['error', 'busy', 'refused', 'hang', 'slow', 'lose']),
      };
    default:
      return {
        at,
        kind: 'prober',
        zone: draw.whole(0, of.zones - 1),
        ms: shortOrLong(draw, of.isLong ? 7_200_000 : 240_000),
        mode: draw.pick(['dead', 'silent', 'local', 'slow']),
      };
  }
}

function receiverMs(draw: Draw, isLong: boolean): number {
  if (isLong) return draw.whole(60, 70 * 3600) * 1000;
  return draw.chance(0.5) ? draw.whole(1, 20) * 1000 : draw.whole(20, 300) * 1000;
}

function wallJump(draw: Draw): number {
  const size = draw.pick([2_000, 60_000, 3_600_000, 86_400_000, 315_360_000_000]);
  return draw.chance(0.5) && size < 100_000_000 ? -size : size;
}

function changesOf(draw: Draw, of: Horizon): ChangeWish[] {
  const kinds: readonly ChangeKind[] = [
    'checkPeriod',
    'checkToggle',
    'checkToggle',
    'checkZones',
    'checkCreate',
    'checkDelete',
    'alarmCriteria',
    'alarmToggle',
    'alarmPlan',
    'alarmDelete',
    'entityDelete',
    'entityUpdate',
    'entityCreate',
    'planUpdate',
    'planDelete',
    'suppress',
    'suppress',
    'unsuppress',
    'contacts',
  ];
  const many = draw.pick([0, 4, 10, 25, 25]);
  const changes: ChangeWish[] = [];
  for (let count = 0; count < many; count++) {
    const at = Math.round(draw.between(30_000, of.healT * 0.97));
    changes.push({ at, kind: draw.pick(kinds), salt: count });
  }
  return changes.sort((left, right) => left.at - right.at);
}
