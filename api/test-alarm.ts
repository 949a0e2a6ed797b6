// Test alarms: criteria evaluated over observations as test-check returns them; answers with the state changes.
// Counts are 1, the consistency level applies over the zones given, items are taken in their order. Small batches run here,
// large ones in the worker pool (inline-rule.ts). Must not know HTTP beyond its errors.
import { type AlarmZone, counted, decided, type Quorum } from '../actors/alarm/zones.ts';
import type { MetricType, WireMetric } from '../actors/check/types.ts';
import {
  type BatchResult,
  type BatchTask,
  evaluateBatch,
  type WireObservation,
} from '../actors/criteria/batch.ts';
import { criteriaCache, type Verdict } from '../actors/criteria/criteria.ts';
import { isInline } from '../actors/criteria/inline-rule.ts';
import type { AlarmStateName } from '../actors/resources.ts';
import type { Attributes } from './body.ts';
import { ApiError, badRequest, invalidKey, tryLater } from './errors.ts';
import type { ApiPorts } from './ports.ts';

const itemsMax = 1_000;
const criteriaCharactersMax = 16_384;

const poolTimeoutMs = 5_000;

export interface StateChange {
  readonly timestamp: number;
  readonly state: AlarmStateName;
  readonly status: string;
  /** The name of 2012. */
  readonly computed_state: AlarmStateName;
}

interface ZoneObservation extends WireObservation {
  readonly zone: string;
}

/** Returns the first computed state and each change after it. Throws 400 for bad criteria or data, 503 where the pool is full. */
export async function testAlarm(
  ports: Pick<ApiPorts, 'workers' | 'clock'>,
  body: Attributes,
): Promise<readonly StateChange[]> {
  const source = criteriaOf(body['criteria']);
  const seen = observationsOf(body['check_data'], ports.clock.nowMs());
  const verdicts = await evaluate(ports, taskOf(source, seen));
  return changesOf(source, seen, verdicts);
}

function criteriaOf(given: unknown): string | null {
  if (given === undefined) throw invalidKey('criteria', 'Missing required key (criteria)');
  if (given === null || given === '') return null;
  if (typeof given !== 'string') throw invalidKey('criteria', 'Not a string');
  if (given.length <= criteriaCharactersMax) return given;
  throw invalidKey('criteria', `String is not in range (1..${criteriaCharactersMax})`);
}

function observationsOf(given: unknown, nowMs: number): readonly ZoneObservation[] {
  if (given === undefined) throw invalidKey('check_data', 'Missing required key (check_data)');
  if (!Array.isArray(given)) throw invalidKey('check_data', 'Not an array');
  if (given.length === 0) throw invalidKey('check_data', 'At least one item is needed');
  if (given.length > itemsMax) throw invalidKey('check_data', `At most ${itemsMax} items`);
  return given.map((item: unknown, at) => observationOf(item, at, nowMs));
}

function observationOf(item: unknown, at: number, nowMs: number): ZoneObservation {
  if (typeof item !== 'object' || item === null || Array.isArray(item)) {
    throw invalidKey(`check_data.${at}`, 'Not a hash');
  }
  const fields = item as Attributes;
  const timestamp = numberOf(fields['timestamp']) ?? nowMs;
  const zone = fields['monitoring_zone_id'];
  return {
    zone: typeof zone === 'string' ? zone : '',
    slotAtMs: at,
    atMs: Math.trunc(timestamp),
    available: isTrue(fields['available']),
    status: typeof fields['status'] === 'string' ? fields['status'].slice(0, 1_024) : '',
    metrics: metricsOf(fields['metrics'], at),
  };
}

/** Anything counts as available but false, 0 and their texts. */
function isTrue(given: unknown): boolean {
  return given !== false && given !== 0 && !['false', '0', 'null'].includes(given as string);
}

function metricsOf(given: unknown, at: number): readonly WireMetric[] {
  if (given === undefined || given === null) return [];
  if (typeof given !== 'object' || Array.isArray(given)) {
    throw invalidKey(`check_data.${at}.metrics`, 'Not a hash');
  }
  return Object.entries(given).map(([name, metric]) => metricOf(name, metric));
}

