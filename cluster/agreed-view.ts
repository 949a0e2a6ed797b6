// The agreed view in the store, read and changed: a change is a function View → View tried by compare-and-set until it
// stands or says that nothing is to do (clustering.md §6). Unknown outcomes are read, then decided; edits are such that they may
// be tried again. Must not know why a view changes.

import type { ViewStore } from '../runtime/cluster-ports.ts';
import { TocsinError } from '../runtime/errors.ts';
import type { Clock, Logger, Random, ReadLevel } from '../runtime/ports.ts';
import { verdictOfError } from './commit-verdict.ts';
import { viewAccessLimits } from './limits.ts';
import { answeredWithin, pause, pauseMs } from './pause.ts';
import { emptyView, type View } from './view.ts';
import { decodeView, encodeView } from './view-codec.ts';

export interface AgreedViewOptions {
  readonly views: ViewStore;
  readonly serial: View['serial'];
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface AgreedView {
  /** Returns the view as stored; version 0 where there is none. Rejects as the store does, after 1.4 s `ST_UNKNOWN`. */
  read(level: ReadLevel): Promise<View>;
  /**
   * Returns the view as it stands once `edit` has nothing left to change in it; the first try starts from `known` without a
   * read. Rejects what `edit` throws, or `CL_VIEW_UNCHANGED` where the store did not take it in time.
   */
  change(edit: (view: View) => View, known?: View): Promise<View>;
}

/** Returns access to the view of this cluster. */
export function agreedView(options: AgreedViewOptions): AgreedView {
  return new StoredView(options);
}

class StoredView implements AgreedView {
  readonly #options: AgreedViewOptions;

  constructor(options: AgreedViewOptions) {
    this.#options = options;
  }

  async read(level: ReadLevel): Promise<View> {
    const row = await this.#answered(this.#options.views.readView(level));
    return row === null ? emptyView(this.#options.serial) : decodeView(row.version, row.body);
  }

  async change(edit: (view: View) => View, known?: View): Promise<View> {
    const { clock, random } = this.#options;
    let from = known ?? null;
    let last: unknown = null;
    for (let attempt = 1; attempt <= viewAccessLimits.tries; attempt++) {
      try {
        from ??= await this.read(attempt === 1 ? 'look' : 'decide');
        const to = edit(from);
        if (to === from || (await this.#tried(from, to))) return to;
      } catch (error) {
        if (error instanceof TocsinError && error.code.startsWith('CL_')) throw error;
        last = error;
      }
      from = null;
      await pause(clock, pauseMs(attempt, viewAccessLimits, random));
    }
    throw new TocsinError('CL_VIEW_UNCHANGED', 'the view could not be changed', {
      retryable: true,
      cause: last,
    });
  }

  /** True: applied. False: refused, or unknown: read and see. */
  async #tried(from: View, to: View): Promise<boolean> {
    const { views, logger } = this.#options;
    try {
      const body = encodeView(to);
      return await this.#answered(views.casView({ from: from.version, to: to.version, body }));
    } catch (error) {
      if (verdictOfError(error) === 'impossible') throw error;
      logger.warn('view.unknown', { from: from.version, to: to.version, error });
      return false;
    }
  }

  #answered<Answer>(work: Promise<Answer>): Promise<Answer> {
    return answeredWithin(this.#options.clock, work, {
      ms: viewAccessLimits.answerMs,
      late: () => new TocsinError('ST_UNKNOWN', 'the store did not answer in time'),
    });
  }
}
