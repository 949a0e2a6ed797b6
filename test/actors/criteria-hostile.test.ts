// The alarm language against what a hostile author could write: any text, deep comments, regular expressions made to
// be slow. Bounds are asserted as counts (steps, instructions × characters), never as times; bench/criteria.ts has those.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { type Criteria, CriteriaError, compileCriteria } from '../../actors/criteria/criteria.ts';
import * as limits from '../../actors/criteria/limits.ts';
import { parseCriteria } from '../../actors/criteria/parse.ts';
import { compileRegexes } from '../../actors/criteria/regex.ts';
import { estimateRegex } from '../../actors/criteria/regex-size.ts';
import { observation } from '../../actors/observation/observation.ts';

const golden = (name: string) =>
  JSON.parse(readFileSync(new URL(`../golden/${name}.json`, import.meta.url), 'utf8'));

const now = observation({ slotAtMs: 60_000, atMs: 60_000, available: true, status: 'ok' }, [
  ['a', 'n', 1, 'unknown'],
  ['b c', 's', 'x', 'unknown'],
]);

const errorOf = (source: string): CriteriaError => {
  try {
    compileCriteria(source);
  } catch (error) {
    if (error instanceof CriteriaError) return error;
    throw error;
  }
  throw new Error(`accepted: ${source.slice(0, 80)}`);
};

/** Texts near the grammar: pieces of it in any order, and accepted texts with a wound. */
const pieces = [
  ...['if', '(', ')', '{', '}', 'return ', 'new ', 'AlarmStatus(', 'OK', ';', ',', ':set ', '='],
  ...['consecutiveCount', 'consistencyLevel', 'ALL', "metric['a']", 'metric["b c"]', 'rate(', '1'],
  ...[
    '&&',
    '||',
    '>',
    '==',
    'regex',
    "'x'",
    '"',
    "'",
    '\\',
    '\\u12',
    '/*',
    '*/',
    '#',
    '\n',
    ' ',
    '-',
  ],
  ...['0.5e', "if (metric['a'] > 1) { return OK }", 'percentage(1,', '🔔', '\u0000', '__proto__'],
];
const accepted: string[] = golden('alarm-syntax').accept.map(({ criteria }: { criteria: string }) =>
  criteria.slice(0, 2000),
);
const near = fc.oneof(
  fc.array(fc.constantFrom(...pieces), { maxLength: 60 }).map((parts) => parts.join('')),
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc
    .tuple(fc.constantFrom(...accepted), fc.nat(), fc.nat(4), fc.constantFrom('', ...pieces))
    .map(([text, at, length, piece]) => {
      const start = at % (text.length + 1);
      return text.slice(0, start) + piece + text.slice(start + length);
    }),
);

t.test('no text makes the compiler throw anything but its own error', (t) => {
  const check = (source: string) => {
    let criteria: Criteria;
    try {
      criteria = compileCriteria(source);
    } catch (error) {
      if (!(error instanceof CriteriaError)) throw error;
      const isInside = error.position >= 0 && error.position <= source.length;
      return isInside && error.line >= 1 && error.column >= 0 && source.includes(error.token);
    }
    const verdict = criteria.evaluate(now, now);
    const takes = criteria.explain(now, now).filter((step) => step.isTaken);
    const isByReturn = verdict.reason.kind === 'branch' || verdict.reason.kind === 'default-return';
    return isByReturn ? takes[0]?.returns.state === verdict.state : takes.length === 0;
  };
  fc.assert(fc.property(near, check), { numRuns: 4000 });
  t.end();
});

t.test('the parser looks at each character a bounded number of times', (t) => {
  const stepsOf = (source: string): number => {
    try {
      return parseCriteria(source).steps;
    } catch {
      return 0;
    }
  };
  const perCharacter = 40;
  fc.assert(
    fc.property(near, (source) => stepsOf(source) <= perCharacter * (source.length + 1)),
    { numRuns: 2000 },
  );
  const most = (piece: string, before = '', after = '') => {
    const count = Math.floor((16_000 - before.length - after.length) / piece.length);
    return before + piece.repeat(count) + after;
  };
  const block = '{ return OK }';
  const hostile = [
    most('/*'),
    `${most('/*', '', '')}${'*/'.repeat(100)}`,
    most('/* x */'),
    most('/', '/*', '*/'),
    most('#\n'),
    most(':set consecutiveCount=1 '),
    most("metric['a'] == 'x' || ", 'if (', `metric['a'] == 1) ${block}`),
    most('metric["a"] == /* */ metric["a"] && ', 'if (', `metric['a'] == 1) ${block}`),
    most('1,', 'if (percentage(', `1) > 1) ${block}`),
    most('a', 'if (', ''),
    most('a', "if (metric['", "'] > 1)"),
    most('(', 'if '),
    most('if '),
    most('return OK '),
    most('return OK, '),
    most("return new AlarmStatus(OK, 'x') "),
    most('\\n', "return OK, '", "'"),
    most('9', ':set consecutiveCount='),
    most('9', "if (metric['a'] > ", 'x'),
    most(' ', 'if (', 'x'),
  ];
  for (const source of hostile) {
    const title = `${source.slice(0, 30)}…`;
    t.ok(stepsOf(source) <= perCharacter * source.length, title);
    t.doesNotThrow(() => {
      try {
        compileCriteria(source);
      } catch (error) {
        if (!(error instanceof CriteriaError)) throw error;
      }
    }, title);
  }
  const depth = 4000;
  t.doesNotThrow(() => compileCriteria('/*'.repeat(depth) + '*/'.repeat(depth)), 'deep comments');
  t.equal(errorOf('/*'.repeat(depth) + '*/'.repeat(depth - 1)).position, 4 * depth - 2);
  t.end();
});

