// kill -9 of a process that writes to the embedded store, over fifty times: no acknowledged write is lost, the logs stay gapless,
// the next process opens the folder at once. The child runs as built JavaScript, so the worker's entry is tested as in dist too.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import ts from 'typescript';
import type { Found, FoundShard } from './kill-child.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const lanes = 4;
const killsPerLane = 13;

/** Builds what the child needs into a folder inside the checkout, so that packages resolve. */
async function build(): Promise<string> {
  await mkdir(join(root, '.tap'), { recursive: true });
  const out = await mkdtemp(join(root, '.tap', 'kill-'));
  const lists = await Promise.all(
    ['runtime', 'store', 'store/sqlite'].map(async (folder) =>
      (await readdir(join(root, folder))).map((file) => `${folder}/${file}`),
    ),
  );
  const sources = [
    ...lists.flat().filter((path) => path.endsWith('.ts')),
    'test/store/kill-child.ts',
  ];
  for (const path of sources) {
    const { outputText } = ts.transpileModule(await readFile(join(root, path), 'utf8'), {
      compilerOptions: {
        ...{ target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext },
        ...{ verbatimModuleSyntax: true, rewriteRelativeImportExtensions: true },
      },
    });
    const target = join(out, path.replace(/\.ts$/, '.js'));
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, outputText);
  }
  return out;
}

/** What was acknowledged, the highest number by what and shard. */
type Acknowledged = Map<string, number>;

interface Life {
  readonly found: Found;
  readonly errors: string;
}

/** Runs a child until it is killed, `delayMs` after it began to write; notes what it acknowledged. */
async function live(
  script: string,
  folder: string,
  delayMs: number,
  seen: Acknowledged,
): Promise<Life> {
  const child: ChildProcess = spawn(process.execPath, [script, folder], { env: {} });
  running.add(child);
  let output = '';
  let errors = '';
  let isDoomed = false;
  child.stderr?.on('data', (part: Buffer) => {
    errors += part;
  });
  child.stdout?.on('data', (part: Buffer) => {
    output += part;
    if (isDoomed || !output.includes('\n')) return;
    isDoomed = true;
    setTimeout(() => child.kill('SIGKILL'), delayMs);
  });
  await new Promise((resolve) => child.on('close', resolve));
  running.delete(child);
  const [first, ...lines] = output.slice(0, output.lastIndexOf('\n')).split('\n');
  if (child.signalCode !== 'SIGKILL' || first === undefined) throw new Error(`it ended: ${errors}`);
  const found = JSON.parse(first) as Found;
  for (const line of lines) {
    const [, place, number] = /^(\w+ \d+) (\d+)$/.exec(line) ?? [];
    if (place === undefined) throw new Error(`it said: ${line}`);
    seen.set(place, Math.max(seen.get(place) ?? 0, Number(number)));
  }
  return { found, errors };
}

const running = new Set<ChildProcess>();
t.teardown(() => {
  for (const child of running) child.kill('SIGKILL');
});

function lost(found: Found, seen: Acknowledged): string[] {
  return found.shards.flatMap((shard, at) => {
    const names = ['head', 'state', 'user', 'tick'] as const satisfies (keyof FoundShard)[];
    return names
      .filter((name) => shard[name] < (seen.get(`${name} ${at}`) ?? 0))
      .map((name) => `${name} ${at}: ${shard[name]} after ${seen.get(`${name} ${at}`)}`);
  });
}

t.test(`nothing acknowledged is lost in ${lanes * killsPerLane} kills`, async (t) => {
  const out = await build();
  t.teardown(() => rm(out, { recursive: true, force: true }));
  const script = join(out, 'test/store/kill-child.js');
  let acknowledged = 0;
  let kills = 0;
  let openMsMax = 0;
  const lane = async (lane: number): Promise<void> => {
    const folder = await mkdtemp(join(tmpdir(), 'tocsin-kill-'));
    t.teardown(() => rm(folder, { recursive: true, force: true }));
    const seen: Acknowledged = new Map();
    for (let life = 0; life <= killsPerLane; life++) {
      // Instants spread over 0 to 120 ms, others in each life and lane: in a COMMIT, a checkpoint, between rounds.
      const delayMs = ((life * 37 + lane * 11) % 41) * 3;
      const before = new Map(seen);
      const { found, errors } = await live(script, folder, delayMs, seen);
      kills++;
      t.same(lost(found, before), [], `lane ${lane}, life ${life}: all is there`);
      t.ok(
        found.shards.every((shard) => shard.isGapless),
        'the logs are gapless',
      );
      t.equal(errors, '');
      openMsMax = Math.max(openMsMax, found.openMs);
    }
    for (const number of seen.values()) acknowledged += number;
  };
  await Promise.all(Array.from({ length: lanes }, (_, at) => lane(at)));
  t.ok(kills >= 50, `${kills} kills`);
  t.ok(acknowledged > 1000, `${acknowledged} acknowledged writes`);
  t.ok(openMsMax < 2000, `opened within ${Math.round(openMsMax)} ms`);
});
