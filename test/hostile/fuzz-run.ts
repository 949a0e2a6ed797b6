// `npm run fuzz [executions] [name] [seed]`: a million mutants for each decoder, then requests at the API of a real node (one
// for fifty mutants, at least 10,000), a JSON line each. `name`: only what begins so; `api` is the API. Exit code 1 on a fault.
import process from 'node:process';
import { TestNode } from '../integration/harness.ts';
import { fuzzApi } from './api-run.ts';
import { makeWorld, sealed } from './api-world.ts';
import { decoders } from './decoders.ts';
import { fuzz } from './fuzz.ts';

const [, , executionsText = '1000000', named = '', seedText = String(Date.now() % 1_000_000)] =
  process.argv;
const executions = Number(executionsText);
const seed = Number(seedText);
const print = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

async function runDecoders(): Promise<boolean> {
  let isWell = true;
  for (const decoder of decoders.filter(({ name }) => name.startsWith(named))) {
    const startedMs = performance.now();
    const report = await fuzz(decoder, executions, seed);
    print({ ...report, seed, tookMs: Math.round(performance.now() - startedMs) });
    isWell &&= report.faulty === 0;
  }
  return isWell;
}

async function runApi(): Promise<boolean> {
  const node = await TestNode.create(sealed);
  try {
    await node.start();
    const world = await makeWorld(node);
    const count = Math.max(10_000, executions / 50);
    const report = await fuzzApi(node, world, { count, seed, isSweep: true });
    print({ api: node.port, ...report, seed });
    world.client.close();
    return report.faults.length === 0;
  } finally {
    await node.remove();
  }
}

const isDecoded = await runDecoders();
const isAnswered = 'api'.startsWith(named) ? await runApi() : true;
process.exit(isDecoded && isAnswered ? 0 : 1);
