// Measures the alarm language: evaluations a second, compile times, and how long a hostile author can hold the loop,
// and where a batch is better evaluated: on the loop or in the worker pool (actors/criteria/inline-rule.ts).
// One JSON line per case. Run: npm run bench -- --only criteria
import { readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { type BatchResult, type BatchTask, evaluateBatch } from '../actors/criteria/batch.ts';
import { compileCriteria, criteriaCache } from '../actors/criteria/criteria.ts';
import { isInline } from '../actors/criteria/inline-rule.ts';
import { regexDfaWorkMax } from '../actors/criteria/limits.ts';
import { compileRegexes, type RegexSet } from '../actors/criteria/regex.ts';
import { type Observation, observation } from '../actors/observation/observation.ts';
import { systemClock } from '../runtime/clock.ts';
import { workerPool } from '../runtime/workers.ts';

interface Example {
  readonly criteria: string | null;
  readonly rows: readonly {
    readonly metrics: Readonly<
      Record<string, { readonly type: 'n' | 's'; readonly value: number | string }>
    >;
    readonly previous: { readonly metrics: Example['rows'][number]['metrics'] } | null;
    readonly available: boolean;
    readonly checkStatus: string;
  }[];
}

const clock = systemClock();
const budgetPerSecond = 5_600_000;
const report = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);
const round = (value: number) => Math.round(value * 100) / 100;

const examples: readonly Example[] = JSON.parse(
  readFileSync(new URL('../test/golden/alarm-golden.json', import.meta.url), 'utf8'),
);

function observed(
  metrics: Example['rows'][number]['metrics'],
  run: Partial<Observation>,
): Observation {
  return observation(
    { slotAtMs: 0, atMs: 60_000, available: true, status: 'ok', ...run },
    Object.entries(metrics).map(([name, { type, value }]) => [name, type, value, 'unknown']),
  );
}

type Work = (count: number) => void;

/** Returns a work of evaluations over all rows of these examples, in turn. */
function evaluations(chosen: readonly Example[]): Work {
  const items = chosen.flatMap(({ criteria, rows }) =>
    rows.map((row) => ({
      criteria: compileCriteria(criteria),
      seen: observed(row.metrics, { available: row.available, status: row.checkStatus }),
      previous: row.previous && observed(row.previous.metrics, { atMs: 0 }),
    })),
  );
  return (count) => {
    let severe = 0;
    for (let done = 0; done < count; ) {
      for (const { criteria, seen, previous } of items) {
        if (criteria.evaluate(seen, previous).state !== 'OK') severe += 1;
      }
      done += items.length;
    }
    if (severe === 0) throw new Error('no row came to WARNING or CRITICAL');
  };
}

/** The best of five runs: other work on the machine only ever makes it slower. */
function perSecond(work: Work, count: number): number {
  work(count / 4);
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < 5; run += 1) {
    const startMs = clock.monoMs();
    work(count);
    best = Math.min(best, clock.monoMs() - startMs);
  }
  return Math.round((count / best) * 1000);
}

function measureEvaluations(): void {
  const usesRegex = ({ criteria }: Example) => criteria !== null && /\bn?regex\b/.test(criteria);
  const cases = {
    'golden rows': examples,
    'golden rows without regex': examples.filter((example) => !usesRegex(example)),
    'golden rows with regex': examples.filter(usesRegex),
    'one threshold (E07)': examples.filter(({ criteria }) => criteria?.includes('Sluggish')),
  };
  for (const [name, chosen] of Object.entries(cases)) {
    const rate = perSecond(evaluations(chosen), 2_000_000);
    report({
      bench: 'criteria',
      case: name,
      perSecond: rate,
      ofBudget: round(rate / budgetPerSecond),
    });
  }
}

/** The golden rows repeat their texts, whose answers a search keeps. Here no text comes twice in 64. */
function measureChangingTexts(): void {
  const [example] = examples.filter(({ criteria }) => criteria?.includes('Unexpected answer'));
  const rows = Array.from({ length: 64 }, (_, at) => ({
    metrics: { code: { type: 's' as const, value: String(180 + 7 * at) } },
    previous: null,
    available: true,
    checkStatus: 'ok',
  }));
  const rate = perSecond(evaluations([{ criteria: example?.criteria ?? null, rows }]), 1_000_000);
  report({ bench: 'criteria', case: 'one regex on changing texts (E06)', perSecond: rate });
}

