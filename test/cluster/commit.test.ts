// Group commit: order, batching, the fence, and every way in which a store can be unclear about a batch.
import t from 'tap';
import { verdictOfError, verdictOfHead, verdictOfOutcome } from '../../cluster/commit-verdict.ts';
import { confirmedLease } from '../../cluster/lease.ts';
import { TocsinError } from '../../runtime/errors.ts';
import { type ActorKey, epoch, shardId, shardOf } from '../../runtime/ids.ts';
import type { CommitBatch, HistoryRecord } from '../../runtime/ports.ts';
import { settle } from '../clock.ts';
import { alice, configRow, transitionRow, World } from './world.ts';

const shard = shardOf(alice);
const batchOf = (args: readonly unknown[]): CommitBatch => args[0] as CommitBatch;
const hasRows = (args: readonly unknown[]): boolean => batchOf(args).rows.length > 0;

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  return error instanceof TocsinError ? error.code : String(error);
}

async function seqs(world: World): Promise<number[]> {
  return (await world.store.shardLog.readTail(shard, 0)).map((row) => row.seq);
}

t.test('an answer, a refusal and an error each mean one thing', (t) => {
  const batch = { epoch: epoch(3), owner: 'n/i', prevHead: 7, rows: [{}, {}] as never };
  const at = (head: number, of: Partial<{ epoch: number; owner: string }> = {}) => ({
    epoch: epoch(of.epoch ?? 3),
    owner: of.owner ?? 'n/i',
    head,
  });
  t.equal(verdictOfHead(at(9), batch), 'applied');
  t.equal(verdictOfHead(at(7), batch), 'again');
  t.equal(verdictOfHead(at(8), batch), 'lost', 'somebody else writes under my name');
  t.equal(verdictOfHead(at(9, { epoch: 4 }), batch), 'lost');
  t.equal(verdictOfHead(at(9, { owner: 'n/j' }), batch), 'lost');
  t.equal(verdictOfHead(at(7), { ...batch, rows: [] }), 'again', 'marks alone leave no trace');
  t.equal(verdictOfOutcome({ applied: true }, batch, false), 'applied');
  t.equal(verdictOfOutcome({ applied: false, ...at(9) }, batch, true), 'applied');
  t.equal(verdictOfOutcome({ applied: false, ...at(9) }, batch, false), 'lost');
  t.equal(verdictOfOutcome({ applied: false, ...at(7) }, batch, false), 'unknown');
  t.equal(verdictOfError(new TocsinError('ST_UNAVAILABLE', '')), 'nothing');
  t.equal(verdictOfError(new TocsinError('ST_UNKNOWN', '')), 'unknown');
  t.equal(verdictOfError(new TocsinError('ST_FAILED', '')), 'impossible');
  t.equal(verdictOfError(new Error('socket')), 'unknown', 'whatever is not surely harmless');
  t.end();
});

t.test('commits of one turn leave in one batch, in call order, and are projected', async (t) => {
  const world = new World();
  const host = world.host();
  await world.start(host);
  const batches: number[] = [];
  world.after = (name, args) => name === 'commit' && batches.push(batchOf(args).rows.length);
  const published: HistoryRecord[] = [];
  host.events.subscribe('t1', (record) => published.push(record));
  const calls = [1, 2, 3].map((n) => host.decisions.commit(alice, [transitionRow(n, 1000 + n)]));
  const answers = await world.run(Promise.all(calls));
  t.same(batches, [3]);
  t.same(
    answers.map((answer) => answer.lastSeq),
    [1, 2, 3],
  );
  t.same(
    published.map((record) => record.seq),
    [1, 2, 3],
    'live streams hear of it in order',
  );
  const page = { table: 'changelog', partition: 't1', fromMs: 0, toMs: 9999 } as const;
  const rows = await world.store.history.page({ ...page, marker: null, reverse: false, limit: 9 });
  t.equal(rows.length, 3, 'and find it in the history then');
});

