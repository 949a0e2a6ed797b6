// Takes shards over as the view maps them (clustering.md §7): read, poll at once, claim beside it, read again, then decide.
// One job per shard; a failed one is tried again for as long as it is wanted. An attempt whose outcome is unknown is decided
// in any case, so no shard stays nobody's. Must not know views: what may be claimed is asked for at every look.
import type { LoadedActor } from '../runtime/behaviour.ts';
import { TocsinError } from '../runtime/errors.ts';
import type { ActorKey, Epoch, ShardId } from '../runtime/ids.ts';
import type { Logger, Meter, ShardHead } from '../runtime/ports.ts';
import { codeOf } from '../runtime/refusals.ts';
import { type ClaimVerdict, claimShard, patiently } from './claims.ts';
import type { HeldShards } from './group-commit.ts';
import { Lanes } from './lanes.ts';
import { takeLimits } from './limits.ts';
import { pause, pauseMs } from './pause.ts';
import {
  type ConfirmedShard,
  confirmCopy,
  copyShard,
  type LoadedShard,
  type LoadOptions,
  type ShardCopy,
  withSoft,
} from './shard-load.ts';

export interface TakeOverOptions {
  readonly load: Omit<LoadOptions, 'owner' | 'policy'>;
  readonly held: HeldShards;
  readonly logger: Logger;
  readonly meter: Meter;
  /** `node/incarnation` of now. */
  readonly owner: () => string;
  /** What the view of now says of a shard's head row. */
  readonly verdict: (shard: ShardId, head: ShardHead) => ClaimVerdict;
  /** A loaded actor: it polls from now on, and decides nothing before `onOpen`. */
  readonly onActor: (key: ActorKey, loaded: LoadedActor) => void;
  /** It may decide; `loaded` where more is known of it. */
  readonly onOpen: (key: ActorKey, loaded: LoadedActor | null) => void;
  /** The claim landed and was confirmed. */
  readonly hold: (shard: ShardId, loaded: LoadedShard) => void;
  /** Actors of the shard were polled, and it is not taken: drop them. */
  readonly release: (shard: ShardId) => void;
  /** A head row was read: who owns the shard. */
  readonly onSeen: (shard: ShardId, owner: string, epoch: Epoch) => void;
  /** A shard was claimed under an epoch that the view has not reached. */
  readonly onStaleView: (epoch: number) => void;
}

interface Job {
  readonly shard: ShardId;
  /** False: nothing new is tried; what may have been claimed is decided. */
  isWanted: boolean;
  /** True: nothing of it counts any more. */
  isOver: boolean;
  /** What was handed over; its actors poll. */
  copy: ShardCopy | null;
  keys: readonly ActorKey[];
  failures: number;
  /** Soft states of the giver's memory, newer than the stored ones. */
  readonly soft: Given['soft'];
  readonly ended: Promise<boolean>;
  readonly end: (isHeld: boolean) => void;
}

/** What a hand-off brings: the shard as it was read before, and soft states of the giver's memory. */
export interface Given {
  readonly copy: ShardCopy;
  readonly soft: ReadonlyMap<ActorKey, NonNullable<LoadedActor['soft']>>;
}

const nothing: LoadedActor = { documents: [], soft: null, tail: [] };

export class TakeOvers {
  readonly #options: TakeOverOptions;
  readonly #jobs = new Map<ShardId, Job>();
  readonly #claims = new Lanes(takeLimits.claims);
  readonly #loads = new Lanes(takeLimits.loads);
  #bytes = 0;
  /** Of the shards that are being taken together, for the log: where the time of a fail-over goes. */
  #batch = { startedMonoMs: 0, shards: 0, isArmed: false };
  #idle: (() => void)[] = [];

  constructor(options: TakeOverOptions) {
    this.#options = options;
  }

  /** Shards that are being taken. */
  get count(): number {
    return this.#jobs.size;
  }

  has(shard: ShardId): boolean {
    return this.#jobs.has(shard);
  }

