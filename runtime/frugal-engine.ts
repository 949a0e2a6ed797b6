// Settings of the JavaScript engine for a process that does little at a time and rests in between. Called once, first thing:
// they hold however the process was started. Must not know what the process does.
import { setFlagsFromString } from 'node:v8';

/**
 * A small young generation, collected on this thread: more than its first size takes up to 100 MB in a node of 5,000 checks
 * and saves nothing, and waking helper threads costs more than such a collection. `--optimize-for-size` is left out: 40 MB
 * less, but a fifth more CPU (bench/RESULTS.md).
 */
export function frugalEngine(): void {
  for (const flag of ['--semi-space-growth-factor=1', '--no-parallel-scavenge']) {
    setFlagsFromString(flag);
  }
}
