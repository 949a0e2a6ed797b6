// `npm run chaos`: real nodes, NATS servers and Cassandra under faults, judged at counting targets and a receiver.
//   npm run chaos -- [--only kill,hang,…] [--kills N] [--entities N] [--nodes N] [--cassandra 1|3] [--json]
// Ends with 1 where a rule is broken.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from '../integration/harness.ts';
import { judgeAlerts } from './judge/alerts.ts';
import { judgeGaps } from './judge/gaps.ts';
import { ChaosLab } from './lab.ts';
import { monoMs, sleep } from './node-process.ts';
import { type Blow, scenarios } from './scenarios.ts';
import { type Stages, stagesOf, table } from './stages.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    kills: { type: 'string' },
    entities: { type: 'string', default: '10000' },
    nodes: { type: 'string', default: '3' },
    cassandra: { type: 'string', default: '1' },
    dist: { type: 'string', default: join(root, 'dist') },
    json: { type: 'boolean', default: false },
  },
});

const say = (text: string): void => {
  if (!values.json) process.stderr.write(`${text}\n`);
};

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

interface Outcome {
  readonly isClean: boolean;
  readonly stages: readonly Stages[];
}

/** One scenario on the running lab: done, then judged. */
async function runOne(lab: ChaosLab, name: string): Promise<Outcome> {
  const scenario = scenarios.get(name);
  if (scenario === undefined) throw new Error(`there is no scenario ${name}`);
  const isKill = name === 'kill' || name === 'node-and-nats';
  const times = isKill && values.kills !== undefined ? Number(values.kills) : scenario.times;
  lab.faults.length = 0;
  const fromMs = monoMs();
  lab.trouble();
  await sleep(12_000);
  const blows: readonly Blow[] = await scenario.run({ lab, times, say });
  await lab.calm();
  const history = await lab.history(fromMs, [...lab.faults]);
  const gaps = judgeGaps(history);
  const alerts = judgeAlerts(history);
  const stages = blows.map((blow, at) => stagesOf(blow, gaps.perFault[at]));
  const violations = [...gaps.violations, ...alerts.violations];
  for (const stage of stages) if (values.json) print({ scenario: name, ...stage });
  print({
    scenario: name,
    entities: lab.settings.entities,
    cassandras: lab.settings.cassandras,
    seconds: Math.round((history.toMs - fromMs) / 1000),
    blows: blows.length,
    arrivals: gaps.arrivals,
    missedSlots: gaps.missedSlots,
    doubles: gaps.doubles,
    due: alerts.due,
    told: alerts.told,
    receipts: alerts.receipts,
    duplicates: alerts.duplicates,
    violations: violations.length,
    examples: violations.slice(0, 8),
  });
  if (!values.json) process.stderr.write(`${table(name, stages)}\n`);
  return { isClean: violations.length === 0, stages };
}

async function command(): Promise<number> {
  const names = values.only?.split(',') ?? [...scenarios.keys()];
  const unknown = names.find((name) => !scenarios.has(name));
  if (unknown !== undefined) {
    say(`there is no scenario ${unknown}; there are ${[...scenarios.keys()].join(', ')}`);
    return 2;
  }
  if (values.dist === join(root, 'dist')) {
    const made = spawnSync(process.execPath, [join(root, 'scripts', 'setup.js')], {
      encoding: 'utf8',
    });
    if (made.status !== 0) throw new Error(`set-up failed: ${made.stderr}`);
  }
  const lab = await ChaosLab.start({
    nodes: Number(values.nodes),
    cassandras: values.cassandra === '3' ? 3 : 1,
    entities: Number(values.entities),
    watched: Math.min(200, Number(values.entities)),
    dist: values.dist,
    say,
  });
  const end = (): void => void lab.stop().then(() => process.exit(130));
  process.once('SIGINT', end);
  process.once('SIGTERM', end);
  try {
    await lab.fill();
    await sleep(25_000);
    let isClean = true;
    for (const name of names) isClean = (await runOne(lab, name)).isClean && isClean;
    return isClean ? 0 : 1;
  } finally {
    await lab.stop();
  }
}

process.exitCode = await command();
