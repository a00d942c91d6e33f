import { closeSync, openSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PageReader } from '../../src/backup/page-reader.ts';
import type { UnsoundPage } from '../../src/backup/part-protocol.ts';
import { createScratch } from '../harness/scratch.ts';

const PAGE = 8192;
const RULES = { pageBytes: PAGE, segmentBlocks: 131072 };

let path: string;
let file: number;
beforeEach(() => {
  path = join(createScratch(), '16384');
  file = openSync(path, 'w+');
  writeSync(file, Buffer.alloc(10 * PAGE));
});
afterEach(() => closeSync(file));

/** Reads the ten pages; `pauses` are what happens in the pauses between one reading of an unsound page and the next. */
function read(...pauses: (() => void)[]): { bytes: Buffer; unsound: UnsoundPage[]; waited: number } {
  const unsound: UnsoundPage[] = [];
  let waited = 0;
  const reader = new PageReader(
    RULES,
    (page) => unsound.push(page),
    () => pauses[waited++]?.(),
  );
  const piece = reader.open(file, 'base/5/16384')?.(0, 10 * PAGE);
  return { bytes: Buffer.from(piece ?? []), unsound, waited };
}

/** Half of a page that PostgreSQL is just writing. */
function tear(page: number): void {
  writeSync(file, Buffer.alloc(4096, 1), 0, 4096, page * PAGE + 4096);
}

function mend(page: number): void {
  writeSync(file, Buffer.alloc(PAGE), 0, PAGE, page * PAGE);
}

describe('an unsound page', () => {
  it('that is sound when it is read again does not count, and its sound contents are taken', () => {
    tear(7);
    const { bytes, unsound } = read(
      () => undefined,
      () => mend(7),
    );
    expect(unsound).toEqual([]);
    expect(bytes.equals(Buffer.alloc(10 * PAGE))).toBe(true);
  });

  it('counts when it stays so, after a bounded number of readings', () => {
    tear(7);
    const { unsound, waited } = read();
    expect(unsound).toEqual([{ file: 'base/5/16384', block: 7, lsn: 0n }]);
    expect(waited).toBe(4);
  });

  it('does not keep those after it from being seen', () => {
    tear(2);
    tear(3);
    tear(9);
    const { unsound } = read(() => mend(2));
    expect(unsound.map(({ block }) => block)).toEqual([3, 9]);
  });

  it('that the file lost meanwhile is nobody’s trouble', () => {
    tear(7);
    const { unsound } = read(() => truncateSync(path, 7 * PAGE));
    expect(unsound).toEqual([]);
  });
});