t.test('one batch is in flight per shard; the next takes all that gathered', async (t) => {
  const world = new World();
  const host = world.host();
  await world.start(host);
  let release = (): void => undefined;
  const sizes: number[] = [];
  let underWay = 0;
  world.fault = (name, args) => {
    if (name !== 'commit') return undefined;
    sizes.push(batchOf(args).rows.length);
    t.equal(++underWay, 1);
    return new Promise<undefined>((resolve) => {
      release = () => {
        underWay--;
        resolve(undefined);
      };
    });
  };
  const done: number[] = [];
  const commit = (n: number): Promise<unknown> =>
    host.decisions.commit(alice, [transitionRow(n, n)]).then(() => done.push(n));
  const all = [commit(1)];
  await settle();
  for (let n = 2; n <= 301; n++) all.push(commit(n));
  await settle();
  t.same(sizes, [1]);
  release();
  await settle();
  t.same(sizes, [1, 256], 'at most 256 rows');
  t.same(done, [1]);
  release();
  await settle();
  release();
  await world.run(Promise.all(all));
  t.same(sizes, [1, 256, 44]);
  t.same(
    done,
    Array.from({ length: 301 }, (_, at) => at + 1),
  );
});

t.test('a batch stays under 64 KB, and a single call is never torn', async (t) => {
  const world = new World();
  const host = world.host();
  await world.start(host);
  const sizes: number[] = [];
  world.after = (name, args) =>
    name === 'commit' && hasRows(args) && sizes.push(batchOf(args).rows.length);
  const large = (bytes: number) => configRow('c', 1, 'x'.repeat(bytes));
  const calls = [
    host.decisions.commit(alice, [large(30_000)]),
    host.decisions.commit(alice, [large(30_000)]),
    host.decisions.commit(alice, [large(30_000)]),
    host.decisions.commit(alice, [large(40_000), large(40_000)]),
  ];
  await world.run(Promise.all(calls));
  t.same(sizes, [2, 1, 2]);
  const tooMany = Array.from({ length: 257 }, (_, n) => transitionRow(n, n));
  t.equal(await codeOf(host.decisions.commit(alice, tooMany)), 'RT_COMMIT_FAILED');
  t.equal(await codeOf(host.decisions.commit(alice, [configRow('c', 1, new Map())])), 'RT_DECODE');
});

for (const fault of ['unknown', 'unknownApplied'] as const) {
  t.test(`an ${fault} outcome is read, then decided: no row twice, none lost`, async (t) => {
    const world = new World();
    const host = world.host();
    await world.start(host);
    const names: string[] = [];
    let faults = 3;
    world.fault = (name, args) => {
      if (name === 'commit' || name === 'readHead') names.push(name);
      if (name === 'readHead' && faults === 2) {
        faults--;
        return 'unavailable';
      }
      if (name !== 'commit' || !hasRows(args) || faults === 0) return undefined;
      faults--;
      return fault;
    };
    const calls = [1, 2].map((n) => host.decisions.commit(alice, [transitionRow(n, n)]));
    await world.run(Promise.all(calls));
    await world.run(host.decisions.commit(alice, [transitionRow(3, 3)]));
    t.same(await seqs(world), [1, 2, 3]);
    t.same(names.slice(0, 3), ['commit', 'readHead', 'readHead'], 'never sent blind');
    t.same(world.lost, []);
    t.ok((world.counts.get('commits_in_doubt') ?? 0) >= 1);
  });
}

t.test('an unknown batch that is applied late is found when its retry is refused', async (t) => {
  const world = new World();
  const host = world.host();
  await world.start(host);
  let late: CommitBatch | null = null;
  let heads = 0;
  world.fault = (name, args) => {
    if (name === 'commit' && hasRows(args) && late === null) {
      late = batchOf(args);
      return 'unknown';
    }
    return undefined;
  };
  world.after = (name) => {
    if (name !== 'readHead' || late === null || heads++ > 0) return;
    // Right behind the read that showed the old head.
    void world.store.shardLog.commit(late);
  };
  const { lastSeq } = await world.run(host.decisions.commit(alice, [transitionRow(1, 1)]));
  t.equal(lastSeq, 1);
  t.same(await seqs(world), [1]);
  t.same(world.lost, []);
});

t.test('a store that does not answer is an unknown outcome too', async (t) => {
  const world = new World();
  const host = world.host();
  await world.start(host);
  let isFirst = true;
  world.fault = (name, args) => {
    if (name !== 'commit' || !hasRows(args) || !isFirst) return undefined;
    isFirst = false;
    return new Promise<undefined>(() => undefined);
  };
  await world.run(host.decisions.commit(alice, [transitionRow(1, 1)]), 100);
  t.same(await seqs(world), [1]);
});

