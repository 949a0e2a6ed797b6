// Zone results to alarm state: every row of alarm-language.md §6.1, the table of §6, and properties.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import {
  type AlarmZone,
  ageLimitMs,
  type ConsistencyLevel,
  counted,
  decided,
  type Quorum,
  zonesNeeded,
  zonesReporting,
} from '../../actors/alarm/zones.ts';
import type { AlarmStateName } from '../../actors/resources.ts';

interface GoldenRow {
  readonly id: string;
  readonly period: number;
  readonly checkType: string | null;
  readonly settings: {
    readonly consistencyLevel: ConsistencyLevel | null;
    readonly consecutiveCount: number | null;
  };
  readonly zones: readonly {
    readonly zone: string;
    readonly collector: string;
    readonly observation: {
      readonly state: AlarmStateName;
      readonly ageSeconds: number;
      readonly run: number;
    } | null;
  }[];
  readonly current: AlarmStateName;
  readonly expected: AlarmStateName;
  readonly sequence:
    | readonly {
        readonly zone: string;
        readonly atSeconds: number;
        readonly state: AlarmStateName;
        readonly expected: AlarmStateName;
      }[]
    | null;
  readonly why: string;
}

const monoMs = 10_000_000;
const golden = JSON.parse(
  readFileSync(new URL('../golden/alarm-multizone.json', import.meta.url), 'utf8'),
) as readonly GoldenRow[];

const none: ReadonlySet<string> = new Set();

function zoneOf(zone: string, state: AlarmStateName, ageMs: number, run = 1): AlarmZone {
  return {
    zone,
    computed: state,
    confirmed: state,
    run,
    status: '',
    slotAtMs: 0,
    cameMonoMs: monoMs - ageMs,
    cameAtMs: 0,
  };
}

const resultOf = (zone: string, state: AlarmStateName, cameMonoMs: number) => ({
  zone,
  state,
  status: '',
  slotAtMs: 0,
  cameMonoMs,
  cameAtMs: 0,
});

function quorumOf(row: GoldenRow): Quorum {
  const count = row.settings.consecutiveCount ?? (row.checkType === 'remote.ping' ? 3 : 1);
  return {
    level: row.settings.consistencyLevel ?? 'QUORUM',
    total: row.zones.length,
    down: new Set(row.zones.filter((zone) => zone.collector === 'DOWN').map((zone) => zone.zone)),
    ageLimitMs: ageLimitMs(count, row.period * 1000),
    monoMs,
  };
}

for (const row of golden) {
  t.test(`${row.id}: ${row.why}`, async (t) => {
    const quorum = quorumOf(row);
    if (row.sequence === null) {
      const zones = row.zones.flatMap((zone) =>
        zone.observation === null
          ? []
          : [
              zoneOf(
                zone.zone,
                zone.observation.state,
                zone.observation.ageSeconds * 1000,
                zone.observation.run,
              ),
            ],
      );
      const arrived = zones.reduce((a, b) => (b.cameMonoMs > a.cameMonoMs ? b : a));
      t.equal(decided(zones, arrived, quorum, row.current), row.expected);
      return;
    }
    const count = row.settings.consecutiveCount ?? (row.checkType === 'remote.ping' ? 3 : 1);
    let zone: AlarmZone = { ...zoneOf('A', row.current, 60_000), run: count };
    let state = row.current;
    for (const step of row.sequence) {
      const at = monoMs + step.atSeconds * 1000;
      zone = counted(zone, resultOf('A', step.state, at), count);
      state = decided([zone], zone, { ...quorum, monoMs: at }, state);
      t.equal(state, step.expected, `at ${step.atSeconds} s`);
    }
    t.equal(state, row.expected);
  });
}

