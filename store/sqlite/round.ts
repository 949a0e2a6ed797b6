// One round of the embedded store: all requests that gathered, in one transaction, answered after its COMMIT only.
// Owns what happens to each request when one of them, the transaction or the disk fails. Runs in the worker.
import type { TocsinError } from '../../runtime/errors.ts';
import { type OperationName, operationKinds, unknownOutcome } from '../operations.ts';
import {
  diskFull,
  failsRound,
  refusal,
  resultCode,
  resultCodes,
  toWire,
  type WireError,
} from './sqlite-error.ts';
import type { StoreFile } from './store-file.ts';

/** One operation asked for; `args` as `StoreOperations` says. */
export interface StoreRequest {
  readonly id: number;
  readonly name: OperationName;
  readonly args: readonly unknown[];
}

export type StoreAnswer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: WireError };

/**
 * Runs requests in order and returns an answer for each. Reads see all that stands before them. A request that
 * throws leaves no trace and harms no other. The file's error fails the round: nothing of it happened (`ST_UNAVAILABLE`),
 * or, where COMMIT itself broke, perhaps all of it (`ST_UNKNOWN`). Throws only if the file is beyond use.
 */
export function runRound(
  file: StoreFile,
  requests: readonly StoreRequest[],
): readonly StoreAnswer[] {
  if (file.room !== 'ok') recoverRoom(file, requests);
  if (file.room !== 'ok') return runTight(file, requests);
  const outcome = attempt(file, requests);
  if (outcome.done) return outcome.answers;
  if (resultCode(outcome.error) !== resultCodes.full) return failAll(file, requests, outcome);
  file.room = 'tight';
  file.report('store.disk_tight', { reserveFreed: file.reserve.free() });
  return runTight(file, requests);
}

/** Looks for room with each sweep and every 256th round: taking it writes the whole reserve. */
function recoverRoom(file: StoreFile, requests: readonly StoreRequest[]): void {
  file.tightRounds++;
  const isSweep = requests.some(({ name, args }) => name === 'sweep' && args[0] === 'pages');
  if (!(isSweep || file.tightRounds % 256 === 0) || !file.reserve.fill()) return;
  file.room = 'ok';
  file.tightRounds = 0;
  file.report('store.disk_room', {});
}

/** With the disk full: room is for decisions; the rest of the writes is refused before it is tried. */
function runTight(file: StoreFile, requests: readonly StoreRequest[]): readonly StoreAnswer[] {
  const allowed = requests.filter(({ name }) => operationKinds[name] !== 'write');
  const refused = requests.filter(({ name }) => operationKinds[name] === 'write');
  return [...runAllowed(file, allowed), ...refused.map((request) => failure(request, diskFull()))];
}

function runAllowed(file: StoreFile, requests: readonly StoreRequest[]): readonly StoreAnswer[] {
  const outcome = attempt(file, requests);
  if (outcome.done) {
    if (file.room === 'full' && requests.some(isDecision)) file.room = 'tight';
    return outcome.answers;
  }
  if (resultCode(outcome.error) !== resultCodes.full) return failAll(file, requests, outcome);
  if (file.room !== 'full') file.report('store.disk_full', {});
  file.room = 'full';
  const reads = requests.filter(isRead);
  const writes = requests.filter((request) => !isRead(request));
  return [...runReads(file, reads), ...writes.map((request) => failure(request, diskFull()))];
}

type Attempt =
  | { readonly done: true; readonly answers: readonly StoreAnswer[] }
  | { readonly done: false; readonly error: unknown; readonly inCommit: boolean };

/** Tries all requests in one transaction; on a fault of the file nothing of it stays. */
function attempt(file: StoreFile, requests: readonly StoreRequest[]): Attempt {
  if (requests.every(isRead)) return { done: true, answers: runReads(file, requests) };
  let inCommit = false;
  try {
    file.steps.begin.run();
    const answers = requests.map((request) => runIsolated(file, request));
    inCommit = true;
    file.steps.commit.run();
    return { done: true, answers };
  } catch (error) {
    if (file.db.isTransaction) file.steps.rollback.run();
    return { done: false, error, inCommit };
  }
}

function runReads(file: StoreFile, requests: readonly StoreRequest[]): readonly StoreAnswer[] {
  return requests.map((request) => {
    try {
      return { id: request.id, value: perform(file, request) };
    } catch (error) {
      return failure(request, refusal(error));
    }
  });
}

/** A failing request is undone alone. Throws only what fails the round. */
function runIsolated(file: StoreFile, request: StoreRequest): StoreAnswer {
  if (isRead(request)) return runReads(file, [request])[0] as StoreAnswer;
  file.steps.savepoint.run();
  try {
    const value = perform(file, request);
    file.steps.release.run();
    return { id: request.id, value };
  } catch (error) {
    if (failsRound(error)) throw error;
    file.steps.undo.run();
    file.steps.release.run();
    return failure(request, refusal(error));
  }
}

function perform(file: StoreFile, { name, args }: StoreRequest): unknown {
  const operation = file.operations[name] as (...args: readonly unknown[]) => unknown;
  return operation(...args);
}

function failAll(
  file: StoreFile,
  requests: readonly StoreRequest[],
  { error, inCommit }: { readonly error: unknown; readonly inCommit: boolean },
): readonly StoreAnswer[] {
  const refused = refusal(error);
  file.report('store.round_failed', { inCommit, code: refused.code, message: refused.message });
  return requests.map((request) => {
    const isUnknown = inCommit && !isRead(request);
    return failure(request, isUnknown ? unknownOutcome(request.name) : refused);
  });
}

function failure(request: StoreRequest, error: TocsinError): StoreAnswer {
  return { id: request.id, error: toWire(error) };
}

function isRead({ name }: StoreRequest): boolean {
  return operationKinds[name] === 'read';
}

function isDecision({ name }: StoreRequest): boolean {
  return operationKinds[name] === 'decision';
}
