/** Worker thread: decompresses the parts it is given, one after the other, and writes their members. */
import { spawnSync } from 'node:child_process';
import { parentPort, workerData } from 'node:worker_threads';
import { LzopDecoder } from '../codec/decoder.ts';
import { errnoText } from '../errno.ts';
import { DataError, UserError } from '../errors.ts';
import { Extractor } from '../tar/extract.ts';
import { MemberError } from '../tar/member-error.ts';
import { machineOwners } from '../tar/owner.ts';
import { Untar } from '../tar/untar.ts';
import { slotAt } from './chunk-slots.ts';
import type { ExtractFailure, ExtractorData, FromExtractor, ToExtractor } from './extract-messages.ts';
import { refusal, STAGED } from './members.ts';
import { hintFor, isSystemError } from './system-error.ts';

if (parentPort === null) throw new Error('this file is a worker');
const port = parentPort;
const { place, slots } = workerData as ExtractorData;
const ownerOf = place.keepOwners ? machineOwners(getent) : undefined;

function getent(database: string, name: string): string {
  return spawnSync('getent', [database, name], { encoding: 'utf8', timeout: 10_000 }).stdout ?? '';
}

const inbox: ToExtractor[] = [];
let wake: (() => void) | undefined;
port.on('message', (message: ToExtractor) => {
  inbox.push(message);
  wake?.();
});

async function next(): Promise<ToExtractor> {
  for (;;) {
    const message = inbox.shift();
    if (message !== undefined) return message;
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
}

function say(message: FromExtractor): void {
  port.postMessage(message);
}

async function extractPart(again: boolean): Promise<void> {
  const extractor = new Extractor({
    root: place.root,
    mounts: place.mounts,
    staged: STAGED,
    refusal: refusal(place.mounts, place.inPlaceTablespaces),
    ownerOf,
    duplicatesSince: again ? undefined : place.startedMs,
  });
  const untar = new Untar(extractor);
  try {
    await feed(untar, extractor);
    await untar.end();
    say({ kind: 'done', extracted: await extractor.finish() });
  } catch (error) {
    untar.abort();
    await extractor.abort();
    say({ kind: 'failed', failure: failureOf(error) });
  }
}

async function feed(untar: Untar, extractor: Extractor): Promise<void> {
  const decoder = new LzopDecoder();
  for (;;) {
    const message = await next();
    if (message.kind === 'end') return decoder.end();
    if (message.kind !== 'chunk') throw new DataError('the rest of the part did not come');
    const before = extractor.bytes;
    const bytes = slotAt(slots, message.turn).subarray(0, message.length);
    for (const block of decoder.pushViews(bytes)) {
      await untar.write(block);
      const full = extractor.throttle();
      if (full !== undefined) await full;
    }
    say({ kind: 'taken', plain: extractor.bytes - before });
  }
}

function failureOf(error: unknown): ExtractFailure {
  if (error instanceof UserError) {
    const { message, detail, hint } = error;
    const damage = error instanceof DataError && !(error instanceof MemberError);
    return { cause: damage ? 'damage' : 'refused', message, detail, hint };
  }
  if (isSystemError(error))
    return {
      cause: 'system',
      message: 'could not write a restored file',
      detail: errnoText(error),
      hint: hintFor(error),
    };
  const text = error instanceof Error ? error.message : String(error);
  const stack = error instanceof Error ? error.stack : undefined;
  return { cause: 'bug', message: text, detail: stack, hint: undefined };
}

async function work(): Promise<never> {
  for (;;) {
    const message = await next();
    if (message.kind === 'part') await extractPart(message.again);
  }
}

void work();
