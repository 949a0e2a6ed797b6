// Preload beside `--import tsx` (Node 20): tsx hooks the main thread only, so each worker thread registers it itself.
// node --import tsx --import ./test/store/tsx-workers.js test/store/conformance.test.ts
import { isMainThread } from 'node:worker_threads';

if (!isMainThread) {
  const { register } = await import('tsx/esm/api');
  register();
}
