// One activation's commits on their way: asks Decisions for them, counts what is pending, and releases what waits for them
// (commit-ledger.ts). Tells the activation how each one ended. Outcomes of an earlier load of the actor no longer count,
// but a new load waits until they are there, so that it reads all that was written.
import { CommitLedger } from './commit-ledger.ts';
import type { DecisionRow } from './effect.ts';
import type { TocsinError } from './errors.ts';
import type { ActorKey } from './ids.ts';
import type { Decisions } from './ports.ts';
import { codeOf, notOwner } from './refusals.ts';

/** The activation, as its commits see it. */
export interface CommitsOwner {
  readonly key: ActorKey;
  /** A commit of this load is durable, and what waited for it has left. */
  commitAcknowledged(): void;
  /** A commit of this load failed: state in memory is ahead of the truth. */
  commitFailed(error: unknown): void;
  /** The shard is someone else's: the owner ends. */
  drop(error: TocsinError): void;
  /** After `reset`: no commit of an earlier load is without an outcome any more. */
  commitsSettled(): void;
}

export class Commits {
  /** Last committed seq of this actor that is folded into its state. */
  lastSeq = 0;
  readonly #owner: CommitsOwner;
  readonly #decisions: Decisions;
  /** null: nothing was committed since the last load. */
  #ledger: CommitLedger | null = null;
  /** Commits without an outcome, of all loads. */
  #unsettled = 0;

  constructor(owner: CommitsOwner, decisions: Decisions) {
    this.#owner = owner;
    this.#decisions = decisions;
  }

  get pending(): number {
    return this.#ledger?.pending ?? 0;
  }

  get heldCount(): number {
    return this.#ledger?.heldCount ?? 0;
  }

  get isSettled(): boolean {
    return this.#unsettled === 0;
  }

  /** Asks for a commit; the owner hears how it ends. No rows: nothing happens. */
  commit(rows: readonly DecisionRow[]): void {
    if (rows.length === 0) return;
    this.#ledger ??= new CommitLedger();
    const ledger = this.#ledger;
    const number = ledger.issue();
    this.#unsettled++;
    this.decide(rows).then(
      () => this.#ended(ledger, () => this.#acknowledge(ledger, number)),
      (error: unknown) => this.#ended(ledger, () => this.#owner.commitFailed(error), error),
    );
  }

  /** As `CommitLedger.hold`. */
  hold(release: () => void, abandon: ((error: TocsinError) => void) | null): void {
    if (this.#ledger === null) release();
    else this.#ledger.hold(release, abandon);
  }

  /** Commits rows that nothing waits for (quarantine). Rejects as the port does; a port that throws at once rejects too. */
  async decide(rows: readonly DecisionRow[]): Promise<void> {
    const { lastSeq } = await this.#decisions.commit(this.#owner.key, rows);
    this.lastSeq = Math.max(this.lastSeq, lastSeq);
  }

  /** Forgets what is pending: everything held is refused with `error`, outcomes still to come no longer count. */
  reset(error: TocsinError): void {
    const ledger = this.#ledger;
    this.#ledger = null;
    ledger?.abandon(error);
  }

  #acknowledge(ledger: CommitLedger, number: number): void {
    ledger.acknowledge(number);
    this.#owner.commitAcknowledged();
  }

  #ended(ledger: CommitLedger, current: () => void, error?: unknown): void {
    this.#unsettled--;
    if (codeOf(error) === 'RT_NOT_OWNER') {
      this.#owner.drop(notOwner(this.#owner.key, error));
    } else if (ledger === this.#ledger) current();
    else if (this.#unsettled === 0) this.#owner.commitsSettled();
  }
}
