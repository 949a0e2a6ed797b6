// Faults and changes that go together: each alone says little. Part of the plan, from streams of chance of their own, so that
// a seed's other options keep their meaning. Must not know how anything is done.
import type { ChangeWish, Fault } from './plan.ts';
import type { Draw } from './random.ts';

interface Horizon {
  readonly healT: number;
  readonly receivers: number;
  readonly zones: number;
}

const duetNames = [
  'last words',
  'last words',
  'crash at the start',
  'crash while receivers fail',
  'far clock while receivers fail',
  'clock back, then crashes',
  'unknown outcomes while receivers fail',
  'long absence',
  'long pause',
] as const;

export interface Duets {
  readonly faults: readonly Fault[];
  readonly changes: readonly ChangeWish[];
  readonly stragglers: number;
}

/** Faults that say little alone and much together. Drawn apart, so that the other streams keep their meaning. */
export function duetsOf(draw: Draw, of: Horizon): Duets {
  if (!draw.chance(0.4)) return { faults: [], changes: [], stragglers: 0 };
  const name = draw.pick(duetNames);
  const faults: Fault[] = [];
  for (let count = draw.whole(1, 3); count > 0; count--) {
    const at = Math.round(draw.between(60_000, of.healT * 0.85));
    faults.push(...duetOf(draw, name, { ...of, at }));
  }
  return {
    faults,
    changes: name === 'unknown outcomes while receivers fail' ? mayflies(faults) : [],
    stragglers: name === 'last words' ? 0.8 : 0,
  };
}

/** Checks that are deleted while a write of them may still be on its way. */
function mayflies(faults: readonly Fault[]): ChangeWish[] {
  const unknown = faults.filter(({ kind }) => kind === 'storeUnknown');
  return unknown.flatMap(({ at }, one) =>
    Array.from({ length: 8 }, (_, two) => ({
      at: at + 1_000 + two * 6_000,
      kind: 'checkMayfly' as const,
      salt: 2_000 + one * 100 + two,
    })),
  );
}

function duetOf(
  draw: Draw,
  name: (typeof duetNames)[number],
  of: Horizon & { readonly at: number },
): Fault[] {
  const { at } = of;
  const soon = (): number => at + draw.whole(2_000, 40_000);
  const crash = (when: number, point: string, downMs = draw.whole(100, 3_000)): Fault => ({
    at: when,
    kind: 'crash',
    point,
    downMs,
  });
  const unwell = (mode: 'error' | 'lose' | 'slow'): Fault[] =>
    Array.from({ length: of.receivers }, (_, receiver) => ({
      at,
      kind: 'receiver',
      receiver,
      ms: draw.whole(90, 400) * 1_000,
      mode,
    }));
  const silent = (ms: number): Fault => ({
    at,
    kind: 'prober',
    zone: draw.whole(0, of.zones - 1),
    ms,
    mode: 'silent',
  });
  switch (name) {
    case 'last words':
      return lastWords(draw, at, crash);
    case 'crash at the start':
      return [
        crash(at, 'now'),
        crash(at + 1, draw.pick(['claim.asked', 'claim.applied', 'loaded', 'commit.asked'])),
      ];
    case 'crash while receivers fail':
      return draw.chance(0.5)
        ? [...unwell('slow'), crash(soon(), 'page.followed'), crash(soon(), 'page.followed')]
        : [...unwell('error'), crash(soon(), 'now'), crash(soon() + 40_000, 'now')];
    case 'far clock while receivers fail':
      return [...unwell('error'), { at: soon(), kind: 'wall', deltaMs: 315_360_000_000 }];
    case 'clock back, then crashes':
      return [
        { at, kind: 'wall', deltaMs: -draw.pick([60_000, 3_600_000, 86_400_000]) },
        silent(draw.whole(200, 400) * 1_000),
        crash(soon(), 'now'),
        crash(soon() + 60_000, 'now'),
      ];
    case 'unknown outcomes while receivers fail':
      return [
        ...unwell(draw.pick(['error', 'lose'])),
        { at, kind: 'storeUnknown', ms: draw.whole(60, 200) * 1_000, chance: 0.2 },
        crash(soon() + 30_000, 'now'),
      ];
    case 'long absence': {
      const downMs = draw.whole(150, 450) * 1_000;
      return [crash(at, 'now', downMs), silent(downMs + 300_000)];
    }
    default:
      return [{ at, kind: 'pause', ms: draw.whole(60, 400) * 1_000 }];
  }
}

