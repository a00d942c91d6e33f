/** All parts of a backup, several at once, each on a worker thread. */
import { parallel } from '../parallel.ts';
import type { Extracted } from '../tar/extract.ts';
import type { ExtractPlace } from './extract-messages.ts';
import { ExtractorThread } from './extractor-thread.ts';
import { type FetchCall, fetchPart, type PartToFetch } from './part-fetch.ts';

export interface FetchAllCall extends Omit<FetchCall, 'thread'> {
  readonly place: ExtractPlace;
  /** Parts at once; each takes a thread. */
  readonly width: number;
  /** Called before the first attempt of each part. */
  readonly onStart?: ((part: PartToFetch) => void) | undefined;
  /** Awaited after each part, before the next one on that thread begins; never called twice at once. */
  readonly onPart: (part: PartToFetch, extracted: Extracted) => Promise<void>;
}

export async function fetchParts(parts: readonly PartToFetch[], call: FetchAllCall): Promise<void> {
  const idle: ExtractorThread[] = [];
  const all: ExtractorThread[] = [];
  let turn: Promise<void> = Promise.resolve();
  const thread = () => {
    const free = idle.pop();
    if (free !== undefined) return free;
    const made = new ExtractorThread(call.place);
    all.push(made);
    return made;
  };
  // The largest first, so that the last one to end is a small one.
  const order = [...parts].sort((a, b) => b.size - a.size || a.number - b.number);
  try {
    await parallel(order, Math.min(call.width, parts.length), call.signal, async (part, signal) => {
      const mine = thread();
      call.onStart?.(part);
      const extracted = await fetchPart(part, { ...call, thread: mine, signal });
      idle.push(mine);
      turn = turn.then(() => call.onPart(part, extracted));
      await turn;
    });
  } finally {
    await Promise.all(all.map((each) => each.close()));
  }
}
