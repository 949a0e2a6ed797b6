// The embedded store beyond the port: file, lock, schema, rounds, full disk, ended thread, sweeps.
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Logger, Store } from '../../runtime/ports.ts';
import { createMemoryStore } from '../../store/memory/store.ts';
import type { OperationName, StoreOperations } from '../../store/operations.ts';
import { openDatabase } from '../../store/sqlite/database.ts';
import { diskReserve } from '../../store/sqlite/reserve.ts';
import { runRound, type StoreAnswer, type StoreRequest } from '../../store/sqlite/round.ts';
import { migrate, schemaVersion } from '../../store/sqlite/schema.ts';
import { openSqliteStore } from '../../store/sqlite/store.ts';
import { makeStoreFile, openStoreFile, type StoreFile } from '../../store/sqlite/store-file.ts';
import { WorkerLink } from '../../store/sqlite/worker-link.ts';
import {
  batch,
  claimFresh,
  documentRow,
  epochOf,
  record,
  shard,
  stateRow,
  tick,
} from '../conformance/rows.ts';

async function newFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tocsin-sqlite-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function newStore(t: Test, folder: string): Promise<Store> {
  const store = await openSqliteStore({ folder, reserveBytes: 0 });
  t.teardown(() => store.close());
  return store;
}

let nextId = 1;
function ask<Name extends OperationName>(
  name: Name,
  ...args: Parameters<StoreOperations[Name]>
): StoreRequest {
  return { id: nextId++, name, args };
}

/** The value of an answer, or the code of its error. */
function outcome(answer: StoreAnswer | undefined): unknown {
  if (answer === undefined) return 'no answer';
  return 'error' in answer ? answer.error.code : answer.value;
}

/** Answers in the order of the requests. */
function round(file: StoreFile, requests: readonly StoreRequest[]): unknown[] {
  const answers = new Map(runRound(file, requests).map((answer) => [answer.id, answer]));
  return requests.map((request) => outcome(answers.get(request.id)));
}

async function newFile(t: Test): Promise<StoreFile> {
  const file = openStoreFile({
    ...{ folder: await newFolder(t), reserveBytes: 0 },
    report: () => undefined,
  });
  t.teardown(() => file.close());
  return file;
}

t.test('folder and files are for their owner only', async (t) => {
  const folder = join(await newFolder(t), 'made', 'here');
  const store = await openSqliteStore({ folder });
  t.teardown(() => store.close());
  await claimFresh(store, 1);
  const mode = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);
  t.equal(await mode(folder), '700');
  const files = (await readdir(folder)).sort();
  t.same(files, ['reserve', 'tocsin.db', 'tocsin.db-wal']);
  for (const file of files) t.equal(await mode(join(folder, file)), '600', file);
  t.equal((await stat(join(folder, 'reserve'))).size, 16 * 1024 * 1024);
});

t.test('one at a time opens a folder; after it closes the next one may', async (t) => {
  const folder = await newFolder(t);
  const first = await newStore(t, folder);
  await claimFresh(first, 1);
  const second = openSqliteStore({ folder, reserveBytes: 0 });
  await t.rejects(second, { code: 'ST_LOCKED', message: /in use by another Tocsin process/ });
  await first.ping();
  await first.close();
  const third = await newStore(t, folder);
  t.match(await third.authority.readHead(shard(1)), { epoch: 1, owner: 'a/1' });
});

t.test('pragmas are as the contract wants them', async (t) => {
  const file = await newFile(t);
  const pragma = (name: string) => Object.values(file.db.prepare(`PRAGMA ${name}`).get())[0];
  t.equal(pragma('journal_mode'), 'wal');
  t.equal(pragma('synchronous'), 2);
  t.equal(pragma('auto_vacuum'), 2);
  t.equal(pragma('locking_mode'), 'exclusive');
  t.equal(pragma('busy_timeout'), 5000);
  t.equal(pragma('cache_size'), -65536);
});

t.test('a file that is no store, or not to be had, is refused with its reason', async (t) => {
  const bad = await newFolder(t);
  await writeFile(join(bad, 'tocsin.db'), 'x'.repeat(5000));
  await t.rejects(openSqliteStore({ folder: bad }), { code: 'ST_CORRUPT' });
  const blocked = join(await newFolder(t), 'file');
  await writeFile(blocked, '');
  await t.rejects(openSqliteStore({ folder: blocked }), { code: 'ST_OPEN_FAILED' });
  const directory = await newFolder(t);
  await mkdir(join(directory, 'tocsin.db'));
  await t.rejects(openSqliteStore({ folder: directory }), { code: 'ST_OPEN_FAILED' });
});

