// The memory that main loop and heartbeat thread share: instants, the lease, the actor at work. Instants are the machine's
// monotonic microseconds, since each thread's clock has an origin of its own. One writer per cell. Must not know heartbeats.
import { monoOriginMs } from '../../runtime/clock.ts';
import type { Clock } from '../../runtime/ports.ts';
import { pulseLimits } from '../limits.ts';
import type { PulseShared } from '../pulse-engine.ts';

const cells = {
  /** Main loop: last tick. */
  mainTick: 0,
  /** Thread: until when effects are allowed. */
  leaseUntil: 1,
  /** Main loop: how often it dropped the lease; thread: how many of these it has carried out. */
  dropsWanted: 2,
  dropsDone: 3,
  /** Thread: last number of an own heartbeat. */
  seq: 4,
  /** Main loop: bytes of the key that it is at work on. */
  keyLength: 5,
  count: 6,
} as const;
const neverUs = -(2n ** 62n);

/** Returns memory for one node; both sides make their view of it. */
export function pulseMemory(): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(cells.count * 8 + pulseLimits.keyBytes);
  Atomics.store(new BigInt64Array(buffer, 0, cells.count), cells.leaseUntil, neverUs);
  return buffer;
}

/** The main loop's side. */
export interface MainSide {
  tick(): void;
  /** In the clock's monotonic ms; minus infinity where there is none, or where it was dropped. */
  leaseUntilMonoMs(): number;
  dropLease(): void;
  working(key: string | null): void;
}

/** Returns the main loop's side of the memory. Every call takes less than a microsecond. */
export function mainSide(buffer: SharedArrayBuffer, clock: Clock): MainSide {
  const numbers = new BigInt64Array(buffer, 0, cells.count);
  const key = Buffer.from(buffer, cells.count * 8);
  return {
    tick: () => {
      Atomics.store(numbers, cells.mainTick, toMachineUs(clock.monoMs()));
    },
    leaseUntilMonoMs: () => {
      const wanted = Atomics.load(numbers, cells.dropsWanted);
      if (wanted !== Atomics.load(numbers, cells.dropsDone)) return Number.NEGATIVE_INFINITY;
      return fromMachineUs(Atomics.load(numbers, cells.leaseUntil));
    },
    dropLease: () => {
      Atomics.add(numbers, cells.dropsWanted, 1n);
    },
    working: (of) => {
      Atomics.store(numbers, cells.keyLength, 0n);
      if (of === null) return;
      const length = key.write(of, 'utf8');
      Atomics.store(numbers, cells.keyLength, BigInt(length));
    },
  };
}

/** Returns the thread's side of the memory. */
export function threadSide(buffer: SharedArrayBuffer): PulseShared {
  const numbers = new BigInt64Array(buffer, 0, cells.count);
  const key = Buffer.from(buffer, cells.count * 8);
  let drops = Atomics.load(numbers, cells.dropsDone);
  return {
    mainTickMonoMs: () => fromMachineUs(Atomics.load(numbers, cells.mainTick)),
    takeDrop: () => {
      const wanted = Atomics.load(numbers, cells.dropsWanted);
      const isNew = wanted !== drops;
      drops = wanted;
      return isNew;
    },
    publishLease: (untilMonoMs) => {
      const until = Number.isFinite(untilMonoMs) ? toMachineUs(untilMonoMs) : neverUs;
      Atomics.store(numbers, cells.leaseUntil, until);
      // After the lease: the main loop must not see the old one as confirmed anew.
      Atomics.store(numbers, cells.dropsDone, drops);
    },
    working: () => {
      const length = Number(Atomics.load(numbers, cells.keyLength));
      return length === 0 ? null : Buffer.from(key.subarray(0, length)).toString('utf8');
    },
    nextSeq: () => Number(Atomics.add(numbers, cells.seq, 1n)) + 1,
  };
}

function toMachineUs(monoMs: number): bigint {
  return BigInt(Math.round((monoMs + monoOriginMs()) * 1_000));
}

function fromMachineUs(us: bigint): number {
  if (us === neverUs) return Number.NEGATIVE_INFINITY;
  return Number(us) / 1_000 - monoOriginMs();
}
