// Error codes of the configuration (CF_*). Every code stands in docs/errors.md.

export const configErrors = {
  CF_UNKNOWN_KEY: {
    meaning: 'The file, the environment or a flag names a setting that does not exist.',
    retryable: false,
    httpStatus: 500,
  },
  CF_BAD_VALUE: {
    meaning:
      'A setting has a value outside its type or range, or two settings contradict each other.',
    retryable: false,
    httpStatus: 500,
  },
  CF_UNREADABLE: {
    meaning: 'The settings file cannot be read or is not YAML.',
    retryable: false,
    httpStatus: 500,
  },
} as const;

/** A setting is wrong; the text names it, the source and what is expected. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code: keyof typeof configErrors;

  constructor(code: keyof typeof configErrors, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
