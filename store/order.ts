// Order of rows as the stores keep it: by UTF-8 bytes, which is by code points, not by UTF-16 units as `<` does;
// and the search in a list kept in order.

/** Returns below, at or above 0 as `left` sorts before, with or after `right` by UTF-8 bytes. */
export function compareText(left: string, right: string): number {
  const shared = Math.min(left.length, right.length);
  for (let at = 0; at < shared; at++) {
    const difference = sortUnit(left.charCodeAt(at)) - sortUnit(right.charCodeAt(at));
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/** Moves surrogates above the rest of the basic plane, where their code points belong. */
function sortUnit(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}

/** Returns the first index whose item is not before the place that `compare` describes (item against place). */
export function lowerBound<Item>(items: readonly Item[], compare: (item: Item) => number): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compare(items[middle] as Item) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Puts `item` at its place in `items`, over one that compares equal. */
export function putInOrder<Item>(
  items: Item[],
  item: Item,
  compare: (left: Item, right: Item) => number,
): void {
  const at = lowerBound(items, (other) => compare(other, item));
  const present = items[at];
  const replaces = present !== undefined && compare(present, item) === 0 ? 1 : 0;
  items.splice(at, replaces, item);
}

/** Order of ticks in an answer: by slot, then by zone. */
export function bySlotAndZone(
  left: { readonly slotAtMs: number; readonly zone: string },
  right: { readonly slotAtMs: number; readonly zone: string },
): number {
  return left.slotAtMs - right.slotAtMs || compareText(left.zone, right.zone);
}
