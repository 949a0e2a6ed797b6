// What an entity with one HTTP check weighs in the heap: 100,000 of them in the real catalog, each loaded from stored bytes
// and polled once over the real timer wheel, whose timers count. One JSON line. Run: node --expose-gc --import tsx bench/entities.ts
import type { ProbeAnswer, ProbeRequest } from '../actors/check/types.ts';
import { entityBehaviour } from '../actors/entity/entity.ts';
import type { LoadedActor } from '../runtime/behaviour.ts';
import { createCatalog } from '../runtime/catalog.ts';
import { systemClock, systemRandom } from '../runtime/clock.ts';
import { decodeValue, encodeValue } from '../runtime/codec.ts';
import { DocumentsCache } from '../runtime/documents.ts';
import { documentKinds } from '../runtime/effect.ts';
import { type ActorKey, actorKey, epoch } from '../runtime/ids.ts';
import { createLogger } from '../runtime/log.ts';
import { createMeter } from '../runtime/meter.ts';
import { timerWheel } from '../runtime/timers.ts';
import { report, sleep } from './rig.ts';

const count = 100_000;
const clock = systemClock();
const stamps = { metadata: null, created_at: 1_700_000_000_000, updated_at: 1_700_000_000_000 };

/** An entity as its shard's load reads it: every text its own, as decoded from the store. */
function stored(number: number): LoadedActor {
  const id = number.toString(36).padStart(8, '0');
  const entity = {
    ...{ id: `en${id}`, label: `host ${number}`, ip_addresses: { main: '127.0.0.1' } },
    ...{ agent_id: null, managed: false, uri: null, ...stamps },
  };
  const check = {
    ...{ id: `ch${id}`, type: 'remote.http', label: null },
    details: { url: `http://127.0.0.1/${number}`, method: 'GET', follow_redirects: true },
    ...{ monitoring_zones_poll: ['mzlocal'], period: 30, timeout: 5, target_alias: 'main' },
    ...{ target_hostname: null, target_resolver: null, disabled: false, ...stamps },
  };
  const document = (kind: number, doc: { id: string }) => {
    const body = decodeValue(encodeValue({ doc, madeBy: number, last: null }));
    return { kind, id: doc.id, rev: 1, body };
  };
  return {
    documents: [
      document(documentKinds.entity, entity),
      document(documentKinds.check, check),
    ] as never,
    soft: null,
    tail: [],
  };
}

let polled = 0;

/** The answer to a poll, every text and number new as it comes over IPC. */
function answerTo({ id }: ProbeRequest): ProbeAnswer {
  polled++;
  const ms = polled % 97;
  const number = (name: string, value: number, unit: string) => [name, 'I', value, unit];
  const answer = {
    ...{ id, outcome: 'observed', available: true, status: `code=200,rt=0.0${ms}s,bytes=1500` },
    ...{ startedAtMs: clock.nowMs(), durationMs: ms + 0.25, errorClass: null, debugInfo: null },
    address: '127.0.0.1',
    metrics: [
      ['code', 's', '200', 'unknown'],
      ...['duration', 'tt_connect', 'tt_firstbyte'].map((name) => number(name, ms, 'milliseconds')),
      ['bytes', 'i', 1500, 'bytes'],
      number('truncated', 0, 'bytes'),
      ...[1, 2, 3, 4, 5].map((n) => number(`code_${n}00`, n === 2 ? 1 : 0, 'unknown')),
    ],
  };
  return JSON.parse(JSON.stringify(answer)) as ProbeAnswer;
}

function catalogOf() {
  const meter = createMeter();
  const entity = entityBehaviour({
    ...{ zones: [{ id: 'mzlocal' }], minPeriodMs: 10_000, clusterName: 'bench', nodeName: 'n1' },
    ...{ supportedTypes: new Set(['remote.http']), channelTypes: new Set(), qualifiedNames: false },
  });
  const documents = new DocumentsCache();
  documents.set('acbench', 1, { plans: new Map(), notifications: new Map(), suppressions: [] });
  const timers = timerWheel({ clock, meter });
  const empty: LoadedActor = { documents: [], soft: null, tail: [] };
  return createCatalog({
    behaviourOf: () => entity,
    load: () => empty,
    reload: async () => empty,
    ports: {
      ...{ clock, meter, timers, documents, random: systemRandom() },
      logger: createLogger({ level: 'silent' }),
      decisions: { commit: async () => ({ lastSeq: 1 }) },
      softStates: { changed: () => undefined, deleted: () => undefined },
      ticks: { append: () => undefined, last: async () => [] },
      probes: {
        submit: (request, done) =>
          void setImmediate(() => done(answerTo(request as ProbeRequest) as unknown)),
      },
      mayAct: () => true,
      epochOf: () => epoch(1),
      send: () => undefined,
      publishDocuments: () => undefined,
    },
  });
}

if (global.gc === undefined) throw new Error('run with --expose-gc');
const catalog = catalogOf();
const keys: ActorKey[] = Array.from({ length: count }, (_, n) =>
  actorKey(`acbench/en${n.toString(36).padStart(8, '0')}`),
);
for (const key of keys) if (key.length === 0) throw new Error('flattened');
const heapBytes = () => {
  global.gc?.();
  return process.memoryUsage().heapUsed;
};
const before = heapBytes();
const startMs = clock.monoMs();
keys.forEach((key, number) => {
  catalog.activate(key, stored(number));
});
const loadUs = ((clock.monoMs() - startMs) * 1000) / count;
const loadedBytes = (heapBytes() - before) / count;
const cpu = process.cpuUsage();
await sleep(34_000);
const { user, system } = process.cpuUsage(cpu);
report({
  bench: 'entities',
  case: 'one HTTP check, polled',
  entities: catalog.counts().activations,
  polled,
  bytesLoaded: Math.round(loadedBytes),
  bytesEach: Math.round((heapBytes() - before) / count),
  loadUsEach: Math.round(loadUs),
  cpuUsPerPoll: Math.round((user + system) / polled),
});
process.exit(0);
