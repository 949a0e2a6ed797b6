import type { Plant } from '../sim/bugs.ts';
export const plants: readonly Plant[] = [];