t.test('while a batch is in doubt nothing is refused; it ends as applied or lost', async (t) => {
  const world = new World();
  const host = world.host();
  await world.start(host);
  let isDown = true;
  world.fault = (name) => {
    if (!isDown || (name !== 'commit' && name !== 'readHead')) return undefined;
    return name === 'commit' ? 'unknownApplied' : 'unavailable';
  };
  const settled: string[] = [];
  const calls = [1, 2].map((n) =>
    host.decisions.commit(alice, [transitionRow(n, n)]).then(() => settled.push('applied')),
  );
  await world.clock.advance(0);
  calls.push(host.decisions.commit(alice, [transitionRow(3, 3)]).then(() => settled.push('later')));
  await world.clock.advance(60_000);
  t.same(settled, []);
  t.equal(host.stats().shardsInDoubt, 1);
  isDown = false;
  await world.run(Promise.all(calls));
  t.same(settled, ['applied', 'applied', 'later']);
  t.same(await seqs(world), [1, 2, 3]);
});

t.test('a store that is away for 10 s: the waiting are told, nothing is half done', async (t) => {
  const world = new World();
  const host = world.host();
  await world.start(host);
  let isDown = true;
  world.fault = (name) => (isDown && name === 'commit' ? 'unavailable' : undefined);
  const first = codeOf(host.decisions.commit(alice, [transitionRow(1, 1)]));
  await world.clock.advance(5_000);
  const second = codeOf(host.decisions.commit(alice, [transitionRow(2, 2)]));
  await world.clock.advance(4_000);
  isDown = false;
  t.equal(await world.run(first), 'null', 'a short absence is waited for');
  t.equal(await world.run(second), 'null');
  isDown = true;
  const startedMonoMs = world.clock.monoMs();
  const codes = await world.run(
    Promise.all([3, 4].map((n) => codeOf(host.decisions.commit(alice, [transitionRow(n, n)])))),
  );
  t.same(codes, ['RT_COMMIT_FAILED', 'RT_COMMIT_FAILED']);
  t.ok(world.clock.monoMs() - startedMonoMs < 12_000);
  isDown = false;
  await world.run(host.decisions.commit(alice, [transitionRow(5, 5)]));
  t.same(await seqs(world), [1, 2, 3], 'the next commit goes on without a gap');
});

t.test('a zombie is refused, loses that shard alone, and is told once', async (t) => {
  const world = new World();
  const zombie = world.host();
  await world.start(zombie);
  await world.run(zombie.decisions.commit(alice, [transitionRow(1, 1)]));
  const other = world.host({ incarnation: 'other' });
  await world.start(other);
  const codes = await world.run(
    Promise.all([2, 3].map((n) => codeOf(zombie.decisions.commit(alice, [transitionRow(n, n)])))),
  );
  t.same(codes, ['RT_NOT_OWNER', 'RT_NOT_OWNER']);
  t.same(world.lost, [shard]);
  t.equal(zombie.mayAct(alice), false);
  t.equal(zombie.directory.lookup(shard), null);
  t.equal(zombie.stats().shardsHeld, 1023, 'a refusal takes one shard');
  t.equal(await codeOf(zombie.decisions.commit(alice, [transitionRow(4, 4)])), 'RT_NOT_OWNER');
  await world.run(other.decisions.commit(alice, [transitionRow(2, 2)]));
  t.same(await seqs(world), [1, 2]);
  t.match(other.directory.lookup(shard), { node: 'n1', local: true, epoch: 2 });
});

t.test('an unknown batch of a zombie that did not apply is lost, not repeated', async (t) => {
  const world = new World();
  const zombie = world.host();
  await world.start(zombie);
  let held: (() => void) | null = null;
  world.fault = (name, args) => {
    if (name === 'commit' && hasRows(args) && batchOf(args).epoch === 1) return 'unknown';
    if (name === 'readHead' && held === null && world.counts.has('commits_in_doubt')) {
      return new Promise<undefined>((resolve) => {
        held = () => resolve(undefined);
      });
    }
    return undefined;
  };
  const code = codeOf(zombie.decisions.commit(alice, [transitionRow(1, 1)]));
  await world.clock.advance(100);
  const other = world.host({ incarnation: 'other' });
  await world.start(other);
  (held as unknown as () => void)();
  t.equal(await world.run(code), 'RT_NOT_OWNER');
  t.same(await seqs(world), []);
});

