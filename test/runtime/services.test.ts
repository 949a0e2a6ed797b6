// The services around the actors: lifecycle, queues, worker threads, metrics, log, clock, small structures.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import { systemClock, systemRandom } from '../../runtime/clock.ts';
import { TocsinError } from '../../runtime/errors.ts';
import { lifecycle, type Stage } from '../../runtime/lifecycle.ts';
import { meterLimits } from '../../runtime/limits.ts';
import { createLogger } from '../../runtime/log.ts';
import { createMeter } from '../../runtime/meter.ts';
import { Ring } from '../../runtime/ring.ts';
import { afterFailure, backOffMs, type Failures, noFailures } from '../../runtime/supervisor.ts';
import { cargoQueue, workQueue } from '../../runtime/work-queue.ts';
import { workerPool } from '../../runtime/workers.ts';
import { settle, TestClock } from '../clock.ts';

const logger = createLogger({ level: 'silent' });

/** A stage that writes down what happens to it. */
function stage(name: string, seen: string[], more: Partial<Stage> = {}): Stage {
  return {
    name,
    start: () => {
      seen.push(`+${name}`);
    },
    stop: async () => {
      seen.push(`-${name}`);
    },
    ...more,
  };
}

const never = () => new Promise<void>(() => undefined);

t.test('stages start in order and stop in reverse, once', async (t) => {
  const seen: string[] = [];
  const clock = new TestClock();
  const life = lifecycle([stage('store', seen), stage('actors', seen), stage('api', seen)], {
    clock,
    logger,
  });
  await life.start();
  await Promise.all([life.stop(), life.stop()]);
  t.strictSame(seen, ['+store', '+actors', '+api', '-api', '-actors', '-store']);
  t.equal(clock.pending, 0);
});

t.test('a failed start stops what had started, and is what the caller hears', async (t) => {
  const seen: string[] = [];
  const clock = new TestClock();
  const broken = stage('actors', seen, {
    start: () => {
      throw new Error('no shards');
    },
  });
  const life = lifecycle([stage('store', seen), broken, stage('api', seen)], { clock, logger });
  await t.rejects(life.start(), { message: 'no shards' });
  t.strictSame(seen, ['+store', '-store']);
});

t.test('a stage past its deadline is named, and undone if it starts after all', async (t) => {
  const seen: string[] = [];
  const clock = new TestClock();
  let finish = (): void => undefined;
  const slow = stage('actors', seen, {
    start: () =>
      new Promise<void>((resolve) => {
        finish = resolve;
      }),
    startMs: 100,
  });
  const life = lifecycle([stage('store', seen), slow], { clock, logger });
  const refused = t.rejects(life.start(), {
    code: 'RT_STAGE_DEADLINE',
    details: { what: 'start of actors', limitMs: 100 },
  });
  await clock.advance(101);
  await refused;
  t.strictSame(seen, ['+store', '-store']);
  finish();
  await settle();
  t.strictSame(seen, ['+store', '-store', '-actors']);
});

t.test('a stop that hangs or fails does not keep the others from stopping', async (t) => {
  const seen: string[] = [];
  const clock = new TestClock();
  const hanging = stage('api', seen, { stop: never, stopMs: 50 });
  const failing = stage('actors', seen, { stop: () => Promise.reject(new Error('x')) });
  const life = lifecycle([stage('store', seen), failing, hanging], { clock, logger });
  await life.start();
  const refused = t.rejects(life.stop(), { message: 'stop of api: not done in 50 ms' });
  await clock.advance(60);
  await refused;
  t.strictSame(seen, ['+store', '+actors', '+api', '-store']);
});

t.test('a stop during the start ends it after the stage under way', async (t) => {
  const seen: string[] = [];
  const clock = new TestClock();
  let finish = (): void => undefined;
  const slow = stage('actors', seen, {
    start: () =>
      new Promise<void>((resolve) => {
        finish = resolve;
      }),
  });
  const life = lifecycle([stage('store', seen), slow, stage('api', seen)], { clock, logger });
  const refused = t.rejects(life.start(), { code: 'RT_NOT_READY' });
  await settle();
  const stopped = life.stop();
  finish();
  await Promise.all([refused, stopped]);
  t.strictSame(seen, ['+store', '-actors', '-store']);
});

