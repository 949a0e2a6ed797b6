// All planted bugs, one after the other, each from seed 1 until it is found; the table of them is PLANTS.md. Two at a time: each
// has one process. Must not know what a plant does, nor what broke.
import { writeFileSync } from 'node:fs';
import { plantedTree, plants } from './plants.ts';
import { runSeeds, type SeedResult } from './pool.ts';

export interface Caught {
  readonly name: string;
  /** First seed that broke a rule with the bug and none without it; null: none did. */
  readonly seed: number | null;
  readonly ids: readonly string[];
  readonly text: string;
}

export interface SweepOptions {
  readonly workers: number;
  /** Seeds tried for each. */
  readonly seedsMax: number;
  /** Names to try; default: all. */
  readonly names?: readonly string[];
  readonly onCaught: (caught: Caught) => void;
}

/** Returns what became of each plant, in their order. */
export async function sweep(options: SweepOptions): Promise<readonly Caught[]> {
  const names = options.names ?? plants.map(({ name }) => name);
  const found = new Map<string, Caught>();
  const clean = new Map<number, Promise<boolean>>();
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let name = names[next++]; name !== undefined; name = names[next++]) {
      const caught = await caughtBy(name, options.seedsMax, clean);
      found.set(name, caught);
      options.onCaught(caught);
    }
  };
  await Promise.all(Array.from({ length: options.workers }, lane));
  return names.map((name) => found.get(name) as Caught);
}

async function caughtBy(
  name: string,
  seedsMax: number,
  clean: Map<number, Promise<boolean>>,
): Promise<Caught> {
  const tree = plantedTree(name);
  try {
    for (let from = 1; from <= seedsMax; ) {
      const seeds = Array.from({ length: seedsMax - from + 1 }, (_, at) => from + at);
      const hit = await firstBroken(seeds, tree.root);
      if (hit === null) break;
      const isClean = clean.get(hit.seed) ?? breaksNothing(hit.seed);
      clean.set(hit.seed, isClean);
      const ids = [...new Set(hit.violations.map(({ id }) => id))];
      const text = hit.violations[0]?.text ?? '';
      if (await isClean) return { name, seed: hit.seed, ids, text };
      from = hit.seed + 1;
    }
    return { name, seed: null, ids: [], text: '' };
  } finally {
    tree.remove();
  }
}

/** True where the seed breaks no rule on the tree as it is. */
async function breaksNothing(seed: number): Promise<boolean> {
  const [result] = await runSeeds([seed], { workers: 1 });
  return result?.violations.length === 0;
}

async function firstBroken(seeds: readonly number[], root: string): Promise<SeedResult | null> {
  let hit: SeedResult | null = null;
  const isBroken = (one: SeedResult): boolean => one.violations.length > 0;
  const onResult = (one: SeedResult): void => {
    if (isBroken(one)) hit = one;
  };
  const results = await runSeeds(seeds, {
    ...{ workers: 1, root, onResult },
    isOver: () => hit !== null,
  });
  return results.find(isBroken) ?? null;
}

/** Writes PLANTS.md. */
export function writeTable(all: readonly Caught[]): void {
  const rows = all.map(
    ({ name, seed, ids }) => `| ${name} | ${seed ?? '**not found**'} | ${ids.join(', ')} |`,
  );
  const found = all.filter(({ seed }) => seed !== null).length;
  const text = [
    '# Planted bugs and what finds them',
    '',
    '`npm run sim -- --plant all` writes this: each bug of bugs.ts alone in a copy of the tree, from seed 1 on; the first seed that breaks',
    `a rule there and none on the tree as it is. ${found} of ${all.length} were found.`,
    '',
    '| bug | seed | rules broken |',
    '|---|---|---|',
    ...rows,
    '',
  ].join('\n');
  writeFileSync(new URL('./PLANTS.md', import.meta.url), text);
}
