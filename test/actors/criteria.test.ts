// The alarm language against its golden rows, and the rules that those leave open. See also criteria-hostile.test.ts.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { evaluateBatch } from '../../actors/criteria/batch.ts';
import { sourceCache } from '../../actors/criteria/cache.ts';
import {
  CriteriaError,
  compileCriteria,
  consecutiveCountOf,
  criteriaCache,
} from '../../actors/criteria/criteria.ts';
import { type Observation, observation } from '../../actors/observation/observation.ts';

type Metrics = Record<string, number | string>;

const golden = (name: string) =>
  JSON.parse(readFileSync(new URL(`../golden/${name}.json`, import.meta.url), 'utf8'));

const seen = (metrics: Metrics, run: Partial<Observation> = {}): Observation =>
  observation(
    { slotAtMs: 60_000, atMs: 60_000, available: true, status: 'ok', ...run },
    Object.entries(metrics).map(([name, value]) => [
      name,
      typeof value === 'number' ? 'n' : 's',
      value,
      'unknown',
    ]),
  );

/** The state that a condition leads to: CRITICAL where it holds. */
const stateOf = (condition: string, metrics: Metrics, previous: Observation | null = null) =>
  compileCriteria(`if (${condition}) { return WARNING }`).evaluate(seen(metrics), previous).state;

const errorOf = (source: string): CriteriaError => {
  try {
    compileCriteria(source);
  } catch (error) {
    if (error instanceof CriteriaError) return error;
    throw error;
  }
  throw new Error(`accepted: ${source.slice(0, 80)}`);
};

interface GoldenRow {
  metrics: Record<string, { value: number | string }>;
  previous: { metrics: GoldenRow['metrics']; secondsEarlier: number } | null;
  available: boolean;
  checkStatus: string;
  state: string;
  status: string | null;
}

const plain = (metrics: GoldenRow['metrics']): Metrics =>
  Object.fromEntries(Object.entries(metrics).map(([name, { value }]) => [name, value]));

t.test('every golden row comes to its state and status', (t) => {
  let rows = 0;
  for (const example of golden('alarm-golden')) {
    const criteria = compileCriteria(example.criteria);
    example.rows.forEach((row: GoldenRow, index: number) => {
      const now = seen(plain(row.metrics), { available: row.available, status: row.checkStatus });
      const before =
        row.previous &&
        seen(plain(row.previous.metrics), { atMs: 60_000 - row.previous.secondsEarlier * 1000 });
      const verdict = criteria.evaluate(now, before);
      const title = `${example.id} row ${index + 1}: ${example.title}`;
      t.equal(verdict.state, row.state, title);
      if (row.status !== null) t.equal(verdict.status, row.status, `${title}: status`);
      rows += 1;
    });
  }
  t.equal(rows, 102);
  t.end();
});

t.test('every text of the syntax suite is accepted or refused as it should be', (t) => {
  const { accept, reject } = golden('alarm-syntax');
  for (const { id, note, criteria } of accept) {
    t.doesNotThrow(() => compileCriteria(criteria), `${id} accepts ${note}`);
  }
  for (const { id, note, criteria, stage, position } of reject) {
    const error = errorOf(criteria);
    t.equal(error.stage, stage, `${id} refuses ${note}`);
    if (position !== null) t.equal(error.position, position, `${id} at its position`);
    t.equal(error.input, criteria);
    t.ok(error.message.length > 0 && error.message.length < 400, `${id}: ${error.message}`);
  }
  t.same([accept.length, reject.length], [63, 84]);
  t.end();
});

t.test('an error names code, line, column and token', (t) => {
  const error = errorOf("# one\r\n# two\rif (metric['a'] > 1kb) { return OK }");
  t.match(error, { code: 'AC_BAD_CRITERIA', name: 'CriteriaError', stage: 'parse' });
  t.same([error.line, error.column, error.token], [3, 19, 'kb']);
  t.equal(error.message, "expected '&&' or '||' or ')' but found 'kb'");
  const early = errorOf("if (metric['a'] > 1) {\n  return OK\n");
  t.same([early.position, early.line, early.column, early.token], [35, 3, 0, '']);
  t.match(early.message, /expected .* but found the end$/);
  t.equal(errorOf('return OK 🔔').token, '🔔', 'a token is a whole character');
  t.match(errorOf('/* never ends'), { position: 13, token: '' });
  t.match(errorOf("return OK, 'never ends"), { position: 22, token: '' });
  t.match(errorOf("return OK, '\\u12x4'"), { position: 16, token: 'x4' });
  t.match(errorOf("if (x(metric['a']) > 1) { return OK }"), { stage: 'check', position: 4 });
  t.match(errorOf(':set consecutiveCount=6'), { stage: 'check', position: 22, token: '6' });
  t.end();
});

