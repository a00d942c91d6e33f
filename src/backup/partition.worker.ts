/** Entry of the worker threads that make the parts of a base backup. */
import { parentPort, workerData } from 'node:worker_threads';
import { UserError } from '../errors.ts';
import { ChunkWriter } from './chunk-ring.ts';
import { packPart } from './pack-part.ts';
import type { PartOrder, WorkerReport, WorkerSetup } from './part-protocol.ts';
import { book, pause } from './rate-limit.ts';

const { pages, hashed, rateLimit, ...shared } = workerData as WorkerSetup;
const chunks = new ChunkWriter(shared.ring);
const progress = new BigInt64Array(shared.progress);
const port = parentPort;
if (port === null) throw new Error('this file is the entry of a worker thread');

function send(report: WorkerReport): void {
  port?.postMessage(report);
}

const sink = {
  room: () => chunks.slot(),
  send(bytes: number) {
    send({ kind: 'chunk', bytes });
    chunks.sent();
  },
};

function countRead(bytes: number): void {
  Atomics.add(progress, 0, BigInt(bytes));
  if (rateLimit !== undefined) pause(book(rateLimit, bytes));
}

port.on('message', (order: PartOrder) => {
  try {
    send({ kind: 'packed', part: packPart(order, { pages, hashed, sink, read: countRead }) });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const { message, detail, hint } = error;
    send({ kind: 'failed', message, ...(detail && { detail }), ...(hint && { hint }) });
  }
});
