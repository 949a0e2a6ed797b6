// Plants a bug of bugs.ts in a copy of the tree: each must be found within 200 seeds (reliability.md §6.1).
// A text that does not stand exactly once in its file stops the run.
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { plants } from './bugs.ts';

export { plants } from './bugs.ts';

const folders = [
  'runtime',
  'actors',
  'cluster',
  'store',
  'prober',
  'api',
  'test/sim',
  'test/sim-cluster',
];

/** Returns a copy of the tree with one bug planted. Throws where it cannot be planted. */
export function plantedTree(name: string): { readonly root: string; remove(): void } {
  const plant = plants.find((known) => known.name === name);
  if (plant === undefined) throw new Error(`no plant is called ${name}`);
  const source = fileURLToPath(new URL('../../', import.meta.url));
  const root = mkdtempSync(join(tmpdir(), 'tocsin-plant-'));
  const remove = (): void => rmSync(root, { recursive: true, force: true });
  try {
    for (const folder of folders)
      cpSync(join(source, folder), join(root, folder), { recursive: true });
    for (const file of ['package.json', 'tsconfig.json'])
      cpSync(join(source, file), join(root, file));
    symlinkSync(join(source, 'node_modules'), join(root, 'node_modules'));
    for (const { file, find, replace } of plant.patches) {
      const path = join(root, file);
      const text = readFileSync(path, 'utf8');
      const times = text.split(find).length - 1;
      if (times !== 1) throw new Error(`plant ${name}: its text stands ${times} times in ${file}`);
      writeFileSync(
        path,
        text.replace(find, () => replace),
      );
    }
    return { root, remove };
  } catch (error) {
    remove();
    throw error;
  }
}