/** Type letters as they come; lists of metrics say `D` and `S` where results say `n` and `s`. */
const letters: ReadonlyMap<string, MetricType> = new Map([
  ['i', 'i'],
  ['I', 'I'],
  ['l', 'l'],
  ['L', 'L'],
  ['n', 'n'],
  ['N', 'n'],
  ['d', 'n'],
  ['D', 'n'],
  ['s', 's'],
  ['S', 's'],
]);

function metricOf(name: string, given: unknown): WireMetric {
  const fields = (
    typeof given === 'object' && given !== null ? given : { data: given }
  ) as Attributes;
  const { type, data, unit } = fields as { type?: unknown; data?: unknown; unit?: unknown };
  const guessed = typeof data === 'number' ? 'n' : 's';
  const letter = typeof type === 'string' ? (letters.get(type) ?? guessed) : guessed;
  const value = letter === 's' ? null : numberOf(data);
  const unitText = typeof unit === 'string' ? unit : 'unknown';
  return value === null ? [name, 's', textOf(data), unitText] : [name, letter, value, unitText];
}

/** Numbers come as numbers, decimal texts, or (from agents) hex texts. */
function numberOf(data: unknown): number | null {
  if (typeof data === 'number') return Number.isFinite(data) ? data : null;
  if (typeof data !== 'string' || data.trim() === '' || data.length > 64) return null;
  const value = Number(data);
  return Number.isFinite(value) ? value : null;
}

function textOf(data: unknown): string {
  if (data === null || data === undefined) return '';
  return typeof data === 'object' ? JSON.stringify(data) : String(data);
}

function taskOf(source: string | null, seen: readonly ZoneObservation[]): BatchTask {
  const newest = new Map<string, WireObservation>();
  const items = seen.map(({ zone, ...observation }) => {
    const previous = newest.get(zone) ?? null;
    newest.set(zone, observation);
    return { observation, previous };
  });
  return { source, items };
}

async function evaluate(
  ports: Pick<ApiPorts, 'workers'>,
  task: BatchTask,
): Promise<readonly Verdict[]> {
  const result =
    ports.workers === null || isInline(task)
      ? evaluateBatch(task)
      : await inPool(ports.workers, task);
  if (result.kind === 'verdicts') return result.verdicts;
  const { message, position, line, column, token } = result.refusal;
  throw new ApiError('alarmParseError', 'Alarm criteria could not be parsed', {
    details: {
      input: task.source ?? '',
      error_position: position,
      error_line: line,
      error_column: column,
      error_token: token,
      message,
    },
  });
}

async function inPool(
  workers: NonNullable<ApiPorts['workers']>,
  task: BatchTask,
): Promise<BatchResult> {
  try {
    return await workers.run<BatchTask, BatchResult>(task, { timeoutMs: poolTimeoutMs });
  } catch (cause) {
    throw tryLater('The evaluation took too long or the node is busy', 2, cause);
  }
}

function changesOf(
  source: string | null,
  seen: readonly ZoneObservation[],
  verdicts: readonly Verdict[],
): readonly StateChange[] {
  const quorum: Quorum = {
    level: criteriaCache.get(source).settings.consistencyLevel,
    total: new Set(seen.map((item) => item.zone)).size,
    down: new Set(),
    ageLimitMs: Number.POSITIVE_INFINITY,
    monoMs: 0,
  };
  const zones = new Map<string, AlarmZone>();
  const changes: StateChange[] = [];
  let state: AlarmStateName = 'UNKNOWN';
  seen.forEach((item, at) => {
    const verdict = verdicts[at];
    if (verdict === undefined) throw badRequest('An observation could not be evaluated');
    const arrived = zoneAfter(zones.get(item.zone) ?? null, item, verdict);
    zones.set(item.zone, arrived);
    const next = decided([...zones.values()], arrived, quorum, state);
    if (next === state) return;
    state = next;
    changes.push({ timestamp: item.atMs, state, status: verdict.status, computed_state: state });
  });
  return changes;
}

function zoneAfter(before: AlarmZone | null, item: ZoneObservation, verdict: Verdict): AlarmZone {
  const { zone, slotAtMs } = item;
  const { state, status } = verdict;
  return counted(before, { zone, state, status, slotAtMs, cameMonoMs: 0, cameAtMs: 0 }, 1);
}
