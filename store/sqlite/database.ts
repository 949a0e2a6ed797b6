// Opens the file of the embedded store: folder and modes, the exclusive lock, pragmas, schema. Runs in the worker.
import { chmodSync, closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { storeError } from '../errors.ts';
import { type Database, DatabaseSync } from './driver.ts';
import { migrate } from './schema.ts';
import { refusal, resultCode, resultCodes } from './sqlite-error.ts';

const fileName = 'tocsin.db';
/** How long opening waits for a process that is just ending, ms. */
const lockWaitMs = 1000;

/**
 * Returns the open database of a folder, made where missing (folder 0700, files 0600), locked for this process until
 * closed, at the schema of this version. The package lets the file go when the statements are collected too: at the
 * latest when the thread ends. Throws `ST_LOCKED`, `ST_SCHEMA_NEWER`, `ST_CORRUPT`, `ST_OPEN_FAILED`.
 */
export function openDatabase(folder: string): Database {
  const path = join(folder, fileName);
  let db: Database | null = null;
  try {
    prepareFolder(folder);
    prepareFile(path);
    db = new DatabaseSync(path, { timeout: lockWaitMs });
    lock(db);
    migrate(db);
    return db;
  } catch (error) {
    db?.close();
    throw openError(folder, error);
  }
}

/** One process at a time, and power loss takes no acknowledged write. Order matters: see storage.md §12. */
function lock(db: Database): void {
  db.exec('PRAGMA locking_mode = EXCLUSIVE');
  db.exec('PRAGMA auto_vacuum = INCREMENTAL');
  db.exec('PRAGMA journal_mode = WAL');
  db.exec('PRAGMA synchronous = FULL');
  db.exec('PRAGMA cache_size = -65536');
  db.exec('PRAGMA temp_store = MEMORY');
  db.exec('PRAGMA journal_size_limit = 67108864');
  // The lock is taken by the first access, not by the pragma.
  db.exec('BEGIN IMMEDIATE; COMMIT');
  db.exec('PRAGMA busy_timeout = 5000');
}

function prepareFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { mode, uid } = statSync(folder);
  const isOurs = process.getuid?.() === uid;
  if ((mode & 0o077) !== 0 && isOurs) chmodSync(folder, 0o700);
}

/**
 * Made empty with its mode, which SQLite gives the files beside it too. One that is there is not opened: closing it
 * would drop the lock that this process may hold on it (POSIX locks).
 */
function prepareFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    chmodSync(path, 0o600);
  }
}

function openError(folder: string, error: unknown): Error {
  const code = resultCode(error);
  if (code === resultCodes.busy || code === resultCodes.locked) {
    return storeError(
      'ST_LOCKED',
      `the data folder ${folder} is in use by another Tocsin process: stop it, or choose another folder`,
      { cause: error },
    );
  }
  const refused = refusal(error);
  if (refused.code !== 'ST_FAILED' && refused.code !== 'ST_UNAVAILABLE') return refused;
  const message = `the store in ${folder} cannot be opened: ${refused.message}`;
  return storeError('ST_OPEN_FAILED', message, { cause: error });
}
