// What an entity tells its tenant actor: how many checks it has and which alarms name which plan. At activation, after
// each change of them, and hourly; the tenant counts from these reports. Must not know limits.
import { actorKey } from '../../runtime/ids.ts';
import type { TenantSignal } from '../tenant/messages.ts';
import { entityIdOf, tenantIdOf } from './state.ts';
import { startTimer, type Turn } from './turn.ts';

const hourMs = 3_600_000;
/** An entity that was deleted stays this long, so that a repeated request finds its outcome. */
const goneMs = 600_000;
const reportDue = { kind: 'entity.report' } as const;

/** Tells the tenant, once all commits so far are acknowledged. */
export function reported(turn: Turn): void {
  const { state } = turn;
  const message: TenantSignal = {
    kind: 'tenant.report',
    entity: entityIdOf(state),
    gone: state.entity === null,
    checks: state.checks.length,
    alarms: state.alarms.map(({ doc }) => ({ id: doc.id, plan: doc.notification_plan_id })),
  };
  turn.effects.push({ type: 'send', to: actorKey(tenantIdOf(state)), message });
}

/** Arms the next hourly report, spread by a tenth; of a deleted entity, its end. */
export function reportTimer(turn: Turn): void {
  const { monoMs, random } = turn.context;
  const waitMs = turn.state.entity === null ? goneMs : hourMs * (0.95 + random() / 10);
  startTimer(turn, 'report', monoMs + waitMs, reportDue);
}

/** The timer fired. Outcomes of old changes are forgotten; an entity that does not exist is deactivated. */
export function reportIsDue(turn: Turn): void {
  if (turn.state.entity === null) {
    turn.effects.push({ type: 'stop' });
    return;
  }
  const recent = turn.state.recent.filter((one) => one.atMs > turn.context.nowMs - hourMs);
  if (recent.length !== turn.state.recent.length) turn.state = { ...turn.state, recent };
  reported(turn);
  reportTimer(turn);
}
