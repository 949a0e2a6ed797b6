// Every transcript in test/scenarios says what the product does now. `REWRITE=1` writes what it does: commit such a change
// only where you can say why each line changed.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { runScenario, verbNames } from './scenario.ts';

const folder = new URL('scenarios/', import.meta.url);
const only = process.env['SCENARIO'] ?? '';
const files = readdirSync(folder)
  .filter((name) => name.endsWith('.txt') && name.includes(only))
  .sort();
const linesMax = 60;

for (const name of files) {
  t.test(name.replace('.txt', '').replaceAll('-', ' '), async (t) => {
    const file = new URL(name, folder);
    const text = readFileSync(file, 'utf8');
    const actual = await runScenario(text);
    if (process.env['REWRITE'] === '1') writeFileSync(file, actual);
    else t.equal(actual, text, name);
    t.match(text, /^# \S/, 'it begins with a sentence for operators');
    t.ok(actual.split('\n').length <= linesMax + 1, `it has at most ${linesMax} lines`);
  });
}

t.test('there is a transcript for each rule', async (t) => {
  if (only === '') t.ok(files.length >= 40, `${files.length} transcripts`);
});

t.test('the README explains each verb', async (t) => {
  const readme = readFileSync(new URL('README.md', folder), 'utf8');
  for (const verb of verbNames) t.ok(readme.includes(`\`${verb}`), verb);
});

t.test(
  'a transcript without a ruler, a verb or an attribute that is not there says where',
  async (t) => {
    await t.rejects(runScenario('# x\nentity shop\n'), /line 2: a block without ----/);
    await t.rejects(runScenario('# x\nfly\n----\n'), /line 2: no verb fly/);
    await t.rejects(
      runScenario('# x\nentity shop wings=2\n----\n'),
      /line 2.*no entity has wings=/,
    );
  },
);
