// `npm run zoo [visits]`: visits the zoo 10,000 times through one prober and prints a JSON line every 500 visits and one
// at the end. Exit code 1 where a visit went wrong, the prober died, or its memory grows.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { openFiles, openTour, residentKib, slopeOf, travel } from './zoo.ts';

const everyVisits = 500;
const atOnce = 64;
/** The collector lets memory swing by some MiB; a leak of 2 KiB a visit over half the run would stand out. */
const growthMaxKib = 16 * 1024;

const print = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

async function run(visits: number): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'tocsin-zoo-'));
  const tour = await openTour(folder);
  const pid = tour.prober.stats().pid ?? 0;
  const points: [number, number][] = [];
  print({ servers: tour.servers, stops: tour.stops.length, rssKib: residentKib(pid) });
  const startedMs = performance.now();
  const faults = await travel(tour, visits, atOnce, (done) => {
    if (done % everyVisits !== 0) return;
    const rssKib = residentKib(pid);
    points.push([done, rssKib]);
    print({ visits: done, rssKib, openFiles: openFiles(pid), ms: performance.now() - startedMs });
  });
  for (const [fault, times] of faults) print({ fault, times });
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const { restarts, unanswered } = tour.prober.stats();
  const slopeKibPer1000 = slopeOf(points.slice(points.length >> 2)) * 1000;
  // Median of the last quarter against that of the second: the first one warms up.
  const quarter = Math.max(1, points.length >> 2);
  const growthKib = median(points.slice(-quarter)) - median(points.slice(quarter, 2 * quarter));
  const end = { rssKib: residentKib(pid), openFiles: openFiles(pid) };
  const internal = tour.log.filter((line) => /^(probe-error|probe-overran|prober-)/.test(line));
  const isWell =
    faults.size === 0 && restarts === 0 && unanswered === 0 && growthKib < growthMaxKib;
  const memory = { slopeKibPer1000, growthKib, ...end };
  print({ visits, faults: faults.size, restarts, unanswered, ...memory });
  for (const line of internal.slice(0, 20)) print({ log: line });
  await tour.close();
  rmSync(folder, { recursive: true });
  return isWell;
}

function median(points: readonly (readonly [number, number])[]): number {
  const sorted = points.map(([, rssKib]) => rssKib).sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}

const isWell = await run(Number(process.argv[2] ?? 10_000));
process.exit(isWell ? 0 : 1);
