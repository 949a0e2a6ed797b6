// A process that runs seeds of the cluster: one message in, one result out. One seed in fifty is run twice and must give the
// same trace (I41).
import { clusterPlanOf } from './plan.ts';
import { type ClusterResult, runCluster } from './run.ts';

const twiceEvery = 50;
const violationsMax = 20;

async function runSeed(seed: number): Promise<ClusterResult & { wasRunTwice: boolean }> {
  const { result } = await runCluster(clusterPlanOf(seed));
  const wasRunTwice = seed % twiceEvery === 0;
  const violations = result.violations.slice(0, violationsMax);
  if (!wasRunTwice) return { ...result, violations, wasRunTwice };
  const again = await runCluster(clusterPlanOf(seed));
  if (again.result.hash !== result.hash) {
    const text = `the same seed gave ${result.hash} and ${again.result.hash}`;
    return { ...result, violations: [...violations, { id: 'I41', t: 0, text }], wasRunTwice };
  }
  return { ...result, violations, wasRunTwice };
}

/** What would end the node ends this process: the pool counts it as a broken rule. */
process.on('uncaughtException', (error) => {
  const text = `the process crashed: ${error.stack ?? String(error)}`.slice(0, 900);
  process.send?.({ crashed: text }, () => process.exit(1));
});

process.on('message', ({ seed }: { seed: number }) => {
  runSeed(seed).then(
    (result) => process.send?.({ result }),
    (error: unknown) =>
      process.send?.({ crashed: String((error as Error).stack ?? error).slice(0, 900) }),
  );
});
