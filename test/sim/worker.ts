// A process that runs seeds: one message in, one result out. One seed in fifty is run twice and must give the same trace (I41).
import { planOf } from './plan.ts';
import { type RunResult, runPlan } from './run.ts';

const twiceEvery = 50;
const violationsMax = 20;

const nothing: RunResult & { wasRunTwice: boolean } = {
  seed: 0,
  mode: 'safety',
  profile: 'busy',
  violations: [],
  polls: 0,
  transitions: 0,
  intents: 0,
  pages: 0,
  crashes: 0,
  isValid: false,
  simulatedMs: 0,
  events: 0,
  hash: '',
  faults: {},
  sometimes: {},
  wasRunTwice: false,
};

async function runSeed(seed: number): Promise<RunResult & { wasRunTwice: boolean }> {
  const { result } = await runPlan(planOf(seed));
  const wasRunTwice = seed % twiceEvery === 0;
  const violations = result.violations.slice(0, violationsMax);
  if (!wasRunTwice) return { ...result, violations, wasRunTwice };
  const again = await runPlan(planOf(seed));
  if (again.result.hash !== result.hash) {
    const text = `the same seed gave ${result.hash} and ${again.result.hash}`;
    return { ...result, violations: [...violations, { id: 'I41', t: 0, text }], wasRunTwice };
  }
  return { ...result, violations, wasRunTwice };
}

let current = 0;

/** What would end the node ends this process: a broken rule of its own. */
process.on('uncaughtException', (error) => {
  const text = `the process crashed: ${error.stack ?? String(error)}`.slice(0, 500);
  const result = { ...nothing, seed: current, violations: [{ id: 'I42', t: 0, text }] };
  process.send?.({ result }, () => process.exit(1));
});

process.on('message', ({ seed }: { seed: number }) => {
  current = seed;
  runSeed(seed).then(
    (result) => process.send?.({ result }),
    (error: unknown) => process.send?.({ error: String((error as Error).stack ?? error) }),
  );
});