t.test('settings have their defaults, and the last of a kind wins', (t) => {
  const settings = (text: string | null) => compileCriteria(text).settings;
  t.same(settings(null), { consistencyLevel: 'QUORUM', consecutiveCount: null });
  t.same(settings(':set consistencyLevel=ONE\n:set consecutiveCount=2 :set consecutiveCount=4'), {
    consistencyLevel: 'ONE',
    consecutiveCount: 4,
  });
  const unset = compileCriteria('return OK');
  t.equal(consecutiveCountOf(unset, 'remote.http'), 1);
  t.equal(consecutiveCountOf(unset, 'remote.ping'), 3);
  t.equal(consecutiveCountOf(compileCriteria(':set consecutiveCount=1'), 'remote.ping'), 1);
  t.end();
});

t.test('values compare by the rules of their kinds', (t) => {
  const yes = 'WARNING';
  const no = 'OK';
  const rows: [string, Metrics, string][] = [
    ["metric['a'] == '3'", { a: 3 }, yes],
    ["metric['a'] == '3.0'", { a: 3 }, no],
    ["metric['a'] == '3.0'", { a: '3.0' }, yes],
    ["metric['a'] == 3", { a: '3.0' }, yes],
    ["metric['a'] == 404", { a: '404' }, yes],
    ["metric['a'] >= 404", { a: '0404' }, yes],
    ["metric['a'] > 5", { a: '' }, 'CRITICAL'],
    ["metric['a'] > 5", { a: '6 ' }, 'CRITICAL'],
    ["metric['a'] > 5", { a: '0x10' }, 'CRITICAL'],
    ["metric['a'] > 5", { a: '1e999' }, 'CRITICAL'],
    ["metric['a'] != 5", { a: 'x' }, 'CRITICAL'],
    ["metric['a'] == -0", { a: 0 }, yes],
    ["metric['a'] == '0'", { a: -0 }, yes],
    ["metric['a'] == 9007199254740991", { a: 9007199254740991 }, yes],
    ["metric['a'] < 9007199254740992", { a: 9007199254740991 }, yes],
    ["metric['a'] == metric['b']", { a: 1, b: '1' }, yes],
    ["metric['a'] == metric['b']", { a: 1, b: '1.0' }, no],
    ["metric['a'] < metric['b']", { a: '9', b: 10 }, yes],
    ["metric['a'] < metric['b']", { a: 'x', b: 10 }, 'CRITICAL'],
    ["metric['a'] regex '^1[0-9]$'", { a: 12 }, yes],
    ["metric['a'] nregex 'x'", { a: '' }, yes],
    ["metric['a'] regex ''", { a: '' }, yes],
    ["percentage(metric['a'], 200) == 29", { a: 58 }, yes],
    ["percentage(metric['a'], metric['b']) == 0", { a: 58, b: 0 }, yes],
    ["percentage(100, metric['a']) > 99", { a: '50' }, yes],
    ["percentage(metric['a'], 2) > 1", { a: 'x' }, 'CRITICAL'],
    ["percentage(1, 4) == '25'", {}, yes],
    ["percentage(metric['a'], 2) regex '^50'", { a: 1 }, yes],
  ];
  for (const [condition, metrics, state] of rows) {
    t.equal(stateOf(condition, metrics), state, `${condition} with ${JSON.stringify(metrics)}`);
  }
  t.end();
});

t.test('previous and rate are unknown, and so false, where nothing usable precedes', (t) => {
  const gone = seen({ a: 1 }, { available: false, atMs: 0 });
  const before = (metrics: Metrics, atMs = 0) => seen(metrics, { atMs });
  const rows: [string, Metrics, Observation | null, string][] = [
    ["previous(metric['a']) != 'x'", { a: 1 }, null, 'OK'],
    ["previous(metric['a']) nregex 'x'", { a: 1 }, null, 'OK'],
    ["previous(metric['a']) != 'x'", { a: 1 }, gone, 'OK'],
    ["previous(metric['a']) != 'x'", { a: 1 }, before({ b: 1 }), 'OK'],
    ["previous(metric['a']) == 7", { a: 1 }, before({ a: 7 }), 'WARNING'],
    ["previous(metric['a']) > metric['b']", { a: 1 }, null, 'CRITICAL'],
    ["previous(metric['a']) == 7", {}, before({ a: 7 }), 'CRITICAL'],
    ["rate(metric['a']) == 2", { a: 121 }, before({ a: 1 }), 'WARNING'],
    ["rate(metric['a']) == -2", { a: 1 }, before({ a: 121 }), 'WARNING'],
    ["rate(metric['a']) >= 0", { a: 1 }, null, 'OK'],
    ["rate(metric['a']) >= 0", { a: 1 }, gone, 'OK'],
    ["rate(metric['a']) >= 0", { a: 9 }, before({ a: 1 }, 60_000), 'OK'],
    ["rate(metric['a']) >= 0", { a: 9 }, before({ a: 1 }, 60_001), 'OK'],
    ["rate(metric['a']) >= 0", { a: 9 }, before({ a: 'x' }), 'OK'],
    ["rate(metric['a']) >= 0", { a: 'x' }, before({ a: 1 }), 'CRITICAL'],
    ["rate(metric['a']) > rate(metric['b'])", { a: 9, b: 8 }, before({ a: 1, b: 1 }), 'WARNING'],
  ];
  for (const [condition, metrics, previous, state] of rows) {
    t.equal(stateOf(condition, metrics, previous), state, condition);
  }
  const usesPrevious = (condition: string) =>
    compileCriteria(`if (${condition}) { return OK }`).usesPrevious;
  t.ok(usesPrevious("metric['a'] > rate(metric['b'])"));
  t.ok(usesPrevious("metric['a'] > 1 || previous(metric['b']) > 1"));
  t.notOk(usesPrevious("percentage(metric['a'], 5) > 1"));
  t.end();
});

