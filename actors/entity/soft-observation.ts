// An observation as data: in soft state, and on the way to the next owner of its entity. Types only.
import type { WireMetric } from '../check/types.ts';

export type SoftObservation = readonly [
  slot: number,
  at: number,
  available: boolean,
  status: string,
  metrics: readonly WireMetric[],
];