function measureCompiling(): void {
  const texts = examples.map(({ criteria }) => criteria);
  const compileAll: Work = (count) => {
    for (let done = 0; done < count; done += texts.length)
      for (const text of texts) compileCriteria(text);
  };
  report({ bench: 'criteria', case: 'compile, golden', perSecond: perSecond(compileAll, 20_000) });
  const cached: Work = (count) => {
    for (let done = 0; done < count; done += texts.length)
      for (const text of texts) criteriaCache.get(text);
  };
  report({ bench: 'criteria', case: 'cache hit', perSecond: perSecond(cached, 2_000_000) });
  const long = "if (metric['a'] == 'x') { return OK }\n".repeat(10);
  const largest = `${long}${'return OK '.repeat(1600)}`.slice(0, 16_380);
  const times = held(() => compileCriteria(largest));
  report({ bench: 'criteria', case: 'compile, 16 KB of statements', ...times });
}

interface Held {
  /** Median and worst of nine runs; the worst includes what else ran on the machine. */
  readonly medianMs: number;
  readonly worstMs: number;
}

/** Times nine runs after three to warm up. */
function held(work: (run: number) => void): Held {
  const times: number[] = [];
  for (let run = 0; run < 12; run += 1) {
    const startMs = clock.monoMs();
    work(run);
    if (run >= 3) times.push(clock.monoMs() - startMs);
  }
  times.sort((a, b) => a - b);
  return { medianMs: round(times[4] ?? 0), worstMs: round(times[8] ?? 0) };
}

/** Patterns made to be slow: to compile, in the DFA, or in the NFA. None is refused, alone or eight times. */
const hostile: readonly (readonly string[])[] = [
  ['(a|b)*a(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)[QR]'],
  ['.*[ax].{200}[QR]'],
  ['[ab]*a[ab]{400}[QR]'],
  ['(?:\\w+\\W?){100}[QR]{2}'],
  ['(?:[^\\pL]?.){20}[QR]'],
  ['x*'.repeat(250)],
  ['(?:(?:(?:a*)*x?)*\\b?){60}[QR]'],
  [
    '([ab](?m)(?s:(?i:a|b(?m)*(?m)?^*){1,35}([[:alpha:]]\\b{10}\\d*^)+[ab]*(?s:[[:alpha:]])?)+)[QR]',
  ],
  ['\\s'],
  [
    `^${Array.from({ length: 240 }, (_, at) => `${String.fromCharCode(0x4e00 + 2 * at)}?`).join('')}$`,
  ],
  ['(?i)[b-\\x{3fff}]'],
  new Array<string>(8).fill('(?:\\w+\\W?){12}[QR]{2}'),
  new Array<string>(8).fill('.{0,30}[QR]'),
  new Array<string>(8).fill('\\s+[QR]'),
];

const subjects: readonly ((length: number) => string)[] = [
  (length) => 'x'.repeat(length),
  (length) => 'a'.repeat(length),
  (length) => Array.from({ length }, (_, at) => ((at * at * 7 + at) % 11 < 5 ? 'a' : 'b')).join(''),
  (length) =>
    Array.from({ length }, (_, at) => 'ab x1!\nK'.charAt((at * at + at * 3) % 8)).join(''),
  (length) =>
    Array.from({ length }, (_, at) => String.fromCharCode(0x100 + ((at * 7919) % 40_000))).join(''),
];

function searchAll(set: RegexSet, subject: string): void {
  for (const search of set.searches) search(subject);
}

function measureHostile(): void {
  for (const patterns of hostile) {
    const compiling = held(() => compileRegexes(patterns));
    const set = compileRegexes(patterns);
    if ('message' in set) {
      report({
        bench: 'criteria',
        case: 'hostile regex',
        pattern: patterns[0],
        refused: set.message,
      });
      continue;
    }
    const dfaLength = Math.floor(regexDfaWorkMax / set.programSize);
    const lengths = [Math.min(dfaLength, 65_536), 65_536];
    const searching = lengths
      .flatMap((length) => subjects.map((make) => holdOfSearch(patterns, length, make)))
      .sort((a, b) => b.medianMs - a.medianMs);
    report({
      bench: 'criteria',
      case: 'hostile regex',
      pattern: patterns[0]?.slice(0, 60),
      patterns: patterns.length,
      programSize: set.programSize,
      searchedLength: set.searchedLength,
      compiling,
      searching: searching[0],
    });
  }
}

