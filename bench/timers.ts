// The timer wheel with 100,000 timers: starting, restarting, cancelling, memory, and how late they fire. One JSON line per
// case. Run: node --expose-gc --import tsx bench/timers.ts
import { systemClock } from '../runtime/clock.ts';
import { timerWheel } from '../runtime/timers.ts';

const clock = systemClock();
const count = 100_000;

function print(name: string, result: Record<string, number>): void {
  console.log(JSON.stringify({ bench: name, timers: count, ...result }));
}

function heapBytes(): number {
  global.gc?.();
  return process.memoryUsage().heapUsed;
}

const perUs = (startMs: number) => Math.round(((clock.monoMs() - startMs) * 1e6) / count) / 1000;

function bookkeeping(): void {
  const wheel = timerWheel({ clock });
  const owners = Array.from({ length: count }, (_, n) => `acme/e${n}`);
  const fire = (): void => undefined;
  const spreadMs = (n: number) => clock.monoMs() + 60_000 + ((n * 7919) % 60_000);
  const before = heapBytes();
  let start = clock.monoMs();
  owners.forEach((owner, n) => {
    wheel.start(owner, 'slot', spreadMs(n), fire);
  });
  const startUs = perUs(start);
  const bytesEach = Math.round((heapBytes() - before) / count);
  start = clock.monoMs();
  owners.forEach((owner, n) => {
    wheel.start(owner, 'slot', spreadMs(n + 5), fire);
  });
  const restartUs = perUs(start);
  start = clock.monoMs();
  for (const owner of owners) wheel.cancelAll(owner);
  print('timers.bookkeeping', { startUs, restartUs, cancelUs: perUs(start), bytesEach });
  wheel.stop();
}

/** 100,000 timers, each again after 10 s, as polls are: 10,000 a second for 3 s. */
async function firing(): Promise<void> {
  const wheel = timerWheel({ clock });
  const lateMs: number[] = [];
  const begin = clock.monoMs() + 500;
  const cpu = process.cpuUsage();
  for (let n = 0; n < count; n++) {
    const owner = `acme/e${n}`;
    const again = (dueMonoMs: number): void => {
      wheel.start(owner, 'slot', dueMonoMs, () => {
        lateMs.push(clock.monoMs() - dueMonoMs);
        again(dueMonoMs + 10_000);
      });
    };
    again(begin + (n * 10_000) / count);
  }
  await new Promise<void>((resolve) => clock.schedule(begin + 3000, resolve));
  wheel.stop();
  const used = process.cpuUsage(cpu);
  lateMs.sort((a, b) => a - b);
  const at = (share: number) =>
    Math.round((lateMs[Math.floor(lateMs.length * share)] ?? 0) * 1000) / 1000;
  print('timers.firing', {
    fired: lateMs.length,
    lateP50Ms: at(0.5),
    lateP99Ms: at(0.99),
    lateMaxMs: at(0.99999),
    corePercent: Math.round((used.user + used.system) / 1000 / 35),
  });
}

bookkeeping();
await firing();
