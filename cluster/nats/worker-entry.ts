// Thread entry of the heartbeat. A few lines: what they start is tested by itself.
import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../../runtime/assert.ts';
import { serveHeartbeat, type ThreadSettings } from './heartbeat-thread.ts';

assert(parentPort, 'the entry of the heartbeat runs in a worker thread');
serveHeartbeat(parentPort, workerData as ThreadSettings);