  /** Shards that are loaded and polled, their claim being open. */
  get pending(): number {
    let pending = 0;
    for (const job of this.#jobs.values()) if (job.copy !== null) pending++;
    return pending;
  }

  /**
   * Takes the shard, unless it is held or being taken. `given`: as a hand-off brought it. Resolves once it is held (true) or
   * somebody else's (false); it may take long while the store is away.
   */
  want(shard: ShardId, given: Given | null = null): Promise<boolean> {
    const { held } = this.#options;
    if (held.get(shard) !== null) return Promise.resolve(true);
    const known = this.#jobs.get(shard);
    if (known !== undefined) {
      known.isWanted = true;
      return known.ended;
    }
    let end = (_isHeld: boolean): void => undefined;
    const ended = new Promise<boolean>((resolve) => {
      end = resolve;
    });
    const job: Job = {
      ...{ shard, isWanted: true, isOver: false, copy: null, keys: [], failures: 0 },
      ...{ soft: given?.soft ?? new Map(), ended, end },
    };
    if (this.#jobs.size === 0)
      this.#batch = { startedMonoMs: this.#options.load.clock.monoMs(), shards: 0, isArmed: false };
    this.#batch.shards++;
    this.#batch.isArmed = false;
    this.#jobs.set(shard, job);
    if (given !== null) this.#handOver(job, given.copy, given.copy.before.epoch);
    void this.#run(job);
    return ended;
  }

  /** The view maps it to somebody else: nothing new is tried, and its actors end unless it turns out to be claimed. */
  unwant(shard: ShardId): void {
    const job = this.#jobs.get(shard);
    if (job !== undefined) job.isWanted = false;
  }

  /** Forgets all of them at once: what is under way has no effect here. */
  abandon(): void {
    for (const job of [...this.#jobs.values()]) this.#end(job);
  }

  /** Resolves once nothing is being taken. */
  idle(): Promise<void> {
    if (this.#jobs.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  async #run(job: Job): Promise<void> {
    while (!job.isOver) {
      try {
        await this.#attempt(job);
        return;
      } catch (error) {
        if (job.isOver || this.#isFinal(job, error)) return;
      }
      const { clock, random } = this.#options.load;
      await pause(clock, pauseMs(job.failures, takeLimits, random));
    }
  }

  async #attempt(job: Job): Promise<void> {
    const { shard } = job;
    const options = this.#loadOptions(job);
    const { authority } = options.store;
    const before =
      job.copy !== null && job.failures === 0
        ? job.copy.before
        : await this.#claims.run(() => patiently(options, () => authority.readHead(shard, 'look')));
    if (job.isOver) return;
    const verdict = options.policy(before);
    const isHopeless = verdict === null || verdict === 'stale';
    // A claim that can only be refused is refused here; its error says by whom.
    const claiming = this.#claims.run(() => claimShard(options, shard, before));
    const loading = isHopeless
      ? Promise.resolve()
      : this.#loaded(job, options, { before, verdict });
    const [claimed, loaded] = await Promise.allSettled([claiming, loading]);
    if (claimed.status === 'rejected') throw claimed.reason;
    if (loaded.status === 'rejected') throw loaded.reason;
    if (job.isOver || job.copy === null) return;
    const { copy } = job;
    const own = { shard, epoch: claimed.value };
    this.#options.held.setPending(shard, own.epoch);
    const confirmed = await this.#claims.run(() => confirmCopy(options, own, copy));
    if (!job.isOver) this.#taken(job, confirmed);
  }

  #loadOptions(job: Job): LoadOptions {
    const { load, owner, verdict } = this.#options;
    const name = owner();
    return {
      ...load,
      owner: name,
      policy: (head) => {
        this.#options.onSeen(job.shard, head.owner, head.epoch);
        if (job.isWanted && !job.isOver) return verdict(job.shard, head);
        return head.owner === name ? 'adopt' : null;
      },
    };
  }

  async #loaded(
    job: Job,
    options: LoadOptions,
    at: { readonly before: ShardHead; readonly verdict: Epoch | 'adopt' },
  ): Promise<void> {
    if (job.copy !== null) return;
    const copy = await this.#loads.run(async () => {
      while (this.#bytes > takeLimits.bytes) await pause(options.clock, takeLimits.retryMinMs);
      const read = await copyShard(options, job.shard, at.before);
      this.#bytes += read.bytes;
      return read;
    });
    this.#bytes -= copy.bytes;
    if (!job.isOver)
      this.#handOver(job, copy, at.verdict === 'adopt' ? at.before.epoch : at.verdict);
  }

  /** Polling starts. What the actors have taken is not kept a second time. */
  #handOver(job: Job, copy: ShardCopy, epoch: Epoch): void {
    const { held, onActor } = this.#options;
    held.setPending(job.shard, epoch);
    const { actors } = copy.folded;
    job.keys = [...actors.keys()];
    job.copy = { ...copy, folded: { ...copy.folded, actors: new Map() } };
    for (const [key, loaded] of actors) onActor(key, withSoft(loaded, job.soft.get(key)));
    this.#sayArmed();
  }

  /** Said once all shards of a batch are loaded and polled; again where more came meanwhile. */
  #sayArmed(): void {
    if (this.#batch.isArmed || this.pending < this.#jobs.size) return;
    this.#batch.isArmed = true;
    this.#say('shards.armed');
  }

  #say(event: 'shards.armed' | 'shards.open'): void {
    const { load, logger } = this.#options;
    const { shards, startedMonoMs } = this.#batch;
    const tookMs = Math.round(load.clock.monoMs() - startedMonoMs);
    // A fail-over moves many at once; a rebalance one by one.
    logger[shards >= 8 ? 'info' : 'debug'](event, { shards, tookMs });
  }

