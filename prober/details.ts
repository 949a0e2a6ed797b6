// Readers of check details: the node validated them, the prober does not rely on that. Pure.
import { ProbeError } from './errors.ts';

type Details = Readonly<Record<string, unknown>>;

const bad = (field: string, rule: string) =>
  new ProbeError('invalid-request', { message: `${field}: ${rule}` });

/** Returns a string detail of at most `charsMax`, or null where it is missing, null or empty. */
export function optionalText(details: Details, field: string, charsMax: number): string | null {
  const value = details[field];
  if (value === undefined || value === null || value === '') return null;
  if (typeof value !== 'string') throw bad(field, 'must be a string');
  if (value.length > charsMax) throw bad(field, `longer than ${charsMax} characters`);
  return value;
}

/** Returns a string detail that must be there. */
export function requiredText(details: Details, field: string, charsMax: number): string {
  const value = optionalText(details, field, charsMax);
  if (value === null) throw bad(field, 'is required');
  return value;
}

/** Returns a boolean detail; the strings `true` and `false` count too. */
export function flag(details: Details, field: string, otherwise: boolean): boolean {
  const value = details[field];
  if (value === undefined || value === null) return otherwise;
  if (value === true || value === 'true') return true;
  if (value === false || value === 'false') return false;
  throw bad(field, 'must be a boolean');
}

/** Returns a whole number between `min` and `max`; numeric strings with leading zeros count too. */
export function wholeNumber(
  details: Details,
  field: string,
  range: { readonly min: number; readonly max: number; readonly otherwise?: number },
): number {
  const value = details[field] ?? range.otherwise;
  const number = typeof value === 'string' && /^\d{1,10}$/.test(value) ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number)) {
    throw bad(field, 'must be a whole number');
  }
  if (number < range.min || number > range.max) {
    throw bad(field, `must be between ${range.min} and ${range.max}`);
  }
  return number;
}

/** Returns a TCP or UDP port. */
export function portNumber(details: Details, field: string, otherwise?: number): number {
  return wholeNumber(details, field, {
    min: 1,
    max: 65_535,
    ...(otherwise === undefined ? {} : { otherwise }),
  });
}

/** Returns a map of strings as pairs, at most `entriesMax`; empty where it is missing. */
export function textPairs(
  details: Details,
  field: string,
  entriesMax: number,
): readonly (readonly [string, string])[] {
  const value = details[field];
  if (value === undefined || value === null) return [];
  if (typeof value !== 'object' || Array.isArray(value)) throw bad(field, 'must be an object');
  const pairs = Object.entries(value as Record<string, unknown>);
  if (pairs.length > entriesMax) throw bad(field, `more than ${entriesMax} entries`);
  return pairs.map(([key, text]) => {
    if (typeof text !== 'string') throw bad(field, 'values must be strings');
    return [key, text] as const;
  });
}
