// Assertions that stay on in production: a broken invariant stops the activation that broke it, never the node.

/** A programmer error: an invariant does not hold. */
export class AssertionFailure extends Error {
  override readonly name = 'AssertionFailure';
}

/** Throws `AssertionFailure` unless `condition` holds; `fact` reads as a fact ("the head never goes back"). */
export function assert(condition: unknown, fact: string): asserts condition {
  if (!condition) throw new AssertionFailure(`broken invariant: ${fact}`);
}

/** Makes a `switch` over a closed union exhaustive at compile time; throws if a foreign value arrives. */
export function never(value: never, union: string): never {
  throw new AssertionFailure(`broken invariant: unknown ${union} ${JSON.stringify(value)}`);
}
