// Plants a bug of bugs.ts in a copy of the tree, as the simulator of one node does.
import { type PlantedTree, treeWith } from '../sim/plants.ts';
import { plants } from './bugs.ts';

export { plants } from './bugs.ts';

/** Returns a copy of the tree with one bug planted. Throws where it cannot be planted. */
export function plantedTree(name: string): PlantedTree {
  return treeWith(plants, name, ['test/sim-cluster']);
}