t.test('migrations run once, and a newer schema is left alone', async (t) => {
  const folder = await newFolder(t);
  const db = openDatabase(folder);
  t.same(migrate(db), [], 'opening ran them');
  t.equal(db.prepare('SELECT count(*) AS n FROM shard_log WHERE seq = 0').get().n, 1024);
  db.prepare('INSERT INTO schema_migrations VALUES (?, 0)').run(schemaVersion + 1);
  // A copy, as a crash leaves it: the lock on the folder itself lasts until its statements are collected.
  const copy = join(await newFolder(t), 'copy');
  await cp(folder, copy, { recursive: true });
  db.close();
  const newer = openSqliteStore({ folder: copy, reserveBytes: 0 });
  await t.rejects(newer, { code: 'ST_SCHEMA_NEWER', message: /start the newer one/ });
});

t.test(
  'a request that throws is undone alone, and reads see what stands before them',
  async (t) => {
    const file = await newFile(t);
    const claim = { seen: epochOf(0), was: '', epoch: epochOf(1), owner: 'a/1', tsBase: 1 };
    const broken = stateRow('t/b', Number.NaN, 'b');
    const answers = round(file, [
      ask('readHead', shard(1)),
      ask('claim', shard(1), claim),
      ask('putStates', shard(1), 10, [stateRow('t/a', 1, 'a'), broken]),
      ask('commit', batch(1, 5, ['refused'])),
      ask('commit', batch(1, 0, ['one'])),
      ask('putStates', shard(1), 10, [stateRow('t/c', 1, 'c')]),
      ask('readHead', shard(1)),
      ask('loadShard', shard(1)),
    ]);
    t.match(answers[0], { epoch: 0, head: 0 });
    t.same(answers[1], { applied: true });
    t.equal(answers[2], 'ST_FAILED');
    t.match(answers[3], { applied: false, head: 0 });
    t.same(answers[4], { applied: true });
    t.equal(answers[5], undefined);
    t.match(answers[6], { epoch: 1, head: 1 });
    t.match(
      answers[7],
      { states: [{ key: 't/c' }], documents: [] },
      'no half of the broken request',
    );
  },
);

t.test('a round whose COMMIT breaks is unknown for writes and did not happen here', async (t) => {
  const file = await newFile(t);
  const events: string[] = [];
  const fault = Object.assign(new Error('disk I/O error'), { sqliteCode: 10 | (4 << 8) });
  const commit = {
    run: () => {
      throw fault;
    },
  };
  const steps = { ...file.steps, commit: commit as never };
  const broken = { ...file, steps, report: (event: string) => events.push(event) };
  const put = ask('putStates', shard(1), 10, [stateRow('t/a', 1, 'a')]);
  const requests = [ask('commit', batch(1, 0, [], { epoch: epochOf(0), owner: '' })), put];
  const [read, ...writes] = runRound(broken, [ask('readHead', shard(1)), ...requests]);
  t.equal(outcome(read), 'ST_UNAVAILABLE');
  t.match(writes, [
    { error: { code: 'ST_UNKNOWN', retryable: false } },
    { error: { code: 'ST_UNKNOWN', retryable: true } },
  ]);
  t.same(events, ['store.round_failed']);
  t.match(round(file, [ask('loadShard', shard(1))]), [{ states: [] }]);
  const begin = { ...file.steps, begin: commit as never };
  t.same(round({ ...broken, steps: begin }, [put]), ['ST_UNAVAILABLE'], 'nothing was begun');
});

