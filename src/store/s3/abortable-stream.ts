/** A stream that ends when a signal aborts, also while its source is thinking; counts what went through. */
import { abortable } from './abortable.ts';

export interface AbortableStream {
  readonly bytes: AsyncGenerator<Uint8Array>;
  length(): number;
}

export function abortableStream(source: AsyncIterable<Uint8Array>, signal: AbortSignal): AbortableStream {
  let length = 0;
  async function* bytes() {
    const iterator = source[Symbol.asyncIterator]();
    let ended = false;
    try {
      for (;;) {
        const next = await abortable(iterator.next(), signal);
        if (next.done === true) break;
        length += next.value.byteLength;
        yield next.value;
      }
      ended = true;
    } finally {
      // Not awaited: a source that hangs would keep us here.
      if (!ended) iterator.return?.().catch(() => undefined);
    }
  }
  return { bytes: bytes(), length: () => length };
}
