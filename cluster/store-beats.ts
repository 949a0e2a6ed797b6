// The second sign of life: this node's beat in the store, and the others' watched for standing still (clustering.md §6).
// Written by the main loop, so that it proves main loop and store. Must not know what a standing beat leads to.

import type { ViewStore } from '../runtime/cluster-ports.ts';
import type { NodeId } from '../runtime/ids.ts';
import type { Clock } from '../runtime/ports.ts';
import { BeatWatch } from './beats.ts';
import type { View } from './view.ts';

export interface StoreBeatsOptions {
  readonly node: NodeId;
  readonly views: ViewStore;
  readonly clock: Clock;
  /** The store answered. */
  readonly onAnswer: () => void;
}

export class StoreBeats {
  readonly #options: StoreBeatsOptions;
  #incarnation = '';
  #watch: BeatWatch;
  #n = 0;

  constructor(options: StoreBeatsOptions, incarnation: string) {
    this.#options = options;
    this.#watch = this.begin(incarnation);
  }

  /** Starts anew under another incarnation. */
  begin(incarnation: string): BeatWatch {
    this.#incarnation = incarnation;
    this.#n = 0;
    this.#watch = new BeatWatch({ node: this.#options.node, incarnation });
    return this.#watch;
  }

  /** Writes the next beat; rejects as the store does. */
  async write(): Promise<void> {
    const { node, views, onAnswer } = this.#options;
    await views.writeBeat({ node, incarnation: this.#incarnation, n: ++this.#n });
    onAnswer();
  }

  /** Reads all beats; rejects as the store does: a time without answers lets nothing stall. */
  async read(view: View): Promise<void> {
    const { views, clock, onAnswer } = this.#options;
    const startedMonoMs = clock.monoMs();
    const watch = this.#watch;
    try {
      watch.read(startedMonoMs, await views.readBeats(), view);
      onAnswer();
    } catch (error) {
      watch.readFailed();
      throw error;
    }
  }

  isStalled(node: NodeId, incarnation: string): boolean {
    return this.#watch.isStalled(node, incarnation);
  }

  /** Forgets a beat that nobody writes any more; failing is harmless. */
  async forget(node: NodeId, incarnation: string): Promise<void> {
    await this.#options.views.deleteBeat({ node, incarnation }).catch(() => undefined);
  }
}
