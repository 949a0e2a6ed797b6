// The JSON Schemas (2020-12 as OpenAPI 3.1 uses it) of what the API takes and gives: for the served description.
// They describe; actors validate. Snake case is the v1.0 contract's.

/** The part of JSON Schema that the description uses. */
export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly enum?: readonly (string | number | boolean | null)[];
  readonly additionalProperties?: boolean | JsonSchema;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly format?: string;
  readonly default?: unknown;
  readonly pattern?: string;
}

export const text: JsonSchema = { type: 'string' };
export const textOrNull: JsonSchema = { type: ['string', 'null'] };
export const whole: JsonSchema = { type: 'integer' };
export const wholeOrNull: JsonSchema = { type: ['integer', 'null'] };
export const flag: JsonSchema = { type: 'boolean' };
export const texts: JsonSchema = { type: 'array', items: text };
export const instant: JsonSchema = { type: 'integer', description: 'Milliseconds since the epoch' };
export const hash: JsonSchema = { type: ['object', 'null'], additionalProperties: true };
export const state: JsonSchema = { type: 'string', enum: ['OK', 'WARNING', 'CRITICAL', 'UNKNOWN'] };

/** An object with these properties, others allowed. */
export function object(
  properties: Readonly<Record<string, JsonSchema>>,
  required: readonly string[] = [],
): JsonSchema {
  return { type: 'object', properties, ...(required.length === 0 ? {} : { required }) };
}

export function array(items: JsonSchema): JsonSchema {
  return { type: 'array', items };
}

const metadata = object(
  {
    count: whole,
    limit: wholeOrNull,
    marker: textOrNull,
    next_marker: textOrNull,
    next_href: textOrNull,
    quarantined: {
      type: 'array',
      items: text,
      description: 'Entities that are missing here: quarantined, and without a state to show',
    },
  },
  ['count', 'limit', 'marker', 'next_marker', 'next_href'],
);

/** The envelope of a list of these. */
export function listOf(items: JsonSchema): JsonSchema {
  return object({ values: array(items), metadata }, ['values', 'metadata']);
}

export const pageQuery = {
  limit: { type: 'integer', minimum: 1, maximum: 1000, default: 100 },
  marker: { type: 'string', description: 'Id of the first item wanted' },
} as const satisfies Record<string, JsonSchema>;

export const pageQueryById = {
  ...pageQuery,
  id: { type: 'array', items: { type: 'string' }, description: 'Only these; repeatable' },
} as const satisfies Record<string, JsonSchema>;

export const seriesQuery = {
  ...pageQuery,
  from: { type: 'integer', description: 'Milliseconds; default: 7 days before `to`' },
  to: { type: 'integer', description: 'Milliseconds; default: now' },
  reverse: { type: 'string', description: 'Any value but `false` and `0`: newest first' },
} as const satisfies Record<string, JsonSchema>;

/** Notes on a change, for the audit. */
export const changeQuery = {
  _who: { type: 'string', maxLength: 512, description: 'Who, for the audit' },
  _why: { type: 'string', maxLength: 512, description: 'Why, for the audit' },
} as const satisfies Record<string, JsonSchema>;

export const errorSchema = object(
  {
    type: text,
    code: whole,
    message: text,
    details: { type: ['string', 'object'] },
    txnId: text,
  },
  ['type', 'code', 'message', 'details', 'txnId'],
);
