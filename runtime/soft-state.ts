// Hands an actor's soft state to SoftStates: never with anything uncommitted in it (a blob must not be ahead of the log).
// Must not know when it is written, nor how.
import type { Commits } from './commits.ts';
import type { ActorKey } from './ids.ts';
import type { LiveState } from './live-state.ts';
import type { ActivationPorts } from './perform.ts';
import { textOf } from './refusals.ts';

type Soft = { readonly seq: number; readonly body: unknown };

export class SoftState {
  readonly #key: ActorKey;
  readonly #ports: ActivationPorts;
  readonly #live: LiveState;
  readonly #commits: Commits;
  readonly #read: () => Soft | null;

  /** `isSteady`: the state may be read now: the actor is active and not quarantined. */
  constructor(
    actor: { readonly key: ActorKey; readonly ports: ActivationPorts; readonly isSteady: boolean },
    live: LiveState,
    commits: Commits,
  ) {
    this.#key = actor.key;
    this.#ports = actor.ports;
    this.#live = live;
    this.#commits = commits;
    this.#read = () => (actor.isSteady && commits.pending === 0 ? this.#snapshot() : null);
  }

  /** It changed: it will be read when it is written; null then means "ask again later". */
  changed(urgent: boolean): void {
    this.#ports.softStates.changed(this.#key, urgent, this.#read);
  }

  /** The actor leaves memory: its last soft state outlives it until it is written; where it keeps none, it is deleted. */
  leave(): void {
    const body = this.#body();
    const last = { seq: this.#commits.lastSeq, body };
    if (body === null) this.#ports.softStates.deleted(this.#key);
    else if (body !== undefined) this.#ports.softStates.changed(this.#key, true, () => last);
  }

  #snapshot(): Soft | null {
    const body = this.#body();
    return body === null || body === undefined ? null : { seq: this.#commits.lastSeq, body };
  }

  /** undefined where the behaviour cannot make one: what is stored stays. */
  #body(): unknown {
    try {
      return this.#live.snapshot();
    } catch (error) {
      this.#ports.meter.count('snapshots_failed', 1);
      this.#ports.logger.error('snapshot.failed', { key: this.#key, error: textOf(error) });
      return undefined;
    }
  }
}
