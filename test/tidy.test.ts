// Style as a test: what no linter knows. Each rule names what to do instead. Follows TigerBeetle's tidy.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import ts from 'typescript';

const root = resolve(fileURLToPath(new URL('..', import.meta.url)));
const productFolders = [
  'main',
  'config',
  'runtime',
  'actors',
  'cluster',
  'store',
  'prober',
  'api',
  'cli',
];
const allFolders = [...productFolders, 'bench', 'test', 'scripts', 'web', 'docs'];
const fileLinesMax = 400;
const functionLinesMax = 70;

/** Files above the limits when the rule came; the list may only shrink. */
const tooLongFiles: readonly string[] = [];

function filesOf(folder: string, ending: RegExp): string[] {
  const path = join(root, folder);
  if (!existsSync(path)) return [];
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter(
      (entry) =>
        entry.isFile() &&
        ending.test(entry.name) &&
        !entry.parentPath.includes('node_modules') &&
        !entry.parentPath.includes('/dist'),
    )
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort();
}

const productFiles = ['main.ts', ...productFolders.flatMap((folder) => filesOf(folder, /\.ts$/))];
const read = (file: string) => readFileSync(join(root, file), 'utf8');

interface Ban {
  readonly pattern: RegExp;
  /** Files (prefixes) that may. */
  readonly homes: readonly string[];
  readonly instead: string;
}