t.test('a metric is missed only when a condition that names it is evaluated', (t) => {
  const criteria = compileCriteria(
    "if (metric['a'] == 1\n  && metric['b'] == 1 || metric['c'] == 1) {\n\n  return WARNING, '#{d}' }",
  );
  const of = (metrics: Metrics) => criteria.evaluate(seen(metrics), null);
  t.match(of({ a: 0, c: 0 }), { state: 'OK', reason: { kind: 'no-match' } });
  t.match(of({ a: 1, c: 1 }), {
    state: 'CRITICAL',
    status: "Metric 'b' not found",
    reason: { kind: 'missing-metric', metric: 'b', line: 2 },
  });
  t.match(of({ a: 1, b: 1 }), { status: '#{d}', reason: { kind: 'branch', line: 4 } });
  t.match(of({ a: 1, b: 'no', c: 1 }), {
    state: 'CRITICAL',
    reason: { kind: 'type-mismatch', metric: 'b', line: 2 },
  });
  t.same(criteria.metricNames, ['a', 'b', 'c']);
  t.end();
});

t.test('names of object members are names like any others', (t) => {
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    const criteria = compileCriteria(
      `if (metric['${name}'] > 1) { return WARNING, '#{${name}} #{valueOf}' }`,
    );
    t.match(criteria.evaluate(seen({ a: 1 }), null).reason, { kind: 'missing-metric' }, name);
    const now = observation({ slotAtMs: 0, atMs: 0, available: true, status: 'ok' }, [
      [name, 'n', 5, 'unknown'],
    ]);
    t.equal(criteria.evaluate(now, null).status, '5 #{valueOf}', name);
    t.match(errorOf(`if (${name.replaceAll(/[^a-z_]/g, '')}(metric['a']) > 1) { return OK }`), {
      stage: 'check',
    });
  }
  t.end();
});

t.test('one compiled object serves observations of different shapes', (t) => {
  const criteria = compileCriteria("if (metric['a'] > previous(metric['a'])) { return WARNING }");
  const shapes = [seen({ a: 2 }), seen({ b: 0, a: 2 }), seen({ c: 0, d: 0, a: 2 })];
  const before = [seen({ a: 1, z: 0 }), seen({ z: 0, a: 1 }), seen({ y: 9, a: 1 })];
  for (let round = 0; round < 12; round += 1) {
    const now = shapes[round % 3] ?? seen({});
    t.equal(criteria.evaluate(now, before[(round * 2) % 3] ?? null).state, 'WARNING');
    t.equal(criteria.evaluate(seen({ b: 1 }), null).state, 'CRITICAL');
  }
  t.end();
});

t.test('a status has at most 128 characters and no half ones', (t) => {
  const long = '🔔'.repeat(200);
  const cut = '🔔'.repeat(128);
  const status = (source: string | null, run: Partial<Observation>, metrics: Metrics = {}) =>
    compileCriteria(source).evaluate(seen(metrics, run), null).status;
  t.equal(status(null, { status: long }), cut);
  t.equal(status(null, { status: long, available: false }), cut);
  t.equal(status(`return OK, 'a${long}'`, {}), `a${'🔔'.repeat(127)}`);
  t.equal(status("return OK, 'a#{m}#{m}'", {}, { m: long }), `a${'🔔'.repeat(127)}`);
  t.equal(status(`return OK, '${'#{m}'.repeat(4000)}'`, {}, { m: 'x'.repeat(9000) }).length, 128);
  t.equal(status("return OK, '#{} #{ #{m #{m}} #{a:b}'", {}, { m: 1 }), '#{} #{ #{m 1} #{a:b}');
  t.end();
});

