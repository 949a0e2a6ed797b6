// The process that test/store/kill.test.ts kills: opens the store, says what it found, writes, and says what was acknowledged.
// Lines on stdout: first one JSON `Found`, then `<what> <shard> <number>` for each acknowledged write.
import type { RowKind } from '../../runtime/effect.ts';
import type { ActorKey, Epoch, ShardId } from '../../runtime/ids.ts';
import type { ShardHead, Store } from '../../runtime/ports.ts';
import { openSqliteStore } from '../../store/sqlite/store.ts';

/** What one shard holds, as found at the start. */
export interface FoundShard {
  readonly head: number;
  /** Seqs above the last trim follow each other up to the head, each with the body it was put with. */
  readonly isGapless: boolean;
  readonly state: number;
  readonly user: number;
  readonly tick: number;
}

export interface Found {
  readonly openMs: number;
  readonly shards: readonly FoundShard[];
}

const lanes = 6;
const slotMs = 10_000;
const key = (shard: number): ActorKey => `t/e${shard}` as ActorKey;
const bodyOf = (shard: number, seq: number): Uint8Array =>
  Buffer.from(`${shard}/${seq} `.padEnd(150, 'x'));
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

const startNs = process.hrtime.bigint();
const store = await openSqliteStore({ folder: process.argv[2] as string, reserveBytes: 65_536 });
const openMs = Number(process.hrtime.bigint() - startNs) / 1e6;
const shards = await Promise.all(Array.from({ length: lanes }, (_, shard) => look(store, shard)));
say(JSON.stringify({ openMs, shards } satisfies Found));
await Promise.all(shards.map((found, shard) => writeOn(store, shard, found)));

async function look({ authority, ...rest }: Store, shard: number): Promise<FoundShard> {
  const { head, snap } = await authority.readHead(shard as ShardId);
  const tail = await rest.shardLog.readTail(shard as ShardId, 0);
  const first = tail[0]?.seq ?? head + 1;
  const isGapless =
    first <= snap + 1 &&
    tail.length === head - first + 1 &&
    tail.every((row, at) => row.seq === first + at && isBody(row.body, shard, row.seq));
  const { states } = await rest.states.loadShard(shard as ShardId);
  const series = { shard: shard as ShardId, key: key(shard), check: 'ch', zone: 'mz' };
  const [tick] = await rest.samples.lastTicks([series], 0);
  const user = await rest.accounts.user(`user${shard}`);
  return {
    ...{ head, isGapless, state: states[0]?.seq ?? 0, user: user?.version ?? 0 },
    tick: (tick?.slotAtMs ?? 0) / slotMs,
  };
}

function isBody(body: Uint8Array, shard: number, seq: number): boolean {
  return Buffer.from(body).equals(bodyOf(shard, seq));
}

async function writeOn(store: Store, shard: number, found: FoundShard): Promise<void> {
  const fence = await claim(store, shard);
  let { head, state, user, tick } = found;
  for (let round = 0; ; round++) {
    const rows = Array.from({ length: 1 + (round % 3) }, (_, at) => ({
      ...{ seq: head + 1 + at, key: key(shard), kind: 1 as RowKind },
      body: bodyOf(shard, head + 1 + at),
    }));
    const marks = Math.max(0, head - 20);
    const trimTo = round % 10 === 9 ? marks : 0;
    const outcome = await store.shardLog.commit({
      ...{ ...fence, prevHead: head, dispatched: marks, snap: marks, rows, trimTo },
    });
    if (!outcome.applied) throw new Error(`refused: ${JSON.stringify(outcome)}`);
    head += rows.length;
    say(`head ${shard} ${head}`);
    const { states, accounts, samples } = store;
    const body = bodyOf(shard, head);
    await Promise.all([
      states
        .putStates(shard as ShardId, ++state, [{ key: key(shard), seq: state, body }])
        .then(() => say(`state ${shard} ${state}`)),
      accounts
        .putUser({ name: `user${shard}`, tenant: 't', version: ++user, body })
        .then((put) => say(put ? `user ${shard} ${user}` : 'a user was refused')),
      samples
        .appendTicks([
          {
            ...{ shard: shard as ShardId, key: key(shard), check: 'ch', zone: 'mz' },
            ...{ slotAtMs: ++tick * slotMs, value: body },
          },
        ])
        .then(() => say(`tick ${shard} ${tick}`)),
    ]);
  }
}

async function claim(
  { authority }: Store,
  shard: number,
): Promise<{ shard: ShardId; epoch: Epoch; owner: string }> {
  const was: ShardHead = await authority.readHead(shard as ShardId);
  const mine = { epoch: (was.epoch + 1) as Epoch, owner: `k/${was.epoch + 1}` };
  const claim = { seen: was.epoch, was: was.owner, ...mine, tsBase: 1 };
  const outcome = await authority.claim(shard as ShardId, claim);
  if (!outcome.applied) throw new Error('the claim of a lone process was refused');
  return { shard: shard as ShardId, ...mine };
}
