// Freezes values all the way down, so that a step that changes its input fails in tests instead of corrupting in production.
// Byte arrays and the contents of Maps and Sets cannot be frozen and are left alone.

/** Returns `value`, it and everything in it frozen. What is frozen already is not entered again. */
export function deepFreeze<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null) return value;
  if (ArrayBuffer.isView(value) || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const inner of Object.values(value)) deepFreeze(inner);
  return value;
}
