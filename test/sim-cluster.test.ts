// The simulator of a cluster in the small: seeds that once broke a rule and a few fresh ones break none, a seed run twice gives
// the same trace, a planted bug is found. The whole of it: `npm run sim -- --cluster`.
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { clusterPlanOf } from './sim-cluster/plan.ts';
import { plantedTree, plants } from './sim-cluster/plants.ts';
import { runSeeds, type SeedResult } from './sim-cluster/pool.ts';
import { runCluster } from './sim-cluster/run.ts';

const root = resolve(fileURLToPath(new URL('..', import.meta.url)));
const workers = 2;
const freshCount = 7;
/** The same seeds every time: fresh ones still break a rule now and then. SIM_BASE draws others. */
const base = Number(process.env['SIM_BASE'] ?? 3_000);

t.setTimeout(600_000);

function brokenIn(results: readonly SeedResult[]): readonly string[] {
  return results.flatMap(({ seed, violations }) =>
    violations
      .slice(0, 2)
      .map(({ id, text }) => `npm run sim -- --cluster --seed ${seed}: ${id} ${text}`),
  );
}

t.test('every seed that once broke a rule breaks none', async (t) => {
  const text = readFileSync(join(root, 'test/sim-cluster/seeds.json'), 'utf8');
  const { seeds } = JSON.parse(text) as { seeds: readonly { readonly seed: number }[] };
  const results = await runSeeds(
    seeds.map(({ seed }) => seed),
    { workers },
  );
  t.same(brokenIn(results), []);
});

t.test(`${freshCount} seeds from ${base} break no rule`, async (t) => {
  t.comment(`the same seeds: npm run sim -- --cluster --seed ${base} --seeds ${freshCount}`);
  const seeds = Array.from({ length: freshCount }, (_, at) => base + at);
  const results = await runSeeds(seeds, { workers });
  t.same(brokenIn(results), []);
  const polls = results.reduce((total, one) => total + one.polls, 0);
  t.ok(polls > freshCount * 100, 'enough happened for that to mean something');
});

t.test('the same seed gives the same trace', async (t) => {
  const [one, two] = [await runCluster(clusterPlanOf(7)), await runCluster(clusterPlanOf(7))];
  t.equal(one.result.hash, two.result.hash);
});

t.test('every planted bug still fits the product', (t) => {
  t.equal(new Set(plants.map(({ name }) => name)).size, plants.length);
  for (const { name, patches } of plants) {
    for (const { file, find } of patches) {
      const text = readFileSync(join(root, file), 'utf8');
      t.equal(text.split(find).length, 2, `${name}: its text stands once in ${file}`);
    }
  }
  t.end();
});

t.test('a claim that ignores the view is found', async (t) => {
  const tree = plantedTree('claim-from-live-owner');
  t.teardown(() => tree.remove());
  const [result] = await runSeeds([1], { workers, root: tree.root });
  t.ok(result?.violations.some(({ id }) => id === 'I5'));
});
