/** Standard output: a command's result. Each print waits until the reader has taken it, so memory stays bounded. */
import { write } from 'node:fs';
import { UserError } from '../errors.ts';

const STANDARD_OUTPUT = 1;
const PAUSE_MS = 5;

/** The reader went away (`wal-e backup-list | head`): nothing is wrong, and nothing is to be said. Status as of SIGPIPE. */
export class OutputClosedError extends UserError {
  override readonly name = 'OutputClosedError';
  override readonly exitStatus = 141;
}

export function createPrinter(redact: (text: string) => string): (text: string) => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  return (text) => {
    last = last.then(() => writeAll(Buffer.from(redact(text))));
    return last;
  };
}

async function writeAll(bytes: Buffer): Promise<void> {
  let rest = bytes;
  while (rest.length > 0) {
    const written = await writeSome(rest);
    if (written === 0) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    rest = rest.subarray(written);
  }
}

function writeSome(bytes: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    write(STANDARD_OUTPUT, bytes, (error, written) => {
      if (error === null) resolve(written);
      else if (error.code === 'EAGAIN') resolve(0);
      else if (error.code === 'EPIPE') reject(new OutputClosedError('standard output was closed'));
      else
        reject(new UserError('could not write to standard output', { detail: error.message, cause: error }));
    });
  });
}
