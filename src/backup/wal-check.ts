/**
 * A backup can be restored only with the WAL from its start to its stop: waits until the archive has every segment of
 * it. The time limit counts from the last segment that arrived, so a slow archiver is waited for and a dead one is not.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { walKey } from '../archive/layout.ts';
import { UserError } from '../errors.ts';
import type { Log } from '../log.ts';
import { parallel } from '../parallel.ts';
import { followingSegments, segmentPosition } from '../postgres/segment.ts';
import { formatDuration } from '../progress.ts';
import { type Store, urlOf } from '../store/store.ts';

export interface WalNeed {
  readonly first: string;
  readonly last: string;
  readonly segmentBytes: number;
}

export interface WalWait {
  readonly store: Store;
  readonly log: Log;
  readonly limitMs: number;
  /** Why the archiver does not get on, if anybody knows. */
  readonly trouble: () => Promise<string | undefined>;
  readonly signal: AbortSignal;
}

const POLL_MS = 500;
const SAY_MS = 60_000;
const WIDTH = 16;

/** Names of all segments, ascending. `last` may be on a later timeline (a standby that was shut down): then only the ends are known. */
export function neededSegments({ first, last, segmentBytes }: WalNeed): string[] {
  if (first === last) return [first];
  const from = segmentPosition(first, segmentBytes);
  const to = segmentPosition(last, segmentBytes);
  if (from.timeline !== to.timeline) return [first, last];
  const count = Number((to.start - from.start) / BigInt(segmentBytes));
  return [first, ...followingSegments(first, count, segmentBytes)];
}

/** Those that are not in the archive, ascending. */
export async function missingSegments(
  store: Store,
  names: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  const missing = new Set<string>();
  await parallel(names, WIDTH, signal, async (name, either) => {
    if ((await store.head(walKey(name), { signal: either })) === undefined) missing.add(name);
  });
  return names.filter((name) => missing.has(name));
}

/** Throws when nothing arrived for `limitMs`. */
export async function waitForWal(need: WalNeed, wait: WalWait): Promise<void> {
  const { store, log, signal } = wait;
  const names = neededSegments(need);
  let missing = await missingSegments(store, names, signal);
  let progressed = performance.now();
  let said = -SAY_MS;
  while (missing.length > 0) {
    const now = performance.now();
    if (now - progressed > wait.limitMs) throw gaveUp(missing, names, wait, await wait.trouble());
    if (now - said >= SAY_MS) {
      said = now;
      log.info('waiting for WAL to be archived', {
        detail: described(missing, names),
        hint: await wait.trouble(),
      });
    }
    await sleep(POLL_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
    const left = await missingSegments(store, missing, signal);
    if (left.length < missing.length) progressed = performance.now();
    missing = left;
  }
  log.info('the archive has all WAL that the backup needs', {
    detail: `${counted(names)}: ${need.first}${need.first === need.last ? '' : ` to ${need.last}`}.`,
  });
}

function described(missing: readonly string[], names: readonly string[]): string {
  const others = missing.length > 1 ? ` and ${missing.length - 1} more are` : ' is';
  return `${missing[0]}${others} not in the archive yet, of ${counted(names)} that the backup needs.`;
}

function counted({ length }: readonly string[]): string {
  return length === 1 ? '1 segment' : `${length} segments`;
}

function gaveUp(
  missing: readonly string[],
  names: readonly string[],
  wait: WalWait,
  trouble: string | undefined,
): UserError {
  const first = missing[0] ?? '';
  return new UserError('the WAL that the backup needs did not reach the archive', {
    detail:
      `${described(missing, names)} Nothing arrived for ${formatDuration(wait.limitMs / 1000)}. ${trouble ?? ''}`.trim(),
    hint: `Without "${urlOf(wait.store, walKey(first))}" the backup cannot be restored, so it is not completed. Look at archive_command in the log of the server.`,
  });
}

/** Nobody archives while the server is down, so there is nothing to wait for. */
export async function sayNeededWal(
  names: readonly string[],
  store: Store,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const range = names.length === 1 ? `segment ${names[0]}` : `segments ${names[0]} to ${names.at(-1)}`;
  const missing = await missingSegments(store, names, signal);
  if (missing.length === 0) {
    log.info('the archive has all WAL that the backup needs', { detail: `It needs ${range}.` });
    return;
  }
  log.warning('the backup needs WAL that is not in the archive yet', {
    detail: `It needs ${range}; not there: ${missing.join(', ')}.`,
    hint: 'The server archives it after its next start. Until then keep pg_wal: without that WAL the backup cannot be restored.',
  });
}
