// Request bodies: one parser for all. JSON by content type (or none), else 415; bounded in bytes, depth and array length.
// A body that a route does not look at is never refused: old clients send `{}` on GET and `""` on bodyless POSTs.
import { ApiError, badRequest, invalidKey } from './errors.ts';
import type { JsonSchema } from './json-schema.ts';
import type { RouteFacts } from './route-facts.ts';

const bodyBounds = { depthMax: 32, itemsMax: 1_000 } as const;

export type Attributes = Readonly<Record<string, unknown>>;

/**
 * Returns the attributes in a body for this route. Throws 415 for another content type, 400 for malformed JSON,
 * for what is no JSON object, for depth above 32, arrays above 1000 items, and on Tocsin's own routes for unknown keys.
 */
export function attributesOf(
  route: RouteFacts,
  contentType: string | undefined,
  bytes: Buffer | null,
): Attributes {
  if (route.body === null || route.body.use === 'ignored') return {};
  if (bytes === null || bytes.length === 0) return checkOwn(route, {});
  demandJson(contentType);
  const value = parse(bytes);
  if (value === '' || value === null) return checkOwn(route, {});
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw badRequest('The body must be a JSON object', 'Not a hash');
  }
  demandBounds(value, 1);
  return checkOwn(route, value as Attributes);
}

function demandJson(contentType: string | undefined): void {
  if (contentType === undefined || contentType.trim() === '') return;
  if (/^\s*application\/json\s*(;|$)/i.test(contentType)) return;
  throw new ApiError('unsupportedMediaTypeError', 'The body must be application/json', {
    details: 'Send the header Content-Type: application/json',
  });
}

function parse(bytes: Buffer): unknown {
  const text = bytes.toString('utf8');
  try {
    return JSON.parse(text.charCodeAt(0) === 0xfeff ? text.slice(1) : text);
  } catch (error) {
    const details = error instanceof Error ? error.message.slice(0, 200) : '';
    throw new ApiError('badRequest', 'The body is not valid JSON', { details, cause: error });
  }
}

/** Walks the value once, never deeper than the bound; drops keys `__proto__`, which no resource has. */
function demandBounds(value: object, depth: number): void {
  if (depth > bodyBounds.depthMax) {
    throw badRequest(`The body is nested deeper than ${bodyBounds.depthMax} levels`);
  }
  if (Array.isArray(value) && value.length > bodyBounds.itemsMax) {
    throw badRequest(`An array in the body has more than ${bodyBounds.itemsMax} items`);
  }
  if (Object.hasOwn(value, '__proto__')) Reflect.deleteProperty(value, '__proto__');
  for (const inner of Object.values(value)) {
    if (typeof inner === 'object' && inner !== null) demandBounds(inner, depth + 1);
  }
}

/** Tocsin's own routes take known keys only; v1.0 routes ignore unknown ones, as the contract says. */
function checkOwn(route: RouteFacts, attributes: Attributes): Attributes {
  const schema: JsonSchema | undefined = route.own ? route.body?.schema : undefined;
  if (schema === undefined) return attributes;
  const known = schema.properties ?? {};
  for (const key of Object.keys(attributes)) {
    if (!Object.hasOwn(known, key)) throw invalidKey(key, 'Unknown key');
  }
  for (const key of schema.required ?? []) {
    if (attributes[key] === undefined) throw invalidKey(key, `Missing required key (${key})`);
  }
  return attributes;
}
