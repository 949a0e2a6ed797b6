// `admin.json`: the secrets of the first start, in the data folder, mode 0600. Written aside before the deciding write and
// put in place after it, so that no crash leaves an administrator whose key nobody has.
import { chmod, open, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Outcome } from '../actors/refusal.ts';
import { TocsinError } from '../runtime/errors.ts';
import { actorKey } from '../runtime/ids.ts';
import { bootstrapAdmin, type FirstAdmin } from './bootstrap.ts';
import type { ApiPorts } from './ports.ts';
import { ownChange } from './token-issue.ts';
import { transactionIds } from './transaction-id.ts';

export interface FirstStartOptions {
  readonly folder: string;
  /** null: made here. */
  readonly apiKey: string | null;
  readonly technicalContacts: readonly string[];
}

export interface FirstStart {
  readonly path: string;
  /** True where this start made the administrator. */
  readonly made: boolean;
}

/** Makes tenant, administrator and `admin.json` at the first start; afterwards does nothing. */
export async function ensureAdmin(
  ports: ApiPorts,
  options: FirstStartOptions,
): Promise<FirstStart> {
  const path = join(options.folder, 'admin.json');
  const aside = `${path}.new`;
  const admin = await bootstrapAdmin(ports, {
    apiKey: options.apiKey ?? undefined,
    onPrepared: (prepared) => writePrivate(aside, prepared),
  });
  if (admin === null) {
    if ((await exists(aside)) && !(await exists(path))) await rename(aside, path);
    return { path, made: false };
  }
  await setContacts(ports, admin, options.technicalContacts);
  await rename(aside, path);
  return { path, made: true };
}

async function writePrivate(path: string, admin: FirstAdmin): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    await chmod(path, 0o600);
    await file.writeFile(`${JSON.stringify(admin, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function setContacts(
  ports: ApiPorts,
  admin: FirstAdmin,
  contacts: readonly string[],
): Promise<void> {
  if (contacts.length === 0) return;
  const change = ownChange(transactionIds(ports)(), admin.username, '/bootstrap');
  const message = {
    kind: 'account.update',
    attributes: { technical_contacts: contacts },
    change,
  } as const;
  const outcome = await ports.router.ask<Outcome<unknown>>(actorKey(admin.tenantId), message);
  if (!outcome.ok)
    throw new TocsinError(
      'AP_BOOTSTRAP_FAILED',
      `TOCSIN_TECHNICAL_CONTACTS: ${outcome.error.message}`,
    );
}

/** Returns what a start prints: where the node is, and after the first one where its secrets are and what to try. */
export function welcome(version: string, url: string, first: FirstStart): string {
  const ready = `Tocsin ${version} is ready at ${url}\n`;
  if (!first.made) return ready;
  return `${ready}
The first tenant and its administrator are in ${first.path} (keep it private).
Three commands to try:

  node scripts/tocsin.js entity create --label web --ip main=127.0.0.1
  node scripts/tocsin.js check create ENTITY --type remote.http --url ${url}/livez --alias main --zones mzlocal
  node scripts/tocsin.js state ENTITY --watch

`;
}
