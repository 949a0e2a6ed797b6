// The simulator's command line: fresh seeds over two processes, one seed again, or a planted bug that must be found.
// Prints one JSON line a run and a summary; ends with 1 on a violation, 2 where too little happened to say anything.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { planOf } from './plan.ts';
import { plantedTree, plants } from './plants.ts';
import { runSeeds, type SeedResult } from './pool.ts';
import { runPlan } from './run.ts';
import { shrunk } from './shrink.ts';

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

const say = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

/** Plants must be found within so many seeds. */
const plantSeedsMax = 200;

async function replay(seed: number): Promise<number> {
  const plan = planOf(seed);
  say(JSON.stringify(plan, null, values.json ? 0 : 1));
  const { result } = await runPlan(plan);
  say(JSON.stringify(result));
  if (result.violations.length === 0) return result.isValid ? 0 : 2;
  if (values['no-shrink'] === true) return 1;
  const small = await shrunk(plan, result.violations[0]?.id ?? '');
  const { healT, faults, changes } = small.plan;
  say(
    JSON.stringify({
      shrunk: { healT, faults, changes },
      violations: small.violations.slice(0, 5),
    }),
  );
  return 1;
}

/** Seeds of earlier failures, then fresh ones. */
function seedsWanted(count: number): number[] {
  const base = Number(values.base ?? Math.floor(Date.now() / 1000) % 1_000_000_000);
  const known = JSON.parse(readFileSync(new URL('./seeds.json', import.meta.url), 'utf8')) as {
    readonly seeds: readonly { readonly seed: number }[];
  };
  const fresh = Array.from({ length: count }, (_, at) => base + at);
  return [...known.seeds.map(({ seed }) => seed), ...fresh];
}

async function many(count: number): Promise<number> {
  const seeds = seedsWanted(count);
  const results = await runSeeds(seeds, {
    workers: Number(values.workers),
    onResult: (result) => {
      if (values.json || result.violations.length > 0) say(JSON.stringify(line(result)));
    },
  });
  const failed = results.filter((result) => result.violations.length > 0);
  const summary = summaryOf(results);
  say(JSON.stringify({ summary, base: seeds.at(-count) }, null, values.json ? 0 : 1));
  const [first] = failed;
  if (first !== undefined) {
    say(`a violation of ${first.violations[0]?.id}: npm run sim -- --seed ${first.seed}`);
    return 1;
  }
  return summary.isValid ? 0 : 2;
}

function line(result: SeedResult) {
  const { seed, simulatedMs, polls, transitions, faults, violations, mode, hash, pages } = result;
  return {
    ...{ seed, mode, simulatedHours: simulatedMs / 3_600_000, polls, transitions, pages, hash },
    faults,
    violations: violations.slice(0, 5),
  };
}

function summaryOf(results: readonly SeedResult[]) {
  const faults: Record<string, number> = {};
  const sometimes: Record<string, number> = {};
  const add = (into: Record<string, number>, from: Readonly<Record<string, number>>): void => {
    for (const [name, by] of Object.entries(from)) into[name] = (into[name] ?? 0) + by;
  };
  for (const result of results) {
    add(faults, result.faults);
    add(sometimes, result.sometimes);
  }
  const sum = (of: (result: SeedResult) => number): number =>
    results.reduce((total, result) => total + of(result), 0);
  const transitions = sum((result) => result.transitions);
  const isValid =
    results.every((result) => result.isValid) && (results.length < 100 || transitions >= 1_000);
  return {
    seeds: results.length,
    simulatedHours: Math.round(sum((result) => result.simulatedMs) / 36_000) / 100,
    polls: sum((result) => result.polls),
    transitions,
    intents: sum((result) => result.intents),
    pages: sum((result) => result.pages),
    crashes: sum((result) => result.crashes),
    runTwice: results.filter((result) => result.wasRunTwice).length,
    violations: sum((result) => result.violations.length),
    isValid,
    faults,
    sometimes,
  };
}

/** A planted bug in a copy of the tree: found is well. */
async function planted(name: string): Promise<number> {
  const tree = plantedTree(name);
  try {
    let tried = 0;
    let found: SeedResult | null = null;
    const count = Number(values.seeds ?? plantSeedsMax);
    const base = Number(values.base ?? 1);
    await runSeeds(
      Array.from({ length: count }, (_, at) => base + at),
      {
        workers: Number(values.workers),
        root: tree.root,
        onResult: (result) => {
          tried++;
          if (result.violations.length > 0) found ??= result;
        },
        isOver: () => found !== null,
      },
    );
    const caught = found as SeedResult | null;
    const ids = [...new Set(caught?.violations.map(({ id }) => id) ?? [])];
    say(
      JSON.stringify({
        plant: name,
        found: caught !== null,
        seed: caught?.seed ?? null,
        tried,
        ids,
        text: caught?.violations[0]?.text ?? null,
      }),
    );
    return caught === null ? 1 : 0;
  } finally {
    tree.remove();
  }
}

async function command(): Promise<number> {
  if (values['list-plants'] === true) {
    for (const { name } of plants) say(name);
    return 0;
  }
  if (values.plant !== undefined) return planted(values.plant);
  if (values.seed !== undefined) return replay(Number(values.seed));
  return many(Number(values.seeds ?? 100));
}

process.exitCode = await command();
