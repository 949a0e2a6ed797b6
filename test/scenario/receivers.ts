// The receivers of a scenario's notifications: each does what the scenario says, and keeps what it was sent.
// Notification ids are shown as n1, n2, … in order of their first appearance. Must not know the outbox.
import { currentBody, type NotifierOptions } from '../../actors/notify/notifier.ts';
import type { Clock, DeliveryResult, Intent } from '../../runtime/ports.ts';

/** `kills`: takes it, and the node dies before it knows. */
export type ReceiverMode = 'ok' | 'fails' | 'gone' | 'slow' | 'dead' | 'kills';

export interface ReceiverScript {
  readonly mode: ReceiverMode;
  /** Of `fails`: the status code. */
  readonly code: string;
  /** Of `slow`: how long it takes. Of `fails`: the pause that it asks for. */
  readonly ms: number;
}

export interface Received {
  readonly receiver: string;
  readonly atMonoMs: number;
  readonly text: string;
}

const noAnswerMs = 15_000;

export class Receivers {
  readonly scripts = new Map<string, ReceiverScript>();
  readonly inbox: Received[] = [];
  readonly #names = new Map<string, string>();
  /** What the running node's copy of the tenant's documents holds. */
  newest: NotifierOptions['newest'];

  /** Returns `n1 CRITICAL site: status`, the same name for the same notification id; where it goes if that was changed. */
  textOf(intent: Intent): string {
    const name = this.#names.get(intent.id) ?? `n${this.#names.size + 1}`;
    this.#names.set(intent.id, name);
    const body = currentBody(intent, this.newest);
    const to = body?.notification.details['url'] ?? '';
    const isChanged = to !== '' && to !== `https://${intent.channel}.example/`;
    return `${name} ${body?.state} ${body?.alarm.id}: ${body?.status}${isChanged ? ` at ${to}` : ''}`;
  }

  /** Delivers once; `onKill` is called where the node dies in the middle, and nothing is answered then. */
  async deliver(
    clock: Clock,
    intent: Intent,
    signal: AbortSignal,
    onKill: () => void,
  ): Promise<DeliveryResult> {
    const script = this.scripts.get(intent.channel);
    switch (script?.mode ?? 'ok') {
      case 'fails':
        return failure(script as ReceiverScript);
      case 'gone':
        return { delivered: false, message: unexpected('410'), final: true };
      case 'dead':
        await passed(clock, noAnswerMs, signal);
        return { delivered: false, message: 'no answer within 15 s' };
      case 'slow':
        await passed(clock, script?.ms ?? 0, signal);
        break;
      case 'kills':
        this.#keep(clock, intent);
        onKill();
        return new Promise(() => undefined);
      default:
        break;
    }
    this.#keep(clock, intent);
    return { delivered: true, message: 'Success' };
  }

  #keep(clock: Clock, intent: Intent): void {
    const receiver = intent.channel;
    this.inbox.push({ receiver, atMonoMs: clock.monoMs(), text: this.textOf(intent) });
  }
}

function failure(script: ReceiverScript): DeliveryResult {
  const message = unexpected(script.code);
  return script.ms === 0
    ? { delivered: false, message }
    : { delivered: false, message, retryAfterMs: script.ms };
}

function unexpected(code: string): string {
  return `Unexpected status code "${code}". Expected one of: /2[0-9]{2}/`;
}

function passed(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.schedule(clock.monoMs() + ms, resolve);
    signal.addEventListener('abort', () => {
      cancel();
      resolve();
    });
  });
}
