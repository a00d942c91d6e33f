/** Bounded concurrency over an (async) iterable: the first failure aborts the rest, and all have settled before it rejects. */
export async function parallel<Item>(
  items: AsyncIterable<Item> | Iterable<Item>,
  width: number,
  signal: AbortSignal,
  work: (item: Item, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failure = new AbortController();
  const either = AbortSignal.any([signal, failure.signal]);
  const running = new Set<Promise<void>>();
  const start = (item: Item) => {
    const task = work(item, either)
      .catch((error: unknown) => failure.abort(error))
      .finally(() => running.delete(task));
    running.add(task);
  };
  try {
    for await (const item of items) {
      if (either.aborted) break;
      start(item);
      if (running.size >= width) await Promise.race(running);
    }
  } catch (error) {
    failure.abort(error);
  }
  await Promise.all(running);
  either.throwIfAborted();
}