t.test('explain tells what evaluate did', (t) => {
  const criteria = compileCriteria(
    [
      "if (metric['a'] > 5 || metric['b'] == 'x' && metric['c'] regex 'y') { return CRITICAL }",
      "if (rate(metric['a']) > 1) {",
      '  return WARNING',
      '}',
      "if (metric['b'] != 'z') { return WARNING, 'w' }",
      "if (metric['nosuch'] > 1) { return OK }",
      "return new AlarmStatus(OK, 'fine');",
    ].join('\n'),
  );
  const now = seen({ a: 3, b: 'x', c: 'n'.repeat(999) });
  const steps = criteria.explain(now, null);
  t.match(steps[0], {
    kind: 'if',
    line: 1,
    isTaken: false,
    comparisons: [
      { text: "metric['a'] > 5", left: 3, right: 5, result: 'false', joinedBy: null },
      { text: "metric['b'] == 'x'", left: 'x', right: 'x', result: 'true', joinedBy: '||' },
      { left: 'n'.repeat(256), right: 'y', result: 'false', joinedBy: '&&' },
    ],
  });
  t.match(steps[1]?.comparisons, [{ left: null, right: 1, result: 'unknown', line: 2 }]);
  t.match(steps[2], { isTaken: true, returns: { line: 5, state: 'WARNING' } });
  t.match(steps[3]?.comparisons, [{ left: null, right: null, result: 'skipped' }]);
  t.match(steps[4], { kind: 'return', line: 7, isTaken: false });
  t.equal(steps.length, 5);
  const missing = compileCriteria("if (metric['q'] > 1) { return OK }\nreturn WARNING");
  t.match(missing.explain(now, null), [
    { isTaken: false, comparisons: [{ result: 'missing' }] },
    { kind: 'return', isTaken: false },
  ]);
  t.match(missing.explain(seen({ q: 'x' }), null)[0]?.comparisons, [{ result: 'type-mismatch' }]);
  t.match(missing.explain(seen({ q: 0 }), null)[1], { isTaken: true });
  t.same(criteria.explain(seen({}, { available: false }), null), []);
  t.end();
});

t.test('the cache shares equal criteria and stays bounded', (t) => {
  const text = "if (metric['shared'] > 1) { return WARNING }";
  t.equal(criteriaCache.get(text), criteriaCache.get(`${text}`));
  t.equal(criteriaCache.get(null), criteriaCache.get(null));
  let compiled = 0;
  const cache = sourceCache((source) => `${source}${compiled++}`, {
    entriesMax: 2,
    sourceLengthMax: 10,
  });
  t.equal(cache.get('a'), 'a0');
  t.equal(cache.get('b'), 'b1');
  t.equal(cache.get('a'), 'a0', 'a hit');
  t.equal(cache.get('c'), 'c2', 'drops the least recently used');
  t.equal(cache.get('a'), 'a0');
  t.equal(cache.get('b'), 'b3');
  t.equal(cache.size, 2);
  t.equal(cache.get('123456789'), '1234567894');
  t.equal(cache.get('b'), 'b3');
  t.equal(cache.get('1234567890'), '12345678905', 'the length of the texts counts too');
  t.equal(cache.size, 1);
  t.throws(() => criteriaCache.get('if'), { code: 'AC_BAD_CRITERIA' });
  t.throws(() => criteriaCache.get('if'), { code: 'AC_BAD_CRITERIA' }, 'failures are not kept');
  t.end();
});

t.test('a batch comes to the verdicts of its items, or says what is wrong', (t) => {
  const run = (a: number, atMs: number) => ({
    slotAtMs: atMs,
    atMs,
    available: true,
    status: 'ok',
    metrics: [['a', 'n', a, 'unknown'] as const],
  });
  const source = "if (rate(metric['a']) > 1) { return WARNING, 'up to #{a}' }";
  const result = evaluateBatch(
    structuredClone({
      source,
      items: [
        { observation: run(1, 0), previous: null },
        { observation: run(100, 1000), previous: run(1, 0) },
      ],
    }),
  );
  t.match(structuredClone(result), {
    kind: 'verdicts',
    verdicts: [{ state: 'OK' }, { state: 'WARNING', status: 'up to 100' }],
  });
  t.match(evaluateBatch({ source: 'else', items: [] }), {
    kind: 'bad-criteria',
    refusal: { position: 0, line: 1, column: 0, token: 'else', stage: 'parse' },
  });
  const item = { observation: run(1, 0), previous: null };
  t.throws(() => evaluateBatch({ source: null, items: new Array(10_001).fill(item) }), {
    name: 'AssertionFailure',
  });
  t.end();
});
