// What other nodes send and what the store holds: codec, log rows, ticks.
import { compileCriteria } from '../../actors/criteria/criteria.ts';
import { decodeTick, observationOf, slotReport } from '../../actors/entity/slots.ts';
import { decodeLogRow, encodeDecision } from '../../cluster/log-record.ts';
import {
  decodeFrame,
  decodeValue,
  encodeEnvelope,
  encodeReply,
  encodeValue,
} from '../../runtime/codec.ts';
import { rowKinds } from '../../runtime/effect.ts';
import { TocsinError } from '../../runtime/errors.ts';
import { actorKey } from '../../runtime/ids.ts';
import { timeId } from '../../runtime/time-id.ts';
import { bytes, type Decoder, isDecode, must, value } from './decoder.ts';

/** A mutated value as bytes; what does not encode goes as it came. */
function packed(input: unknown): Uint8Array {
  try {
    return encodeValue(input);
  } catch {
    return Buffer.from(JSON.stringify(input) ?? '');
  }
}

const sample = {
  id: 'ch1',
  list: [1, -1, 1.5, 'text', null, true, { deep: [[[]]] }],
  bytes: new Uint8Array([1, 2, 3]),
  at: 1_700_000_000_000,
};
const key = actorKey('tenant/entity');
const envelope = {
  to: key,
  message: { kind: 'entity.read', id: 'x', nested: sample },
  lane: 'user' as const,
  corr: 'c1',
  deadlineMonoMs: 1000,
};
const decision = {
  kind: rowKinds.config,
  body: sample,
  documents: [{ kind: 1, id: 'a', rev: 1, body: sample }],
  history: [{ table: 'changelog' as const, id: timeId(1, 'x'), atMs: 1, body: sample }],
  listing: { label: 'x' },
} as unknown as Parameters<typeof encodeDecision>[0];
const logParts = decodeValue(encodeDecision(decision));
const logRow = (body: Uint8Array) => decodeLogRow({ seq: 1, key, kind: rowKinds.config, body });

const ticks: readonly unknown[] = [
  [
    1,
    1_700_000_000_000,
    12.5,
    1,
    'code=200',
    null,
    'code',
    's',
    '200',
    'unknown',
    'd',
    'n',
    1,
    'ms',
  ],
  [1, 1_700_000_000_000, 12.5, 0, 'timeout', 'timeout'],
  [2, 'no-prober', 'died'],
  [3, 'coalesced', 1_700_000_060_000],
  [4, 1_700_000_060_000],
];

function readTick(input: unknown): void {
  const tick = decodeValue(packed(input));
  decodeTick(tick);
  const seen = observationOf(1_700_000_000_000, tick);
  if (seen !== null) criteria.evaluate(seen, seen);
  const schedule = {
    period_ms: 30_000,
    phase_ms: 0,
    since_ms: 1_699_999_000_000,
    disabled: false,
    zones: ['mz'],
    in_flight: [],
  } as unknown as Parameters<typeof slotReport>[1];
  const read = [{ zone: 'mz', slotAtMs: 1_700_000_010_000, value: tick }];
  const range = { fromMs: 1_700_000_000_000, toMs: 1_700_000_600_000, nowMs: 1_700_000_600_000 };
  const { sums } = slotReport(read, schedule, range);
  must(Object.values(sums).every(Number.isFinite), 'sums are numbers');
}

const criteria = compileCriteria(
  "if (metric['code'] regex '^2' && rate(metric['d']) < 5 || previous(metric['d']) > 1) { return new AlarmStatus(OK, 'd is #{d}'); }",
);

/** Decoders of stored and sent values. */
export const storedDecoders: readonly Decoder[] = [
  bytes('codec value', [encodeValue(sample), encodeValue([sample, sample])], decodeValue, isDecode),
  value('codec value, from values', [sample], (input) => decodeValue(packed(input)), isDecode),
  bytes(
    'codec frame',
    [
      encodeEnvelope(envelope, 0),
      encodeReply({ corr: 'c', ok: true, value: sample }),
      encodeReply({ corr: 'c', ok: false, error: new TocsinError('RT_DECODE', 'x') }),
    ],
    (input) => decodeFrame(input, 5),
    isDecode,
  ),
  bytes('log record', [encodeDecision(decision)], logRow, isDecode),
  value('log record, from values', [logParts], (input) => logRow(packed(input)), isDecode),
  value('tick', ticks, readTick, isDecode),
];