t.test(
  'with the disk full decisions go on in the reserve, and all again once there is room',
  async (t) => {
    const db = openDatabase(await newFolder(t));
    const limit = (pages: number) => db.exec(`PRAGMA max_page_count = ${pages}`);
    const pages = (): number => db.prepare('PRAGMA page_count').get().page_count;
    let isHeld = true;
    let hasRoom = false;
    const reserve = {
      free: () => {
        const wasHeld = isHeld;
        isHeld = false;
        limit(pages() + 40);
        return wasHeld;
      },
      fill: () => {
        isHeld ||= hasRoom;
        return isHeld;
      },
    };
    const events: string[] = [];
    const file = makeStoreFile(db, reserve, (event) => events.push(event));
    t.teardown(() => file.close());
    const owner = { epoch: epochOf(0), owner: '' };
    const put = (ts: number) =>
      ask('putStates', shard(1), ts, [stateRow(`t/e${ts}`, 1, 'x'.repeat(5000))]);
    let head = 0;
    const decide = () => ask('commit', batch(1, head, ['y'.repeat(5000)], owner));

    limit(pages() + 4);
    let answers: unknown[] = [];
    for (let ts = 1; file.room === 'ok' && ts < 100; ts++) {
      answers = round(file, [put(ts), decide(), ask('readHead', shard(1))]);
      head++;
    }
    t.equal(file.room, 'tight');
    t.same(answers.slice(0, 2), ['ST_UNAVAILABLE', { applied: true }], 'the same round, repeated');
    t.match(answers[2], { head }, 'its read too');
    t.same(events, ['store.disk_tight']);
    t.same(round(file, [put(100), ask('ping')]), ['ST_UNAVAILABLE', undefined], 'still ready');

    for (let tries = 0; file.room === 'tight' && tries < 100; tries++) {
      answers = round(file, [decide(), ask('readHead', shard(1))]);
      if (file.room === 'tight') head++;
    }
    t.equal(file.room, 'full');
    t.match(answers, ['ST_UNAVAILABLE', { head }], 'refused, and reads go on');
    t.same(round(file, [ask('ping')]), ['ST_UNAVAILABLE'], 'no longer ready');
    t.same(events, ['store.disk_tight', 'store.disk_full']);

    limit(1_000_000);
    t.same(round(file, [decide()]), [{ applied: true }]);
    t.equal(file.room, 'tight', 'a decision went through');
    hasRoom = true;
    round(file, [ask('sweep', 'pages', 0)]);
    t.equal(file.room, 'ok');
    t.same(round(file, [put(200)]), [undefined]);
    t.same(events.slice(2), ['store.disk_room']);
  },
);

t.test('the reserve is a file that is given up once and taken back', async (t) => {
  const folder = await newFolder(t);
  const reserve = diskReserve(folder, 3_000_000);
  t.equal(reserve.fill(), true);
  t.equal((await stat(join(folder, 'reserve'))).size, 3_000_000);
  t.equal(diskReserve(folder, 3_000_000).fill(), true, 'found by the next process');
  t.equal(reserve.free(), true);
  t.equal(reserve.free(), false);
  t.notOk(existsSync(join(folder, 'reserve')));
  t.equal(reserve.fill(), true);
  t.equal(diskReserve(folder, Number.MAX_SAFE_INTEGER).fill(), false, 'more than the disk has');
});

t.test(
  'what is posted in one turn is answered after it, in order, and a closed store refuses',
  async (t) => {
    const store = await openSqliteStore({ folder: await newFolder(t), reserveBytes: 0 });
    await claimFresh(store, 1);
    const commits = Array.from({ length: 3000 }, (_, n) =>
      store.shardLog.commit(batch(1, n, [`${n}`])),
    );
    const head = store.authority.readHead(shard(1));
    const closing = store.close();
    t.ok(
      (await Promise.all(commits)).every(({ applied }) => applied),
      'in order',
    );
    t.match(await head, { head: 3000 });
    await closing;
    await store.close();
    await t.rejects(store.ping(), { code: 'ST_CLOSED', retryable: false });
    await t.rejects(store.authority.readHead(shard(1)), { code: 'ST_CLOSED' });
  },
);

t.test('when the thread ends, writes are unknown, reads unavailable, and pings fail', async (t) => {
  const script = `
    import { parentPort } from 'node:worker_threads';
    parentPort.postMessage({ type: 'opened' });
    parentPort.on('message', () => { throw new Error('out of order'); });`;
  const entry = new URL(`data:text/javascript,${encodeURIComponent(script)}`);
  const events: string[] = [];
  const log = (event: string) => events.push(event);
  const logger: Logger = { debug: log, info: log, warn: log, error: log };
  const link = await WorkerLink.start({ folder: '', reserveBytes: 0 }, logger, entry);
  const outcomes = await Promise.allSettled([
    link.call('commit', batch(1, 0, ['x'])),
    link.call('putStates', shard(1), 1, [stateRow('t/a', 1, 'a')]),
    link.call('readHead', shard(1)),
  ]);
  t.match(outcomes, [
    { reason: { code: 'ST_UNKNOWN', retryable: false } },
    { reason: { code: 'ST_UNKNOWN', retryable: true } },
    { reason: { code: 'ST_UNAVAILABLE' } },
  ]);
  await t.rejects(link.call('ping'), { code: 'ST_CLOSED' });
  t.same(events, ['store.thread_ended']);
  await link.close();

  const silent = new URL('data:text/javascript,export{}');
  const none = WorkerLink.start({ folder: '', reserveBytes: 0 }, null, silent);
  await t.rejects(none, { code: 'ST_OPEN_FAILED' }, 'a thread that ends without a word');
});

