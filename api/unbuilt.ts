// Routes of v1.0 that this build does not have yet: they answer 501 and say so, never an invented result.
import { ApiError } from './errors.ts';

/** Returns a handler that answers 501 with what is missing. */
export function notBuilt(what: string): () => Promise<never> {
  return async () => {
    throw new ApiError('notImplementedError', `${what} are not built into this version`, {
      details: `This version of Tocsin has no ${what.toLowerCase()}`,
    });
  };
}
