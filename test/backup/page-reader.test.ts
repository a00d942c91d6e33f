import { closeSync, openSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { extract } from 'tar-stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { packPart } from '../../src/backup/pack-part.ts';
import { createCollectingSink } from '../harness/chunk-sink.ts';
import { decompress } from '../harness/lzop.ts';
import { createScratch } from '../harness/scratch.ts';

const PAGE = 8192;
const PAGES = 70;
/** The part's blocks have 32 pages; the member's headers shift them, so that this page lies in two blocks. */
const SHARED = 31;

let path: string;
let file: number;
beforeEach(() => {
  path = join(createScratch(), '16384');
  file = openSync(path, 'w+');
  writeSync(file, Buffer.alloc(PAGES * PAGE));
});
afterEach(() => closeSync(file));

/** Packs the file; `pauses` are what happens in the pauses between one reading of an unsound page and the next. */
async function pack(...pauses: (() => void)[]) {
  const owner = { mode: 0o600, uid: 0, gid: 0, userName: '', groupName: '', mtimeMs: 0 };
  const member = { ...owner, kind: 'file', name: 'base/5/16384', path, size: 0 } as const;
  const sink = createCollectingSink();
  let waited = 0;
  const { unsound, shortened } = packPart(
    { members: [member], mtimeSeconds: 0 },
    {
      pages: { pageBytes: PAGE, segmentBlocks: 131072 },
      hashed: false,
      sink,
      read: () => undefined,
      wait: () => pauses[waited++]?.(),
    },
  );
  const content: Uint8Array[] = [];
  for await (const entry of Readable.from([decompress(sink.object())]).pipe(extract())) {
    for await (const chunk of entry) content.push(chunk as Uint8Array);
  }
  return { content: Buffer.concat(content), unsound: unsound.certain, waited, shortened };
}

/** Half of a page that PostgreSQL is just writing. */
function tear(page: number): void {
  writeSync(file, Buffer.alloc(4096, 1), 0, 4096, page * PAGE + 4096);
}

function mend(page: number): void {
  writeSync(file, Buffer.alloc(PAGE), 0, PAGE, page * PAGE);
}

describe('an unsound page', () => {
  it('that is sound when it is read again does not count, and its sound contents are taken', async () => {
    tear(7);
    tear(40);
    const { content, unsound } = await pack(
      () => undefined,
      () => mend(7),
      () => mend(40),
    );
    expect(unsound).toEqual([]);
    expect(content.equals(Buffer.alloc(PAGES * PAGE))).toBe(true);
  });

  it('that lies in two blocks of the part is checked and read again like any other', async () => {
    tear(SHARED);
    const stays = await pack();
    expect(stays.unsound).toEqual([{ file: 'base/5/16384', block: SHARED, lsn: 0n }]);
    const mended = await pack(() => mend(SHARED));
    expect(mended.unsound).toEqual([]);
    expect(mended.content.length).toBe(PAGES * PAGE);
  });

  it('counts when it stays so, after a bounded number of readings', async () => {
    tear(7);
    const { unsound, waited } = await pack();
    expect(unsound).toEqual([{ file: 'base/5/16384', block: 7, lsn: 0n }]);
    expect(waited).toBe(4);
  });

  it('does not keep those after it from being seen', async () => {
    for (const page of [2, 3, 30, SHARED, 32, 63, 69]) tear(page);
    const { unsound } = await pack(() => mend(2));
    expect(unsound.map(({ block }) => block)).toEqual([3, 30, SHARED, 32, 63, 69]);
  });

  it('that the file lost meanwhile is nobody’s trouble', async () => {
    tear(69);
    const { unsound, shortened } = await pack(() => truncateSync(path, 69 * PAGE));
    expect({ unsound, shortened }).toEqual({ unsound: [], shortened: 0 });
  });
});

describe('sound pages', () => {
  it('go into the part as they are, however its blocks fall', async () => {
    const { content, unsound, waited } = await pack();
    expect(content.equals(Buffer.alloc(PAGES * PAGE))).toBe(true);
    expect({ unsound, waited }).toEqual({ unsound: [], waited: 0 });
  });
});
