// The cluster simulator's command line: fresh seeds over two processes, one seed again, or a planted bug that must be found.
// Prints one JSON line a run and a summary; ends with 1 on a violation, 2 where too little happened to say anything.
import { parseArgs } from 'node:util';
import type { ClusterPlant } from './bugs.ts';
import { clusterPlanOf } from './plan.ts';
import { plantedTree, plants } from './plants.ts';
import { runSeeds, type SeedResult } from './pool.ts';
import { runCluster } from './run.ts';
import { lineOf, summaryOf, textOf } from './summary.ts';

const { values } = parseArgs({
  options: {
    cluster: { type: 'boolean', default: true },
    seeds: { type: 'string' },
    seed: { type: 'string' },
    base: { type: 'string' },
    plant: { type: 'string' },
    workers: { type: 'string', default: '2' },
    trace: { type: 'string' },
    'list-plants': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});

// The same run everywhere, as in the processes of pool.ts.
process.env['TZ'] = 'UTC';

const say = (text: string): void => {
  process.stdout.write(`${text}\n`);
};
const sayJson = (data: unknown): void => say(JSON.stringify(data));
/** For people; in the way of programs. */
const explain = (text: string): void => {
  if (values.json !== true) say(text);
};

/** Plants must be found within so many seeds (reliability.md §6). */
const plantSeedsMax = 200;
const triedMax = 30;
const seedsDefault = 50;
const shownMax = 10;
const replayOf = (seed: number): string => `npm run sim -- --cluster --seed ${seed}`;

/** One seed again: its options and what broke; `--trace WORDS`: events whose line holds one of them. */
async function replay(seed: number): Promise<number> {
  const plan = clusterPlanOf(seed);
  const { people, ...own } = plan;
  sayJson({ plan: { ...own, entities: people.entities.length, changes: people.changes } });
  const { result, trace } = await runCluster(plan);
  const words = values.trace?.split(',') ?? [];
  for (const event of trace) {
    const line = JSON.stringify(event);
    if (words.some((word) => line.includes(word))) say(line.slice(0, 500));
  }
  sayJson(lineOf({ ...result, wasRunTwice: false }));
  for (const { id, t, text } of result.violations.slice(0, shownMax)) {
    explain(`${id} at ${Math.round(t)} ms: ${text}`);
  }
  return exitOf(result.violations.length, result.isValid);
}

function exitOf(violations: number, isValid: boolean): number {
  if (violations > 0) return 1;
  return isValid ? 0 : 2;
}

async function many(count: number): Promise<number> {
  const startedMs = performance.now();
  const from = Number(values.seed ?? values.base ?? Math.floor(Date.now() / 1000) % 1_000_000_000);
  const seeds = Array.from({ length: count }, (_, at) => from + at);
  const results = await runSeeds(seeds, {
    workers: Number(values.workers),
    onResult: (result) => sayJson(lineOf(result)),
  });
  const failed = results.filter((result) => result.violations.length > 0);
  const summary = summaryOf(results, performance.now() - startedMs);
  const replays = failed.map(({ seed }) => replayOf(seed));
  if (values.json === true) sayJson({ summary, base: from, replay: replays[0] ?? null, replays });
  explain(
    `${textOf(summary)}\nthe same seeds: npm run sim -- --cluster --seed ${from} --seeds ${count}`,
  );
  for (const { seed, violations } of failed.slice(0, shownMax)) {
    const [worst] = violations;
    explain(`${worst?.id} is broken (${worst?.text}): ${replayOf(seed)}`);
  }
  return exitOf(failed.length, summary.isValid);
}

/** A planted bug in a copy of the tree, seed by seed until it is found. Found is a violation: 1. */
async function planted(name: string): Promise<number> {
  const tree = plantedTree(name);
  try {
    const from = Number(values.seed ?? values.base ?? 1);
    const alone = values.seed !== undefined && values.seeds === undefined;
    const count = alone ? 1 : Number(values.seeds ?? plantSeedsMax);
    const { shows } = plants.find((plant) => plant.name === name) as ClusterPlant;
    // Of the first 200 seeds those that have the faults which the bug needs to show.
    const all = Array.from({ length: count }, (_, at) => from + at);
    const seeds = alone ? all : all.filter((seed) => shows(clusterPlanOf(seed))).slice(0, triedMax);
    let found: SeedResult | null = null;
    let tried = 0;
    for (let at = 0; at < seeds.length && found === null; at += 2) {
      const results = await runSeeds(seeds.slice(at, at + 2), {
        workers: Number(values.workers),
        root: tree.root,
      });
      tried += results.length;
      for (const result of results) found ??= await onlyPlanted(result);
    }
    const replay = found === null ? null : `${replayOf(found.seed)} --plant ${name}`;
    const ids = [...new Set(found?.violations.map(({ id }) => id) ?? [])];
    const text = found?.violations[0]?.text ?? null;
    sayJson({
      plant: name,
      found: found !== null,
      seed: found?.seed ?? null,
      tried,
      ids,
      text,
      replay,
    });
    return found === null ? 0 : 1;
  } finally {
    tree.remove();
  }
}

/** Returns the result where its seed breaks no rule without the plant; else null: that was something else. */
async function onlyPlanted(found: SeedResult): Promise<SeedResult | null> {
  if (found.violations.length === 0) return null;
  const [clean] = await runSeeds([found.seed], { workers: 1 });
  const known = new Set(clean?.violations.map(({ id }) => id));
  return found.violations.some(({ id }) => !known.has(id)) ? found : null;
}

async function command(): Promise<number> {
  if (values['list-plants'] === true) {
    for (const { name } of plants) say(name);
    return 0;
  }
  if (values.plant !== undefined) return planted(values.plant);
  if (values.seed !== undefined && values.seeds === undefined) return replay(Number(values.seed));
  return many(Number(values.seeds ?? seedsDefault));
}

process.exitCode = await command();