function lastWords(draw: Draw, at: number, crash: (when: number, point: string) => Fault): Fault[] {
  const points = ['commit.asked', 'commit.asked', 'states.asked', 'claim.asked', 'states.ahead'];
  const end = crash(at, draw.pick(points));
  const slow: Fault = { at: at - 2_000, kind: 'storeSlow', ms: 30_000, factor: 200 };
  return end.kind === 'crash' && (draw.chance(0.4) || end.point === 'states.ahead')
    ? [slow, end]
    : [end];
}

export interface Whims {
  readonly changes: readonly ChangeWish[];
  readonly faults: readonly Fault[];
  readonly answersLost: number;
  readonly spots: readonly number[];
}

/** What people do in a third of the runs besides: short-lived checks, pauses, second looks, answers they never get. */
export function whimsOf(draw: Draw, of: Pick<Horizon, 'healT'>): Whims {
  if (!draw.chance(0.33)) return { changes: [], faults: [], answersLost: 0, spots: [] };
  const kinds = ['checkBlink', 'checkBlink', 'checkMayfly', 'checkDelete', 'entityDelete'] as const;
  const changes: ChangeWish[] = [];
  for (let count = 0; count < 8; count++) {
    const at = Math.round(draw.between(60_000, of.healT * 0.85));
    changes.push({ at, kind: draw.pick(kinds), salt: 1_000 + count });
  }
  const spots = Array.from({ length: 4 }, () => Math.round(draw.between(60_000, of.healT)));
  const answersLost = draw.pick([0, 0.3]);
  // Who deleted something, heard nothing and asks again later finds another owner.
  const deletions = changes.filter(({ kind }) => answersLost > 0 && kind === 'entityDelete');
  const faults = deletions.flatMap(({ at }): Fault[] =>
    [at + draw.whole(3_000, 9_000), at + draw.whole(12_000, 25_000)].map((when) => ({
      at: when,
      kind: 'crash',
      point: 'now',
      downMs: draw.whole(100, 2_000),
    })),
  );
  return { changes, faults, answersLost, spots };
}

export interface Strains {
  readonly faults: readonly Fault[];
  readonly echoes: number;
  /** Nothing else disturbs: marks move once no change of the last ten minutes holds them. */
  readonly isCalm: boolean;
}

/**
 * What a store of several replicas does in a quarter of the runs besides: a write comes once more minutes later (a replica
 * was away), or tables of projections are away while the log goes on, and the owner dies of it.
 */
export function strainsOf(
  draw: Draw,
  of: { readonly healT: number; readonly faults: readonly Fault[] },
): Strains {
  if (!draw.chance(0.25)) return { faults: [], echoes: 0, isCalm: false };
  const farMs = 3 * 86_400_000;
  // Where deletes are swept by a clock years ahead, a late write would return.
  const isFar = of.faults.some((fault) => fault.kind === 'wall' && fault.deltaMs > farMs);
  if (draw.chance(0.5)) return { faults: [], echoes: isFar ? 0 : 0.1, isCalm: false };
  const ms = draw.whole(30, 90) * 1_000;
  const at = Math.round(draw.between(625_000, of.healT - ms));
  const downMs = draw.whole(100, 3_000);
  const end: Fault = { at: at + Math.round(ms * 0.9), kind: 'crash', point: 'now', downMs };
  return { faults: [{ at, kind: 'projectionsOut', ms }, end], echoes: 0, isCalm: true };
}
