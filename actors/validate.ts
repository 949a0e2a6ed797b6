// Validation of attributes as they come in a request body: rules, and schemas made of rules.
// Rule texts and semantics follow Cloud Monitoring v1.0 (numeric strings become numbers, null unsets, PUT is partial).
// Must not know any resource: each kind of resource has its own schema beside its actor.
import ipaddr from 'ipaddr.js';
import { accepted, invalid, type Outcome } from './refusal.ts';

import { parseUrl } from './url.ts';
export type RuleResult =
  | { readonly ok: true; readonly value: unknown }
  /** `key`: where inside the value, dotted on to the attribute's name; absent: the value itself. */
  | { readonly ok: false; readonly rule: string; readonly key?: string };

/** Checks one value that is not null; returns it, converted where the API converts, or the text of the rule it fails. */
export type Rule = (value: unknown) => RuleResult;

export type Attributes = Readonly<Record<string, unknown>>;

export interface Attribute {
  readonly rule: Rule;
  /** Must be there on create and never be null. */
  readonly required?: boolean;
  /** May be sent again only with an equal value. */
  readonly immutable?: boolean;
  /** Value of a create without it, and of null. Default: null. */
  readonly default?: unknown;
}

export type Schema = Readonly<Record<string, Attribute>>;

/** The longest text and the largest hash that a rule without bounds of its own lets through. */
const textMax = 16_384;

export function pass(value: unknown): RuleResult {
  return { ok: true, value };
}

export function fail(rule: string, key?: string): RuleResult {
  return key === undefined ? { ok: false, rule } : { ok: false, rule, key };
}

/** Text of min..max characters. */
export function string(min = 0, max = textMax): Rule {
  return (value) => {
    if (typeof value !== 'string') return fail('Not a string');
    if (value === '' && min > 0) return fail('String is empty');
    const length = value.length <= max ? value.length : [...value].length;
    return length < min || length > max
      ? fail(`String is not in range (${min}..${max})`)
      : pass(value);
  };
}

function wholeNumber(value: unknown): number | null {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : null;
  if (typeof value !== 'string' || !/^-?\d{1,20}$/.test(value)) return null;
  const parsed = Number(value);
  return Number.isSafeInteger(parsed) ? parsed : null;
}

/** Whole number in min..max; a numeric string becomes a number. */
export function integer(min: number, max: number): Rule {
  return (value) => {
    const parsed = wholeNumber(value);
    if (parsed === null) return fail('Invalid integer');
    return parsed < min || parsed > max
      ? fail(`Value out of range (${min}..${max})`)
      : pass(parsed);
  };
}

/** Port 1..65535; leading zeros in a string are allowed. */
export const port: Rule = (value) => {
  const parsed = wholeNumber(value);
  if (parsed === null) return fail('Invalid integer');
  return parsed < 1 || parsed > 65_535 ? fail('Value out of range [1,65535]') : pass(parsed);
};

const booleans = new Map<unknown, boolean>([
  [true, true],
  [false, false],
  [1, true],
  [0, false],
  ['true', true],
  ['false', false],
  ['1', true],
  ['0', false],
]);

/** true, false, 0, 1 and the same as strings. */
export const boolean: Rule = (value) => {
  const known = booleans.get(value);
  return known === undefined ? fail('Not a boolean') : pass(known);
};

/** One of the texts. */
export function oneOf(...choices: readonly string[]): Rule {
  return (value) =>
    typeof value === 'string' && choices.includes(value)
      ? pass(value)
      : fail(`Invalid value '${shown(value)}'. Should be one of (${choices.join(',')})`);
}

/** Text that the pattern matches; `rule` is the text of the refusal. */
export function matching(pattern: RegExp, rule: string): Rule {
  return (value) => {
    if (typeof value !== 'string') return fail('Not a string');
    return value.length <= textMax && pattern.test(value) ? pass(value) : fail(rule);
  };
}

