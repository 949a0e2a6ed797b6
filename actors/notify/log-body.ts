// The body of a `notification_log` row, made from an intent and one word about what became of it. Pure.
import type { Intent } from '../../runtime/ports.ts';
import type { IntentBody, NotificationLogBody } from './intent.ts';

/** What happened to an intent: an attempt, or its end. */
export interface LogEvent {
  readonly event: NotificationLogBody['event'];
  readonly attempt: number;
  readonly delivered: boolean;
  readonly message: string;
}

/** Returns the row's body; `from` is the node that tried. Secrets of the channel stay in the intent. */
export function notificationLogBody(
  intent: Intent,
  happened: LogEvent,
  from: string,
): NotificationLogBody {
  const body = intent.body as IntentBody;
  return {
    log_entry_id: body.log_entry_id,
    alarm_id: body.alarm.id,
    check_id: body.check.id,
    n: intent.n,
    plan_id: body.plan_id,
    txn_id: body.txn_id,
    state: body.state,
    previous_state: body.previous_state,
    status: body.status,
    notification_id: body.notification.id,
    notification_type: body.notification.type,
    notification_details: body.notification.details,
    event: happened.event,
    attempt: happened.attempt,
    delivered: happened.delivered,
    message: happened.message,
    from,
  };
}
