// The picture of the layers in docs/ARCHITECTURE.md is made from the code's own imports; REWRITE=1 makes it anew.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, posix, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import ts from 'typescript';

const root = resolve(fileURLToPath(new URL('..', import.meta.url)));
const folders = ['config', 'runtime', 'actors', 'cluster', 'store', 'prober', 'api', 'cli'];
const allowed: Readonly<Record<string, readonly string[]>> = {
  'main.ts': folders.filter((folder) => folder !== 'cli'),
  api: ['actors', 'runtime'],
  actors: ['runtime'],
  cluster: ['runtime'],
  store: ['runtime', 'actors'],
  prober: ['actors'],
  runtime: [],
  config: [],
  cli: [],
};

function imports(file: string): string[] {
  const source = ts.createSourceFile(
    file,
    readFileSync(join(root, file), 'utf8'),
    ts.ScriptTarget.ES2023,
  );
  const found: string[] = [];
  source.forEachChild((node) => {
    if (
      (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) &&
      node.moduleSpecifier !== undefined &&
      ts.isStringLiteral(node.moduleSpecifier)
    )
      found.push(node.moduleSpecifier.text);
  });
  for (const [, text] of source.text.matchAll(/import\('(\.[^']+)'\)/g)) found.push(text as string);
  return found
    .filter((text) => text.startsWith('.'))
    .map((text) => posix.normalize(posix.join(posix.dirname(file), text)));
}

/** The composition root and its folder are one. */
function partOf(file: string): string {
  const first = file.split('/')[0] as string;
  return first === 'main' ? 'main.ts' : first;
}

function edges(): string[] {
  const seen = new Set<string>();
  const files = [
    'main.ts',
    ...['main', ...folders].flatMap((folder) =>
      (readdirSync(join(root, folder), { recursive: true }) as string[])
        .filter((name) => name.endsWith('.ts'))
        .map((name) => `${folder}/${name}`),
    ),
  ];
  for (const file of files) {
    const from = partOf(file);
    for (const target of imports(file)) {
      const to = partOf(target);
      if (to !== from) seen.add(`${from} ${to}`);
    }
  }
  return [...seen].sort();
}

t.test('every arrow between folders is one of the design', (t) => {
  const found = edges();
  t.ok(found.length >= 8, 'it looked at the code');
  for (const edge of found) {
    const [from, to] = edge.split(' ') as [string, string];
    t.ok(allowed[from]?.includes(to), `${from} may import ${to}`);
  }
  t.end();
});

t.test('the graph in docs/ARCHITECTURE.md is that of the code', (t) => {
  const path = join(root, 'docs', 'ARCHITECTURE.md');
  const text = readFileSync(path, 'utf8');
  const lines = edges().map((edge) => `  ${edge.replace('main.ts', 'main').replace(' ', ' --> ')}`);
  const graph = `<!-- graph -->\n\`\`\`mermaid\nflowchart LR\n${lines.join('\n')}\n\`\`\`\n<!-- /graph -->`;
  const wanted = text.replace(/<!-- graph -->[\s\S]*<!-- \/graph -->/, graph);
  if (process.env['REWRITE'] === '1') writeFileSync(path, wanted);
  t.equal(
    readFileSync(path, 'utf8'),
    wanted,
    'REWRITE=1 npx tap test/architecture.test.ts makes it anew',
  );
  t.end();
});
