/** Standard error, written at once and without loading a stream: PostgreSQL starts the program for every segment. */
import { writeSync } from 'node:fs';
import { isErrno } from '../errno.ts';
import { formatJson, formatText, type Sink } from '../log.ts';

const STANDARD_ERROR = 2;
/** A reader that does not read holds the program up for no longer than this; then the text is dropped. */
const PATIENCE_MS = 2000;
const PAUSE_MS = 5;

export function createStandardErrorSink(format: 'text' | 'json'): Sink {
  const form = format === 'json' ? formatJson : formatText;
  return { write: (record) => writeStandardError(`${form(record)}\n`) };
}

/** Never throws: a log that nobody takes must not fail the command. */
export function writeStandardError(text: string): void {
  let rest = Buffer.from(text);
  let waited = 0;
  while (rest.length > 0 && waited < PATIENCE_MS) {
    try {
      rest = rest.subarray(writeSync(STANDARD_ERROR, rest));
    } catch (error) {
      // The pipe was made non-blocking by whoever shares it, and is full.
      if (!isErrno(error, 'EAGAIN')) return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
      waited += PAUSE_MS;
    }
  }
}
