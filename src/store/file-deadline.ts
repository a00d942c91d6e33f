/**
 * A file store that answers in time. A file system that hangs (a server that is gone, a disk that does not answer)
 * holds up a call for ever, and a system call cannot be taken back: its caller is told at the command's deadline, or,
 * when the command is stopped, a little later than it takes to clean up. How the process ends although a thread of it
 * hangs is the matter of cli/leaving.ts.
 */
import { StoreError } from '../errors.ts';
import { createFileStore } from './file.ts';
import { type Store, urlOf } from './store.ts';

/** A timer of this period instead of listeners on each call's signal: nearly free, and in time for what takes minutes. */
const LOOK_MS = 200;
/** Removing a temporary file takes no longer on a file system that answers. */
const CLEAN_UP_MS = 5000;

export interface Deadline {
  /** Milliseconds from now on, for all calls together; undefined for none. */
  readonly ms: number | undefined;
  readonly cleanUpMs?: number;
}

export function openFileStore(root: string, deadline: Deadline): Store {
  return withDeadline(createFileStore(root), deadline);
}

/** The same around any store. */
export function withDeadline(store: Store, { ms, cleanUpMs = CLEAN_UP_MS }: Deadline): Store {
  const watch = new Watch(ms, cleanUpMs);
  const over = <T>(key: string, signal: AbortSignal, work: () => Promise<T>) =>
    watch.over(urlOf(store, key), signal, work);
  return {
    url: store.url,
    streams: store.streams === true,
    put: (key, body, options) => over(key, options.signal, () => store.put(key, body, options)),
    async get(key, call) {
      let isWanted = true;
      const options = { ...call, isWanted: () => isWanted };
      const found = await over(key, call.signal, () => store.get(key, options));
      if (found === undefined) return undefined;
      const ended = () => {
        isWanted = false;
      };
      return { ...found, body: watched(found.body, (work) => over(key, call.signal, work), ended) };
    },
    head: (key, call) => over(key, call.signal, () => store.head(key, call)),
    // Synchronous within a page: between pages they ask whether the file system answers.
    list: (prefix, call) => watched(store.list(prefix, call), (work) => over(prefix, call.signal, work)),
    leftovers: (prefix, call) =>
      watched(store.leftovers(prefix, call), (work) => over(prefix, call.signal, work)),
    remove: (keys, call) => over(keys[0] ?? '', call.signal, () => store.remove(keys, call)),
    removeLeftover: (leftover, call) =>
      over(leftover.key, call.signal, () => store.removeLeftover(leftover, call)),
    async close() {
      watch.end();
      await store.close();
    },
  };
}

async function* watched<T>(
  source: AsyncIterable<T>,
  over: <R>(work: () => Promise<R>) => Promise<R>,
  ended: () => void = () => undefined,
): AsyncGenerator<T> {
  const items = source[Symbol.asyncIterator]();
  // One that failed is at its end; one that hangs cannot be brought there.
  let isOpen = true;
  try {
    for (;;) {
      isOpen = false;
      const next = await over(() => items.next());
      if (next.done === true) return;
      isOpen = true;
      yield next.value;
    }
  } finally {
    ended();
    if (isOpen) await over(async () => items.return?.());
  }
}

interface Waiting {
  readonly url: string;
  readonly signal: AbortSignal;
  readonly giveUp: (error: unknown) => void;
  /** When its signal was first seen to be aborted. */
  abortedAt: number | undefined;
}

class Watch {
  readonly #deadline: { readonly ms: number; readonly at: number } | undefined;
  readonly #cleanUpMs: number;
  readonly #waiting = new Set<Waiting>();
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number | undefined, cleanUpMs: number) {
    this.#deadline = ms === undefined ? undefined : { ms, at: now() + ms };
    this.#cleanUpMs = cleanUpMs;
  }

  /** What `work` resolves to, or the word that it took too long. */
  over<T>(url: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    // It keeps no process alive: a hanging system call does.
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref();
    return new Promise<T>((resolve, reject) => {
      const waiting: Waiting = { url, signal, giveUp: reject, abortedAt: undefined };
      this.#waiting.add(waiting);
      const settled = () => this.#waiting.delete(waiting);
      work().finally(settled).then(resolve, reject);
    });
  }

  end(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const time = now();
    for (const waiting of this.#waiting) {
      if (this.#deadline !== undefined && time >= this.#deadline.at) {
        waiting.giveUp(tooLate(waiting.url, this.#deadline.ms));
      } else if (waiting.signal.aborted) {
        waiting.abortedAt ??= time;
        if (time - waiting.abortedAt >= this.#cleanUpMs) waiting.giveUp(waiting.signal.reason);
      }
    }
  }
}

/** Milliseconds, whatever is done to the clock. */
function now(): number {
  return process.uptime() * 1000;
}

function tooLate(url: string, ms: number): StoreError {
  return new StoreError(`the store did not do what was asked within the deadline of ${ms / 1000} s`, {
    detail: `It was still at work on "${url}".`,
    hint: 'Does the file system of the storage prefix answer? WALE_DEADLINE sets the seconds that a command may take.',
    transient: false,
    unavailable: true,
  });
}