  #taken(job: Job, confirmed: ConfirmedShard): void {
    const { hold, onOpen, held } = this.#options;
    const { shard, keys } = job;
    const { changed, folded } = confirmed;
    const known = new Set(keys);
    const actors = new Map(folded.actors);
    if (changed === 'none') for (const key of keys) actors.set(key, nothing);
    hold(shard, { ...confirmed, folded: { ...folded, actors } });
    held.setPending(shard, null);
    this.#forget(job);
    const isNews = (key: ActorKey): boolean =>
      changed === 'all' || (changed !== 'none' && changed.has(key));
    const newest = (key: ActorKey): LoadedActor =>
      withSoft(
        folded.actors.get(key) ?? folded.deleted.get(key) ?? nothing,
        folded.actors.has(key) ? job.soft.get(key) : null,
      );
    for (const key of keys) onOpen(key, isNews(key) ? newest(key) : null);
    for (const key of folded.actors.keys()) if (!known.has(key)) onOpen(key, newest(key));
    job.end(true);
  }

  /** True where the job ends: somebody else owns the shard. Else it is tried again. */
  #isFinal(job: Job, error: unknown): boolean {
    const { meter, logger, onSeen, onStaleView } = this.#options;
    const code = codeOf(error) ?? 'other';
    const isLost = code === 'CL_CLAIM_REFUSED' || code === 'CL_VIEW_STALE';
    meter.count(isLost ? 'claims_refused' : 'claims_failed', 1, code);
    if (!isLost || !(error instanceof TocsinError)) {
      job.failures++;
      if (job.failures === 1) logger.warn('shard.untaken', { shard: job.shard, cause: error });
      return false;
    }
    const { owner, epoch } = error.details;
    onSeen(job.shard, String(owner), epoch as Epoch);
    this.#end(job);
    if (code === 'CL_VIEW_STALE') onStaleView(Number(epoch));
    return true;
  }

  #end(job: Job): void {
    job.isOver = true;
    this.#options.held.setPending(job.shard, null);
    this.#forget(job);
    if (job.copy !== null) this.#options.release(job.shard);
  }

  #forget(job: Job): void {
    job.isOver = true;
    // Where it is held now this has been said already.
    if (this.#options.held.get(job.shard) === null) job.end(false);
    this.#jobs.delete(job.shard);
    if (this.#jobs.size > 0) {
      this.#sayArmed();
      return;
    }
    this.#sayArmed();
    this.#say('shards.open');
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}