/** Every rule in turn; each sees what the one before made of the value. */
export function all(...rules: readonly Rule[]): Rule {
  return (value) => {
    let result = pass(value);
    for (const rule of rules) {
      if (!result.ok) return result;
      result = rule(result.value);
    }
    return result;
  };
}

export interface HashLimits {
  /** Length of a key. */
  readonly k: readonly [min: number, max: number];
  /** Length of a text value, a rule for values, or absent: any JSON value. */
  readonly v?: readonly [min: number, max: number] | Rule;
  readonly max: number;
}

/** JSON object with bounded keys and values. */
export function hash(limits: HashLimits): Rule {
  const keyRule = string(limits.k[0], limits.k[1]);
  const valueRule = hashValueRule(limits.v);
  return (value) => {
    if (!isHash(value)) return fail('Not a hash');
    const entries = Object.entries(value);
    if (entries.length > limits.max) return fail(`Hash has more than ${limits.max} keys`);
    const checked: [string, unknown][] = [];
    for (const [key, item] of entries) {
      const named = key === '__proto__' ? fail('Invalid value') : keyRule(key);
      if (!named.ok) return fail(`Key ${shown(key)}: ${named.rule}`);
      const result = valueRule(item);
      if (!result.ok) return fail(`Value for key '${shown(key)}': ${result.rule}`);
      checked.push([key, result.value]);
    }
    return pass(Object.fromEntries(checked));
  };
}

function hashValueRule(v: HashLimits['v']): Rule {
  if (v === undefined) return pass;
  return typeof v === 'function' ? v : string(v[0], v[1]);
}

export interface ArrayLimits {
  readonly min?: number;
  readonly max: number;
  /** No item twice (texts and numbers). */
  readonly unique?: boolean;
}

/** JSON array of items that a rule holds for. */
export function array(rule: Rule, limits: ArrayLimits): Rule {
  return (value) => {
    if (!Array.isArray(value)) return fail('Not an array');
    if (value.length > limits.max) return fail(`Array has more than ${limits.max} items`);
    if (value.length < (limits.min ?? 0)) return fail('Array is empty');
    return items(rule, value, limits.unique === true);
  };
}

function items(rule: Rule, value: readonly unknown[], unique: boolean): RuleResult {
  const seen = new Set<unknown>();
  const checked: unknown[] = [];
  for (const item of value) {
    const result = rule(item);
    if (!result.ok) return result;
    if (unique && seen.has(result.value)) {
      return fail(`item ${shown(item)} is repeated more then once`);
    }
    seen.add(result.value);
    checked.push(result.value);
  }
  return pass(checked);
}

/** Absolute http or https URL of at most `max` characters. */
export function url(max = 8096): Rule {
  return (value) => {
    if (typeof value !== 'string') return fail('Not a string');
    if (value === '' || value.length > max) return fail(`String is not in range (1..${max})`);
    const parsed = /^https?:\/\//i.test(value) ? parseUrl(value) : null;
    return parsed === null || parsed.hostname === '' ? fail('Invalid URL') : pass(value);
  };
}

