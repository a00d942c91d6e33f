/** What the codec's threads are asked, and what they answer. The buffers are transferred, both ways. */
import type { BlockFormat } from './header.ts';
import { BLOCK_BYTES } from './lzo1x.ts';

/** Enough for a thread to be busy ten times longer than the message takes, little enough to hold some in memory. */
export const JOB_BLOCKS = 4;
export const JOB_PLAIN_BYTES = JOB_BLOCKS * BLOCK_BYTES;

export type Job = EncodeJob | DecodeJob;

export interface EncodeJob {
  readonly kind: 'encode';
  /** Plain data from its start on. */
  readonly buffer: ArrayBuffer;
  readonly length: number;
}

export interface DecodeJob {
  readonly kind: 'decode';
  /** Whole blocks, one behind the other, from its start on. */
  readonly buffer: ArrayBuffer;
  readonly length: number;
  readonly format: BlockFormat;
  /** Position of the first block in its file, for messages. */
  readonly at: number;
}

/** A job on its way to a thread. */
export interface SentJob {
  readonly job: Job;
  /** Room for its result. */
  readonly target: ArrayBuffer;
}

export interface JobResult {
  /** The job's buffer, to be used again. */
  readonly buffer: ArrayBuffer;
  /** The result lies at its start. */
  readonly target: ArrayBuffer;
  readonly length: number;
  /** The parts of a DataError, instead of a result. */
  readonly fault: JobFault | undefined;
}

export interface JobFault {
  readonly message: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
}