t.test('ageing: the limit is 1.5 × count × period, inclusive', async (t) => {
  t.equal(ageLimitMs(1, 60_000), 90_000);
  t.equal(ageLimitMs(3, 10_000), 45_000);
  const quorum: Quorum = { level: 'QUORUM', total: 3, down: none, ageLimitMs: 90_000, monoMs };
  const arrived = zoneOf('A', 'CRITICAL', 0);
  const fresh = [arrived, zoneOf('B', 'CRITICAL', 90_000)];
  const stale = [arrived, zoneOf('B', 'CRITICAL', 90_001)];
  t.equal(decided(fresh, arrived, quorum, 'OK'), 'CRITICAL');
  t.equal(decided(stale, arrived, quorum, 'OK'), 'OK');
  t.equal(zonesReporting(stale, quorum), 1);
});

t.test('total: under QUORUM a dead zone does not lower the bar', async (t) => {
  const quorum: Quorum = {
    level: 'QUORUM',
    total: 5,
    down: new Set(['C', 'D', 'E']),
    ageLimitMs: 90_000,
    monoMs,
  };
  const arrived = zoneOf('A', 'CRITICAL', 0);
  t.equal(decided([arrived, zoneOf('B', 'CRITICAL', 1)], arrived, quorum, 'OK'), 'OK');
  t.equal(zonesNeeded(quorum), 3);
});

t.test(
  'total: under ALL a zone that is silent but not known to be down keeps the state',
  async (t) => {
    const quorum: Quorum = { level: 'ALL', total: 3, down: none, ageLimitMs: 90_000, monoMs };
    const arrived = zoneOf('A', 'CRITICAL', 0);
    t.equal(decided([arrived, zoneOf('B', 'CRITICAL', 1)], arrived, quorum, 'OK'), 'OK');
    t.equal(zonesNeeded({ level: 'ALL', total: 3, down: new Set(['C']) }), 2);
  },
);

t.test('first evaluation: UNKNOWN until the count is reached', async (t) => {
  const first = counted(null, resultOf('A', 'OK', monoMs), 2);
  t.equal(first.confirmed, 'UNKNOWN');
  const quorum: Quorum = { level: 'QUORUM', total: 1, down: none, ageLimitMs: 90_000, monoMs };
  t.equal(decided([first], first, quorum, 'UNKNOWN'), 'UNKNOWN');
  const second = counted(first, resultOf('A', 'OK', monoMs), 2);
  t.equal(decided([second], second, quorum, 'UNKNOWN'), 'OK');
  t.equal(counted(second, resultOf('A', 'OK', monoMs), 2).run, 2, 'the run stops at the count');
});

t.test('ONE: an observation that is not confirmed decides nothing', async (t) => {
  const quorum: Quorum = { level: 'ONE', total: 2, down: none, ageLimitMs: 90_000, monoMs };
  const confirmed = { ...zoneOf('A', 'OK', 10), run: 2 };
  const arrived = counted(confirmed, resultOf('A', 'CRITICAL', monoMs), 2);
  t.equal(decided([arrived, zoneOf('B', 'CRITICAL', 5)], arrived, quorum, 'CRITICAL'), 'CRITICAL');
  t.equal(decided([arrived, zoneOf('B', 'OK', 5)], arrived, quorum, 'OK'), 'OK');
});

t.test('property: a change needs as many fresh agreeing zones as the level asks for', async () => {
  const states = fc.constantFrom<AlarmStateName>('OK', 'WARNING', 'CRITICAL', 'UNKNOWN');
  const zone = fc.record({ state: states, ageMs: fc.integer({ min: 0, max: 200_000 }) });
  const property = fc.property(
    fc.constantFrom<ConsistencyLevel>('QUORUM', 'ALL'),
    fc.array(zone, { minLength: 2, maxLength: 7 }),
    states,
    (level, given, current) => {
      const zones = given.map((one, at) => zoneOf(`z${at}`, one.state, at === 0 ? 0 : one.ageMs));
      const quorum: Quorum = { level, total: zones.length, down: none, ageLimitMs: 90_000, monoMs };
      const state = decided(zones, zones[0] as AlarmZone, quorum, current);
      if (state === current) return true;
      const holders = zones.filter(
        (one) => one.confirmed === state && monoMs - one.cameMonoMs <= 90_000,
      );
      return state !== 'UNKNOWN' && holders.length >= zonesNeeded(quorum);
    },
  );
  fc.assert(property, { numRuns: 500 });
});
