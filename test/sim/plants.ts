// Plants a bug of a list in a copy of the tree: each must be found within 200 seeds (reliability.md §6.1). Both simulators do it
// so. A text that does not stand exactly once in its file stops the run.
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Patch, type Plant, plants } from './bugs.ts';

export { type Plant, plants } from './bugs.ts';

const folders = ['runtime', 'actors', 'cluster', 'store', 'prober', 'api', 'test/sim'];

export interface PlantedTree {
  readonly root: string;
  remove(): void;
}

/** Returns a copy of the tree with one bug of this simulator planted. Throws where it cannot be planted. */
export function plantedTree(name: string): PlantedTree {
  return treeWith(plants, name);
}

/** The same with a bug of `known`; `more`: folders that are copied beside those of the product and of this simulator. */
export function treeWith(
  known: readonly Plant[],
  name: string,
  more: readonly string[] = [],
): PlantedTree {
  const plant = known.find((one) => one.name === name);
  if (plant === undefined) throw new Error(`no plant is called ${name}`);
  const source = fileURLToPath(new URL('../../', import.meta.url));
  const root = mkdtempSync(join(tmpdir(), 'tocsin-plant-'));
  const remove = (): void => rmSync(root, { recursive: true, force: true });
  try {
    for (const folder of [...folders, ...more])
      cpSync(join(source, folder), join(root, folder), { recursive: true });
    for (const file of ['package.json', 'tsconfig.json'])
      cpSync(join(source, file), join(root, file));
    symlinkSync(join(source, 'node_modules'), join(root, 'node_modules'));
    for (const patch of plant.patches) applyPatch(root, name, patch);
    return { root, remove };
  } catch (error) {
    remove();
    throw error;
  }
}

function applyPatch(root: string, name: string, { file, find, replace }: Patch): void {
  const path = join(root, file);
  const text = readFileSync(path, 'utf8');
  const found = text.split(find).length - 1;
  if (found !== 1) throw new Error(`plant ${name}: its text stands ${found} times in ${file}`);
  writeFileSync(
    path,
    text.replace(find, () => replace),
  );
}
