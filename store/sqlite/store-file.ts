// The open file with all its operations and its room on the disk: what a round works on. Runs in the worker.
import { historyTables, type SweepTarget } from '../limits.ts';
import type { StoreOperations } from '../operations.ts';
import { sqliteAccounts } from './accounts.ts';
import { openDatabase } from './database.ts';
import type { Database } from './driver.ts';
import { sqliteHistory } from './history.ts';
import { diskReserve, type Reserve } from './reserve.ts';
import { sqliteSamples } from './samples.ts';
import { sqliteShardLog } from './shard-log.ts';
import { diskFull } from './sqlite-error.ts';
import { sqliteStates } from './states.ts';

/** Pages given back to the disk by one sweep request: 4 MiB. */
const vacuumPages = 1024;

/** `ok`; `tight`: only decisions are written, into the room of the reserve; `full`: that is used up too. */
type DiskRoom = 'ok' | 'tight' | 'full';

/** The steps of a transaction, prepared once; a savepoint is named `request`. */
type TransactionSteps = Readonly<
  Record<
    'begin' | 'commit' | 'rollback' | 'savepoint' | 'release' | 'undo',
    ReturnType<Database['prepare']>
  >
>;

export interface StoreFile {
  readonly db: Database;
  readonly operations: StoreOperations;
  readonly steps: TransactionSteps;
  readonly reserve: Reserve;
  room: DiskRoom;
  /** Rounds since room became tight. */
  tightRounds: number;
  /** Tells the main thread of an event worth a log line. */
  readonly report: (event: string, fields: Readonly<Record<string, unknown>>) => void;
  close(): void;
}

/** Opens the store of a folder; errors as `openDatabase`. */
export function openStoreFile(options: {
  folder: string;
  reserveBytes: number;
  report: StoreFile['report'];
}): StoreFile {
  const db = openDatabase(options.folder);
  const reserve = diskReserve(options.folder, options.reserveBytes);
  return makeStoreFile(db, reserve, options.report);
}

/** Makes a `StoreFile` over an open database; takes the reserve's room. */
export function makeStoreFile(
  db: Database,
  reserve: Reserve,
  report: StoreFile['report'],
): StoreFile {
  const states = sqliteStates(db);
  const samples = sqliteSamples(db);
  const history = sqliteHistory(db);
  const vacuum = pageSweep(db);
  const sweep = (target: SweepTarget, nowMs: number): number => {
    if (target === 'ticks') return samples.sweepTicks(nowMs);
    if (target === 'tombstones') return states.sweepTombstones(nowMs);
    if (target === 'pages') return vacuum();
    const table = historyTables.find((name) => name === target);
    return table === undefined ? 0 : history.sweepHistory(table, nowMs);
  };
  const probe = db.prepare('SELECT epoch FROM shard_log WHERE shard = 0 AND seq = 0');
  const ping = (): void => {
    probe.get();
    if (file.room === 'full') throw diskFull();
  };
  const file: StoreFile = {
    db,
    operations: {
      ...sqliteShardLog(db),
      ...states,
      ...samples,
      ...history,
      ...sqliteAccounts(db),
      sweep,
      ping,
    },
    steps: {
      begin: db.prepare('BEGIN IMMEDIATE'),
      commit: db.prepare('COMMIT'),
      rollback: db.prepare('ROLLBACK'),
      savepoint: db.prepare('SAVEPOINT request'),
      release: db.prepare('RELEASE request'),
      undo: db.prepare('ROLLBACK TO request'),
    },
    reserve,
    room: reserve.fill() ? 'ok' : 'tight',
    tightRounds: 0,
    report,
    close: () => db.close(),
  };
  if (file.room !== 'ok') report('store.disk_tight', { reason: 'no room for the reserve' });
  return file;
}

/** Gives free pages back where they are many: tables of ticks empty and fill again, which needs no vacuum. */
function pageSweep(db: Database): () => number {
  const pages = db.prepare('PRAGMA page_count');
  const free = db.prepare('PRAGMA freelist_count');
  return () => {
    const freePages: number = free.get().freelist_count;
    if (freePages < 2 * vacuumPages || freePages < pages.get().page_count / 3) return 0;
    db.exec(`PRAGMA incremental_vacuum(${vacuumPages})`);
    return vacuumPages;
  };
}
