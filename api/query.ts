// Reading query parameters: whole numbers, flags, repeatable names. Unknown parameters are ignored.
// Throws ApiError 400. Must not know any resource.
import { badRequest, invalidKey } from './errors.ts';

/** Values of a repeatable parameter, empty ones left out; `name[]` too. At most `max`. */
export function valuesOf(query: URLSearchParams, name: string, max = 1_000): readonly string[] {
  const values = [...query.getAll(name), ...query.getAll(`${name}[]`)].filter((v) => v !== '');
  if (values.length > max) throw badRequest(`At most ${max} values of '${name}' are allowed`);
  return values;
}

/** The whole number >= 0 of a parameter, or null where it is absent or empty. */
export function wholeOf(query: URLSearchParams, name: string): number | null {
  const text = query.get(name);
  if (text === null || text === '') return null;
  if (!/^\d{1,15}$/.test(text)) throw invalidKey(name, 'Invalid integer');
  return Number(text);
}

/** True for any value but none, empty, `false` and `0`: a python client sends `True`. */
export function flagOf(query: URLSearchParams, name: string): boolean {
  const text = (query.get(name) ?? '').toLowerCase();
  return text !== '' && text !== 'false' && text !== '0';
}
