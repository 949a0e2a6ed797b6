// Faults of a cluster, drawn by swarm: each run has a few kinds only, and one in twelve a single clean one that the bounds of
// fail-over are held against. Plain data; world.ts makes them happen.
import type { Draw } from '../sim/random.ts';
import { type LinkState, type RelayState, relayNames } from './network.ts';

interface At {
  readonly at: number;
}

export type ClusterFault = At &
  (
    | {
        readonly kind: 'kill';
        readonly node: string;
        readonly point: string;
        readonly downMs: number;
        /** Nobody closes its connections. */
        readonly isSilent: boolean;
      }
    | { readonly kind: 'drain'; readonly node: string; readonly downMs: number }
    | { readonly kind: 'pause' | 'freeze'; readonly node: string; readonly ms: number }
    | { readonly kind: 'twin'; readonly node: string }
    | { readonly kind: 'wall'; readonly node: string; readonly deltaMs: number }
    | {
        readonly kind: 'relay';
        readonly relays: readonly string[];
        readonly state: RelayState;
        readonly ms: number;
        /** > 0: it comes and goes so often. */
        readonly flaps: number;
      }
    | {
        readonly kind: 'link';
        readonly node: string;
        readonly relays: readonly string[];
        readonly state: LinkState;
        readonly ms: number;
        readonly flaps: number;
      }
    | { readonly kind: 'natsDown'; readonly ms: number }
    | {
        readonly kind: 'partition';
        /** Nodes of the one side; it keeps the first of the relays. */
        readonly side: readonly string[];
        readonly relays: number;
        readonly state: LinkState;
        readonly ms: number;
      }
    | {
        readonly kind: 'frames';
        readonly ms: number;
        readonly loss: number;
        readonly copies: number;
      }
    | {
        readonly kind: 'store';
        /** null: of all. */
        readonly node: string | null;
        readonly what: 'out' | 'slow' | 'unknown';
        readonly ms: number;
      }
    | {
        readonly kind: 'receiver';
        readonly receiver: number;
        readonly mode: 'error' | 'busy' | 'hang' | 'lose';
        readonly ms: number;
      }
  );

type Kind = ClusterFault['kind'];

const killPoints = [
  ...['now', 'now', 'now', 'now', 'commit.asked', 'commit.applied', 'commit.answered'],
  ...['claim.asked', 'claim.applied', 'claim.answered', 'view.asked', 'view.applied'],
  ...['page.started', 'page.received', 'page.answered', 'states.applied', 'documents.applied'],
  ...[
    'ticks.applied',
    'history.applied',
    'loaded',
    'probe.started',
    'api.answered',
    'beat.applied',
  ],
];

const kinds: readonly Kind[] = [
  ...(['kill', 'kill', 'drain', 'pause', 'freeze', 'twin', 'wall', 'relay', 'link'] as const),
  ...(['natsDown', 'partition', 'frames', 'store', 'store', 'receiver'] as const),
];

interface Of {
  readonly healT: number;
  readonly nodes: readonly string[];
}

/** Returns the faults of a run in order of time. */
export function faultsOf(draw: Draw, of: Of): ClusterFault[] {
  if (draw.chance(0.25)) return [lone(draw, of)];
  const wanted = [...new Set(draw.shuffled(kinds).slice(0, draw.whole(1, 5)))];
  const faults: ClusterFault[] = [];
  for (const kind of wanted) {
    const many = kind === 'twin' || kind === 'natsDown' ? draw.whole(1, 2) : draw.whole(1, 3);
    for (let count = 0; count < many; count++) {
      const at = Math.round(draw.between(20_000, of.healT * 0.95));
      faults.push(faultOf(draw, kind, { ...of, at }));
    }
  }
  return faults.sort((left, right) => left.at - right.at);
}

/** One fault of a class with a bound: a kill, a hang, a drain. */
function lone(draw: Draw, of: Of): ClusterFault {
  const at = Math.round(draw.between(50_000, of.healT - 15_000));
  const node = draw.pick(of.nodes);
  const kind = draw.pick(['kill', 'kill', 'pause', 'drain'] as const);
  const downMs = draw.whole(20_000, 60_000);
  if (kind === 'drain') return { at, kind, node, downMs };
  if (kind === 'pause') return { at, kind, node, ms: draw.whole(6_000, 30_000) };
  return { at, kind, node, point: 'now', downMs, isSilent: false };
}

const shortOrLong = (draw: Draw, longMs: number): number =>
  Math.round(draw.chance(0.6) ? draw.between(100, longMs / 8) : draw.between(1_000, longMs));

function faultOf(draw: Draw, kind: Kind, of: Of & At): ClusterFault {
  const { at } = of;
  const node = draw.pick(of.nodes);
  const ms = shortOrLong(draw, 40_000);
  const some = draw.shuffled(relayNames).slice(0, draw.whole(1, 3));
  const flaps = draw.chance(0.25) ? draw.whole(2, 8) : 0;
  switch (kind) {
    case 'kill':
      return {
        at,
        kind,
        node,
        point: draw.pick(killPoints),
        downMs: ms,
        isSilent: draw.chance(0.2),
      };
    case 'drain':
      return { at, kind, node, downMs: ms };
    case 'pause':
    case 'freeze':
      return { at, kind, node, ms: shortOrLong(draw, 30_000) };
    case 'twin':
      return { at, kind, node };
    case 'wall':
      return {
        at,
        kind,
        node,
        deltaMs: draw.pick([-3_600_000, -60_000, -2_000, 2_000, 60_000, 3_600_000]),
      };
    case 'relay':
      return { at, kind, relays: some, state: draw.pick(['dead', 'dead', 'frozen']), ms, flaps };
    case 'link': {
      const state = draw.pick(['reset', 'blackhole', 'deaf', 'mute'] as const);
      const relays = draw.chance(0.5) ? [...some, 'bus'] : some;
      return { at, kind, node, relays, state, ms, flaps };
    }
    case 'natsDown':
      return { at, kind, ms };
    case 'partition': {
      const side = draw.shuffled(of.nodes).slice(0, draw.whole(1, of.nodes.length - 1));
      const state = draw.pick(['reset', 'blackhole', 'blackhole', 'deaf', 'mute'] as const);
      return { at, kind, side, relays: draw.whole(0, 3), state, ms };
    }
    case 'frames':
      return { at, kind, ms, loss: draw.pick([0.02, 0.1, 0.4]), copies: draw.pick([0, 0.2]) };
    case 'store':
      return {
        ...{ at, kind, ms },
        node: draw.chance(0.4) ? node : null,
        what: draw.pick(['out', 'slow', 'unknown', 'unknown']),
      };
    default:
      return {
        at,
        kind: 'receiver',
        receiver: draw.whole(0, 1),
        mode: draw.pick(['error', 'busy', 'hang', 'lose']),
        ms,
      };
  }
}
