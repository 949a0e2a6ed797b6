// The embedded store's rates, one JSON line per case. Run from the checkout's root:
// node --import tsx --import ./test/store/tsx-workers.js bench/store.ts [folder on the disk to measure]
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../runtime/clock.ts';
import type { RowKind } from '../runtime/effect.ts';
import type { ActorKey, Epoch, ShardId } from '../runtime/ids.ts';
import type { Store } from '../runtime/ports.ts';
import { openSqliteStore } from '../store/sqlite/store.ts';

const clock = systemClock();
const fence = { epoch: 1 as Epoch, owner: 'bench/1' };
const key = (at: number): ActorKey => `tenant/entity${at}` as ActorKey;
const body = (size: number): Uint8Array => new Uint8Array(size).fill(97);

/** Runs a case `count` operations long; prints its rate and the latency of its units. */
async function measure(
  name: string,
  count: number,
  run: (lap: (sinceMs: number) => void) => Promise<void>,
): Promise<void> {
  const laps: number[] = [];
  const startMs = clock.monoMs();
  await run((sinceMs) => laps.push(clock.monoMs() - sinceMs));
  const ms = clock.monoMs() - startMs;
  laps.sort((left, right) => left - right);
  const at = (share: number): number | null =>
    laps.length === 0
      ? null
      : Number((laps[Math.floor((laps.length - 1) * share)] ?? 0).toFixed(2));
  const line = { bench: 'store', case: name, count, ms: Math.round(ms) };
  const perSecond = Math.round((count / ms) * 1000);
  process.stdout.write(
    `${JSON.stringify({ ...line, perSecond, p50Ms: at(0.5), p99Ms: at(0.99) })}\n`,
  );
}

/** Commits of one row on one shard, one after the other. */
async function commits(store: Store, shard: ShardId, count: number, lap: (ms: number) => void) {
  const { head } = await store.authority.readHead(shard);
  for (let at = 0; at < count; at++) {
    const sinceMs = clock.monoMs();
    const row = { seq: head + at + 1, key: key(shard), kind: 1 as RowKind, body: body(300) };
    const outcome = await store.shardLog.commit({
      ...{ shard, ...fence, prevHead: head + at, rows: [row] },
      ...{ dispatched: 0, snap: 0, trimTo: 0 },
    });
    if (!outcome.applied) throw new Error('refused');
    lap(sinceMs);
  }
}

async function commitCases(store: Store): Promise<void> {
  const shards = Array.from({ length: 256 }, (_, at) => at as ShardId);
  const claim = { seen: 0 as Epoch, was: '', ...fence, tsBase: 1 };
  await Promise.all(shards.map((shard) => store.authority.claim(shard, claim)));
  await measure('commits, one shard', 1000, (lap) => commits(store, 0 as ShardId, 1000, lap));
  for (const lanes of [16, 64, 256]) {
    await measure(`commits, ${lanes} shards`, lanes * 100, async (lap) => {
      await Promise.all(shards.slice(0, lanes).map((shard) => commits(store, shard, 100, lap)));
    });
  }
}

async function tickCases(store: Store): Promise<void> {
  const series = Array.from({ length: 10_000 }, (_, at) => ({
    ...{ shard: (at % 1024) as ShardId, key: key(at), check: 'chAAAAAAAA', zone: 'mzlocal' },
  }));
  const nowMs = clock.nowMs();
  await measure('ticks, 1000 a round', 100_000, async (lap) => {
    for (let round = 0; round < 100; round++) {
      const sinceMs = clock.monoMs();
      const from = (round % 10) * 1000;
      const slotAtMs = nowMs + Math.floor(round / 10) * 10_000;
      const rows = series.slice(from, from + 1000);
      await store.samples.appendTicks(rows.map((of) => ({ ...of, slotAtMs, value: body(150) })));
      lap(sinceMs);
    }
  });
  await measure('last ticks, one call', 10_000, async () => {
    const found = await store.samples.lastTicks(series, nowMs);
    if (found.length !== series.length) throw new Error(`${found.length} found`);
  });
  await measure('last ticks, a call each', 10_000, async () => {
    await Promise.all(series.map((of) => store.samples.lastTicks([of], nowMs)));
  });
  await measure('ranges of ticks', 2000, async () => {
    const query = { fromMs: nowMs, toMs: nowMs + 3_600_000, limit: 1000 };
    await Promise.all(
      series.slice(0, 2000).map((of) => store.samples.readTicks({ ...of, ...query })),
    );
  });
}

async function stateCases(store: Store): Promise<void> {
  let ts = 0;
  await measure('soft state, a row a call', 20_000, async () => {
    const put = (at: number) => {
      ts++;
      const rows = [{ key: key(at), seq: 1, body: body(600) }];
      return store.states.putStates((at % 1024) as ShardId, ts, rows);
    };
    await Promise.all(Array.from({ length: 20_000 }, (_, at) => put(at)));
  });
  await measure('documents of 2.4 KB', 10_000, async () => {
    const put = (at: number) => {
      ts++;
      const rows = [{ key: key(at), kind: 0 as const, id: '', rev: 1, body: body(2400) }];
      return store.states.putDocuments((at % 1024) as ShardId, ts, rows);
    };
    await Promise.all(Array.from({ length: 10_000 }, (_, at) => put(at)));
  });
  await measure('entities loaded, 1024 shards', 10_000, async () => {
    const shards = Array.from({ length: 1024 }, (_, at) => at as ShardId);
    await Promise.all(shards.map((shard) => store.states.loadShard(shard)));
  });
}

const folder = await mkdtemp(join(process.argv[2] ?? tmpdir(), 'tocsin-bench-'));
const store = await openSqliteStore({ folder });
try {
  await commitCases(store);
  await tickCases(store);
  await stateCases(store);
  await measure('close', 1, () => store.close());
} finally {
  await rm(folder, { recursive: true });
}
