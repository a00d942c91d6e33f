/** Small objects in memory, never more than they may be. */
import { DataError } from '../errors.ts';

/** All of `source`; DataError when it is longer than `maxBytes`. `what` names it in the error. */
export async function collect(
  source: AsyncIterable<Uint8Array>,
  maxBytes: number,
  what: string,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of source) {
    length += chunk.length;
    if (length > maxBytes) throw new DataError(`${what} is longer than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
