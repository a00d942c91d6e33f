/** Which unsound pages mean that the cluster is damaged. */
import type { DamagedPage } from '../archive/sentinel.ts';
import type { UnsoundPage } from './part-protocol.ts';

/**
 * A page that was changed after the start of the backup is written anew from WAL when the backup is restored, so
 * whatever was read of it does no harm: its LSN lies between start and stop. One with an older LSN, or with one that
 * the WAL had not reached at the stop, is damaged. Without a `start` every unsound page is (nobody was writing);
 * without a `stop` only those are named that are certain already.
 */
export function damagedPages(
  pages: readonly UnsoundPage[],
  start: bigint | undefined,
  stop: bigint | undefined,
): DamagedPage[] {
  const isDamaged = ({ lsn }: UnsoundPage) =>
    start === undefined || lsn < start || (stop !== undefined && lsn > stop);
  return pages
    .filter(isDamaged)
    .map(({ file, block }) => ({ file: Buffer.from(file, 'latin1').toString('utf8'), block }));
}
