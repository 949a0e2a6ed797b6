// How Node is to be started for a node of ours: settings of the engine and of the allocator that hold only from the very
// start of a process, so whoever starts one (scripts/start.js, the benches) passes them on. Must not know what runs.

/**
 * Arguments of Node. A node keeps little and makes much garbage, which the engine by itself lets grow to several times of
 * what lives: at 1,000 checks these take its memory from 187 to 135 MB for the same CPU (bench/RESULTS.md).
 * - The young generation has 4 MB instead of 16; 2 MB save 8 MB more and cost 7 % more CPU.
 * - Its collections, of a millisecond, wake no helper threads; those of the old generation still do.
 * - The first full collection comes at 32 MB instead of whenever; then each time that the heap has grown by half.
 */
export const engineArguments: readonly string[] = [
  '--max-semi-space-size=4',
  '--no-parallel-scavenge',
  '--initial-old-space-size=32',
  '--heap-growing-percent=50',
];

/** Variables of the process: two arenas of the allocator, not one for each of a dozen threads. */
export const engineEnvironment: Readonly<Record<string, string>> = { MALLOC_ARENA_MAX: '2' };