const dayMs = 86_400_000;
const hourMs = 3_600_000;
const nowMs = 20_000 * dayMs;

for (const name of ['memory', 'sqlite']) {
  t.test(`${name}: a sweep takes what is past its keep and nothing else`, async (t) => {
    const store = name === 'memory' ? createMemoryStore() : await newStore(t, await newFolder(t));
    const { samples, history, states } = store;
    const read = async () => {
      const query = { shard: shard(1), key: 't/e' as never, check: 'chA' };
      const ticks = await samples.readTicks({ ...query, fromMs: 0, toMs: nowMs, limit: 9999 });
      return ticks.length;
    };
    const old = Array.from({ length: 2500 }, (_, n) => tick('mzA', nowMs - 8 * hourMs + n, 'old'));
    await samples.appendTicks([...old, tick('mzA', nowMs - 5 * hourMs, 'kept')]);
    t.equal(await read(), 2501);
    await store.sweep(nowMs);
    t.equal(await read(), 1, 'ticks: 6 h');

    const days = async (table: 'changelog' | 'alarm_history') => {
      const query = { table, partition: 't', fromMs: 0, toMs: nowMs, marker: null };
      const rows = await history.page({ ...query, reverse: false, limit: 99 });
      return rows.map((row) => (nowMs - row.atMs) / dayMs);
    };
    for (const table of ['changelog', 'alarm_history'] as const) {
      const ages = [400, 366, 364, 100, 91, 89, 1];
      await history.append(ages.map((age) => record(nowMs - age * dayMs, `${age}`, { table })));
    }
    await store.sweep(nowMs);
    t.same(await days('changelog'), [364, 100, 91, 89, 1], 'changelog: a year');
    t.same(await days('alarm_history'), [89, 1], 'alarm history: 90 days');

    const tsOf = (age: number) => (nowMs - age * dayMs) * 1000;
    const put = (age: number, body: string | null) =>
      states.putStates(shard(1), tsOf(age), [stateRow('t/a', 1, body)]);
    await put(11, null);
    await states.putDocuments(shard(1), tsOf(9), [documentRow('t/a', 'x', 1, null)]);
    await states.putStates(shard(1), tsOf(400), [stateRow('t/live', 1, 'live')]);
    await store.sweep(nowMs);
    await put(12, 'older');
    await states.putDocuments(shard(1), tsOf(12), [documentRow('t/a', 'x', 1, 'older')]);
    const loaded = await states.loadShard(shard(1));
    t.same(
      loaded.states.map((row) => row.key),
      ['t/a', 't/live'],
      'forgotten after 10 days',
    );
    t.same(loaded.documents, [], 'not before');
  });
}

t.test('ticks of two turns of an hour table do not hide each other', async (t) => {
  const { samples } = await newStore(t, await newFolder(t));
  const at = (hours: number) => nowMs + hours * hourMs;
  const series = { shard: shard(1), key: 't/e' as never, check: 'chA', zone: 'mzA' };
  // Table 0 holds hours 0 and 8; its newest is another series' tick.
  await samples.appendTicks([
    tick('mzA', at(0), 'turn 1'),
    tick('mzA', at(3), 'newest'),
    tick('mzB', at(8), 'turn 2'),
  ]);
  const [last] = await samples.lastTicks([series], 0);
  t.equal(last?.slotAtMs, at(3));
  const query = { ...series, fromMs: at(0), toMs: at(9), limit: 9 };
  t.same(
    (await samples.readTicks(query)).map((row) => row.slotAtMs),
    [at(0), at(3), at(8)],
  );
});

t.test('free pages go back to the disk once they are many', async (t) => {
  const file = await newFile(t);
  const pages = (): number => file.db.prepare('PRAGMA page_count').get().page_count;
  const row = (n: number) => ({ ...tick('mzA', nowMs + n, ''), value: new Uint8Array(3000) });
  for (let part = 0; part < 10; part++) {
    const rows = Array.from({ length: 500 }, (_, n) => row(part * 500 + n));
    t.same(round(file, [ask('appendTicks', rows)]), [undefined]);
  }
  const before = pages();
  for (let n = 0; n < 6; n++) round(file, [ask('sweep', 'ticks', nowMs + 9 * hourMs)]);
  t.same(round(file, [ask('sweep', 'ticks', nowMs + 9 * hourMs)]), [0], 'all are gone');
  t.ok(before > 4000, `${before} pages`);
  for (let n = 0; n < 10; n++) round(file, [ask('sweep', 'pages', nowMs)]);
  t.ok(pages() < before / 2, `${pages()} of ${before} pages are left`);
});
