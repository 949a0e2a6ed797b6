// The main thread's side of the store's worker: gathers requests, posts them as rounds, settles their promises.
// Owns the bounds of what waits and what becomes of it when the thread ends. Must not know SQL.
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Logger } from '../../runtime/ports.ts';
import { storeError } from '../errors.ts';
import {
  type OperationName,
  operationKinds,
  type StoreCall,
  type StoreOperations,
  unknownOutcome,
} from '../operations.ts';
import type { StoreAnswer, StoreRequest } from './round.ts';
import { fromWire } from './sqlite-error.ts';
import type { FromWorker, ToWorker, WorkerSettings } from './worker.ts';

/** Requests that may wait or be under way; more are refused (`ST_UNAVAILABLE`). 10,000 actors may ask at once. */
const pendingMax = 65_536;
/** Rows and requests of one round: bounds the time that a decision waits for the round before it. */
const roundRowsMax = 4096;
const roundRequestsMax = 1024;
/** Rounds under way: one is run while the next is already there. */
const roundsMax = 2;

interface Pending {
  readonly request: StoreRequest;
  readonly rows: number;
  resolve(value: never): void;
  reject(error: Error): void;
}

/** A started worker and what is asked of it. `call` is the store's call. */
export class WorkerLink {
  readonly #worker: Worker;
  readonly #logger: Logger | null;
  readonly #waiting: Pending[] = [];
  readonly #posted = new Map<number, Pending>();
  readonly #opened: Promise<void>;
  readonly #exited: Promise<void>;
  #settleOpened: (error: Error | null) => void = () => undefined;
  #nextId = 1;
  #roundsUnderWay = 0;
  #isFlushPlanned = false;
  #ended: Error | null = null;

  private constructor(worker: Worker, logger: Logger | null) {
    this.#worker = worker;
    this.#logger = logger;
    this.#opened = new Promise((resolve, reject) => {
      this.#settleOpened = (error) => (error === null ? resolve() : reject(error));
    });
    this.#exited = new Promise((resolve) => worker.on('exit', () => resolve()));
    worker.on('message', (message: FromWorker) => this.#receive(message));
    worker.on('error', (error) => this.#end(error));
    worker.on('messageerror', (error) => this.#end(error));
    worker.on('exit', (code) => this.#end(new Error(`the store's thread ended with code ${code}`)));
  }

  /** Starts the thread; resolves once the file is open, rejects with the error of `openDatabase`. */
  static async start(
    settings: WorkerSettings,
    logger: Logger | null,
    entry: URL = new URL(`./worker-entry${extname(import.meta.url)}`, import.meta.url),
  ): Promise<WorkerLink> {
    const worker = new Worker(entry, { workerData: settings, name: 'store' });
    const link = new WorkerLink(worker, logger);
    await link.#opened;
    return link;
  }

  /** Runs an operation in a coming round. */
  readonly call: StoreCall = (name, ...args) => {
    if (this.#ended !== null) {
      return Promise.reject(storeError('ST_CLOSED', this.#ended.message, { cause: this.#ended }));
    }
    if (this.#waiting.length + this.#posted.size >= pendingMax) {
      return Promise.reject(
        storeError('ST_UNAVAILABLE', `more than ${pendingMax} requests wait for the store`),
      );
    }
    return new Promise((resolve, reject) => {
      const request = { id: this.#nextId++, name, args };
      this.#waiting.push({ request, rows: rowsOf(name, args), resolve, reject });
      this.#planFlush();
    });
  };

  /** Closes the file after everything asked so far, then ends the thread. */
  async close(): Promise<void> {
    if (this.#ended === null) {
      while (this.#waiting.length > 0) this.#postRound();
      this.#post({ type: 'close' });
      this.#ended = new Error('the store is closed');
    }
    await this.#exited;
  }

  /** What is called in one turn of the loop goes out together. */
  #planFlush(): void {
    if (this.#isFlushPlanned) return;
    this.#isFlushPlanned = true;
    queueMicrotask(() => {
      this.#isFlushPlanned = false;
      this.#flush();
    });
  }

  #flush(): void {
    while (this.#waiting.length > 0 && this.#roundsUnderWay < roundsMax) this.#postRound();
  }

  #postRound(): void {
    let rows = 0;
    let taken = 0;
    while (taken < Math.min(this.#waiting.length, roundRequestsMax) && rows < roundRowsMax) {
      rows += (this.#waiting[taken] as Pending).rows;
      taken++;
    }
    const round = this.#waiting.splice(0, taken);
    for (const pending of round) this.#posted.set(pending.request.id, pending);
    try {
      this.#post({ type: 'round', requests: round.map(({ request }) => request) });
      this.#roundsUnderWay++;
    } catch (cause) {
      // An argument that cannot be cloned: a fault of the program.
      for (const { request, reject } of round) {
        this.#posted.delete(request.id);
        reject(storeError('ST_FAILED', 'a request cannot cross to the thread', { cause }));
      }
    }
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  #receive(message: FromWorker): void {
    if (message.type === 'opened') this.#settleOpened(null);
    else if (message.type === 'refused') this.#refuse(fromWire(message.error));
    else if (message.type === 'event') this.#logger?.warn(message.event, message.fields);
    else {
      this.#roundsUnderWay--;
      for (const answer of message.answers) this.#settle(answer);
      this.#flush();
    }
  }

  #refuse(error: Error): void {
    this.#ended = error;
    this.#settleOpened(error);
  }

  #settle(answer: StoreAnswer): void {
    const pending = this.#posted.get(answer.id);
    if (pending === undefined) return;
    this.#posted.delete(answer.id);
    if ('error' in answer) pending.reject(fromWire(answer.error));
    else pending.resolve(answer.value as never);
  }

  /** The thread is gone: nobody knows what became of the writes that it had. */
  #end(cause: Error): void {
    if (this.#ended === null) {
      this.#ended = cause;
      this.#logger?.error('store.thread_ended', { message: cause.message });
    }
    this.#settleOpened(storeError('ST_OPEN_FAILED', "the store's thread did not start", { cause }));
    const posted = [...this.#posted.values()];
    const waiting = this.#waiting.splice(0);
    this.#posted.clear();
    for (const { request, reject } of posted) reject(lost(request.name, cause));
    for (const { reject } of waiting) {
      reject(storeError('ST_UNAVAILABLE', "the store's thread ended", { cause }));
    }
  }
}

function lost(name: OperationName, cause: Error): Error {
  return operationKinds[name] === 'read'
    ? storeError('ST_UNAVAILABLE', "the store's thread ended", { cause })
    : unknownOutcome(name, cause);
}

/** How many rows a request carries: the longest list among its arguments. */
function rowsOf<Name extends OperationName>(
  name: Name,
  args: Parameters<StoreOperations[Name]>,
): number {
  if (name === 'commit') return (args as Parameters<StoreOperations['commit']>)[0].rows.length + 1;
  let rows = 1;
  for (const arg of args) if (Array.isArray(arg)) rows = Math.max(rows, arg.length);
  return rows;
}
