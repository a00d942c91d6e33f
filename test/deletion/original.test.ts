/** On the archives that WAL-E was made for, delete does what WAL-E does, key by key and in its words. */
import { cpSync, readdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { partKey, sentinelKey, versionKey, walKey } from '../../src/archive/layout.ts';
import { writeSentinel } from '../../src/archive/sentinel.ts';
import { LzopEncoder } from '../../src/codec/encoder.ts';
import { type DeleteArguments, run } from '../../src/commands/delete.ts';
import { formatText, type LogRecord } from '../../src/log.ts';
import { formatLsn } from '../../src/postgres/segment.ts';
import { createFileStore } from '../../src/store/file.ts';
import { type Store, urlOf } from '../../src/store/store.ts';
import { backupOf, SEGMENT_BYTES, segmentAt } from '../archive/backups.ts';
import { testContext } from '../harness/context.ts';
import { MemoryStore } from '../harness/memory-store.ts';
import { seededRandom } from '../harness/random.ts';
import { createScratch } from '../harness/scratch.ts';
import { type OriginalGoal, originalResult } from './original.ts';

const NOW = Date.parse('2026-06-01T00:00:00Z');
const HOUR = 3_600_000;
const DRY_RUN = 'This is only a dry run -- no actual data is being deleted';
const WEIRD =
  'This means an unexpected key was found in a WAL-E prefix.  It can be harmless, or the result a bug or misconfiguration.';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: NOW });
});
afterEach(() => {
  vi.useRealTimers();
});

function argumentsOf(goal: OriginalGoal, confirm: boolean): DeleteArguments {
  const common = { confirm, dryRun: false, json: false, orphansOlderThan: undefined };
  return goal.verb === 'retain' ? { ...common, ...goal, retainDays: undefined } : { ...common, ...goal };
}

async function keysIn(store: Store): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of store.list('', { signal: new AbortController().signal }))
    keys.push(...page.map(({ key }) => key));
  return keys;
}

/** A record as the original writes it, but for time and process. */
const entry = (level: string, message: string, detail: string, hint?: string) =>
  `wal_e.worker.base ${level.padEnd(8)} MSG: ${message}\n        DETAIL: ${detail}` +
  `${hint === undefined ? '' : `\n        HINT: ${hint}`}\n        STRUCTURED: time=TIME pid=PID`;

const written = (records: readonly LogRecord[]) =>
  records
    .map((record) => formatText(record).replace(/time=\S+ pid=\d+/, 'time=TIME pid=PID'))
    .filter((text) => /MSG: (deleting (part|a) |skipping non-qualifying)/.test(text))
    .sort();

/** A dry run, then the deletion. */
async function compare(store: Store, goal: OriginalGoal): Promise<void> {
  const before = await keysIn(store);
  const { deleted, skipped } = originalResult(before, goal);
  const expected = (hint: string | undefined) =>
    [
      ...deleted.map(([key, thing]) =>
        entry('INFO', `deleting ${thing}`, `The key being deleted is ${urlOf(store, key)}.`, hint),
      ),
      ...skipped
        // The original writes partial segments, and does not know them.
        .filter(([key]) => !key.endsWith('.partial.lzo'))
        .map(([key, odd]) =>
          entry(
            'WARNING',
            "skipping non-qualifying key in 'delete before'",
            `The unexpected key is "${urlOf(store, key)}", and it appears ${odd}.`,
            WEIRD,
          ),
        ),
    ].sort();
  const dry = testContext({ store });
  expect(await run(argumentsOf(goal, false), dry)).toBe(0);
  expect(written(dry.records)).toEqual(expected(DRY_RUN));
  expect(await keysIn(store)).toEqual(before);
  const done = testContext({ store });
  expect(await run(argumentsOf(goal, true), done)).toBe(0);
  expect(written(done.records)).toEqual(expected(undefined));
  const gone = new Set(deleted.map(([key]) => key));
  expect(await keysIn(store)).toEqual(before.filter((key) => !gone.has(key)));
}

