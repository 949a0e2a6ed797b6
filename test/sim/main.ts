// The simulator's command line: fresh seeds over two processes, one seed again, or a planted bug that must be found.
// Prints one JSON line a run and a summary; ends with 1 on a violation, 2 where too little happened to say anything.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { planOf } from './plan.ts';
import { plantedTree, plants } from './plants.ts';
import { runSeeds, type SeedResult } from './pool.ts';
import { type RunResult, runPlan } from './run.ts';
import { shrunk } from './shrink.ts';
import { lineOf, summaryOf, textOf } from './summary.ts';
import { sweep, writeTable } from './sweep.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    seed: { type: 'string' },
    base: { type: 'string' },
    plant: { type: 'string' },
    workers: { type: 'string', default: '2' },
    'list-plants': { type: 'boolean', default: false },
    'no-shrink': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});

// The same run everywhere, as in the processes of pool.ts.
process.env['TZ'] = 'UTC';

const isJson = values.json === true;
const say = (text: string): void => {
  process.stdout.write(`${text}\n`);
};
const sayJson = (data: unknown): void => say(JSON.stringify(data));
/** For people; in the way of programs. */
const explain = (text: string): void => {
  if (!isJson) say(text);
};

/** Plants must be found within so many seeds (reliability.md §6). */
const plantSeedsMax = 200;
const seedsDefault = 100;
const shownMax = 10;
const replayOf = (seed: number | string): string => `npm run sim -- --seed ${seed}`;

/** One seed again: its options, what broke, and a smaller schedule that breaks the same rule. */
async function replay(seed: number): Promise<number> {
  const plan = planOf(seed);
  if (isJson) sayJson({ plan });
  else say(JSON.stringify(plan, null, 1));
  const { result } = await runPlan(plan);
  sayJson(lineOf({ ...result, wasRunTwice: false }));
  for (const { id, t, text } of result.violations.slice(0, shownMax)) {
    explain(`${id} at ${Math.round(t)} ms: ${text}`);
  }
  if (result.violations.length > 0) await shrink(result);
  return exitOf(result.violations.length, result.isValid);
}

async function shrink(result: RunResult): Promise<void> {
  if (values['no-shrink'] === true) return;
  explain('looking for a smaller schedule …');
  const small = await shrunk(planOf(result.seed), result.violations[0]?.id ?? '');
  const { healT, faults, changes } = small.plan;
  const violations = small.violations.slice(0, 3);
  sayJson({ seed: result.seed, shrunk: { healT, faults, changes }, violations });
}

function exitOf(violations: number, isValid: boolean): number {
  if (violations > 0) return 1;
  return isValid ? 0 : 2;
}

/** With `--seed`: just these. Else seeds of earlier failures, then fresh ones. */
function seedsWanted(count: number): number[] {
  const start = values.seed ?? values.base;
  const from = Number(start ?? Math.floor(Date.now() / 1000) % 1_000_000_000);
  const fresh = Array.from({ length: count }, (_, at) => from + at);
  if (values.seed !== undefined) return fresh;
  const known = JSON.parse(readFileSync(new URL('./seeds.json', import.meta.url), 'utf8')) as {
    readonly seeds: readonly { readonly seed: number }[];
  };
  return [...known.seeds.map(({ seed }) => seed), ...fresh];
}

async function many(count: number): Promise<number> {
  const startedMs = performance.now();
  const seeds = seedsWanted(count);
  const results = await runSeeds(seeds, {
    workers: Number(values.workers),
    onResult: (result) => sayJson(lineOf(result)),
  });
  const failed = results.filter((result) => result.violations.length > 0);
  const [first] = failed;
  // A run that ended its process would end this one as well.
  if (first !== undefined && first.events > 0) await shrink(first);
  const summary = summaryOf(results, performance.now() - startedMs);
  const replays = failed.map(({ seed }) => replayOf(seed));
  const base = seeds.at(-count);
  if (isJson) sayJson({ summary, base, replay: replays[0] ?? null, replays });
  explain(`${textOf(summary)}\nthe same seeds: npm run sim -- --seed ${base} --seeds ${count}`);
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
    if (values.seed !== undefined && values.seeds === undefined) {
      return await replayPlanted(name, tree.root, values.seed);
    }
    let tried = 0;
    let caught: SeedResult | null = null;
    const count = Number(values.seeds ?? plantSeedsMax);
    const from = Number(values.seed ?? values.base ?? 1);
    const seeds = Array.from({ length: count }, (_, at) => from + at);
    const results = await runSeeds(seeds, {
      workers: Number(values.workers),
      root: tree.root,
      onResult: (result) => {
        tried++;
        if (!isJson) sayJson(lineOf(result));
        if (result.violations.length > 0) caught ??= result;
      },
      isOver: () => caught !== null,
    });
    const found = await onlyPlanted(results.find((result) => result === caught) ?? null);
    const replay = found === null ? null : `${replayOf(found.seed)} --plant ${name}`;
    explain(
      found === null
        ? `${name} was not found in ${tried} seeds`
        : `${name} was found by ${found.violations[0]?.id}: ${replay}`,
    );
    const ids = [...new Set(found?.violations.map(({ id }) => id) ?? [])];
    const text = found?.violations[0]?.text ?? null;
    const seed = found?.seed ?? null;
    sayJson({ plant: name, found: found !== null, seed, tried, ids, text, replay });
    return found === null ? 0 : 1;
  } finally {
    tree.remove();
  }
}

/** Returns the result where its seed breaks no rule without the plant; else null: that was something else. */
async function onlyPlanted(found: SeedResult | null): Promise<SeedResult | null> {
  if (found === null) return null;
  const [clean] = await runSeeds([found.seed], { workers: 1 });
  return clean?.violations.length === 0 ? found : null;
}

async function replayPlanted(name: string, root: string, seed: string): Promise<number> {
  const flags = ['json', 'no-shrink'].filter((flag) => values[flag as 'json'] === true);
  const args = ['--seed', seed, ...flags.map((flag) => `--${flag}`)];
  const child = spawn('node', ['--import', 'tsx', join(root, 'test/sim/main.ts'), ...args], {
    cwd: root,
    stdio: 'inherit',
  });
  const code = await new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (status) => resolve(status ?? 1));
  });
  // 0 and 2: nothing was broken.
  const isFound = code === 1;
  const replay = isFound ? `${replayOf(seed)} --plant ${name}` : null;
  sayJson({ plant: name, found: isFound, seed: Number(seed), replay });
  return isFound ? 1 : 0;
}

/** All planted bugs, and the table of them. 1: all were found. */
async function plantedAll(): Promise<number> {
  const all = await sweep({
    workers: Number(values.workers),
    seedsMax: Number(values.seeds ?? plantSeedsMax),
    onCaught: sayJson,
  });
  writeTable(all);
  const missed = all.filter(({ seed }) => seed === null).map(({ name }) => name);
  explain(`${all.length - missed.length} of ${all.length} were found; not: ${missed.join(' ')}`);
  return missed.length === 0 ? 1 : 0;
}

async function command(): Promise<number> {
  if (values['list-plants'] === true) {
    for (const { name } of plants) say(name);
    return 0;
  }
  if (values.plant === 'all') return plantedAll();
  if (values.plant !== undefined) return planted(values.plant);
  if (values.seed !== undefined && values.seeds === undefined) return replay(Number(values.seed));
  return many(Number(values.seeds ?? seedsDefault));
}

process.exitCode = await command();
