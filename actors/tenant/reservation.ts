// Places of a tenant's limits that are taken for a minute by what is being created, until the entity's report shows it.
// Must not know the changes themselves: the API reserves, creates, and the entity reports.
import { accepted, type Outcome, refused } from '../refusal.ts';
import type { LimitsDoc } from '../resources.ts';
import { type Holdings, holdingOf } from './holding.ts';
import type { TenantSignal } from './messages.ts';

export type ReserveMessage = Extract<TenantSignal, { kind: 'tenant.reserve' }>;
export type ReportMessage = Extract<TenantSignal, { kind: 'tenant.report' }>;

interface Reservation {
  readonly what: ReserveMessage['what'];
  readonly entity: string;
  readonly expiresMonoMs: number;
}

/** By `what id`. Bounded by the tenant's limits: a reservation beyond them is refused. */
export type Reservations = ReadonlyMap<string, Reservation>;

/** A create that did not show in a report by then did not happen. */
const reservationMs = 60_000;
const limitOf = { entity: 'entities', check: 'checks', alarm: 'alarms' } as const;

/** Returns the reservations that still hold at `monoMs`; the same object if all do. */
export function unexpired(reservations: Reservations, monoMs: number): Reservations {
  const live = [...reservations].filter(([, one]) => one.expiresMonoMs > monoMs);
  return live.length === reservations.size ? reservations : new Map(live);
}

/**
 * Returns whether there is a place for the new object, and the reservations with it. Asking again for the same object
 * takes no second place. Refused with `limitReached`.
 */
export function reserve(
  held: { readonly holdings: Holdings; readonly reservations: Reservations },
  limits: LimitsDoc,
  message: ReserveMessage,
  monoMs: number,
): { readonly outcome: Outcome<null>; readonly reservations: Reservations } {
  const live = unexpired(held.reservations, monoMs);
  const name = `${message.what} ${message.id}`;
  if (isHeld(held.holdings, message)) return { outcome: accepted(null), reservations: live };
  const others = [...live].filter(([key, one]) => key !== name && one.what === message.what);
  const counted = limitOf[message.what];
  if (held.holdings[counted] + others.length >= limits[counted]) {
    const text = `Limit of ${limits[counted]} ${counted} has been reached`;
    return { outcome: refused('limitReached', text), reservations: live };
  }
  const taken = new Map(live);
  const { what, entity } = message;
  taken.set(name, { what, entity, expiresMonoMs: monoMs + reservationMs });
  return { outcome: accepted(null), reservations: taken };
}

/** Returns the reservations without that of a create that was refused; the same object if there is none. */
export function released(
  reservations: Reservations,
  { what, id }: Extract<TenantSignal, { kind: 'tenant.release' }>,
): Reservations {
  if (!reservations.has(`${what} ${id}`)) return reservations;
  const left = new Map(reservations);
  left.delete(`${what} ${id}`);
  return left;
}

/**
 * Returns the reservations that an entity's report does not answer yet. Checks are reported as a number, so as many of the
 * entity's oldest check reservations end as it has more checks than before.
 */
export function afterReport(
  reservations: Reservations,
  message: ReportMessage,
  checksBefore: number,
): Reservations {
  const alarms = new Set(message.alarms.map((one) => one.id));
  let checksNew = message.gone ? 0 : Math.max(0, message.checks - checksBefore);
  const left = new Map<string, Reservation>();
  for (const [name, one] of reservations) {
    const own = one.entity === message.entity;
    if (own && message.gone) continue;
    if (own && one.what === 'entity') continue;
    if (own && one.what === 'alarm' && alarms.has(name.slice('alarm '.length))) continue;
    if (own && one.what === 'check' && checksNew-- > 0) continue;
    left.set(name, one);
  }
  return left.size === reservations.size ? reservations : left;
}

function isHeld(holdings: Holdings, message: ReserveMessage): boolean {
  const holding = holdingOf(holdings, message.entity);
  if (holding === null) return false;
  return message.what === 'entity' || (message.what === 'alarm' && holding.alarms.has(message.id));
}
