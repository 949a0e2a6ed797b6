// The life of the store's worker thread: opens the file, answers rounds, closes. Knows the messages, not the operations.
import type { MessagePort } from 'node:worker_threads';
import { runRound, type StoreAnswer, type StoreRequest } from './round.ts';
import { refusal, toWire, type WireError } from './sqlite-error.ts';
import { openStoreFile, type StoreFile } from './store-file.ts';

/** What the thread is started with. */
export interface WorkerSettings {
  readonly folder: string;
  readonly reserveBytes: number;
}

export type ToWorker =
  | { readonly type: 'round'; readonly requests: readonly StoreRequest[] }
  | { readonly type: 'close' };

export type FromWorker =
  | { readonly type: 'opened' }
  | { readonly type: 'refused'; readonly error: WireError }
  | { readonly type: 'answers'; readonly answers: readonly StoreAnswer[] }
  | {
      readonly type: 'event';
      readonly event: string;
      readonly fields: Readonly<Record<string, unknown>>;
    };

/** Opens the store and serves rounds until told to close; says `opened` or `refused` first. */
export function serveStore(port: MessagePort, settings: WorkerSettings): void {
  const say = (message: FromWorker): void => port.postMessage(message);
  let file: StoreFile;
  try {
    file = openStoreFile({
      ...settings,
      report: (event, fields) => say({ type: 'event', event, fields }),
    });
  } catch (error) {
    say({ type: 'refused', error: toWire(refusal(error)) });
    port.close();
    return;
  }
  port.on('message', (message: ToWorker) => {
    if (message.type === 'round') {
      say({ type: 'answers', answers: runRound(file, message.requests) });
      return;
    }
    file.close();
    port.close();
  });
  say({ type: 'opened' });
}
