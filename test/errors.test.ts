// Every error code stands in docs/errors.md with what to do, and nothing else does. REWRITE=1 adds rows that are missing.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const root = resolve(fileURLToPath(new URL('..', import.meta.url)));
const path = join(root, 'docs', 'errors.md');
const folders = ['config', 'runtime', 'actors', 'cluster', 'store', 'prober', 'api'];

interface Entry {
  readonly meaning: string;
}

async function codes(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const folder of folders) {
    const files = (readdirSync(join(root, folder), { recursive: true }) as string[]).filter(
      (name) => /(^|\/)errors\.ts$/.test(name),
    );
    for (const file of files) {
      const module = (await import(`../${folder}/${file}`)) as Record<string, unknown>;
      for (const table of Object.values(module)) {
        if (typeof table !== 'object' || table === null) continue;
        for (const [code, entry] of Object.entries(table as Record<string, Entry>)) {
          if (/^[A-Z]{2}_[A-Z0-9_]+$/.test(code) && typeof entry?.meaning === 'string')
            found.set(code, entry.meaning);
        }
      }
    }
  }
  return found;
}

/** Codes that the product's code names anywhere. */
function named(): Set<string> {
  const found = new Set<string>();
  for (const folder of folders) {
    for (const name of readdirSync(join(root, folder), { recursive: true }) as string[]) {
      if (!name.endsWith('.ts')) continue;
      for (const [, code] of readFileSync(join(root, folder, name), 'utf8').matchAll(
        /'((?:RT|CL|ST|AC|AP|PR|CF)_[A-Z0-9_]+)'/g,
      ))
        found.add(code as string);
    }
  }
  return found;
}

t.test('docs/errors.md lists exactly the codes of the tables, with their meaning', async (t) => {
  const table = await codes();
  const before = readFileSync(path, 'utf8');
  const rows = new Map(
    [...before.matchAll(/^\| `([A-Z]{2}_[A-Z0-9_]+)` \| (.*?) \| (.*?) \|$/gm)].map((row) => [
      row[1] as string,
      row,
    ]),
  );
  if (process.env['REWRITE'] === '1') {
    const lines = [...table]
      .sort()
      .map(
        ([code, meaning]) =>
          `| \`${code}\` | ${meaning} | ${rows.get(code)?.[3] ?? 'Nothing to do.'} |`,
      );
    writeFileSync(
      path,
      before.replace(/(\| code \|[^\n]*\n\|---[^\n]*\n)[\s\S]*$/, `$1${lines.join('\n')}\n`),
    );
  }
  const after = readFileSync(path, 'utf8');
  const documented = new Map(
    [...after.matchAll(/^\| `([A-Z]{2}_[A-Z0-9_]+)` \| (.*?) \| (.*?) \|$/gm)].map((row) => [
      row[1] as string,
      row[2] as string,
    ]),
  );
  t.ok(table.size > 20, 'it found the tables');
  t.same([...documented.keys()].sort(), [...table.keys()].sort());
  for (const [code, meaning] of table) t.equal(documented.get(code), meaning, code);
});

t.test('every code that is thrown stands in a table', async (t) => {
  const table = await codes();
  for (const code of named()) t.ok(table.has(code), `${code} stands in an errors.ts`);
});
