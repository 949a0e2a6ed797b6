// A first-in first-out queue that takes no memory while it is empty and grows by doubling up to its caller's bound.
// Must not know what it holds; refusing what is too much is the caller's decision.

const smallest = 4;
/** An emptied ring gives back arrays larger than this. */
const kept = 16;

export class Ring<Item> {
  #items: (Item | undefined)[] | null = null;
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(item: Item): void {
    const items = this.#room();
    items[(this.#head + this.#length) & (items.length - 1)] = item;
    this.#length++;
  }

  /** Returns the oldest item, or undefined. */
  peek(): Item | undefined {
    return this.#items?.[this.#head];
  }

  /** Returns and removes the oldest item, or undefined. */
  shift(): Item | undefined {
    const items = this.#items;
    if (items === null || this.#length === 0) return undefined;
    const item = items[this.#head];
    items[this.#head] = undefined;
    this.#head = (this.#head + 1) & (items.length - 1);
    this.#length--;
    if (this.#length === 0 && items.length > kept) {
      this.#items = null;
      this.#head = 0;
    }
    return item;
  }

  /** Length of the array is always a power of two. */
  #room(): (Item | undefined)[] {
    const items = this.#items;
    if (items === null) {
      this.#items = new Array<Item | undefined>(smallest).fill(undefined);
      this.#head = 0;
      return this.#items;
    }
    if (this.#length < items.length) return items;
    const larger = new Array<Item | undefined>(items.length * 2).fill(undefined);
    for (let at = 0; at < this.#length; at++) {
      larger[at] = items[(this.#head + at) & (items.length - 1)];
    }
    this.#items = larger;
    this.#head = 0;
    return larger;
  }
}
