// Answers of actors to questions that may be refused: a value, or the API's error type with its message and details.
// Types and wording follow Cloud Monitoring v1.0 (errors, validation semantics).

/** Error types of the API that an actor can decide. The API layer maps each to its HTTP status. */
export type RefusalType =
  | 'badRequest'
  | 'requiredNotFoundError'
  | 'childrenExistError'
  | 'alarmParseError'
  | 'limitReached'
  | 'indexCardinalityConstraintViolation'
  | 'forbiddenError'
  | 'notFoundError'
  | 'parentNotFoundError'
  | 'conflict'
  | 'checkDoesNotSupportTargets'
  | 'invalidKeyPrefix'
  | 'systemFailureError';

export interface Refusal {
  readonly type: RefusalType;
  readonly message: string;
  readonly details: string | Readonly<Record<string, unknown>>;
}

/** Reply of every actor message that can be refused. */
export type Outcome<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly error: Refusal };

/** Returns an accepted outcome. */
export function accepted<Value>(value: Value): Outcome<Value> {
  return { ok: true, value };
}

/** Returns a refused outcome. */
export function refused(
  type: RefusalType,
  message: string,
  details: Refusal['details'] = message,
): { readonly ok: false; readonly error: Refusal } {
  return { ok: false, error: { type, message, details } };
}

/** `Validation error for key 'X'`: clients parse this wording. `rule` is the rule's text or `Missing required key (X)`. */
export function invalid(
  key: string,
  rule: string,
): { readonly ok: false; readonly error: Refusal } {
  return refused('badRequest', `Validation error for key '${key}'`, rule);
}

/** `Object "<Type>" with key "<key>" does not exist`. */
export function missing(
  type: string,
  key: string,
): { readonly ok: false; readonly error: Refusal } {
  return refused(
    'notFoundError',
    'Object does not exist',
    `Object "${type}" with key "${key}" does not exist`,
  );
}

/** The parent named in the path is unknown. */
export function parentMissing(
  type: string,
  key: string,
): { readonly ok: false; readonly error: Refusal } {
  return refused(
    'parentNotFoundError',
    'Parent does not exist',
    `Object "${type}" with key "${key}" does not exist`,
  );
}

/** The body refers to something that is missing. */
export function requiredMissing(
  type: string,
  key: string,
): { readonly ok: false; readonly error: Refusal } {
  return refused(
    'requiredNotFoundError',
    'Required object does not exist',
    `Object "${type}" with key "${key}" does not exist`,
  );
}
