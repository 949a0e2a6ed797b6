// Thread entry of the embedded store. A few lines: what they start is tested on the main thread.
import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../../runtime/assert.ts';
import { serveStore, type WorkerSettings } from './worker.ts';

assert(parentPort, 'the entry of the store runs in a worker thread');
serveStore(parentPort, workerData as WorkerSettings);
