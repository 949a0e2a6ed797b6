// Exit codes of the command line and the error that carries one.

/** What a script may rely on. */
export const exitCodes = {
  done: 0,
  /** The server refused the request (4xx but 404). */
  refused: 1,
  /** The command line is wrong; nothing was sent. */
  usage: 2,
  /** The server cannot be reached, or failed (5xx). */
  unreachable: 3,
  /** What was named does not exist (404). */
  missing: 4,
  /** The answer is bad news: a test was not available, doctor found problems. */
  badNews: 5,
} as const;

/** Ends the command with a text for people on standard error and an exit code. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exitCode: number;

  constructor(exitCode: number, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.exitCode = exitCode;
  }
}
