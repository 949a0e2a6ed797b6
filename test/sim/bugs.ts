// The bugs to plant, as text patches, so that the product holds no switch: the lists of reliability.md §6.1 and clustering.md
// §21.1 as far as one node alone can show them; README.md names those that wait for the cluster.
// Each text stands exactly once in its file (test/sim.test.ts), so keep them short.

export interface Patch {
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

const logFile = 'store/memory/shard-log.ts';
const statesFile = 'store/memory/states.ts';
const linesFile = 'cluster/outbox-lines.ts';
const loadFile = 'actors/entity/load.ts';
const softFile = 'actors/entity/soft-state.ts';
const pollingFile = 'actors/entity/polling.ts';
const earlyTimer = 'turn.context.monoMs < planned.dueMonoMs';
const scheduleFile = 'actors/check/poll-schedule.ts';
const zonesFile = 'actors/alarm/zones.ts';
const staleZone = 'if (!isFresh(zone, quorum) || leftOut(zone, quorum))';

export const plants: readonly Plant[] = [
  // Epoch, owner, head and marks in the store's conditions.
  one('commit-without-fence', logFile, 'epoch !== batch.epoch || owner !== batch.owner || ', ''),
  one(
    'commit-of-older-epoch',
    logFile,
    'epoch !== batch.epoch || owner !== batch.owner',
    'epoch < batch.epoch',
  ),
  one('commit-without-head', logFile, ' || head !== batch.prevHead', ''),
  one(
    'claim-by-plain-write',
    logFile,
    'row.head.epoch !== claim.seen || row.head.owner !== claim.was',
    '(false as boolean)',
  ),
  one(
    'claim-not-exact',
    logFile,
    'row.head.epoch !== claim.seen || row.head.owner !== claim.was',
    'row.head.epoch > claim.epoch',
  ),
  one(
    'timeout-is-failure',
    'cluster/commit-verdict.ts',
    "'impossible' : 'unknown'",
    "'impossible' : 'nothing'",
  ),
  one(
    'timeout-is-success',
    'cluster/commit-verdict.ts',
    "'impossible' : 'unknown'",
    "'impossible' : 'applied'",
  ),
  // What leaves before its commit, or an earlier one.
  one(
    'answer-before-commit',
    'runtime/activation.ts',
    "replyWhen === 'now'",
    "replyWhen !== ('never' as string)",
  ),
  {
    name: 'answer-before-earlier-commit',
    patches: [
      {
        file: 'runtime/activation.ts',
        find: '#reply({ reply, replyWhen }',
        replace: '#reply({ reply, replyWhen, effects }',
      },
      {
        file: 'runtime/activation.ts',
        find: "replyWhen === 'now'",
        replace: "replyWhen === 'now' || !effects.some(({ type }) => type === 'commit')",
      },
    ],
  },
  {
    name: 'page-before-commit',
    patches: [
      {
        file: 'cluster/held-shard.ts',
        find: '      this.#pipe.add({\n',
        replace:
          '      this.#options.onRecords(rows.map((row, at) => recordOf(this.head + this.waitingRows + 1 + at, key, row)));\n      this.#pipe.add({\n',
      },
      { file: 'cluster/held-shard.ts', find: 'this.#options.onRecords(records);', replace: '' },
    ],
  },
  // Outbox.
  one(
    'outbox-not-replayed',
    'cluster/shards.ts',
    ' resumeOutbox(options, shard, of);',
    ' void [shard, of];',
  ),
  one(
    'retry-under-new-id',
    'cluster/outbox.ts',
    'notifier.deliver(item.key, item.intent, delivery)',
    'notifier.deliver(item.key, item.attempts > 1 ? { ...item.intent, id: item.intent.id + item.attempts } : item.intent, delivery)',
  ),
  one(
    'id-recomputed-by-new-owner',
    'cluster/shard-fold.ts',
    '{ seq, key, intent: body as Intent });',
    '{ seq, key, intent: { ...(body as Intent), id: (body as Intent).id.slice(1) } });',
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
    linesFile,
    'const first = line.items[0];',
    'const first = line.items.at(-1);',
  ),
  one('superseded-untried', linesFile, ' && first.attempts > 0', ''),
  one(
    'newest-superseded',
    linesFile,
    "{ type: 'supersede', item: first }",
    "{ type: 'supersede', item: line.items.at(-1) as Pending }",
  ),
  one(
    'superseded-unrecorded',
    'cluster/outbox-ledger.ts',
    '() => outcomeRow(item, body, line)',
    "() => (outcome === 'superseded' ? null : outcomeRow(item, body, line))",
  ),
  one('unmarked-forgotten', 'cluster/outbox.ts', 'this.#remember(item);', ''),
  one(
    'mark-passes-open',
    'cluster/dispatch-mark.ts',
    'return this.#open.length === 0 ?',
    'return (true as boolean) ?',
  ),
  one('delivery-not-marked', 'cluster/mark-writer.ts', '    held.touch();', ''),
  one('end-before-deferral', 'cluster/outbox-ledger.ts', '    await item.deferral;\n', ''),
  one(
    'finished-deferred-revived',
    'cluster/outbox-record.ts',
    'isDeferred ? [document] : []',
    'isDeferred && attempts < 0 ? [document] : []',
  ),
  one(
    'deferred-not-resumed',
    'cluster/shards.ts',
    'if (one.seq === null) options.outbox.resume(shard, one, from(intent));',
    'if (one.seq === null) continue;',
  ),
  one(
    'deleted-alarm-notifies',
    'cluster/shards.ts',
    'outbox.withdraw({ shard, key, alarms });',
    'void key;',
  ),
  one(
    'unbounded-retry',
    'cluster/outbox.ts',
    'Math.max(delayMs, askedMs, 0)',
    '0 * Math.max(delayMs, askedMs) + 100',
  ),
  one(
    'breaker-shared-by-receivers',
    'cluster/receiver-slots.ts',
    'this.#receiverOf(job.receiver)',
    "this.#receiverOf('all')",
  ),
  one(
    'give-up-by-wall-clock',
    'cluster/outbox.ts',
    'item.firstMonoMs + outboxLimits.giveUpMs - this.#options.clock.monoMs()',
    'item.intent.atMs + outboxLimits.giveUpMs - this.#options.clock.nowMs()',
  ),
  // Transitions, plans, suppressions.
  one(
    'quiet-transition-dropped',
    'actors/entity/evaluation.ts',
    'if (made === null) return;',
    'if (made === null || made.rows.length === 1) return;',
  ),
  one(
    'number-skipped',
    'actors/entity/evaluation.ts',
    '    n,\n',
    '    n: n + Number(n % 3 === 0),\n',
  ),
  one(
    'suppression-unrecorded',
    'actors/alarm/transition.ts',
    'if (suppressions.length > 0) history.push(suppressionLog(',
    'if (suppressions.length > 9) history.push(suppressionLog(',
  ),
  one(
    'plan-unread',
    'actors/tenant/plan.ts',
    'return plan.warning_state;',
    'return plan.critical_state.slice(0, 1);',
  ),
  one(
    'documents-unpublished',
    'runtime/perform.ts',
    'ports.publishDocuments(',
    'effect.rev % 3 === 0 || ports.publishDocuments(',
  ),
  // Requests and their outcomes.
  {
    name: 'retried-create-makes-second',
    patches: [
      {
        file: 'actors/tenant/idempotency.ts',
        find: 'if (first === undefined) return null;',
        replace: 'if (first !== undefined || first === undefined) return null;',
      },
      {
        file: 'actors/entity/check-changes.ts',
        find: 'if (taken.madeBy === madeBy) return { id, isFree: false };\n',
        replace: '',
      },
    ],
  },
  one(
    'outcomes-lost-with-owner',
    loadFile,
    'recentOf(loaded, soft?.recent ?? [])',
    '[] as RecentChange[]',
  ),
  one('young-config-trimmed', 'cluster/limits.ts', 'configKeepMs: 600_000', 'configKeepMs: 0'),
  one(
    'audit-of-deletes-forgotten',
    'actors/entity/commit.ts',
    'history: [auditRecord(turn, accepted)]',
    "history: accepted.kind.endsWith('delete') ? [] : [auditRecord(turn, accepted)]",
  ),
  one(
    'deleted-entity-listed',
    'cluster/projector.ts',
    'if (listing === null || entity === null)',
    'if (listing === null || entity === null || listing.label === null)',
  ),
  one('deleted-document-loaded', 'cluster/shard-fold.ts', 'documents.delete(place);', ''),
  // Polling.
  one(
    'timer-lost-on-enable',
    'actors/entity/check-changes.ts',
    'return armed(turn, { ...check, ...since });',
    'return { ...check, ...since };',
  ),
  {
    name: 'double-timer',
    patches: [
      {
        file: pollingFile,
        find: 'due.slotAtMs, dueMonoMs: before.dueMonoMs',
        replace: 'due.slotAtMs, dueMonoMs: turn.context.monoMs',
      },
      {
        file: pollingFile,
        find: 'startTimer(turn, slotTimer(id), ',
        replace: 'startTimer(turn, slotTimer(id) + turn.context.monoMs, ',
      },
      { file: pollingFile, find: earlyTimer, replace: '(false as boolean)' },
    ],
  },
  one('timer-of-before-a-change', pollingFile, earlyTimer, '(false as boolean)'),
  {
    name: 'slot-repeated-after-step-back',
    patches: [
      {
        file: scheduleFile,
        find: 'ran.slotAtMs + periodMs;',
        replace: 'slotAfter(schedule, now.nowMs);',
      },
      {
        file: scheduleFile,
        find: 'Math.max(floorMs, slotAtOrBefore(schedule, nowMs))',
        replace: 'slotAtOrBefore(schedule, nowMs)',
      },
    ],
  },
  one(
    'hours-skipped-after-step-back',
    scheduleFile,
    'regularMonoMs + error)',
    'error === 0 ? regularMonoMs : wallMonoMs)',
  ),
  {
    name: 'catch-up-storm',
    patches: [
      {
        file: scheduleFile,
        find: 'Math.max(0, Math.floor((now.monoMs - ran.dueMonoMs) / periodMs))',
        replace: '0',
      },
      {
        file: pollingFile,
        find: 'if (zone.inFlightMs !== 0) {',
        replace: 'if (zone.inFlightMs < 0) {',
      },
    ],
  },
  one(
    'phase-by-chance',
    scheduleFile,
    '% periodMs };',
    '* 0 + Math.floor(Math.random() * periodMs) };',
  ),
  one(
    'silence-booked-as-ran',
    pollingFile,
    'value: failedTick(why, text) });',
    "value: why === 'no-answer' ? ranTick({ id: '', outcome: 'observed', startedAtMs: slotAtMs, durationMs: 0, available: true, status: text, errorClass: null, metrics: [], address: null, debugInfo: null }) : failedTick(why, text) });",
  ),
  one('lost-slots-unsaid', loadFile, 'value: lostTick(toMs) });', "value: ['later'] });"),
  // Zones and take-overs.
  one(
    'quorum-of-responding-zones',
    'actors/entity/evaluation.ts',
    'total: check.zones.length',
    'total: Math.max(1, check.zones.filter((zone) => zone.failure === null).length)',
  ),
  one(
    'gap-counts-as-ok',
    zonesFile,
    staleZone,
    `${staleZone} { ok += 1; continue; } else if (quorum.monoMs < 0)`,
  ),
  one(
    'gap-counts-as-critical',
    zonesFile,
    staleZone,
    `${staleZone} { critical += 1; continue; } else if (quorum.monoMs < 0)`,
  ),
  one(
    'run-lost-by-new-owner',
    softFile,
    'confirmed, run, status, slotAtMs, cameMonoMs',
    'confirmed, run: run * 0, status, slotAtMs, cameMonoMs',
  ),
  one(
    'zones-aged-by-dead-owner',
    softFile,
    'isOld ? now.monoMs - wallAgeMs : now.monoMs',
    'now.monoMs - wallAgeMs',
  ),
  one(
    'old-zones-loaded-fresh',
    softFile,
    'isOld ? now.monoMs - wallAgeMs : now.monoMs',
    'now.monoMs + 0 * Number(isOld)',
  ),
  one('number-from-memory', softFile, '    n: soft.n,', '    n: alarm.n,'),
  one('tail-not-folded', loadFile, 'alarms: foldedAlarms(alarms, loaded.tail, context)', 'alarms'),
  // Soft state and projections.
  one('soft-state-uncommitted', 'runtime/soft-state.ts', ' && commits.pending === 0', ''),
  one(
    'timestamps-by-wall-clock',
    'cluster/epoch-timestamp.ts',
    'Math.max(Math.trunc(nowMs * 1000), beforeTsBase + timestampsPerEpoch)',
    'Math.trunc(nowMs * 1000) + beforeTsBase * 0',
  ),
  one('older-write-wins', statesFile, 'ts > present.ts', 'ts !== present.ts'),
  one(
    'tombstone-forgotten',
    statesFile,
    'if (present === undefined ||',
    'if ((row as { body?: unknown }).body === null) rows.delete(place);\n  else if (present === undefined ||',
  ),
  one(
    'snap-before-projection',
    'cluster/watermarks.ts',
    'if (row.seq > this.#projectedSeq) return false;',
    '',
  ),
  one(
    'projection-given-up',
    'cluster/projector.ts',
    'await pause(clock, pauseMs(attempt, projectionLimits, random));',
    'return;',
  ),
  // Determinism.
  one('jitter-by-chance', 'actors/notify/schedule.ts', ' / 0xffff_ffff', ' * 0 + Math.random()'),
];