t.test(
  'a work queue runs n at a time in order, refuses what is too much, and drains',
  async (t) => {
    const meter = createMeter();
    const running: number[] = [];
    const finish: (() => void)[] = [];
    const queue = workQueue<number, number>(
      { name: 'dispatch', concurrency: 2, lengthMax: 2, meter },
      async (task) => {
        running.push(task);
        await new Promise<void>((resolve) => finish.push(resolve));
        if (task === 3) throw new Error('three');
        return task * 10;
      },
    );
    await queue.drain();
    const first = [queue.push(1), queue.push(2)];
    await settle();
    const second = [queue.push(3), queue.push(4)];
    await t.rejects(queue.push(5), { code: 'RT_QUEUE_FULL', retryable: true });
    t.equal(meter.counted('queue_refused', 'dispatch'), 1);
    t.same([queue.length, queue.running, running], [2, 2, [1, 2]]);
    const drained = queue.drain();
    const failed = t.rejects(second[0] as Promise<number>, { message: 'three' });
    for (let turn = 0; turn < 4; turn++) {
      for (const end of finish.splice(0)) end();
      await settle();
    }
    t.strictSame(await Promise.all([...first, second[1]]), [10, 20, 40]);
    await failed;
    await drained;
    t.strictSame(running, [1, 2, 3, 4]);
    await queue.drain();
  },
);

t.test('a cargo queue works in batches of what came meanwhile', async (t) => {
  const batches: (readonly number[])[] = [];
  let isBroken = false;
  const queue = cargoQueue<number>({ name: 'ticks', lengthMax: 10, batchMax: 3 }, async (batch) => {
    batches.push([...batch]);
    await settle(1);
    if (isBroken) throw new Error('store');
  });
  await Promise.all([1, 2, 3, 4].map((task) => queue.push(task)));
  t.strictSame(batches, [[1, 2, 3], [4]]);
  isBroken = true;
  const both = await Promise.allSettled([queue.push(5), queue.push(6)]);
  t.strictSame(
    both.map((result) => result.status),
    ['rejected', 'rejected'],
  );
  isBroken = false;
  await queue.push(7);
  await queue.drain();
  t.equal(queue.length, 0);
});

t.test('worker threads compute, report errors, and are killed past their time', async (t) => {
  const folder = t.testdir();
  const file = join(folder, 'entry.mjs');
  writeFileSync(
    file,
    `export default (task) => {
      if (task.spin) for (;;);
      if (task.fail) throw new Error('bad task');
      return task.n * 2;
    };`,
  );
  const pool = workerPool({ filename: pathToFileURL(file).href, threads: 1, queueLengthMax: 1 });
  t.teardown(() => pool.close());
  t.equal(pool.saturation(), 0, 'nothing runs yet');
  t.equal(await pool.run({ n: 21 }, { timeoutMs: 20_000 }), 42);
  await t.rejects(pool.run({ fail: true }, { timeoutMs: 20_000 }), { message: 'bad task' });
  await t.rejects(pool.run({ spin: true }, { timeoutMs: 100 }), { code: 'RT_DEADLINE' });
  t.equal(await pool.run({ n: 1 }, { timeoutMs: 20_000 }), 2, 'a new thread has taken its place');
  const abort = new AbortController();
  const spinning = pool.run({ spin: true }, { timeoutMs: 20_000, signal: abort.signal });
  const aborted = t.rejects(spinning, { message: 'enough' });
  const waiting = pool.run({ n: 2 }, { timeoutMs: 20_000 });
  await t.rejects(pool.run({ n: 3 }, { timeoutMs: 20_000 }), { code: 'RT_QUEUE_FULL' });
  t.equal(pool.saturation(), 1);
  abort.abort(new Error('enough'));
  await aborted;
  t.equal(await waiting, 4);
  await pool.close();
  await t.rejects(pool.run({ n: 1 }, { timeoutMs: 100 }), { code: 'RT_QUEUE_FULL' });
});

