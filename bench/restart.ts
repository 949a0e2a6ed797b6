// A node with 10,000 HTTP checks is killed (SIGKILL) and started again: time to the first result at the target, and to the
// last check's. One JSON line. Run: node --import tsx bench/restart.ts [--checks 10000] [--dist FOLDER]
import { BenchNode, flags, quantile, report, round, sleep } from './rig.ts';
import { startTarget } from './target.ts';

const checks = Number(flags['checks'] ?? 10_000);
const periodMs = 10_000;

const target = await startTarget();
const node = await BenchNode.create();
try {
  await node.start();
  await node.fill(checks, target.port, false);
  // Soft state is written within a minute: what a node that ran for long has on disk.
  await sleep(60_000);
  await node.end('SIGKILL');
  target.clear();
  const startMs = performance.now();
  await node.start();
  const readyMs = performance.now() - startMs;
  await sleep(2 * periodMs);
  const seen = await target.arrivals(periodMs);
  report({
    bench: 'restart',
    case: 'SIGKILL, then start on the same folder',
    checks,
    checksSeen: seen.checks,
    firstResultMs: round(seen.firstMs[0] ?? Number.NaN, 0),
    readyMs: round(readyMs, 0),
    p99Ms: round(quantile(seen.firstMs, 0.99), 0),
    allRanMs: round(seen.firstMs.at(-1) ?? Number.NaN, 0),
    /** From the first check's run to the last one's: at most a period. */
    spanMs: round((seen.firstMs.at(-1) ?? 0) - (seen.firstMs[0] ?? 0), 0),
  });
} finally {
  await node.remove();
  target.close();
}
