/** Entry of the worker threads that make the parts of a base backup. */
import { parentPort, workerData } from 'node:worker_threads';
import { UserError } from '../errors.ts';
import { packPart } from './pack-part.ts';
import type { PartOrder, WorkerReport, WorkerSetup } from './part-protocol.ts';
import { book, pause } from './rate-limit.ts';

const { pages, hashed, rateLimit, ...cells } = workerData as WorkerSetup;
const credit = new Int32Array(cells.credit);
const progress = new BigInt64Array(cells.progress);
const port = parentPort;
if (port === null) throw new Error('this file is the entry of a worker thread');

function send(report: WorkerReport, transfer: ArrayBuffer[] = []): void {
  port?.postMessage(report, transfer);
}

/** Blocks while the main thread has as many chunks in hand as it wants. */
function sendChunk(chunk: Uint8Array<ArrayBuffer>): void {
  while (Atomics.load(credit, 0) <= 0) Atomics.wait(credit, 0, 0);
  Atomics.sub(credit, 0, 1);
  send({ kind: 'chunk', chunk }, [chunk.buffer]);
}

function countRead(bytes: number): void {
  Atomics.add(progress, 0, BigInt(bytes));
  if (rateLimit !== undefined) pause(book(rateLimit, bytes));
}

port.on('message', (order: PartOrder) => {
  try {
    send({ kind: 'packed', part: packPart(order, { pages, hashed, sink: sendChunk, read: countRead }) });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const { message, detail, hint } = error;
    send({ kind: 'failed', message, ...(detail && { detail }), ...(hint && { hint }) });
  }
});