/** Mail address: one `@`, no blanks or control characters, at most 254 characters. */
export const email: Rule = (value) => {
  if (typeof value !== 'string') return fail('Not a string');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
  const shaped = /^[^\s@,;:<>()[\]"\\\u0000-\u001f\u007f]{1,64}@[A-Za-z0-9.-]{1,253}$/.test(value);
  return shaped && value.length <= 254 && isHostname(value.slice(value.indexOf('@') + 1))
    ? pass(value)
    : fail('Invalid email');
};

/** True for an IPv4 address in four decimal parts or an IPv6 address without a zone. */
export function isIp(value: string): boolean {
  if (ipaddr.IPv4.isValidFourPartDecimal(value)) return true;
  return value.length <= 45 && !value.includes('%') && ipaddr.IPv6.isValid(value);
}

/** IPv4 or IPv6 address literal. */
export const ip: Rule = (value) => {
  if (typeof value !== 'string') return fail('Not a string');
  return isIp(value) ? pass(value) : fail('Invalid IP');
};

/** True for a DNS name of labels of 1..63 letters, digits, `-` or `_`; a final dot is allowed. */
export function isHostname(value: string): boolean {
  const name = value.endsWith('.') ? value.slice(0, -1) : value;
  if (name === '' || name.length > 253 || /^[\d.]+$/.test(name)) return false;
  return name.split('.').every((label) => /^(?!-)[A-Za-z0-9_-]{1,63}(?<!-)$/.test(label));
}

/** Host name, IPv4 or IPv6 address; `qualified`: a name needs at least two labels. */
export function hostname(options: { readonly qualified?: boolean } = {}): Rule {
  return (value) => {
    if (typeof value !== 'string') return fail('Not a string');
    if (isIp(value)) return pass(value);
    if (!isHostname(value)) return fail('Not a valid hostname, IPv4 or IPv6 address');
    return options.qualified === true && !value.replace(/\.$/, '').includes('.')
      ? fail('Domain name is not fully qualified.')
      : pass(value);
  };
}

/** True for a JSON object (no array, no null). */
export function isHash(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** JSON object of known attributes; what the schema does not name is kept as it is. Failures name the inner key. */
export function shape(schema: Schema, limits: HashLimits): Rule {
  const bounds = hash(limits);
  return (value) => {
    const bounded = bounds(value);
    if (!bounded.ok) return bounded;
    const given = bounded.value as Attributes;
    const checked: Record<string, unknown> = { ...given };
    for (const [key, attribute] of Object.entries(schema)) {
      const result = resolved(attribute, given[key]);
      if (!result.ok) return fail(result.rule, key);
      if (result.value === null) delete checked[key];
      else checked[key] = result.value;
    }
    return pass(checked);
  };
}

const missingKey = 'Missing required key';

function resolved(attribute: Attribute, given: unknown): RuleResult {
  if (given !== undefined && given !== null) return attribute.rule(given);
  return attribute.required === true ? fail(missingKey) : pass(attribute.default ?? null);
}

/**
 * Validates `attributes` against a schema; keys that the schema does not name are ignored.
 * `create`: returns a value for each key of the schema (given, default or null).
 * `update`: returns `current` with the given keys replaced; `current` is unchanged.
 * Refuses with `badRequest` (`Validation error for key 'X'`); keys are looked at in the schema's order.
 */
export function validateAttributes(
  schema: Schema,
  attributes: Attributes,
  mode: 'create' | 'update',
  current: Attributes = {},
): Outcome<Record<string, unknown>> {
  const merged: Record<string, unknown> = mode === 'update' ? { ...current } : {};
  for (const [key, attribute] of Object.entries(schema)) {
    const given = Object.hasOwn(attributes, key) ? attributes[key] : undefined;
    if (mode === 'update' && given === undefined) continue;
    const result = resolved(attribute, given);
    if (!result.ok) return failed(key, result);
    if (
      mode === 'update' &&
      attribute.immutable === true &&
      !sameJson(result.value, current[key])
    ) {
      return invalid(key, 'Attempted to mutate immutable field');
    }
    merged[key] = result.value;
  }
  return accepted(merged);
}

function failed(key: string, result: { readonly rule: string; readonly key?: string }) {
  const path = result.key === undefined ? key : `${key}.${result.key}`;
  return invalid(path, result.rule === missingKey ? `${missingKey} (${path})` : result.rule);
}

/** True where two JSON values are equal, whatever the order of keys. */
export function sameJson(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (Array.isArray(left) || Array.isArray(right)) {
    if (!Array.isArray(left) || !Array.isArray(right) || left.length !== right.length) return false;
    return left.every((item, position) => sameJson(item, right[position]));
  }
  if (!isHash(left) || !isHash(right)) return false;
  const keys = Object.keys(left);
  return (
    keys.length === Object.keys(right).length &&
    keys.every((key) => Object.hasOwn(right, key) && sameJson(left[key], right[key]))
  );
}

/** A value in a refusal: its text, at most 80 characters. */
function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
