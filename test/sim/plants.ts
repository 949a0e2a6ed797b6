// Bugs to plant, as text patches on a copy of the tree, so that the product holds no switch: each must be found within 200
// seeds (reliability.md §6.1). A text that does not stand exactly once in its file stops the run.
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

interface Patch {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface Plant {
  readonly name: string;
  readonly patches: readonly Patch[];
}

const one = (name: string, file: string, find: string, replace: string): Plant => ({
  name,
  patches: [{ file, find, replace }],
});

export const plants: readonly Plant[] = [
  one(
    'commit-without-fence',
    'store/memory/shard-log.ts',
    'if (epoch !== batch.epoch || owner !== batch.owner || head !== batch.prevHead) {',
    'if (head !== batch.prevHead) {',
  ),
  one('commit-without-head', 'store/memory/shard-log.ts', '|| head !== batch.prevHead) {', ') {'),
  one(
    'timeout-is-failure',
    'cluster/commit-verdict.ts',
    "return error.code === 'ST_FAILED' ? 'impossible' : 'unknown';",
    "return error.code === 'ST_FAILED' ? 'impossible' : 'nothing';",
  ),
  one(
    'timeout-is-success',
    'cluster/commit-verdict.ts',
    "return error.code === 'ST_FAILED' ? 'impossible' : 'unknown';",
    "return error.code === 'ST_FAILED' ? 'impossible' : 'applied';",
  ),
  one(
    'answer-before-commit',
    'runtime/activation.ts',
    "if (replyWhen === 'now') replyTo.resolve(reply);",
    "if (replyWhen !== 'never' as string) replyTo.resolve(reply);",
  ),
  one(
    'page-before-commit',
    'cluster/held-shard.ts',
    '      this.#pipe.add({\n',
    '      this.#options.onRecords(rows.map((row, at) => recordOf(this.head + 1 + at, key, row)));\n      this.#pipe.add({\n',
  ),
  one(
    'outbox-not-replayed',
    'cluster/shards.ts',
    'for (const { shard, of } of loaded) resumeOutbox(options, shard, of);',
    '',
  ),
  one(
    'retry-under-new-id',
    'cluster/outbox.ts',
    'notifier.deliver(item.key, item.intent, delivery)',
    'notifier.deliver(item.key, item.attempts > 1 ? { ...item.intent, id: `${item.intent.id}${item.attempts}` } : item.intent, delivery)',
  ),
  one(
    'id-recomputed-by-new-owner',
    'cluster/shard-fold.ts',
    'open.set((body as Intent).id, { seq, key, intent: body as Intent });',
    'open.set((body as Intent).id, { seq, key, intent: { ...(body as Intent), id: `${(body as Intent).id.slice(1)}0` } });',
  ),
  one('id-without-slot', 'actors/alarm/transition.ts', '    facts.seen.slotAtMs,\n  ];', '  ];'),
  one(
    'incident-key-by-number',
    'actors/alarm/transition.ts',
    'facts.alarm.id, to.channel.id].join',
    'facts.alarm.id, facts.n, to.channel.id].join',
  ),
  one(
    'older-page-after-newer',
    'cluster/outbox-lines.ts',
    '  const first = line.items[0];\n',
    '  const first = line.items.at(-1);\n',
  ),
  one(
    'superseded-untried',
    'cluster/outbox-lines.ts',
    'line.items.length > 1 && first.attempts > 0',
    'line.items.length > 1',
  ),
  one(
    'quiet-transition-dropped',
    'actors/entity/evaluation.ts',
    '  if (made === null) return;\n  const { nowMs }',
    '  if (made === null || made.rows.length === 1) return;\n  const { nowMs }',
  ),
  {
    name: 'retried-create-makes-second',
    patches: [
      {
        file: 'actors/tenant/idempotency.ts',
        find: '  if (first === undefined) return null;\n',
        replace:
          '  if (first !== undefined) return null;\n  if (first === undefined) return null;\n',
      },
      {
        file: 'actors/entity/check-changes.ts',
        find: 'if (taken.madeBy === madeBy) return { id, isFree: false };\n',
        replace: '',
      },
    ],
  },
  one(
    'timer-lost-on-enable',
    'actors/entity/check-changes.ts',
    '  return armed(turn, { ...check, ...since });',
    '  return { ...check, ...since };',
  ),
  {
    name: 'slot-repeated-after-step-back',
    patches: [
      {
        file: 'actors/check/poll-schedule.ts',
        find: '  const slotAtMs = ran.slotAtMs + periodMs;\n',
        replace: '  const slotAtMs = slotAfter(schedule, now.nowMs);\n',
      },
      {
        file: 'actors/check/poll-schedule.ts',
        find: '  const slotAtMs = Math.max(floorMs, slotAtOrBefore(schedule, nowMs));\n',
        replace: '  const slotAtMs = slotAtOrBefore(schedule, nowMs);\n',
      },
    ],
  },
  one(
    'hours-skipped-after-step-back',
    'actors/check/poll-schedule.ts',
    'dueMonoMs: Math.max(now.monoMs + 1, regularMonoMs + error) };',
    'dueMonoMs: Math.max(now.monoMs + 1, error === 0 ? regularMonoMs : wallMonoMs) };',
  ),
  one(
    'catch-up-storm',
    'actors/check/poll-schedule.ts',
    'const passed = Math.max(0, Math.floor((now.monoMs - ran.dueMonoMs) / periodMs));',
    'const passed = 0;',
  ),
  one(
    'run-lost-by-new-owner',
    'actors/entity/soft-state.ts',
    '  return { zone, computed, confirmed, run, status, slotAtMs, cameMonoMs, cameAtMs };',
    '  return { zone, computed, confirmed, run: run * 0, status, slotAtMs, cameMonoMs, cameAtMs };',
  ),
  one(
    'silence-booked-as-ran',
    'actors/entity/polling.ts',
    'value: failedTick(why, text) });',
    "value: why === 'no-answer' ? ranTick({ id: '', outcome: 'observed', startedAtMs: slotAtMs, durationMs: 0, available: true, status: text, errorClass: null, metrics: [], address: null, debugInfo: null }) : failedTick(why, text) });",
  ),
  one(
    'quorum-of-responding-zones',
    'actors/entity/evaluation.ts',
    '    total: check.zones.length,\n',
    '    total: Math.max(1, check.zones.filter((zone) => zone.failure === null).length),\n',
  ),
  one(
    'gap-counts-as-ok',
    'actors/alarm/zones.ts',
    'if (!isFresh(zone, quorum) || leftOut(zone, quorum)) continue;',
    'if (!isFresh(zone, quorum) || leftOut(zone, quorum)) {\n      ok += 1;\n      continue;\n    }',
  ),
  one(
    'unbounded-retry',
    'cluster/outbox.ts',
    'return Math.min(Math.max(delayMs, askedMs, 0), leftMs);',
    'return Math.min(delayMs * 0 + askedMs * 0 + 100, leftMs);',
  ),
  one(
    'breaker-shared-by-receivers',
    'cluster/receiver-slots.ts',
    'const receiver = this.#receiverOf(job.receiver);',
    "const receiver = this.#receiverOf('all');",
  ),
  one(
    'deleted-document-loaded',
    'cluster/shard-fold.ts',
    '    documents.delete(place);\n    return;',
    '    return;',
  ),
  one(
    'delivery-not-marked',
    'cluster/mark-writer.ts',
    '    if (moving.ended.size === 0) this.#shards.delete(shard);\n    held.touch();',
    '    if (moving.ended.size === 0) this.#shards.delete(shard);',
  ),
  one(
    'finished-deferred-revived',
    'cluster/outbox-record.ts',
    'documents: isDeferred ? [document] : [],',
    'documents: isDeferred && attempts < 0 ? [document] : [],',
  ),
  one(
    'deferred-not-resumed',
    'cluster/shards.ts',
    'for (const one of inOrder) options.outbox.resume(shard, one, from(one.intent));',
    '',
  ),
  one(
    'phase-by-chance',
    'actors/check/poll-schedule.ts',
    "phaseMs: murmur3(Buffer.from(`${entity}/${check}`, 'utf8')) % periodMs",
    'phaseMs: Math.floor(Math.random() * periodMs)',
  ),
  one(
    'number-skipped',
    'actors/entity/evaluation.ts',
    '    n,\n    sinceMs: nowMs,',
    '    n: n + Number(n % 3 === 0),\n    sinceMs: nowMs,',
  ),
  one(
    'give-up-by-wall-clock',
    'cluster/outbox.ts',
    'const leftMs = item.firstMonoMs + outboxLimits.giveUpMs - this.#options.clock.monoMs();',
    'const leftMs = item.intent.atMs + outboxLimits.giveUpMs - this.#options.clock.nowMs();',
  ),
  one(
    'suppression-unrecorded',
    'actors/alarm/transition.ts',
    'if (suppressions.length > 0) history.push(suppressionLog(facts, names, suppressions));',
    '',
  ),
  one(
    'plan-unread',
    'actors/tenant/plan.ts',
    "    case 'WARNING':\n      return plan.warning_state;",
    "    case 'WARNING':\n      return plan.critical_state.slice(0, 1);",
  ),
];

const folders = ['runtime', 'actors', 'cluster', 'store', 'prober', 'api', 'test/sim'];

/** Returns a copy of the tree with one bug planted. Throws where it cannot be planted. */
export function plantedTree(name: string): { readonly root: string; remove(): void } {
  const plant = plants.find((known) => known.name === name);
  if (plant === undefined) throw new Error(`no plant is called ${name}`);
  const source = fileURLToPath(new URL('../../', import.meta.url));
  const root = mkdtempSync(join(tmpdir(), 'tocsin-plant-'));
  const remove = (): void => rmSync(root, { recursive: true, force: true });
  try {
    for (const folder of folders)
      cpSync(join(source, folder), join(root, folder), { recursive: true });
    for (const file of ['package.json', 'tsconfig.json'])
      cpSync(join(source, file), join(root, file));
    symlinkSync(join(source, 'node_modules'), join(root, 'node_modules'));
    for (const patch of plant.patches) applyPatch(root, name, patch);
    return { root, remove };
  } catch (error) {
    remove();
    throw error;
  }
}

function applyPatch(root: string, name: string, { file, find, replace }: Patch): void {
  const path = join(root, file);
  const text = readFileSync(path, 'utf8');
  const found = text.split(find).length - 1;
  if (found !== 1) throw new Error(`plant ${name}: its text stands ${found} times in ${file}`);
  writeFileSync(
    path,
    text.replace(find, () => replace),
  );
}