t.test(
  'a projection that fails is awaited 2 s, then acknowledged and finished later',
  async (t) => {
    const world = new World();
    const host = world.host();
    await world.start(host);
    let isDown = true;
    const stamps: number[] = [];
    world.fault = (name, args) => {
      if (name === 'putDocuments') stamps.push(args[1] as number);
      return isDown && name === 'putDocuments' ? 'unavailable' : undefined;
    };
    const startedMonoMs = world.clock.monoMs();
    await world.run(host.decisions.commit(alice, [configRow('ch1', 1)]));
    const tookMs = world.clock.monoMs() - startedMonoMs;
    t.ok(tookMs >= 2000 && tookMs < 2100, `${tookMs} ms`);
    t.equal(world.counts.get('projections_late'), 1);
    t.equal((await world.store.states.loadShard(shard)).documents.length, 0);
    void host.decisions.commit(alice, [transitionRow(1, 1), configRow('ch1', 2)]);
    await world.clock.advance(1000);
    host.softStates.changed(alice, true, () => ({ seq: 3, body: {} }));
    await world.clock.advance(700_000);
    t.equal((await world.store.authority.readHead(shard)).snap, 0, 'snap waits for it');
    isDown = false;
    await world.clock.advance(10_000);
    const { documents } = await world.store.states.loadShard(shard);
    t.same(
      documents.map((document) => document.rev),
      [2],
      'in order: the newer one stays',
    );
    t.equal(new Set(stamps.slice(0, -1)).size, 1, 'a retry sends the same timestamp');
    t.equal(host.stats().projectionsWaiting, 0);
  },
);

t.test(
  'snap waits for projections, soft state and 10 minutes of CONFIG rows; then rows are trimmed',
  async (t) => {
    const world = new World();
    const host = world.host();
    await world.start(host);
    const head = () => world.store.authority.readHead(shard);
    const transition = async (n: number): Promise<number> =>
      (await world.run(host.decisions.commit(alice, [transitionRow(n, n)]))).lastSeq;
    await transition(1);
    await world.clock.advance(70_000);
    await transition(2);
    t.equal((await head()).snap, 0, 'no soft state holds the row');
    host.softStates.changed(alice, true, () => ({ seq: 1, body: { n: 1 } }));
    await world.clock.advance(300);
    await transition(3);
    t.equal((await head()).snap, 1, 'a soft state up to row 1 does');
    await world.run(host.decisions.commit(alice, [configRow('ch1', 1)]));
    host.softStates.changed(alice, true, () => ({ seq: 4, body: { n: 3 } }));
    await world.clock.advance(100_000);
    t.equal((await head()).snap, 3, 'the mark is written alone after a while');
    await world.clock.advance(600_000);
    t.equal((await head()).snap, 4, 'a CONFIG row stays 10 minutes');
    t.same(await seqs(world), [1, 2, 3, 4]);
    let lastSeq = 4;
    for (let n = 0; n < 1100; n += 50) {
      const many = Array.from({ length: 50 }, (_, at) => transitionRow(n + at, n));
      lastSeq = (await world.run(host.decisions.commit(alice, many))).lastSeq;
    }
    host.softStates.changed(alice, true, () => ({ seq: lastSeq, body: {} }));
    await world.clock.advance(100_000);
    t.ok((await seqs(world)).length < 100, 'a thousand rows below both marks are gone');
    const reloaded = await world.start(world.host());
    t.same(reloaded.get(alice)?.tail, []);
    t.equal(reloaded.get(alice)?.soft?.seq, lastSeq);
  },
);

t.test('actors without soft state do not hold snap back where the node says so', async (t) => {
  const world = new World();
  const host = world.host({ keepsSoftState: (key: ActorKey) => key !== alice });
  await world.start(host);
  await world.run(host.decisions.commit(alice, [transitionRow(1, 1)]));
  await world.clock.advance(100_000);
  t.equal((await world.store.authority.readHead(shard)).snap, 1);
});

t.test('a lease that is confirmed lapses by the monotonic clock', (t) => {
  const world = new World();
  const lease = confirmedLease({
    clock: world.clock,
    lengthMs: 1400,
    isHeld: (s) => s === shardId(1),
  });
  t.equal(lease.mayAct(shardId(1)), false, 'before the first confirmation');
  lease.confirm(world.clock.monoMs());
  t.equal(lease.mayAct(shardId(1)), true);
  t.equal(lease.mayAct(shardId(2)), false, 'a shard that is not held');
  world.clock.stepWall(-86_400_000);
  world.clock.freeze(1399);
  t.equal(lease.mayAct(shardId(1)), true, 'whatever the wall clock does');
  world.clock.freeze(1);
  t.equal(lease.mayAct(shardId(1)), false, 'a frozen process finds it lapsed');
  lease.confirm(world.clock.monoMs());
  lease.drop();
  t.equal(lease.mayAct(shardId(1)), false);
  t.end();
});
