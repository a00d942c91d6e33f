/** Whether a file of pg_wal holds what its name says, as far as its size and its beginning tell. */
import { DataError } from '../errors.ts';
import { walFileKind } from './segment.ts';
import { checkSegment } from './wal-page.ts';

/** Timeline histories and backup labels are a few lines. */
export const MAX_TEXT_BYTES = 1024 * 1024;

/** `head`: what the file begins with, `SEGMENT_HEAD_BYTES` of a segment. Throws DataError. Of other names nothing is known. */
export function checkWalContent(name: string, size: number, head: Uint8Array): void {
  const kind = walFileKind(name);
  if (kind === 'segment' || kind === 'partial') checkSegment(name, size, head);
  else if (kind !== 'other') checkText(name, size, head);
}

/** Timeline histories and backup labels. Throws DataError. */
export function checkText(name: string, size: number, head: Uint8Array): void {
  if (size === 0) throw new DataError(`${name} is empty`);
  if (size > MAX_TEXT_BYTES || head.includes(0)) {
    throw new DataError(`${name} is not a text file`, {
      detail: `It has ${size} bytes${head.includes(0) ? ', zero bytes among them' : ''}.`,
    });
  }
}
