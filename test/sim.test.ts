// The simulator in the small: the same seed gives the same trace, its planted bugs still fit the product, and a few seeds
// break no rule. The whole of it: `npm run sim`.
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { plants } from './sim/plants.ts';
import { runSeeds } from './sim/pool.ts';

const root = resolve(fileURLToPath(new URL('..', import.meta.url)));
const seeds = Array.from({ length: 20 }, (_, at) => at + 1);

t.setTimeout(600_000);

t.test('twenty seeds break no rule, and twice the same is the same', async (t) => {
  const first = await runSeeds(seeds, { workers: 2 });
  const again = await runSeeds(seeds.slice(0, 4), { workers: 2 });
  for (const { seed, violations } of first) t.same(violations, [], `npm run sim -- --seed ${seed}`);
  for (const { seed, hash } of again) {
    t.equal(hash, first.find((one) => one.seed === seed)?.hash, `seed ${seed}: the same trace`);
  }
  const transitions = first.reduce((total, one) => total + one.transitions, 0);
  t.ok(transitions >= 1_000, 'enough happened for that to mean something');
});

t.test('every planted bug still fits the product', (t) => {
  t.ok(plants.length >= 18);
  t.equal(new Set(plants.map(({ name }) => name)).size, plants.length);
  for (const { name, patches } of plants) {
    for (const { file, find } of patches) {
      const text = readFileSync(join(root, file), 'utf8');
      t.equal(text.split(find).length, 2, `${name}: its text stands once in ${file}`);
    }
  }
  t.end();
});
