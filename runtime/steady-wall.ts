// The wall clock for deciding what is old enough to be deleted: a clock that is set forward by mistake must not make
// everything look old. It is believed once it has stayed ahead for a day. Must not know what is deleted.
import type { Clock } from './ports.ts';

/** A lead up to this is drift, ms. */
const leadMs = 300_000;
/** After so long ahead the wall clock is right and this one was wrong, ms. */
const believedAfterMs = 86_400_000;

/** Returns a reading of the wall clock, epoch ms, that since this call ran no faster than the monotonic clock. */
export function steadyWall(clock: Clock): () => number {
  let base = { wallMs: clock.nowMs(), monoMs: clock.monoMs() };
  let aheadSinceMonoMs: number | null = null;
  return () => {
    const [wallMs, monoMs] = [clock.nowMs(), clock.monoMs()];
    const steadyMs = base.wallMs + (monoMs - base.monoMs);
    if (wallMs - steadyMs <= leadMs) {
      aheadSinceMonoMs = null;
      return Math.min(wallMs, steadyMs);
    }
    aheadSinceMonoMs ??= monoMs;
    if (monoMs - aheadSinceMonoMs < believedAfterMs) return steadyMs;
    aheadSinceMonoMs = null;
    base = { wallMs, monoMs };
    return wallMs;
  };
}