describe('as WAL-E does it, delete', () => {
  it.each(['seg1', 'gpg'])('empties its golden archive: %s', async (archive) => {
    const goals: readonly OriginalGoal[] = [
      { verb: 'before', name: 'base_00000001000000000000000B_00000040' },
      { verb: 'retain', count: 1 },
      { verb: 'retain', count: 5 },
      { verb: 'everything' },
    ];
    for (const goal of goals) {
      const folder = createScratch();
      cpSync(fileURLToPath(new URL(`../../fixtures/golden/${archive}/archive`, import.meta.url)), folder, {
        recursive: true,
      });
      for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }))
        utimesSync(join(folder, name), (NOW - 99 * HOUR) / 1000, (NOW - 99 * HOUR) / 1000);
      const store = createFileStore(folder);
      await compare(store, goal);
      await store.close();
    }
  });

  it('does the same in archives of one history, whatever was switched, left over or put there', async () => {
    for (let seed = 1; seed <= 60; seed += 1) {
      const random = seededRandom(seed);
      const { store, starts } = lived(random);
      const goal = goalFor(starts, random);
      try {
        await compare(store, goal);
      } catch (cause) {
        throw new Error(`seed ${seed}, ${JSON.stringify(goal)}`, { cause });
      }
    }
  });
});

/** A server's life under WAL-E: backups one after another, some that failed, now and then a standby that took over. */
function lived(random: () => number): { store: MemoryStore; starts: string[] } {
  const store = new MemoryStore();
  const starts: string[] = [];
  let timeline = 1;
  let clock = NOW - 400 * 24 * HOUR;
  const put = (key: string, content: { bytes?: Uint8Array; size?: number } = { size: 10 }) =>
    store.set(key, new Date(clock), content);
  const switches: string[] = [];
  // Not from the first segment of a log, and over the end of one.
  const first = 200 + Math.floor(random() * 40);
  for (let index = first; index < first + 60; index += 1) {
    clock += HOUR;
    put(walKey(segmentAt(timeline, index)));
    const choice = random();
    if (choice < 0.15 && !starts.includes(segmentAt(timeline, index))) {
      const isComplete = random() < 0.75;
      if (isComplete) starts.push(segmentAt(timeline, index));
      backup(timeline, index, isComplete);
    } else if (choice < 0.19) {
      const lsn = formatLsn(BigInt(index) * BigInt(SEGMENT_BYTES) + 4096n);
      switches.push(`${timeline}\t${lsn}\tno recovery target\n`);
      timeline += 1;
      put(walKey(`0000000${timeline}.history`), { bytes: lzop(switches.join('')) });
      if (random() < 0.5) put(walKey(`${segmentAt(timeline - 1, index)}.partial`));
      put(walKey(segmentAt(timeline, index)));
    } else if (choice < 0.22) {
      for (const key of ['notes', 'deeper/x', `${segmentAt(timeline, index)}.lz4`]) put(`wal_005/${key}`);
      for (const key of ['README', 'x/notes', 'x/y/notes', 'x/y/z/notes']) put(`basebackups_005/${key}`);
    }
  }

  function backup(on: number, start: number, isComplete: boolean): void {
    const known = backupOf({ timeline: on, start, stop: start, at: clock });
    put(versionKey(known.name));
    for (const number of [0, 1]) put(partKey(known.name, number));
    if (!isComplete || known.reading.kind !== 'read') return;
    put(walKey(`${segmentAt(on, start)}.00000028.backup`), { bytes: lzop('LABEL: x\n') });
    put(sentinelKey(known.name), { bytes: Buffer.from(writeSentinel(known.reading.sentinel)) });
  }
  return { store, starts };
}

function goalFor(starts: readonly string[], random: () => number): OriginalGoal {
  const choice = random();
  const segment = starts[Math.floor(random() * starts.length)];
  if (choice < 0.1) return { verb: 'everything' };
  if (choice < 0.5 || segment === undefined) return { verb: 'retain', count: 1 + Math.floor(random() * 5) };
  return { verb: 'before', name: `base_${segment}_00000040` };
}

function lzop(text: string): Buffer {
  const encoder = new LzopEncoder({ mode: 0, mtimeSeconds: 0 });
  return Buffer.concat([encoder.header(), encoder.block(Buffer.from(text)), encoder.end()]);
}
