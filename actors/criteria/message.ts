// Messages of return statements: `#{name}` stands for the value of that metric in the same observation. No expressions,
// no functions; a name that the observation lacks stays as written. The result is cut to 128 code points.
import type { Observation } from '../observation/observation.ts';
import { statusLengthMax } from './limits.ts';
import { metricReader, type ReadMetric, renderValue } from './value.ts';
import { cutStatus } from './verdict.ts';

interface Placeholder {
  readonly written: string;
  readonly read: ReadMetric;
}

/** A message ready to be filled in; `isConstant`: it is the same for every observation. */
export interface Message {
  readonly isConstant: boolean;
  fill(seen: Observation): string;
}

/** Returns the prepared form of a message. */
export function compileMessage(text: string): Message {
  const parts = split(text);
  const [only] = parts;
  if (parts.length <= 1 && (only === undefined || typeof only === 'string')) {
    const constant = cutStatus(only ?? '');
    return { isConstant: true, fill: () => constant };
  }
  return { isConstant: false, fill: (seen) => fill(parts, seen) };
}

/** Texts and placeholders in order. A `#{` without a name and `}` after it is text. */
function split(text: string): (string | Placeholder)[] {
  const parts: (string | Placeholder)[] = [];
  let end = 0;
  for (const found of text.matchAll(/#\{([A-Za-z0-9_\-./ ]+)\}/g)) {
    if (found.index > end) parts.push(text.slice(end, found.index));
    parts.push({ written: found[0], read: metricReader(found[1] ?? '') });
    end = found.index + found[0].length;
  }
  if (end < text.length) parts.push(text.slice(end));
  return parts;
}

/** Stops as soon as the text is surely long enough: values may be large. */
function fill(parts: readonly (string | Placeholder)[], seen: Observation): string {
  let filled = '';
  for (const part of parts) {
    if (typeof part === 'string') filled += part;
    else {
      const value = part.read(seen);
      filled += value === undefined ? part.written : renderValue(value);
    }
    if (filled.length >= 2 * statusLengthMax) break;
  }
  return cutStatus(filled);
}
