// Tokens that this node handed out for an API key, so that a client that logs in for every command gets the same one again
// (as the original identity service did) and does not fill the tenant's documents. In memory only, bounded, never logged.
import type { Clock } from '../runtime/ports.ts';

export interface IssuedToken {
  readonly text: string;
  readonly tenant: string;
  readonly tokenId: string;
  /** Version of the user's record that it was issued for: a rotated key gets a new token. */
  readonly userVersion: number;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

const usersMax = 1_000;

export class IssuedTokens {
  readonly #clock: Clock;
  readonly #byUser = new Map<string, IssuedToken>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Returns the user's token while more than half of its life is left, else null. */
  reusable(user: string, userVersion: number): IssuedToken | null {
    const token = this.#byUser.get(user);
    if (token === undefined || token.userVersion !== userVersion) return null;
    const halfLifeMs = (token.expiresAtMs - token.issuedAtMs) / 2;
    return token.expiresAtMs - this.#clock.nowMs() > halfLifeMs ? token : null;
  }

  /** Remembers the newest token of a user. */
  remember(user: string, token: IssuedToken): void {
    this.#byUser.delete(user);
    if (this.#byUser.size >= usersMax) {
      const oldest = this.#byUser.keys().next();
      if (!oldest.done) this.#byUser.delete(oldest.value);
    }
    this.#byUser.set(user, token);
  }

  forget(user: string): void {
    this.#byUser.delete(user);
  }
}
