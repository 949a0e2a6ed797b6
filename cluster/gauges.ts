// What a node's shards, outbox and membership show in `/metrics`.
import type { Meter } from '../runtime/ports.ts';
import type { ShardHost } from './host.ts';
import type { MembershipStatus } from './membership.ts';
import type { NodeMode } from './mode.ts';

/** Registers the gauges of a shard host. */
export function hostGauges(meter: Meter, host: ShardHost): void {
  const { outbox } = host;
  meter.gauge('outbox_pending', () => outbox.stats().pending);
  meter.gauge('outbox_deferred', () => outbox.stats().deferred);
  meter.gauge('outbox_oldest_pending_seconds', () => outbox.stats().oldestPendingAgeMs / 1000);
  meter.gauge('outbox_sending', () => outbox.stats().sending);
  meter.gauge('shards_held', () => host.stats().shardsHeld);
  meter.gauge('shards_in_doubt', () => host.stats().shardsInDoubt);
  meter.gauge('decisions_waiting', () => host.stats().rowsWaiting);
  meter.gauge('projections_waiting', () => host.stats().projectionsWaiting);
  meter.gauge('soft_states_waiting', () => host.stats().softStatesWaiting);
  meter.gauge('ticks_waiting', () => host.stats().ticksWaiting);
  meter.gauge('snap_lag_rows', () => host.stats().snapLagRows);
}

/** The gauge `mode` is a mode's place in this list; 0: all is well. */
const modes: readonly NodeMode[] = [
  'NORMAL',
  'NO-NATS',
  'NO-STORE',
  'STORE-CUT',
  'ISOLATED',
  'FENCED',
  'DRAINING',
];

/** Registers the gauges of a member: its mode, the view that it follows, members of that view. */
export function memberGauges(meter: Meter, status: () => MembershipStatus): void {
  meter.gauge('mode', () => modes.indexOf(status().mode.mode));
  meter.gauge('view_version', () => status().view.version);
  meter.gauge('members', () => status().view.members.size);
}
