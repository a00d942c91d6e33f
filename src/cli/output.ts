/** Standard output: a command's result. Each print waits until the reader has taken it, so memory stays bounded. */
import { write, writeSync } from 'node:fs';
import { isErrno } from '../errno.ts';
import { UserError } from '../errors.ts';

const STANDARD_OUTPUT = 1;
const PAUSE_MS = 5;
/** What an empty pipe takes at once (PIPE_BUF of Linux), so that a short answer needs no thread. */
const AT_ONCE_BYTES = 4096;

/** The reader went away (`wal-e backup-list | head`): nothing is wrong, and nothing is to be said. Status as of SIGPIPE. */
export class OutputClosedError extends UserError {
  override readonly name = 'OutputClosedError';
  override readonly exitStatus = 141;
}

export function createPrinter(redact: (text: string) => string): (text: string) => Promise<void> {
  let last: Promise<void> | undefined;
  return (text) => {
    const bytes = Buffer.from(redact(text));
    const isShort = bytes.length <= AT_ONCE_BYTES;
    last = last === undefined ? writeAll(bytes, isShort) : last.then(() => writeAll(bytes, false));
    return last;
  };
}

async function writeAll(bytes: Buffer, atOnce: boolean): Promise<void> {
  let rest = atOnce ? bytes.subarray(writeNow(bytes)) : bytes;
  while (rest.length > 0) {
    const written = await writeSome(rest);
    if (written === 0) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    rest = rest.subarray(written);
  }
}

function writeNow(bytes: Buffer): number {
  try {
    return writeSync(STANDARD_OUTPUT, bytes);
  } catch (error) {
    // A non-blocking pipe that is full.
    if (isErrno(error, 'EAGAIN')) return 0;
    throw outputError(error);
  }
}

function writeSome(bytes: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    write(STANDARD_OUTPUT, bytes, (error, written) => {
      if (error === null) resolve(written);
      else if (isErrno(error, 'EAGAIN')) resolve(0);
      else reject(outputError(error));
    });
  });
}

function outputError(error: unknown): UserError {
  if (isErrno(error, 'EPIPE')) {
    return new OutputClosedError('standard output was closed');
  }
  const detail = error instanceof Error ? error.message : String(error);
  return new UserError('could not write to standard output', { detail, cause: error });
}