t.test('counters and gauges are shown in the Prometheus format, labels bounded', async (t) => {
  const meter = createMeter();
  meter.count('slots_ran', 2, 'mzlocal');
  meter.count('slots_ran', 1);
  meter.gauge('activations', () => 7);
  meter.gauge('activations', () => 8);
  const text = await meter.text();
  t.match(text, 'tocsin_slots_ran_total{kind="mzlocal"} 2\n');
  t.match(text, 'tocsin_slots_ran_total 1\n');
  t.match(text, 'tocsin_activations 8\n');
  t.match(await meter.text(), 'tocsin_slots_ran_total 1\n', 'reading counts nothing twice');
  t.equal(meter.counted('slots_ran'), 3);
  t.equal(meter.counted('never'), 0);
  for (let n = 0; n < meterLimits.labels + 5; n++) meter.count('labels', 1, `l${n}`);
  t.equal(meter.counted('labels', 'other'), 5);
  t.throws(() => meter.count('Bad-Name', 1), /a metric has a name/);
  const own = createMeter({ processMetrics: true });
  t.match(await own.text(), 'tocsin_nodejs_eventloop_lag_p99_seconds');
});

t.test('a log line is one JSON line without secrets', (t) => {
  const lines: string[] = [];
  const log = createLogger({
    level: 'info',
    node: 'n1',
    destination: { write: (line) => lines.push(line) },
  });
  log.debug('nothing');
  log.info('user.created', { key: 'acme', apiKey: 'k1', user: { password: 'p1', name: 'x' } });
  log.error('broken', { code: 'RT_DECODE' });
  log.warn('bare');
  t.equal(lines.length, 3);
  t.match(JSON.parse(lines[0] ?? ''), {
    level: 'info',
    event: 'user.created',
    node: 'n1',
    key: 'acme',
    apiKey: '[removed]',
    user: { password: '[removed]', name: 'x' },
  });
  t.notMatch(lines.join(''), /k1|p1/);
  t.end();
});

t.test(
  'back-off doubles from 0.2 to 30 s, and a sixth failure in a minute is one too many',
  (t) => {
    const table: [attempt: number, random: number, ms: number][] = [
      [1, 0.5, 200],
      [1, 0, 150],
      [2, 0.5, 400],
      [6, 0.5, 6400],
      [9, 0.5, 30_000],
      [1000, 1, 30_000],
    ];
    for (const [attempt, random, ms] of table) t.equal(backOffMs(attempt, random), ms);
    const verdicts = (everyMs: number): string[] => {
      let failures: Failures = noFailures;
      return Array.from({ length: 6 }, (_, n) => {
        const after = afterFailure(failures, n * everyMs, 0.5);
        failures = after.failures;
        return after.verdict.type;
      });
    };
    t.equal(verdicts(11_000).at(-1), 'quarantine');
    t.strictSame(new Set(verdicts(12_001)), new Set(['restart']));
    t.equal(
      afterFailure([0, 59_999], 60_000, 0.5).failures.length,
      2,
      'what is a minute old is over',
    );
    t.end();
  },
);

t.test('a ring keeps order over growth and wrap, and gives its memory back', (t) => {
  const ring = new Ring<number>();
  const model: number[] = [];
  let next = 0;
  for (let round = 0; round < 50; round++) {
    for (let n = 0; n < round; n++) {
      ring.push(next);
      model.push(next++);
    }
    for (let n = 0; n < round / 2; n++) t.equal(ring.shift(), model.shift());
    t.equal(ring.peek(), model[0]);
  }
  while (model.length > 0) if (ring.shift() !== model.shift()) t.fail('order');
  t.same([ring.length, ring.shift(), ring.peek()], [0, undefined, undefined]);
  t.end();
});

t.test('the system clock schedules never early, and can take it back', async (t) => {
  const clock = systemClock();
  t.ok(Math.abs(clock.nowMs() - Date.now()) < 1000);
  let isCancelledRun = false;
  const cancel = clock.schedule(clock.monoMs() + 1, () => {
    isCancelledRun = true;
  });
  cancel();
  const due = clock.monoMs() + 5.5;
  await new Promise<void>((resolve) => clock.schedule(due, resolve));
  t.ok(clock.monoMs() >= due);
  t.equal(isCancelledRun, false);
  const random = systemRandom();
  t.equal(random.bytes(16).length, 16);
  t.notSame(random.bytes(16), random.bytes(16));
  t.ok(random.next() >= 0 && random.next() < 1);
});

t.test('an error of the project keeps code, cause and details', (t) => {
  const cause = new Error('disk');
  const error = new TocsinError('RT_DECODE', 'x', { cause, details: { at: 1 } });
  t.match(error, { name: 'TocsinError', code: 'RT_DECODE', retryable: false, cause });
  t.end();
});