const adapters = [
  'prober/',
  'store/sqlite/',
  'api/',
  'cli/',
  'actors/notify/webhook.ts',
  'actors/notify/email.ts',
  'actors/notify/http-post.ts',
  'actors/notify/pagerduty.ts',
  'actors/notify/victorops.ts',
  'actors/notify/notifier.ts',
];
const bans: readonly Ban[] = [
  {
    pattern: /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(|process\.hrtime/,
    homes: ['runtime/clock.ts', 'prober/', 'cli/'],
    instead: 'take the Clock port',
  },
  {
    pattern: /\bMath\.random\(|randomUUID\(|\brandomBytes\(|getRandomValues\(/,
    homes: ['runtime/clock.ts', 'prober/', 'cli/'],
    instead: 'take the Random port',
  },
  {
    pattern: /\bset(Timeout|Interval)\(/,
    homes: ['runtime/clock.ts', 'runtime/lifecycle.ts', 'runtime/workers.ts', ...adapters],
    instead: 'use the timer wheel or Clock.schedule',
  },
  {
    pattern: /process\.env\b/,
    homes: ['main.ts', 'prober/', 'cli/'],
    instead: 'config/load.ts reads settings',
  },
  {
    pattern: /\bconsole\./,
    homes: [],
    instead: 'use the Logger port; cli/ writes to process.stdout',
  },
  {
    pattern: /\beval\(|new Function\(|from 'node:vm'/,
    homes: [],
    instead: 'nothing: code is never made from text',
  },
  {
    pattern: /\bdns\.lookup\(|import \{[^}]*\blookup\b[^}]*\} from 'node:dns/,
    homes: [],
    instead: 'use the c-ares Resolver',
  },
  { pattern: /\b(TODO|FIXME|XXX)\b/, homes: [], instead: 'do it, or file it' },
];

t.test('banned calls stand in their one home only', (t) => {
  for (const file of productFiles) {
    const code = read(file).replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
    for (const ban of bans) {
      if (ban.homes.some((home) => file.startsWith(home))) continue;
      const hit = code.match(ban.pattern);
      if (hit !== null) t.fail(`${file}: ${hit[0]} is banned here: ${ban.instead}`);
    }
  }
  t.ok(productFiles.length > 60, 'it looked at the product');
  t.end();
});

t.test('pure files await nothing and import no I/O', (t) => {
  const pure = productFiles.filter(
    (file) =>
      file.startsWith('actors/') &&
      !/actors\/notify\/(webhook|email|http-post|pagerduty|victorops|notifier|egress)\.ts|worker-entry/.test(
        file,
      ),
  );
  t.ok(pure.length > 20);
  for (const file of pure) {
    const code = read(file).replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
    t.notMatch(code, /\bawait\b/, `${file} does not await`);
    t.notMatch(code, /from 'node:(?!crypto')/, `${file} imports no I/O`);
  }
  t.end();
});

t.test('every source file opens with a header comment', (t) => {
  const files = [
    ...productFiles,
    ...filesOf('bench', /\.ts$/),
    ...filesOf('test', /\.ts$/),
    ...filesOf('scripts', /\.js$/),
  ];
  const bare = files.filter((file) => !/^(#!.*\n)?\/\/ \S/.test(read(file)));
  t.same(bare, [], 'a file says in its first lines what it owns');
  t.end();
});

t.test('files and functions stay short', (t) => {
  const long = productFiles.filter(
    (file) => read(file).split('\n').length - 1 > fileLinesMax && !tooLongFiles.includes(file),
  );
  t.same(long, [], `source files have at most ${fileLinesMax} lines`);
  const tall: string[] = [];
  for (const file of productFiles) {
    const source = ts.createSourceFile(file, read(file), ts.ScriptTarget.ES2023, true);
    const visit = (node: ts.Node): void => {
      if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined) {
        const from = source.getLineAndCharacterOfPosition(node.getStart()).line;
        const to = source.getLineAndCharacterOfPosition(node.getEnd()).line;
        if (to - from + 1 > functionLinesMax) tall.push(`${file}:${from + 1}`);
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  t.same(tall, [], `functions have at most ${functionLinesMax} lines`);
  t.end();
});

t.test('file names are nouns of the field', (t) => {
  const banned = /(^|[-/])(utils?|helpers?|common|misc|manager|data)([-.]|$)/;
  t.same(
    [...productFiles, ...filesOf('test', /\.ts$/)].filter((file) => banned.test(file)),
    [],
  );
  t.end();
});

t.test('synonyms of glossary words do not appear as names', (t) => {
  const synonyms: [RegExp, string][] = [
    [/\b(passivat|evictActor)/i, 'deactivate'],
    [/\b(silo|vnode)\b/i, 'node, shard'],
    [/\bincident(?!_key|Key|_id|\.|s? key)\w*State\b/i, 'alarm state'],
  ];
  for (const file of productFiles) {
    for (const [pattern, word] of synonyms)
      t.notMatch(read(file), pattern, `${file}: the word is ${word}`);
  }
  t.end();
});

t.test('tests are not switched off', (t) => {
  for (const file of filesOf('test', /\.test\.ts$/).filter(
    (name) => !name.endsWith('tidy.test.ts'),
  )) {
    t.notMatch(read(file), /\bt\.(only|todo)\(|\{ only: true/, `${file} runs all it holds`);
  }
  t.end();
});

t.test('the map of folders in README is the tree', (t) => {
  const readme = read('README.md');
  const folders = readdirSync(root, { withFileTypes: true })
    .filter(
      (entry) =>
        entry.isDirectory() &&
        !entry.name.startsWith('.') &&
        !['node_modules', 'dist', 'data', 'coverage'].includes(entry.name),
    )
    .map((entry) => entry.name)
    .sort();
  for (const folder of folders) t.match(readme, `\`${folder}/\``, `README names ${folder}/`);
  for (const [, named] of readme.matchAll(/^\| `([a-z]+)\/` \|/gm))
    t.ok(folders.includes(named as string), `${named}/ exists`);
  t.end();
});

t.test('the transcript in README is one that runs', (t) => {
  const quoted = read('README.md').match(/```\n(# [\s\S]*?)\n```/)?.[1] ?? '';
  const transcripts = filesOf('test/scenarios', /\.txt$/).map((file) => read(file).trimEnd());
  t.ok(transcripts.includes(quoted), 'README quotes a file of test/scenarios word for word');
  t.end();
});

t.test('no machine path, registry host or half-finished word stands in what is published', (t) => {
  const files = [
    ...allFolders.flatMap((folder) => filesOf(folder, /\.(ts|js|md|css|html|json|txt|yaml)$/)),
    'README.md',
    'CHANGELOG.md',
    'CONTRIBUTING.md',
  ];
  const hosts = ['registry', 'npmjs'].join('.');
  for (const file of files) {
    t.notMatch(
      read(file),
      new RegExp(`/(work|farm|root)/|\\.${'lib'}rary|${hosts}|repo1?\\.maven|pypi\\.org`),
      `${file} speaks of the project alone`,
    );
  }
  t.end();
});
