import { describe, expect, it } from 'vitest';
import { DataError } from '../../src/errors.ts';
import { checkSegment } from '../../src/postgres/wal-page.ts';
import { segmentHead } from '../harness/segment.ts';

const MB = 1024 * 1024;
const NAME = '0000000200000003000000FF';
const detail = (run: () => void): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof DataError) return `${error.message}: ${error.detail}`;
    throw error;
  }
  return 'accepted';
};

describe('a segment', () => {
  it.each([1, 2, 16, 64, 1024])('of %i MB is accepted by its own name', (megabytes) => {
    const name = '000000020000000300000001';
    expect(() => checkSegment(name, megabytes * MB, segmentHead(name, megabytes * MB))).not.toThrow();
  });

  it('may come from a machine of the other byte order', () => {
    expect(() =>
      checkSegment(NAME, 16 * MB, segmentHead(NAME, 16 * MB, { littleEndian: false })),
    ).not.toThrow();
  });

  it('may start with pages of an older timeline, as the first one of a new timeline does', () => {
    expect(() => checkSegment(NAME, 16 * MB, segmentHead(NAME, 16 * MB, { timeline: 1 }))).not.toThrow();
  });

  it('is refused when its pages are of a newer timeline', () => {
    const head = segmentHead(NAME, 16 * MB, { timeline: 3 });
    expect(detail(() => checkSegment(NAME, 16 * MB, head))).toContain('says timeline 3, which is newer');
  });

  it.each([0, 1, MB - 1, 17 * MB, 2048 * MB])('is refused with %i bytes', (size) => {
    expect(detail(() => checkSegment(NAME, size, segmentHead(NAME, 16 * MB)))).toContain(
      `not the WAL segment ${NAME}: It has ${size} bytes, and a segment has a power of two`,
    );
  });

  it('is refused when it is shorter or longer than its header says', () => {
    expect(detail(() => checkSegment(NAME, 8 * MB, segmentHead(NAME, 16 * MB)))).toContain(
      'It has 8388608 bytes, and its header says 16777216.',
    );
  });

  it('is refused under the name of another position', () => {
    const head = segmentHead('0000000200000003000000FE', 16 * MB);
    expect(detail(() => checkSegment(NAME, 16 * MB, head))).toContain(
      'By its name it starts at 3/FF000000, and its header says 3/FE000000.',
    );
  });

  it('is refused without a page header: zeros, text, a cut head, a short header', () => {
    const refused = `not the WAL segment ${NAME}: It does not start with the header of a WAL page.`;
    expect(detail(() => checkSegment(NAME, 16 * MB, new Uint8Array(8192)))).toBe(refused);
    expect(detail(() => checkSegment(NAME, 16 * MB, Buffer.alloc(8192, 'text ')))).toBe(refused);
    expect(detail(() => checkSegment(NAME, 16 * MB, segmentHead(NAME, 16 * MB).subarray(0, 39)))).toBe(
      refused,
    );
    const shortHeader = segmentHead(NAME, 16 * MB);
    shortHeader.writeUInt16LE(0, 2);
    expect(detail(() => checkSegment(NAME, 16 * MB, shortHeader))).toBe(refused);
  });
});