t.test('regular expressions keep their caps, whatever is written', (t) => {
  const refused = [
    ['((a{0,100}){0,100})', 'nested repeats'],
    ['(?:\\pL{50}){20}', 'repeated Unicode classes'],
    ['(?:(?:x?){30}){30}', 'optional parts'],
    [`(?:${'abcdefgh'.repeat(10)}){1000}`, 'a long repeat'],
    ['(?:a{0,1000}|b{0,1000}|c{0,1000})'.repeat(15), 'many repeats'],
    ['(){1000}(){1000}', 'repeats of nothing'],
    ['x(?m){900}', 'a repeat behind flags'],
    ['(?i)[b-\\x{10000}]', 'a wide folded class'],
    [`(?${'s'.repeat(40)}i:[b-\\x{10000}])`, 'a folded class behind many flags'],
    ['\\Qab\\E{900}', 'a repeat behind a quotation'],
    ['a)(b', 'a group closed before it is opened'],
    ['x'.repeat(513), 'a long pattern'],
    ['(', 'an open group'],
    ['*a', 'a repeat of nothing at all'],
    ['(?<=a)b', 'a look-behind'],
    ['(a)\\1', 'a back-reference'],
    ['a\\', 'a backslash at the end'],
    ['[z-a]', 'a range backwards'],
  ];
  for (const [pattern = '', title] of refused) {
    t.ok('message' in compileRegexes([pattern]), `${title}: ${pattern.slice(0, 40)}`);
  }
  const kept: [string, string, boolean][] = [
    ['\\Qa.b', 'xa.b', true],
    ['\\Qa.b', 'xa-b', false],
    ['^(ok|up)$', 'up', true],
    ['^(ok|up)$', 'upper', false],
    ['(?i)größe', 'GRÖSSE, GRÖßE', true],
    ['a|^b', 'ab', true],
    ['^\\p{L}+$', 'größe', true],
    ['[^\\x00-\\x7f]', '🔔', true],
    ['x{3}', 'xx', false],
    ['^$', '', true],
  ];
  for (const [pattern, text, isFound] of kept) {
    const set = compileRegexes([pattern]);
    if ('message' in set) t.fail(`${pattern}: ${set.message}`);
    else t.equal(set.searches[0]?.(text), isFound, `${pattern} in ${text}`);
  }
  t.end();
});

t.test('work of a search is bounded by instructions × characters', (t) => {
  const atom = fc.constantFrom(
    ...[
      'a',
      '.',
      '\\w',
      '\\pL',
      '[^a]',
      '(?i)',
      '^',
      '\\b',
      '|',
      '[a-z\\d]',
      '\\x{41}',
      '[]a]',
      '$',
    ],
    ...['[[:alpha:]]', '\\Qx\\E', '(?:)', 'ab', '\\.', '{', '[^\\PL]'],
  );
  const times = fc.constantFrom('', '', '', '*', '+', '?', '{2}', '{0,9}', '{30}', '{3,}', '*?');
  const group = fc.constantFrom('(', '(?:', '(?i:', '(?P<n>');
  const { pattern } = fc.letrec<{ pattern: string; part: string }>((tie) => ({
    pattern: fc.array(tie('part'), { minLength: 1, maxLength: 6 }).map((parts) => parts.join('')),
    part: fc
      .tuple(
        fc.oneof(
          { depthSize: 'small' },
          atom,
          fc.tuple(group, tie('pattern')).map((parts) => `${parts.join('')})`),
        ),
        times,
      )
      .map((parts) => parts.join('')),
  }));
  fc.assert(
    fc.property(fc.array(pattern, { minLength: 1, maxLength: 8 }), (patterns) => {
      const set = compileRegexes(patterns);
      if ('message' in set) return patterns[set.index] !== undefined;
      const estimate = patterns
        .map((text) => estimateRegex(text).instructions)
        .reduce((sum, size) => sum + size, 0);
      const isBounded = set.programSize * set.searchedLength <= limits.regexWorkMax;
      return isBounded && set.searchedLength >= 102 && set.programSize <= estimate;
    }),
    { numRuns: 1500 },
  );
  const repeated = compileRegexes(['^a']);
  const texts = ['ab', 'ba', 'ab', 'ca', 'ba', 'ab', `a${'x'.repeat(300)}`, 'ab'];
  const answers = texts.map((text) => !('message' in repeated) && repeated.searches[0]?.(text));
  t.same(answers, [true, false, true, false, false, true, true, true], 'kept answers are right');
  const small = compileRegexes(['needle']);
  const end = 'message' in small ? 0 : small.searchedLength;
  const find = (text: string) => !('message' in small) && small.searches[0]?.(text);
  t.equal(find(`${'x'.repeat(end - 6)}needle`), true, 'inside of what is searched');
  t.equal(find(`${'x'.repeat(end)}needle`), false, 'behind it');
  const nine = new Array(9).fill("metric['a'] regex 'x'").join(' || ');
  t.match(errorOf(`if (${nine}) { return OK }`), { stage: 'check', position: 222 });
  t.end();
});
