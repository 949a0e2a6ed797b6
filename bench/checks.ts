// N HTTP checks every 10 s on a real node with its prober: CPU, memory, and the jitter that the target sees. One JSON line
// per case. Run: node --import tsx bench/checks.ts [--checks 1000,5000] [--alarms] [--warm SECONDS] [--dist FOLDER]
// The node is filled through its API, then restarted, so that it is measured as it runs and not as it was filled.
import {
  BenchNode,
  childrenOf,
  flags,
  quantile,
  report,
  round,
  sleep,
  type Usage,
  usageOf,
} from './rig.ts';
import { startTarget, type Target } from './target.ts';

const periodMs = 10_000;
const windowMs = 60_000;

/** CPU in ms and memory in MB of a node and of its probers. */
function usage(pid: number) {
  const node = usageOf(pid);
  const probers = childrenOf(pid).map(usageOf);
  const sum = (of: keyof Usage) => probers.reduce((total, one) => total + one[of], 0);
  const prober = {
    cpuMs: sum('cpuMs'),
    residentMb: sum('residentMb'),
    proportionalMb: sum('proportionalMb'),
  };
  return { node, prober };
}

async function measure(checks: number, target: Target, withAlarms: boolean): Promise<void> {
  const node = await BenchNode.create();
  try {
    await node.start();
    await node.fill(checks, target.port, withAlarms);
    const filled = usage(node.pid);
    await node.end('SIGTERM');
    await node.start();
    await sleep(Number(flags['warm'] ?? 60) * 1000);
    target.clear();
    const before = usage(node.pid);
    const startMs = performance.now();
    await sleep(windowMs);
    const after = usage(node.pid);
    const tookMs = performance.now() - startMs;
    const seen = await target.arrivals(periodMs);
    const percent = (of: 'node' | 'prober') =>
      round(((after[of].cpuMs - before[of].cpuMs) / tookMs) * 100);
    const memory = (at: typeof after) => Math.round(at.node.residentMb + at.prober.residentMb);
    report({
      bench: 'checks',
      case: withAlarms ? 'HTTP every 10 s, an alarm each' : 'HTTP every 10 s',
      checks,
      arrivals: seen.total,
      expected: Math.round((checks * tookMs) / periodMs),
      checksSeen: seen.checks,
      corePercent: round(percent('node') + percent('prober')),
      nodeCorePercent: percent('node'),
      proberCorePercent: percent('prober'),
      residentMb: memory(after),
      proportionalMb: Math.round(after.node.proportionalMb + after.prober.proportionalMb),
      nodeMb: Math.round(after.node.residentMb),
      proberMb: Math.round(after.prober.residentMb),
      residentAfterFillingMb: memory(filled),
      jitterP50Ms: round(quantile(seen.jitterMs, 0.5)),
      jitterP99Ms: round(quantile(seen.jitterMs, 0.99)),
      jitterMaxMs: round(seen.jitterMs.at(-1) ?? 0),
    });
  } finally {
    await node.remove();
  }
}

const target = await startTarget();
for (const count of String(flags['checks'] ?? '1000,5000').split(',')) {
  await measure(Number(count), target, flags['alarms'] === true);
}
target.close();
