// Asking an actor: the accepted value, or the API's error. Must not know requests.
import type { Outcome } from '../actors/refusal.ts';
import type { ActorKey } from '../runtime/ids.ts';
import type { AskOptions, Message } from '../runtime/message.ts';
import { ofRefusal } from './errors.ts';
import type { ApiPorts } from './ports.ts';

export type Question = Message & Readonly<Record<string, unknown>>;

/** Returns the accepted value; throws the ApiError of a refusal, `TocsinError` where nobody answered. */
export async function askActor<Value>(
  ports: Pick<ApiPorts, 'router'>,
  key: ActorKey,
  message: Question,
  options?: AskOptions,
): Promise<Value> {
  const outcome = await ports.router.ask<Outcome<Value>>(key, message, options);
  if (!outcome.ok) throw ofRefusal(outcome.error);
  return outcome.value;
}
