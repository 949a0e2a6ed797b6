// Thread entry for matches that could hold the prober's main loop: pattern and text in, first match out.
// A few lines over functions that are tested on the main thread; its pool ends it when a match takes too long.
import { parentPort } from 'node:worker_threads';
import { compilePattern, findMatch } from './pattern.ts';

parentPort?.on('message', (job: { readonly source: string; readonly subject: string }) => {
  parentPort?.postMessage(findMatch(compilePattern(job.source, 'pattern'), job.subject));
});
