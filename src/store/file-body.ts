/** The content of an object in the file store. */
import { isErrno } from '../errno.ts';
import { StoreError } from '../errors.ts';
import { fileError } from './file-error.ts';
import type { OpenFile } from './file-system.ts';
import type { GetOptions } from './store.ts';

const READ_BYTES = 1024 * 1024;
/** Fresh memory costs a page fault for every 4 KiB, two buffers that take turns only once. */
const REUSED_BYTES = 256 * 1024;
/** Of an object larger than this the buffers are a small part, and fewer reads count for more. */
const LARGE_BYTES = 16 * READ_BYTES;

/** `size` bytes of the file, one chunk ahead of its reader. Closes the file. Throws StoreError. */
export async function* readBody(
  handle: OpenFile,
  path: string,
  size: number,
  { signal, oneAtATime = false, isWanted = () => true }: GetOptions,
): AsyncGenerator<Uint8Array> {
  const bytes = Math.min(oneAtATime && size <= LARGE_BYTES ? REUSED_BYTES : READ_BYTES, size);
  const unused: Buffer[] = [];
  let position = 0;
  const readOn = () => {
    const buffer = unused.pop() ?? Buffer.allocUnsafeSlow(bytes);
    const wanted = buffer.subarray(0, size - position);
    const reading = handle
      .read(wanted, position)
      .then((length) => ({ buffer, chunk: wanted.subarray(0, length) }));
    // It is asked for later, or never.
    reading.catch(() => undefined);
    return reading;
  };
  let reading: ReturnType<typeof readOn> | undefined;
  try {
    while (position < size) {
      signal.throwIfAborted();
      const { buffer, chunk } = await (reading ?? readOn());
      reading = undefined;
      if (chunk.length === 0) throw shortFile(path, size, position);
      position += chunk.length;
      // A call that hung for long has come back: nobody waits for the next one, which may hang in its turn.
      if (position < size && isWanted()) reading = readOn();
      yield chunk;
      if (oneAtATime) unused.push(buffer);
    }
  } catch (error) {
    throw isErrno(error) ? fileError('could not read a file', path, error) : error;
  } finally {
    await reading?.catch(() => undefined);
    // Nothing was written that closing could fail to store; what failed before says more.
    await handle.close().catch(() => undefined);
  }
}

function shortFile(path: string, size: number, position: number): StoreError {
  return new StoreError('a file in the store became shorter while it was read', {
    detail: `"${path}" had ${size} bytes and ended after ${position}.`,
    transient: true,
  });
}
