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

/** The results of `work` in the order of the items, at most `width` under way. Leaving the loop early aborts the rest. */
export async function* inOrder<Item, Result>(
  items: AsyncIterable<Item> | Iterable<Item>,
  width: number,
  signal: AbortSignal,
  work: (item: Item, signal: AbortSignal) => Promise<Result>,
): AsyncGenerator<Result> {
  const end = new AbortController();
  const either = AbortSignal.any([signal, end.signal]);
  const underway: Promise<Result>[] = [];
  try {
    for await (const item of items) {
      const task = work(item, either);
      task.catch((error: unknown) => end.abort(error));
      underway.push(task);
      const first = underway.length >= width ? underway.shift() : undefined;
      if (first !== undefined) yield await first;
    }
    for (let first = underway.shift(); first !== undefined; first = underway.shift()) yield await first;
  } finally {
    end.abort();
    await Promise.allSettled(underway);
  }
}
