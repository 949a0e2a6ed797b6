// Compiled criteria by their source text, so that alarms with equal criteria share one object. Least recently used
// first out. An object that was dropped goes on working; it is only no longer shared.

export interface CacheLimits {
  readonly entriesMax: number;
  /** UTF-16 units of all source texts together. */
  readonly sourceLengthMax: number;
}

/** A bounded cache. `get` throws what `compile` throws; failures are not kept. */
export interface SourceCache<T> {
  get(source: string | null): T;
  readonly size: number;
}

/** Returns an empty cache over a compile function. */
export function sourceCache<T>(
  compile: (source: string | null) => T,
  limits: CacheLimits,
): SourceCache<T> {
  const known = new Map<string, T>();
  let without: T | null = null;
  let sourceLength = 0;
  const drop = (source: string) => {
    known.delete(source);
    sourceLength -= source.length;
  };
  const remember = (source: string, made: T) => {
    known.set(source, made);
    sourceLength += source.length;
    for (const oldest of known.keys()) {
      if (known.size <= limits.entriesMax && sourceLength <= limits.sourceLengthMax) break;
      drop(oldest);
    }
  };
  return {
    get(source) {
      if (source === null) {
        without ??= compile(null);
        return without;
      }
      const kept = known.get(source);
      if (kept === undefined) {
        const made = compile(source);
        remember(source, made);
        return made;
      }
      drop(source);
      remember(source, kept);
      return kept;
    },
    get size() {
      return known.size;
    },
  };
}
