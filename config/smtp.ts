// The mail server's settings as the mail channel takes them: what is not set is left out, the authority's file is read.
import { readFileSync } from 'node:fs';
import type { Config } from './schema.ts';

/** Returns the settings, or null where no mail server is set. Throws where the authority's file cannot be read. */
export function smtpSettings({ smtp }: Config) {
  if (smtp === null) return null;
  const { user, password, caFile, ...rest } = smtp;
  return {
    ...rest,
    ...(user === null ? {} : { user }),
    ...(password === null ? {} : { password }),
    ...(caFile === null ? {} : { ca: readFileSync(caFile, 'utf8') }),
  };
}