/** A fresh compilation, twelve different texts. */
function holdOfSearch(
  patterns: readonly string[],
  length: number,
  make: (length: number) => string,
): Held {
  const texts = Array.from({ length: 12 }, (_, run) => make(length - run));
  const set = compileRegexes(patterns);
  return held((run) => 'message' in set || searchAll(set, texts[run] ?? ''));
}

/** CPU of the main thread so far, ms: what the event loop pays. Linux. */
function mainThreadMs(): number {
  return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[0]) / 1e6;
}

/** A batch as test-alarm makes it: rows of one criteria with regex and thresholds, no text twice in 64. */
function batchOf(source: string | null, size: number): BatchTask {
  const observations = Array.from({ length: size }, (_, at) => ({
    ...{ slotAtMs: at, atMs: at * 1000, available: true, status: 'code=200,rt=0.010s' },
    metrics: [
      ['code', 's', String(180 + 7 * (at % 64)), 'unknown'],
      ['duration', 'I', 10 + (at % 500), 'milliseconds'],
      ['bytes', 'i', 1500, 'bytes'],
    ] as const,
  }));
  return {
    source,
    items: observations.map((seen, at) => ({
      observation: seen,
      previous: observations[at - 1] ?? null,
    })),
  };
}

/** Both ways for growing batches, and the first of them for which handing over costs the loop less than evaluating. */
async function measurePlaces(): Promise<void> {
  const extension = extname(import.meta.url);
  const entry = new URL(`../actors/criteria/worker-entry${extension}`, import.meta.url);
  const workers = workerPool({ filename: entry.href, threads: 1 });
  const pooled = (task: BatchTask) =>
    workers.run<BatchTask, BatchResult>(task, { timeoutMs: 60_000 });
  const sources = {
    'one regex (E06)': examples.find(({ criteria }) => criteria?.includes('Unexpected answer')),
    'one threshold (E07)': examples.find(({ criteria }) => criteria?.includes('Sluggish')),
  };
  for (const [name, example] of Object.entries(sources)) {
    const source = example?.criteria ?? null;
    await pooled(batchOf(source, 1));
    let crossover: number | null = null;
    for (const size of [1, 32, 256, 2048]) {
      const task = batchOf(source, size);
      const runs = Math.max(8, Math.ceil(4096 / size));
      const inline = await costOf(runs, () => Promise.resolve(evaluateBatch(task)));
      const pool = await costOf(runs, () => pooled(task));
      if (crossover === null && pool.loopUs < inline.loopUs) crossover = size;
      report({
        ...{ bench: 'criteria', case: `where a batch runs: ${name}`, batch: size },
        inlineUsPerEvaluation: round(inline.loopUs / size),
        poolLoopUsPerEvaluation: round(pool.loopUs / size),
        poolWallUsPerEvaluation: round(pool.wallUs / size),
        inlineHoldsLoopMs: round(inline.loopUs / 1000),
        poolHoldsLoopMs: round(pool.loopUs / 1000),
        ruleSays: isInline(task) ? 'inline' : 'pool',
      });
    }
    report({
      ...{ bench: 'criteria', case: `crossover: ${name}` },
      loopIsHeldLessByPoolFromBatch: crossover,
    });
  }
  await workers.close();
}

/** Microseconds of one run: of the main thread's CPU, and until its result is there. The best of three rounds. */
async function costOf(
  runs: number,
  work: () => Promise<unknown>,
): Promise<{ readonly loopUs: number; readonly wallUs: number }> {
  let best = { loopUs: Number.POSITIVE_INFINITY, wallUs: Number.POSITIVE_INFINITY };
  for (let turn = 0; turn < 4; turn += 1) {
    const startMs = clock.monoMs();
    const cpuMs = mainThreadMs();
    for (let run = 0; run < runs; run += 1) await work();
    const loopUs = ((mainThreadMs() - cpuMs) * 1000) / runs;
    const wallUs = ((clock.monoMs() - startMs) * 1000) / runs;
    if (turn > 0 && loopUs < best.loopUs) best = { loopUs, wallUs };
  }
  return best;
}

await measurePlaces();
measureEvaluations();
measureChangingTexts();
measureCompiling();
measureHostile();
